"""An exchange that tells notices at a fixed rate, whatever the answers: one open loop of many connections.

tell(host, port, paths, rate, ...) -> Told: every notice at its own time; what was refused is told until it is taken.
Latency counts from the time that a notice was due to the end of its first answer. Units: seconds.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

TICK_S = 0.001
AGAIN_S = 0.5  # an exchange waits longer; this is for a short bench
PATIENCE_S = 30.0  # after the last notice was due


@dataclass
class Told:
    """What became of the notices, by their number."""

    latency_s: list[float] = field(default_factory=list)  # to the first answer
    lag_s: list[float] = field(default_factory=list)  # how late the teller itself sent what had a free connection
    taken: set[int] = field(default_factory=set)
    refused: int = 0  # answers that asked for it again
    odd: int = 0  # answers that say something else


@dataclass
class _Notice:
    number: int
    due: float
    again: bool = False


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one notice under way."""

    def __init__(self, teller: "_Teller") -> None:
        self._teller = teller
        self._said = b""
        self.notice: _Notice | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, notice: _Notice) -> None:
        self.notice = notice
        self._transport.write(self._teller.requests[notice.number])

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._said += data
        end = self._said.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._said[:end].lower()
        length = head.find(b"content-length:")
        body = int(head[length + 15 :].split(b"\r\n", 1)[0]) if length >= 0 else 0
        if len(self._said) < end + 4 + body:
            return
        self._said = b""
        notice, self.notice = self.notice, None
        assert notice is not None
        self._teller.answered(self, notice, int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self._teller.lost(self)


class _Teller:
    def __init__(self, requests: Sequence[bytes], due: Sequence[float]) -> None:
        self.requests = requests
        self.told = Told()
        self._planned = deque(_Notice(number, at) for number, at in enumerate(due))
        self._ready: deque[_Notice] = deque()  # due, and no connection was free
        self._free: deque[_Connection] = deque()
        self.left = len(requests)

    async def run(self, host: str, port: int, connections: int, begin: float) -> None:
        loop = asyncio.get_running_loop()
        made = [(await loop.create_connection(lambda: _Connection(self), host, port))[1] for _ in range(connections)]
        self._free.extend(made)
        last = self._planned[-1].due + PATIENCE_S
        while self.left and time.monotonic() < last:
            now = time.monotonic()
            while self._planned and self._planned[0].due <= now:
                notice = self._planned.popleft()
                if self._free:
                    self.told.lag_s.append(now - notice.due)
                    self._free.popleft().send(notice)
                else:
                    self._ready.append(notice)
            while self._ready and self._free:
                self._free.popleft().send(self._ready.popleft())
            await asyncio.sleep(TICK_S)
        self.left = 0
        for connection in made:
            connection.close()

    def answered(self, connection: _Connection, notice: _Notice, status: int) -> None:
        now = time.monotonic()
        if not notice.again:
            self.told.latency_s.append(now - notice.due)
        if status in (200, 204, 302):
            self.told.taken.add(notice.number)
            self.left -= 1
        elif status == 503:
            self.told.refused += 1
            asyncio.get_running_loop().call_later(
                AGAIN_S, self._ready.append, _Notice(notice.number, now + AGAIN_S, again=True)
            )
        else:
            self.told.odd += 1
            self.left -= 1
        if self._ready:
            connection.send(self._ready.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: _Connection) -> None:
        """The tracker has no reason to: an odd answer."""
        if connection in self._free:
            self._free.remove(connection)
        if self.left:
            self.told.odd += 1


def tell(
    host: str, port: int, paths: Sequence[str], rate: float, connections: int, seed: int, on_way: Callable[[], None]
) -> Told:
    """Tell them all, `rate` a second (Poisson). `on_way` is called in a thread of its own when a third was due."""
    chance, at = random.Random(seed), time.monotonic() + 1.0
    due = [at := at + chance.expovariate(rate) for _ in paths]
    requests = [f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for path in paths]
    teller = _Teller(requests, due)

    async def run() -> None:
        async def later() -> None:
            await asyncio.sleep(max(0.0, due[len(due) // 3] - time.monotonic()))
            await asyncio.to_thread(on_way)

        task = asyncio.create_task(later())
        await teller.run(host, port, connections, at)
        await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return teller.told
