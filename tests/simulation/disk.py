"""The disk of a simulated host: the production spool on files in memory, without its thread, and what crashes leave.

A process that is killed loses nothing that it has written, but may have written half of it. An operating system that
crashes loses what was not synced: all of it, or a part, or it comes back as something else. `durable` may then be any
of the numbers that were written to it since it was last synced.
"""

import errno
import os
import random
import threading
from pathlib import Path
from unittest import mock

from bidder.events import segments, spool
from bidder.events.spool import Spool


class Crash(BaseException):
    """A process dies here. No production code catches it."""


class Disk:
    """What is synced, by file; and what happens to the next sync."""

    def __init__(self, place: Path) -> None:
        self.spool = place / "spool"
        self.fails = False
        self.crash_in_sync = False
        self.forgets = False  # a planted bug: syncs do nothing
        self._synced: dict[int, int] = {}  # inode -> bytes
        self._durable = 0  # as last synced

    def sync(self, descriptor: int) -> None:
        """For the spool, in place of fdatasync."""
        if self.fails:
            raise OSError(errno.EIO, "input/output error")
        if self.crash_in_sync:
            self.crash_in_sync = False
            raise Crash
        if not self.forgets:
            stat = os.fstat(descriptor)
            self._synced[stat.st_ino] = stat.st_size

    def opened(self) -> None:
        """A spool has been recovered: all that it found is on the disk now."""
        self._durable = segments.read_durable(self.spool)
        for path in self.spool.glob("*.seg"):
            stat = path.stat()
            self._synced[stat.st_ino] = stat.st_size

    def process_dies(self, dice: random.Random) -> None:
        """What was being written may be there in part."""
        durable = segments.read_durable(self.spool)
        for path in self.spool.glob("*.seg"):
            start, size = int(path.stem, 16), path.stat().st_size
            kept = max(0, durable - start)
            if kept < size:
                os.truncate(path, dice.randint(kept, size))

    def system_dies(self, dice: random.Random) -> None:
        """What was not synced is gone, or torn, or rotten."""
        durable = segments.read_durable(self.spool)
        (self.spool / "durable").write_bytes(segments.DURABLE.pack(dice.choice((durable, self._durable))))
        for path in self.spool.glob("*.seg"):
            stat = path.stat()
            synced = min(self._synced.get(stat.st_ino, 0), stat.st_size)
            size = dice.choice((synced, dice.randint(synced, stat.st_size)))
            os.truncate(path, size)
            if size > synced and dice.random() < 0.5:
                at = dice.randrange(synced, size)
                with path.open("rb+") as file:
                    file.seek(at)
                    file.write(bytes(size - at))
            if not size:
                path.unlink()


class NoThreads:
    """What the spool takes from `threading`, but that no thread begins."""

    Condition = threading.Condition

    class Thread:
        def __init__(self, **how: object) -> None: ...
        def start(self) -> None: ...


class InlineSpool(Spool):
    """Production, but that commits happen when `commit` is called, by whoever calls it."""

    def __init__(self, disk: Disk, segment_bytes: int) -> None:
        self._disk = disk
        self.hung = False
        with mock.patch.object(spool, "threading", NoThreads):
            super().__init__(disk.spool, segment_bytes, sync=disk.sync, monotonic=lambda: 0.0)
        disk.opened()

    @property
    def healthy(self) -> bool:
        return not (self.hung or self.failure)

    def commit(self) -> None:
        """All that waits, in one go; Crash where the disk says so."""
        with self._wake:
            batch, self._queue = self._queue, []
        if batch:
            self._commit(batch)

    def probe(self) -> None:
        """Does the disk take records again?"""
        self._probe()

    def die(self) -> None:
        """The process is gone: its files are closed by the kernel."""
        self._drop_segment()
        self._files.close()
