"""The book of campaigns and the matcher over it; the layout is `book_layout.pxd` and docs/book.md."""

import os
from collections.abc import Sequence

from bidder._fast.book_check import BookError as BookError
from bidder._fast.request import Reader

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
        """Maps the file and checks all of it; BookError where anything in it is not as it should be.

        `checked`: this very file has been, since this machine has booted; then only its header is looked at.
        """

    def landing_url(self, creative_key: int) -> str | None:
        """Where a click on the creative leads; also of campaigns that do not run. None: unknown creative."""

    def campaign_id(self, campaign_key: int) -> str | None:
        """The id that its advertiser gave it; also of campaigns that do not run."""

    @property
    def exchanges(self) -> dict[str, int]:
        """Name -> key, as they were when the book was compiled."""

    @property
    def zones(self) -> list[str]:
        """Time zones in which campaigns have hours."""

    def purse_slots(self) -> dict[int, int]:
        """Key of each running campaign -> its slot in the host's purses."""

class Matcher:
    """Finds the campaigns of one book that accept a request. One for each thread that bids."""

    near: int
    """Why campaigns that accept the request were lost to this imp, bits: 1 deals, 2 formats, 4 sizes."""

    def __init__(self, book: Book) -> None:
        """BookError where the book names a time zone that this host does not know."""

    def matches(self, reader: Reader, exchange_key: int, now_s: int, imp_index: int) -> list[int]:
        """Keys of the campaigns whose targeting accepts this imp of what `reader` last parsed, by descending
        highest price. Flights, switches, budgets and creatives are not looked at. ValueError: no such imp."""

    def matches_each(
        self, reader: Reader, exchange_key: int, now_s: int, asked: Sequence[tuple[int, int | None]]
    ) -> list[list[int]]:
        """As an auction asks: imp after imp of one request, of each as many campaigns at most (None: all)."""

    def price(self, campaign_key: int) -> int:
        """nano-USD that the campaign would bid on what `matches` was last asked for; KeyError: not in the book."""
