"""Open-loop load: every request has its time, kept whatever became of those before.

schedule (Poisson, seeded) -> a free connection, else the shortest pipeline; of equals the one that has stood there for
longest -> answers in order -> latency from the intended time to the whole answer. The loop is compiled (generator.pyx):
one process on the last core, which sleeps only where the next request is well away. `run()` starts it.

| count | of requests |
|---|---|
| `offered` | that were due: `sent` + `unsent` + `skipped` |
| `unsent` | for which no connection had a place: lost at once, as at an exchange that has none left |
| `skipped` | that the generator itself would have sent later than `late_ms`: its limit, not the server's |
| `sent` | that were given to a connection: `answered` + `lost` (it closed) + `unanswered` (a second after the end) |
| `in_time` | answered within the deadline: `bids_in_time` (200), `nobids_in_time` (204), and errors |
| `errors` | answered with another status |

`closed` are connections that ended: each is opened again, at once where the answer before said so, else after a tenth
of a second. `unannounced` of them the server closed between two requests; `refused` are attempts to open one. `garbled`
are answers whose end one cannot know. `lag_us` is how late the generator sent, `unseen_us` how long at most an answer
lay there before it looked: where these are not small against `latency_us`, the figure is the generator's. `service_us`
counts from sending.
Quantiles are right within 0.4 %. `per_100_ms` counts by when a request was due, not by when it was answered.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tests.bench import build
from tests.bench.servers import CHECKOUT, Server, last_core
from tests.extensions import NotBuilt

if TYPE_CHECKING:
    from tests.bench.generator import Load

BY_SECOND = ("offered", "sent", "unsent", "skipped", "answered", "in_time", "bids", "bids_in_time", "nobids_in_time")
WITHIN = 0.95  # of what is offered is bid on in time: back to normal
STEADY = 5  # slices that together must be so, too


class Plan(NamedTuple):
    """What is offered; what was due in `seconds_before` is offered at its own rate, and not in the result."""

    rate: float  # requests a second
    seconds: float
    connections: int = 64
    depth: int = 1  # requests at most on one connection
    deadline_ms: float = 35.0
    late_ms: float | None = None  # after which the generator does not send any more; None: the deadline
    seed: int = 1
    rate_before: float = 0
    seconds_before: float = 0


def request(host: str, body: bytes) -> bytes:
    """As an exchange sends it."""
    head = (
        f"POST /bid/generic HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    return b"%b\r\n\r\n%b" % (head.encode(), body)


def load(url: str, bodies: Sequence[bytes], plan: Plan) -> "Load":
    """Connected, and ready to play. ValueError: not loopback, or out of bounds; NotBuilt: the generator is not."""
    where = urlsplit(url)
    if where.hostname != "127.0.0.1" or where.port is None:
        raise ValueError(f"load is for 127.0.0.1, not for {url}")
    payloads = [request(where.netloc, body) for body in bodies]
    late_ms = plan.deadline_ms if plan.late_ms is None else plan.late_ms
    made: Load = build.generator().Load(where.port, payloads, **plan._asdict() | {"late_ms": late_ms})
    return made


def result(counts: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Rates a second of the plan instead of counts; times stay microseconds."""
    return counts | {name: counts[name] / seconds for name in BY_SECOND}


def back_to_normal_ms(per_100_ms: dict[str, list[int]]) -> int | None:
    """When bids in time first made up 95 % of what was offered, in a slice and in the half second from it on.

    What the generator skipped was not offered to the server.
    """
    offered = [due - late for due, late in zip(per_100_ms["offered"], per_100_ms["skipped"], strict=True)]
    good = per_100_ms["bids_in_time"]
    for at in range(len(offered) - STEADY + 1):
        if sum(offered[at : at + STEADY]) and all(
            sum(good[at : at + n]) >= WITHIN * sum(offered[at : at + n]) for n in (1, STEADY)
        ):
            return at * 100
    return None


def at_once() -> list[str]:
    """How a command is run before all others of its core; for loads that leave it time, and where we may."""
    return ["chrt", "--fifo", "1"] if os.geteuid() == 0 and shutil.which("chrt") else []


def run(server: Server, bodies: Path, plan: Plan, *, at_ease: bool = False) -> dict[str, Any]:
    """The load from a process of its own on the last core. SystemExit: it failed, or cannot be built.

    `at_ease`: the core is not filled by it. Then, as root, it goes before the server's other processes there, or
    their turns on the processor, some milliseconds each, would be measured as the server's.
    """
    try:
        build.generator()  # before the clock runs
    except NotBuilt as missing:
        raise SystemExit(f"bench: cannot build the load generator: {missing}") from missing
    command = [*(at_once() if at_ease else []), "taskset", "-c", str(last_core()), sys.executable]
    command += ["-m", "tests.bench.openloop", server.url, str(bodies), json.dumps(plan._asdict())]
    timeout = plan.seconds_before + plan.seconds + 60
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=timeout)
    if done.returncode:
        raise SystemExit(f"bench: the load generator failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the loop would not see Python's exception before its end
    asked = Plan(**json.loads(sys.argv[3]))
    playing = load(sys.argv[1], Path(sys.argv[2]).read_bytes().splitlines(), asked)
    playing.play()
    print(json.dumps(result(playing.counts(), asked.seconds)))
