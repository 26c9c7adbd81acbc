"""The load under which a release must not be felt: the compiled open-loop generator, in a process of its own.

with offering(url, bodies, plan) as load: load.counts() ... load.end() -> Counts
It offers at its rate until it is told to end, over keep-alive connections with one request on each; what is counted is
tests/bench/openloop.py's, summed up as whoever pays for it would.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import build, openloop
from tests.bench.servers import CHECKOUT, last_core

CORE = last_core()  # as long as this process may be anywhere
LONGEST_S = 3_600.0  # a load that nobody ends
END_S = 30.0
FIRST_RATE = 500.0  # requests a second
GROWTH = 1.5
TRIAL_S = 2.0
TRIALS = 2
SETTLE_S = 0.5  # from the last connection to the first request: exchanges do not open all of theirs in one instant
CONNECTIONS = (64, 4_096)  # least and most


def leave_the_core() -> None:
    """From here on this process and all that it starts stay away from the load's core, where there is another one.

    A host whose workers share a core with what offers the load is late whenever that has its turn.
    """
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {CORE} or {CORE})


class Counts(NamedTuple):
    """What became of the requests so far. Every one that was sent is in one of the columns up to `open`."""

    sent: int
    in_time: int  # 200 or 204 within the deadline, from the intended time
    late: int  # the same, later
    failed: int  # another status, or what is no answer
    reset: int  # the connection ended before the answer did
    open: int  # not answered yet; at the end: a second after the last was due
    refused: int  # attempts to open a connection
    unsent: int  # for which no connection was free, so the server was too slow
    skipped: int  # that the generator itself would have sent too late: its own fault
    bids: int
    p99_ms: float
    longest_ms: float

    @property
    def lost(self) -> int:
        """All that should not be, but for what is still open."""
        return self.late + self.failed + self.reset + self.refused + self.unsent

    def since(self, before: "Counts") -> "Counts":
        """Differences; times stay those of the whole."""
        of_whole = ("p99_ms", "longest_ms")
        return self._replace(
            **{name: n - getattr(before, name) for name, n in self._asdict().items() if name not in of_whole}
        )


def summed(counts: dict[str, Any]) -> Counts:
    """Of what the generator counts."""
    good = counts["bids_in_time"] + counts["nobids_in_time"]
    failed = counts["errors"] + counts["garbled"]
    return Counts(
        sent=counts["sent"],
        in_time=good,
        late=counts["answered"] - counts["errors"] - good,
        failed=failed,
        reset=counts["lost"],
        open=max(0, counts["unanswered"]),
        refused=counts["refused"],
        unsent=counts["unsent"],
        skipped=counts["skipped"],
        bids=counts["bids"],
        p99_ms=round(counts["latency_us"]["p99"] / 1e3, 2),
        longest_ms=round(counts["latency_us"]["max"] / 1e3, 2),
    )


class Load:
    """One that is being offered."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def counts(self) -> Counts:
        """So far."""
        return self._ask("counts")

    def end(self) -> Counts:
        """Stop it; all that was sent has been answered, or had a second."""
        counts = self._ask("end")
        self._process.wait(END_S)
        return counts

    def _ask(self, what: str) -> Counts:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the load generator has ended"
        return summed(json.loads(line))


@contextlib.contextmanager
def offering(url: str, bodies: Sequence[bytes], plan: openloop.Plan) -> Iterator[Load]:
    """Such a load; its process ends with the block. `plan.seconds` is not looked at."""
    build.generator()  # before the clock runs
    with tempfile.NamedTemporaryFile(prefix="outbid-bodies-") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        command = [*openloop.at_once(), "taskset", "-c", str(CORE), sys.executable, "-m", "tests.releases.load"]
        process = subprocess.Popen(
            [*command, url, file.name, json.dumps(plan._replace(seconds=LONGEST_S)._asdict())],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "the load generator did not start"
            yield Load(process)
        finally:
            process.kill()
            process.communicate()


def connections(rate: float, deadline_ms: float) -> int:
    """How many a load needs, so that a request that finds none free would have been late anyway."""
    least, most = CONNECTIONS
    return min(max(round(rate * deadline_ms / 1e3), least), most)


def fits(url: str, bodies: Sequence[bytes], plan: openloop.Plan) -> bool:
    """Is this rate answered in time, but for one request in a hundred?"""
    with offering(url, bodies, plan) as load:
        threading.Event().wait(TRIAL_S)
        counts = load.end()
    return counts.in_time >= 0.99 * (counts.sent + counts.unsent + counts.skipped)


def capacity(url: str, bodies: Sequence[bytes], at: Callable[[float], openloop.Plan]) -> float:
    """Requests a second that fit; the rate grows by half until twice running they do not. SystemExit: not even few.

    `at(rate)`: how that rate is offered.
    """
    rate = FIRST_RATE
    while any(fits(url, bodies, at(rate)) for _ in range(TRIALS)):
        rate *= GROWTH
    if rate == FIRST_RATE:
        raise SystemExit(f"releases: not even {FIRST_RATE:,.0f} requests/s are answered in time; is the machine busy?")
    return rate / GROWTH


def main(url: str, bodies: Path, plan: openloop.Plan) -> None:
    """The process: `ready`, then a line of counts for each line that asks."""
    load = openloop.load(url, bodies.read_bytes().split(b"\n"), plan)
    threading.Event().wait(SETTLE_S)
    playing = threading.Thread(target=load.play, daemon=True)
    playing.start()
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "end\n":
            load.stop()
            playing.join()
        print(json.dumps(load.counts() | {"per_100_ms": None}), flush=True)
        if not playing.is_alive():
            return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), openloop.Plan(**json.loads(sys.argv[3])))
