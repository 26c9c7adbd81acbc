"""Schedules by the thousand, on all cores: `scripts/simulate`.

seeds -> processes -> the first that fails -> made shorter -> told in words, with the line that plays it again.
Exit codes: 0 every promise held; 1 one did not; 130 interrupted.
"""

import argparse
import dataclasses
import itertools
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.reference.bank import Bank
from tests.simulation.mutations import NONE, Bugs
from tests.simulation.plan import Plan, Step, plan
from tests.simulation.world import Violated, World

HOSTS = 4
CHUNK = 10  # seeds that a process takes at once
CHUNKS = 100  # that a process takes before a new one goes on: trackers that die leave descriptors behind
PROGRESS_S = 1.0
SHORTENING_S = 60.0


class Place:
    """A directory in memory, used for one schedule after the other."""

    def __init__(self, within: Path | None = None) -> None:
        memory = Path("/dev/shm")
        within = within or (memory if memory.is_dir() else None)
        self.directory = Path(tempfile.mkdtemp(prefix="outbid-simulation-", dir=within))
        self._numbers = itertools.count()
        self.counters = [self.directory / f"counters-{n}" for n in range(HOSTS)]

    def fresh(self) -> Path:
        """Of one schedule, which removes it."""
        return self.directory / f"w{next(self._numbers)}"

    def erase(self) -> None:
        """Nothing stays."""
        shutil.rmtree(self.directory, ignore_errors=True)


def failure(
    of: Plan, place: Place, bugs: Bugs = NONE, say: Callable[[str], None] | None = None, bank: Callable[..., Any] = Bank
) -> str | None:
    """Run one schedule; what it violates, or None."""
    try:
        World(of, place.fresh(), place.counters, bugs=bugs, say=say, bank=bank).run()
    except Violated as violated:
        return str(violated)
    except Exception:
        return f"seed {of.seed}: {traceback.format_exc()}"
    return None


def _kind(message: str) -> str:
    """The promise, without its figures."""
    return re.sub(r"[0-9a-f]{24}|[\d.,]+", "#", message.splitlines()[-1].partition(": ")[2])


def shortened(of: Plan, message: str, place: Place, bugs: Bugs = NONE, within_s: float = SHORTENING_S) -> Plan:
    """As few steps as still fail in the same way: halves are left out, then quarters, down to single ones."""
    deadline = time.monotonic() + within_s
    steps, size = list(of.steps), max(1, len(of.steps) // 2)
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(steps) and time.monotonic() < deadline:
            fewer = steps[:at] + _passing(steps[at : at + size]) + steps[at + size :]
            again = failure(dataclasses.replace(of, steps=tuple(fewer)), place, bugs)
            if len(fewer) < len(steps) and again is not None and _kind(again) == _kind(message):
                steps = fewer
            at += size
        size //= 2
    return dataclasses.replace(of, steps=tuple(steps))


def _passing(steps: list[Step]) -> list[Step]:
    """Their time passes, nothing else."""
    waited = round(sum(step.wait for step in steps), 3)
    return [Step(waited, "nothing", 0, 0.0)] if len(steps) > 1 else []


class Told(NamedTuple):
    """What became of one seed."""

    seed: int
    failure: str | None


_places: list[Place] = []  # of a process of ours: its one


def _begin(root: Path) -> None:
    _places.append(Place(root))


def _chunk(work: tuple[int, int, Bugs]) -> list[Told]:
    first, end, bugs = work
    return [Told(seed, failure(plan(seed), _places[0], bugs)) for seed in range(first, end)]


def schedules(first: int, count: int, processes: int, bugs: Bugs = NONE) -> Iterator[Told]:
    """Each seed from `first` on, in the order in which they are done."""
    work = ((at, min(at + CHUNK, first + count), bugs) for at in range(first, first + count, CHUNK))
    root = Place()
    try:
        with multiprocessing.get_context("spawn").Pool(processes, _begin, (root.directory,), CHUNKS) as pool:
            for told in pool.imap_unordered(_chunk, work):
                yield from told
    finally:
        root.erase()


def _words(of: Plan) -> list[str]:
    terms = [f"  campaign {100 + n}: {each}" for n, each in enumerate(of.campaigns)]
    return [
        f"  {of.hosts} hosts, begins at {of.start}",
        *terms,
        f"  {of.fates}",
        f"  a question every {of.sync_s:.1f} s, {of.page} leases an answer",
        f"  released after {of.release_after_s} s, settled for {of.settle_for_s} s, taken for {of.take_for_s} s",
        *(f"  {step}" for step in of.steps),
    ]


def one(seed: int, bugs: Bugs, trace: bool) -> int:
    """Play one seed; with `trace`, in words. Where it fails, the shortest schedule that does."""
    place = Place()
    try:
        whole = plan(seed)
        wrong = failure(whole, place, bugs, print if trace else None)
        if wrong is None:
            print(f"seed {seed}: every promise held ({len(whole.steps)} steps, {whole.hosts} hosts)")
            return 0
        print(f"FAILED {wrong}")
        short = shortened(whole, wrong, place, bugs)
        print(f"{len(short.steps)} of its {len(whole.steps)} steps are enough:")
        print("\n".join(_words(short)))
        if trace:
            failure(short, place, bugs, print)
        return 1
    finally:
        place.erase()


def many(first: int, count: int, minutes: float | None, processes: int, bugs: Bugs) -> int:
    """All of them, or as many as `minutes` allow; stops at the first that fails."""
    begun = said = time.monotonic()
    done = 0
    try:
        for told in schedules(first, count, processes, bugs):
            done += 1
            now = time.monotonic()
            if told.failure is not None:
                print(f"\nafter {done:,} schedules", file=sys.stderr)
                if not one(told.seed, bugs, trace=False):
                    print(f"but among others it FAILED {told.failure}")
                print(f"again, in words: scripts/simulate --seed {told.seed} --trace")
                return 1
            if now - said >= PROGRESS_S:
                said = now
                rate = done / (now - begun)
                print(f"\r{done:,} schedules, {rate:,.0f}/s, none failed ", end="", file=sys.stderr, flush=True)
            if minutes is not None and now - begun >= 60 * minutes:
                break
    except KeyboardInterrupt:
        return 130
    took = time.monotonic() - begun
    print(file=sys.stderr)
    print(f"{done:,} schedules from seed {first} in {took:,.1f} s: every promise held in each")
    return 0


def main(argv: Sequence[str]) -> int:
    """Arguments, then all of it."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Money under simulated faults: a virtual clock, production code. See docs/money.md.",
    )
    parser.add_argument("--schedules", type=int, default=10_000, metavar="N", help="(default: 10000)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed (default: 0)")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after that, whatever --schedules says")
    parser.add_argument("--seed", type=int, metavar="N", help="only this one")
    parser.add_argument("--trace", action="store_true", help="with --seed: say what happens")
    parser.add_argument("--bug", choices=[f.name for f in dataclasses.fields(Bugs)], help="plant one, to see it found")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="(default: one a core)")
    parser.add_argument("--delivery", action="store_true", help="overspend, under-delivery and plan, as a table")
    parser.add_argument(
        "--hours", type=float, default=24.0, metavar="H", help="with --delivery: of each run (default: 24)"
    )
    args = parser.parse_args(argv)
    bugs = Bugs(**{args.bug: True}) if args.bug else NONE
    if args.delivery:
        from tests.simulation.delivery import table

        return table(args.hours, args.processes)
    if args.seed is not None:
        return one(args.seed, bugs, args.trace)
    return many(args.first, args.schedules, args.minutes, args.processes, bugs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
