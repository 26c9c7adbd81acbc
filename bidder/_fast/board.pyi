"""The board: what a supervisor tells its workers and they tell it, in a file that all map.

The supervisor writes switches and the revision to serve, and releases rows; a worker writes its own row.
"""

from collections.abc import Iterable
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
    arm: int
    """Whose requests it answers; one of another than 0 accepts no connections."""

class Arm(NamedTuple):
    """The slice of one arm: buckets `begin` to `end` - 1, none where they are equal."""

    begin: int
    end: int
    doors: tuple[int, ...]
    """Rows of the workers that answer it, each at `run/arm-<arm>.<row>.sock`."""
    wait_us: int
    """Its part of the deadline."""
    shadow: bool
    """What it answers is compared, and not sent."""
    exchange: int
    """Key: of whose requests only; 0: any."""
    country: int
    """Packed alpha-3, likewise."""

class Board:
    off: bool
    """Bid on nothing."""
    features_off: int
    """Bits of bidder.features."""
    book_revision: int
    """That workers should serve: <state>/book/book-<revision>.bin; 0: none yet."""

    def __init__(self, path: str | PathLike[str], *, private: bool = False, anew: bool = False) -> None:
        """Made if missing, unless `private`: only to look at, what is set stays with this object. What an earlier
        supervisor left stays: the next one sets every switch anew, and releases the rows of workers that are gone.
        MappingError if the file has another layout; `anew`, for a supervisor that finds no living worker, has one
        of an older layout replaced."""
    def exchange_off(self, key: int) -> bool: ...
    def set_exchange_off(self, key: int, off: bool) -> None: ...
    def arm(self, arm: int) -> Arm:
        """IndexError for other arms than 1 (canary) and 2 (baseline)."""
    def set_arm(
        self,
        arm: int,
        *,
        begin: int | None = None,
        end: int | None = None,
        doors: Iterable[int] | None = None,
        wait_us: int | None = None,
        shadow: bool | None = None,
        exchange: int | None = None,
        country: int | None = None,
    ) -> None:
        """What is named changes, for the next request of every worker; the rest stays. `end=0, begin=0`: no slice.
        ValueError for a slice outside 0..10,000 or a wait of no time, or of a second."""
    def claim(self, row: int, pid: int, arm: int = 0) -> None:
        """The row begins anew, for this process. IndexError outside 0..127."""
    def beat(
        self, row: int, monotonic_ms: int, book_revision: int, connections: int, ready: bool, unread: int = 0
    ) -> None: ...
    def release(self, row: int) -> None: ...
    def row(self, row: int) -> Worker | None:
        """What the worker in it says; None: no process has claimed it."""
    def rows(self) -> list[Worker]:
        """Rows that a process has claimed."""
