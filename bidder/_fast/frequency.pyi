"""Frequency caps: one table a host, counts of bids by keyed hashes of users. The layout is in frequency.pxd."""

import os
from collections.abc import Callable

PERIOD_S: int
"""After so many seconds keys are replaced, and a period later what was counted under them is out of reach."""

class FrequencyTable:
    """The file that the workers of a host share. Times are unix seconds.

    A full bucket of eight slots forgets the window that ends first, so choose room for every user and rule
    that is counted within the longest `per_s` that matters, twice over; an empty slot costs no memory.
    """

    capacity: int
    private: bool

    def __init__(
        self,
        path: str | os.PathLike[str],
        capacity: int = 0,
        *,
        now_s: int = 0,
        boot: bytes | None = None,
        draw: Callable[[int], bytes] = os.urandom,
        private: bool = False,
    ) -> None:
        """Attach; with `capacity` (a power of two) create what is missing, or is of another boot or size.

        `now_s`: when the first keys begin. `private`: only to look at; what is counted stays with this object.
        MappingError: missing, or not such a file.
        """

    @property
    def generation(self) -> int:
        """How often keys have been replaced."""
    @property
    def forgotten(self) -> int:
        """Running windows that made room for others: what users may get beyond their caps."""
    def rotate(self, now_s: int) -> bool:
        """Replace the keys if they have served for PERIOD_S. For the supervisor alone, every second or so."""
    def count(self, key: int, now_s: int, per_s: int, impressions: int) -> bool:
        """Count one more, as a bid does; False: the window has `impressions` already, nothing is counted."""
    def counted(self, key: int, now_s: int) -> int:
        """In the window that runs; 0 where none does."""

class Caps:
    """Turns the user of a request into keys of the table, for one decision; it has no verbs for Python."""

    def __init__(self, table: FrequencyTable) -> None: ...
