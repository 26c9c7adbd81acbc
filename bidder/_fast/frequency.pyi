"""Frequency caps: one table a host, counts by keyed hashes of users. The layout is in frequency.pxd."""

import os
from collections.abc import Callable

PERIOD_S: int
"""After so many seconds keys are replaced, and a period later what was counted under them is out of reach."""

class FrequencyTable:
    """The file that the processes of a host share. Times are unix seconds.

    A full bucket of eight slots forgets the window that ends first, so choose room for every user and rule
    that is counted within the longest `per_s` that matters, twice over; an empty slot costs no memory.
    """

    capacity: int
    private: bool
    first_touch: int
    """Of capped bids for users whom this host does not know yet: 0 it asks nobody, 1 bid, 2 do not."""
    holds: tuple[int, ...]
    """Seconds that a bid waits for its impression: banner, video, audio, native. Of this object, not of the file."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        capacity: int = 0,
        *,
        now_s: int = 0,
        boot: bytes | None = None,
        keys: Callable[[int], bytes] | None = None,
        private: bool = False,
    ) -> None:
        """Attach; with `capacity` (a power of two) create what is missing, or is of another boot, size or secret.

        `keys`: the 64 bytes of a period, a number: seconds since 1970 by PERIOD_S; None: random ones.
        `private`: only to look at; what is counted stays with this object. MappingError: missing, or not such a file.
        """

    @property
    def period(self) -> int:
        """Whose keys are in use."""
    @property
    def keys(self) -> bytes:
        """Those."""
    @property
    def statistics(self) -> dict[str, int]:
        """Since the file was made: impressions `confirmed`, of those `late` ones whose hold was gone, and `beyond`
        their cap; holds `released` by losses; windows `forgotten` while they ran, for want of room; users `dropped`:
        too many were to be asked for at once."""
    @property
    def forgotten(self) -> int:
        """As `statistics` has it: what users may get beyond their caps."""
    def rotate(self, now_s: int) -> bool:
        """Replace the keys where another period has begun. For the supervisor alone, every second or so."""
    def learn(self, key: int, ends_s: int, impressions: int, now_s: int) -> None:
        """What another host has counted: the window has at least so many impressions."""
    def count(self, key: int, now_s: int, per_s: int, impressions: int, hold_s: int = 0) -> bool:
        """Count one more, as a bid does, held for `hold_s` (0: for good); False: the window has `impressions`."""
    def counted(self, key: int, now_s: int) -> int:
        """Impressions and holds of the window that runs; 0 where none does."""
    def shown(self, key: int, bid_s: int, now_s: int, per_s: int, hold_s: int) -> int:
        """An impression of a bid of `bid_s`: the impressions in its window now."""
    def lost(self, key: int, bid_s: int, now_s: int, per_s: int, hold_s: int) -> bool:
        """A bid of `bid_s` is lost; False: it held nothing any more."""
