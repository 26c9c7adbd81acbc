"""A file that another process makes, and may make anew: whoever maps it opens it again when another one lies there."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from bidder._fast.mapping import MappingError

T = TypeVar("T")


class Followed(Generic[T]):
    """`make` opens what lies at `path`; MappingError: it is not there yet, or not usable."""

    def __init__(self, path: Path, make: Callable[[], T]) -> None:
        self.now: T | None = None  # as of the last refresh; None: there is none
        self._path = path
        self._make = make
        self._inode = 0

    def refresh(self) -> bool:
        """Look again; True: `now` is another one than before."""
        before = self.now
        try:
            inode = self._path.stat().st_ino
            if inode != self._inode:
                self.now, self._inode = self._make(), inode
        except (FileNotFoundError, MappingError):
            self.now, self._inode = None, 0
        return self.now is not before
