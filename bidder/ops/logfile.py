"""The file that a process writes its log to, and the older parts beside it: rotated by rename, no line lost or cut.

write(line) -> <path>; a full one becomes <path>.1, that one <path>.2, ... up to `keep`
Several processes append to one file (a supervisor and its workers): a line is one write, whoever finds the file
full renames it, and the others go over to the new one within a second. Where stderr is that file, it goes over
with it, so that what an interpreter or a library says in a crash stands beside the log.
"""

import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

from bidder.ops.log import write_all

LOOK_S = 1.0  # how often we look whether the file is full, or another process has renamed it
STANDARD = (1, 2)  # stdout, stderr


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


class LogFile:
    """For one thread of a process. OSError where it cannot be opened."""

    def __init__(
        self, path: Path, limit_bytes: int, keep: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`keep`: older parts, at least one. The directory is made where it is missing."""
        self._path = path
        self._limit = limit_bytes
        self._keep = keep
        self._monotonic = monotonic
        self._look_at = 0.0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = self._open()
        ours = os.fstat(self._descriptor)
        self._along: list[int] = []  # standard descriptors that are this file as well
        for number in STANDARD:
            with contextlib.suppress(OSError):  # closed
                if _same(os.fstat(number), ours):
                    self._along.append(number)

    def write(self, line: bytes) -> None:
        """Append it; now and then, look first."""
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look()
        write_all(self._descriptor, line)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _is_ours(self) -> bool:
        """Does the path still name the file that we append to?"""
        try:
            return _same(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _look(self) -> None:
        if self._is_ours():
            if os.fstat(self._descriptor).st_size < self._limit:
                return
            self._rotate()
        self._go_over()

    def _rotate(self) -> None:
        """Under a lock of the directory: of two that find the file full, the second finds a new one."""
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if self._is_ours():
                parts = [self._path, *(self._path.with_name(f"{self._path.name}.{n + 1}") for n in range(self._keep))]
                for newer, older in reversed(list(itertools.pairwise(parts))):
                    with contextlib.suppress(FileNotFoundError):
                        newer.rename(older)
        finally:
            os.close(directory)

    def _go_over(self) -> None:
        before, self._descriptor = self._descriptor, self._open()
        os.close(before)
        for number in self._along:
            os.dup2(self._descriptor, number)
