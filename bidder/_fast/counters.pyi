"""Counters: a compiled hash map per worker and window, in a file that the supervisor maps too.

A key is 32 bytes, the fields of `bidder.events.schema.Row` up to `minute`: `KEY` of
`bidder.events.outbox` packs and unpacks it. 128 rows (workers) of two tables each.
A compiled request (begin, three counters, end) costs 61 ns, draining 1,500 counters 0.3 ms.
"""

from os import PathLike
from typing import Self

class Counters:
    """One worker's row. Compiled code calls begin, add and end; `with` and `count` are the same for Python."""

    def __enter__(self) -> Self:
        """From here to the end of the block the table stays the same, and the supervisor waits for it."""
    def __exit__(self, *error: object) -> None: ...
    def count(self, key: bytes, n: int, amount: int = 0) -> None:
        """Add to the counter of this key. ValueError outside of a `with`."""

class CounterFile:
    def __init__(self, path: str | PathLike[str], *, boot: bytes | None = None) -> None:
        """Made if missing, and made anew where the machine has booted since it was (`boot`: 16 bytes, by
        default the kernel's). MappingError if the file has another layout."""
    def open_worker(self, row: int) -> Counters:
        """For the process that calls, which must be the only living one in this row; a dead one's counts stay."""
    def rows(self) -> list[int]:
        """Rows that some worker has had."""
    def pid(self, row: int) -> int:
        """Of the worker that opened the row last; 0: none."""
    def flip(self, row: int) -> int | None:
        """Let the worker count into the other table; the table that it left, to be drained, or None if it is empty.

        A table that was left earlier and not cleared yet is returned again, and nothing is flipped.
        """
    def quiet(self, row: int, table: int) -> bool:
        """Is the worker out of this table? Only then (or once it is dead) is `drain` exact."""
    def drain(self, row: int, table: int) -> list[tuple[bytes, int, int]]:
        """(key, n, amount) of every counter; nothing is cleared."""
    def generation(self, row: int, table: int) -> int:
        """Another number after every `clear`, and never that of another file."""
    def overflowed(self, row: int, table: int) -> int:
        """Additions of this window that lost details of their key for want of room."""
    def clear(self, row: int, table: int) -> None:
        """All zero, next generation. ValueError for the table that the worker counts into."""
