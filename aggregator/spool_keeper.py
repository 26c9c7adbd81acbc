"""Spool keeper: what is booked goes into the archive, and what is archived and old goes.

position in Postgres -> whole segments before it -> archive -> trim; nothing goes that is not booked and, where there is
an archive, in it. Where that cannot be written the spool grows, and it is said. In a thread, beside the booking.
Times: seconds.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bidder.events import archive
from bidder.events.segments import segments
from bidder.events.spool import SpoolReader
from bidder.events.stream import StreamError
from bidder.events.targets import Target
from bidder.ops.log import Log

EVERY_S = 60.0


class SpoolKeeper:
    """Of the spool of this host."""

    def __init__(
        self, directory: Path, target: Target | None, keep_s: float, booked: Callable[[], int | None], log: Log
    ) -> None:
        """`booked`: the position up to which all is in Postgres; None where that is not known now."""
        self._directory = directory
        self._target = target
        self._keep_s = keep_s
        self._booked = booked
        self._log = log
        self._there: set[tuple[int, int]] | None = None  # what is archived; None: to be looked up
        self._archived = 0
        self._problem: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            await asyncio.to_thread(self.attempt)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)

    def health(self) -> dict[str, Any]:
        """For the control socket."""
        where = self._target.where if self._target else None
        return {"archive": where, "archived": self._archived, "problem": self._problem}

    def attempt(self) -> None:
        """step(), where known troubles become a line in the log."""
        try:
            self.step()
        except (StreamError, OSError) as error:
            self._there = None
            problem = str(error)
            if problem != self._problem:
                self._log.error("spool is not archived or trimmed; it grows", problem=problem)
            self._problem = problem
        else:
            if self._problem is not None:
                self._log.info("spool is archived and trimmed again")
            self._problem = None

    def step(self) -> None:
        """Archive what is to be archived, remove what may go. StreamError, OSError: the rest waits."""
        booked = self._booked()
        if booked is None:
            return
        reader = SpoolReader(self._directory)
        reader.trim(booked if self._target is None else self._archive(self._target, reader.id, booked), self._keep_s)

    def _archive(self, target: Target, stream: str, booked: int) -> int:
        """Up to where everything that is still in the spool is archived."""
        if self._there is None:
            self._there = set(archive.kept(target, stream))
        through = 0
        for segment in segments(self._directory)[:-1]:
            if segment.end > booked:
                break
            if (segment.start, segment.end) not in self._there:
                manifest = archive.keep(target, stream, segment)
                self._there.add((segment.start, segment.end))
                self._archived += 1
                self._log.info(
                    "segment archived", start=manifest.start, end=manifest.end, notices=manifest.notices,
                    bytes=manifest.gz_bytes,
                )  # fmt: skip
            through = segment.end
        return through
