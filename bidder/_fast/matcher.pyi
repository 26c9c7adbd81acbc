"""Manual of the matcher over a book of campaigns."""

from collections.abc import Sequence

from bidder._fast.book import Book
from bidder._fast.request import Reader

class Matcher:
    """Finds the campaigns of one book that accept a request. One for each thread that bids."""

    near: int
    """Why campaigns that accept the request were lost to this imp, bits: 1 deals, 2 formats, 4 sizes, 8 secure."""

    asked: int
    """Questions about values of the last request and its imps, of which each costs the same."""

    plain: bool
    """Each request works out everything for itself, dimension by dimension in the order of the book; False at first."""

    def __init__(self, book: Book, kept: int = 256) -> None:
        """`kept`: blocks of 512 campaigns of which an imp may find what the one before it of its request found."""

    @property
    def postings(self) -> int:
        """That are looked at in each block, for the last imp."""

    def matches(self, reader: Reader, exchange_key: int, now_s: int, imp_index: int) -> list[int]:
        """Keys of the campaigns whose targeting accepts this imp of what `reader` last parsed, by descending
        highest price. Flights, switches, budgets and creatives are not looked at. ValueError: no such imp."""

    def matches_each(
        self, reader: Reader, exchange_key: int, now_s: int, asked: Sequence[tuple[int, int | None]]
    ) -> list[list[int]]:
        """As an auction asks: imp after imp of one request, of each as many campaigns at most (None: all)."""

    def price(self, campaign_key: int) -> int:
        """nano-USD that the campaign would bid on what `matches` was last asked for; KeyError: not in the book."""
