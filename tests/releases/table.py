"""What a release did to the requests, act by act: printed as it goes, and judged at the end."""

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.releases.load import Counts, Load

COLUMNS = ("sent", "in_time", "late", "failed", "reset", "refused", "unsent")
WIDTH = 44


class Row(NamedTuple):
    """One act. `counts`: of the requests meanwhile; those that were open when it ended are in the next one."""

    what: str
    took_s: float
    counts: Counts


class Table:
    """Acts under one load."""

    def __init__(self, load: Load) -> None:
        self.rows: list[Row] = []
        self._load = load
        self._seen = load.counts()
        say(f"{'':{WIDTH}} {'s':>6} " + " ".join(f"{name:>9}" for name in COLUMNS))

    def act(self, what: str, do: Callable[[], object]) -> None:
        """Do it, and count what happened meanwhile; what it raises goes through."""
        began = time.monotonic()
        do()
        self._add(what, time.monotonic() - began, self._load.counts())

    def end(self) -> Counts:
        """Stop the load: the whole of it."""
        began = time.monotonic()
        counts = self._load.end()
        self._add("the load ends", time.monotonic() - began, counts)
        return counts

    def _add(self, what: str, took_s: float, counts: Counts) -> None:
        row = Row(what, round(took_s, 2), counts.since(self._seen))
        self._seen = counts
        self.rows.append(row)
        numbers = " ".join(f"{getattr(row.counts, name):>9,}" for name in COLUMNS)
        say(f"{what:{WIDTH}} {row.took_s:>6.1f} {numbers}")


def say(line: str) -> None:
    """To whoever watches; stdout is for what came of it."""
    print(line, file=sys.stderr, flush=True)


def verdict(counts: Counts) -> str:
    """The whole load in a line."""
    return (
        f"{counts.sent:,} requests: {counts.in_time:,} in time, {counts.late:,} late, {counts.failed:,} failed,"
        f" {counts.reset:,} reset, {counts.refused:,} refused, {counts.unsent:,} found no connection;"
        f" p99 {counts.p99_ms:g} ms, longest {counts.longest_ms:g} ms; the generator itself skipped {counts.skipped:,}"
    )
