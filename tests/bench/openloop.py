"""Open-loop load: every request has its time, kept whatever became of those before.

schedule (Poisson, seeded) -> a free connection, else the shortest pipeline -> answers in order -> latency from the
intended time. Where every pipeline is full, the request is lost at once ("unsent"), as at an exchange that has no
connection left: what is offered does not wait for what is served. What the generator itself would send later than the
deadline is not sent either ("skipped"): rows that have many such show its limit, not the server's.

One process of its own that never sleeps (timers are coarser than an answer), alone on its core: `run()` starts it.
Its own limit also shows as `lag`: how late it sent. Times: ns, monotonic.
"""

import gc
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from math import log
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.bench.servers import CHECKOUT, Server, last_core

NS = 1_000_000_000
LINE = b"HTTP/1.1 "
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")  # nothing that a bid's markup would hold
STATUS_BYTES = len(LINE) + 3
LAST_WAIT_NS = NS  # for answers, when the last request was sent
BURST = 256  # requests sent before answers are looked at again
READ_BYTES = 262_144


class Plan(NamedTuple):
    """What is offered."""

    rate: float  # requests a second
    seconds: float
    connections: int = 64
    depth: int = 1  # requests at most on one connection
    deadline_ms: float = 35.0
    seed: int = 1


class Connection:
    """One socket; `waiting` are (intended, sent) of what is not answered."""

    __slots__ = ("rest", "socket", "tail", "waiting")

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.waiting: deque[tuple[int, int]] = deque()
        self.rest = b""  # of requests that the socket has not taken yet
        self.tail = b""  # of an answer's first line that is not whole yet

    def send(self, payload: bytes) -> bool:
        """False: some of it must be pushed later."""
        if self.rest:
            self.rest += payload
            return False
        return self._write(payload)

    def push(self) -> bool:
        """Once more, what was not taken."""
        return self._write(self.rest)

    def _write(self, data: bytes) -> bool:
        try:
            taken = self.socket.send(data)
        except BlockingIOError:
            taken = 0
        self.rest = data[taken:]
        return not self.rest

    def statuses(self) -> list[bytes]:
        """Of the answers that begin in what is there. ConnectionError: there will be no more."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("closed")
        data = self.tail + data
        line = data[max(0, len(data) - STATUS_BYTES + 1) :]
        begun = line[line.rfind(b"H") :] if b"H" in line else b""
        self.tail = begun if begun and LINE.startswith(begun[: len(LINE)]) else b""
        return STATUS.findall(data)


class Load:
    """A plan that is being carried out."""

    def __init__(self, url: str, bodies: Sequence[bytes], plan: Plan) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        head = (
            f"POST /bid/generic HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: "
        )
        self.plan = plan
        self._deadline = int(plan.deadline_ms * 1e6)
        self._payloads = cycle([b"%b%d\r\n\r\n%b" % (head.encode(), len(body), body) for body in bodies])
        self._connections = {
            c.socket.fileno(): c for c in (Connection(host, int(port)) for _ in range(plan.connections))
        }
        self._free = list(self._connections.values()) * plan.depth  # places; a connection has `depth` of them
        self._stuck: set[Connection] = set()
        self._poll = select.epoll()
        for number in self._connections:
            self._poll.register(number, select.EPOLLIN)
        self.offered = self.unsent = self.skipped = self.closed = self.sent = self.in_time = self.bids = (
            self.bids_in_time
        ) = 0
        self.latency: list[int] = []
        self.service: list[int] = []
        self.lags: list[int] = []

    def play(self) -> None:
        """All of it; returns when all is answered, or LAST_WAIT_NS later."""
        gap, dice, now = NS / self.plan.rate, Random(self.plan.seed).random, time.monotonic_ns
        due: float = now()
        end = due + self.plan.seconds * NS
        while True:
            at = now()
            for _ in range(BURST):
                if due > at or due > end:
                    break
                self._offer(int(due), at)
                due -= gap * log(1.0 - dice())
                at = now()
            if due > end and (self.sent == len(self.latency) or at > end + LAST_WAIT_NS):
                return
            for number, _ in self._poll.poll(0):
                self._hear(self._connections[number])
            if self._stuck:
                self._stuck = {connection for connection in self._stuck if not connection.push()}

    def _offer(self, intended: int, at: int) -> None:
        self.offered += 1
        if at - intended > self._deadline:
            self.skipped += 1
            return
        if not self._free:
            self.unsent += 1
            return
        connection = self._free.pop()
        self.sent += 1
        connection.waiting.append((intended, at))
        self.lags.append(at - intended)
        if not connection.send(next(self._payloads)):
            self._stuck.add(connection)

    def _hear(self, connection: Connection) -> None:
        try:
            found = connection.statuses()
        except BlockingIOError:
            return
        except ConnectionError:
            self.closed += 1
            self._poll.unregister(connection.socket)
            self._stuck.discard(connection)
            self._free = [other for other in self._free if other is not connection]
            return
        at = time.monotonic_ns()
        for status in found:
            intended, sent = connection.waiting.popleft()
            in_time, bid = at - intended <= self._deadline, status == b"200"
            self.latency.append(at - intended)
            self.service.append(at - sent)
            self.in_time += in_time
            self.bids += bid
            self.bids_in_time += bid and in_time
            self._free.append(connection)

    def close(self) -> None:
        """Let go of the sockets."""
        self._poll.close()
        for connection in self._connections.values():
            connection.socket.close()

    def result(self) -> dict[str, Any]:
        """Rates a second of the plan, times in microseconds."""
        seconds = self.plan.seconds
        return {
            "offered": self.offered / seconds, "sent": self.sent / seconds, "unsent": self.unsent / seconds,
            "skipped": self.skipped / seconds,
            "answered": len(self.latency) / seconds, "in_time": self.in_time / seconds, "bids": self.bids / seconds,
            "bids_in_time": self.bids_in_time / seconds, "closed": self.closed, "latency_us": quantiles(self.latency),
            "service_us": quantiles(self.service), "lag_us": quantiles(self.lags),
        }  # fmt: skip


def quantiles(times: list[int]) -> dict[str, float]:
    """Of nanoseconds, in microseconds; sorts them."""
    times.sort()
    names = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: times[min(len(times) - 1, int(q * len(times)))] / 1e3 if times else 0.0 for name, q in names.items()}


def run(server: Server, bodies: Path, plan: Plan) -> dict[str, Any]:
    """The load from a process of its own on the last core."""
    command = ["taskset", "-c", str(last_core()), sys.executable, "-m", "tests.bench.openloop"]
    command += [server.url, str(bodies), json.dumps(plan._asdict())]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=plan.seconds + 60)
    if done.returncode:
        raise SystemExit(f"bench: the load generator failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    load = Load(sys.argv[1], Path(sys.argv[2]).read_bytes().splitlines(), Plan(**json.loads(sys.argv[3])))
    gc.freeze()
    gc.disable()
    load.play()
    print(json.dumps(load.result()))
