"""The board: what a supervisor tells its workers and they tell it, in a file that all map.

The supervisor writes switches and the revision to serve, and releases rows; a worker writes its own row.
"""

from os import PathLike
from typing import NamedTuple

class Worker(NamedTuple):
    row: int
    pid: int
    ready: bool
    book_revision: int
    """That it serves now."""
    heartbeat_ms: int
    """Monotonic clock of the host."""
    connections: int
    unread: int
    """Of its connections, not read for a while: overload."""

class Board:
    off: bool
    """Bid on nothing."""
    features_off: int
    """Bits of bidder.features."""
    book_revision: int
    """That workers should serve: <state>/book/book-<revision>.bin; 0: none yet."""

    def __init__(self, path: str | PathLike[str], *, private: bool = False) -> None:
        """Made if missing, unless `private`: only to look at, what is set stays with this object. What an earlier
        supervisor left stays: the next one sets every switch anew, and releases the rows of workers that are gone.
        MappingError if the file has another layout."""
    def exchange_off(self, key: int) -> bool: ...
    def set_exchange_off(self, key: int, off: bool) -> None: ...
    def claim(self, row: int, pid: int) -> None:
        """The row begins anew, for this process. IndexError outside 0..127."""
    def beat(
        self, row: int, monotonic_ms: int, book_revision: int, connections: int, ready: bool, unread: int = 0
    ) -> None: ...
    def release(self, row: int) -> None: ...
    def rows(self) -> list[Worker]:
        """Rows that a process has claimed."""
