"""Manual of the book of campaigns; the layout is `book_layout.pxd` and docs/book.md."""

import os
from collections.abc import Iterable
from decimal import Decimal

from bidder._fast.book_check import BookError as BookError

class Book:
    """One generation, mapped read-only and shared by all who open it; unmapped when the last user is gone.

    A book file is replaced by renaming another over it, never written in place.
    """

    revision: int
    slot_count: int
    """A campaign whose price only some requests raise has two."""
    @property
    def campaign_count(self) -> int:
        """Campaigns that run."""

    @staticmethod
    def open(path: str | os.PathLike[str], *, checked: bool = False) -> Book:
        """Maps the file and checks all of it; BookError where anything in it is not as it should be, or names a time
        zone that this host does not know.

        `checked`: this very file has been, since this machine has booted; then only its header is looked at.
        """

    def landing_url(self, creative_key: int) -> str | None:
        """Where a click on the creative leads; also of campaigns that do not run. None: unknown creative."""

    def campaign_id(self, campaign_key: int) -> str | None:
        """The id that its advertiser gave it; also of campaigns that do not run."""

    def campaign_key(self, campaign: str) -> int | None:
        """The key of a campaign, running or not. Looks at all ids: 10 ms in a million."""

    def campaigns_of(self, advertisers: Iterable[int]) -> set[int]:
        """Keys of the running campaigns of these advertisers (keys); looks at all slots."""

    @property
    def advertisers(self) -> dict[str, int]:
        """Id -> key, also of those of whom nothing runs."""

    @property
    def arm_ranges(self) -> list[tuple[int, int, int, int]]:
        """Of experiments, by bucket: first bucket, first one after it, arm, bits of the features that are off."""

    @property
    def exchanges(self) -> dict[str, int]:
        """Name -> key, as they were when the book was compiled."""

    def rates_at(self, now_s: int) -> dict[str, Decimal]:
        """What one USD is worth in other currencies then: the rates that hold, rounded to 28 digits."""

    @property
    def rates_until_s(self) -> int | None:
        """Unix time from which its exchange rates are too old to be used; None: it has none."""

    @property
    def zones(self) -> list[str]:
        """Time zones in which campaigns have hours."""

    def purse_slots(self) -> dict[int, int]:
        """Key of each running campaign -> its slot in the host's purses."""
