"""Manual of the decision: one object a worker, from which its listener gets every answer."""

from collections.abc import Mapping
from typing import Protocol

from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import Clock
from bidder._fast.counters import Counters
from bidder._fast.frequency import FrequencyTable
from bidder._fast.handler import BidHandler
from bidder._fast.purses import Purses
from bidder._fast.tcf import ConsentRow
from bidder._fast.tokens import BidIds, Sealer

class ExchangeRow(Protocol):
    """What the decision wants of `bidder.settings.Exchange`."""

    @property
    def key(self) -> int: ...
    @property
    def seat(self) -> str: ...
    @property
    def tmax_ms(self) -> int: ...
    @property
    def enabled(self) -> bool: ...

class Decider(BidHandler):
    """Answers bid requests; until `set_book` with no-bids of reason NO_BOOK.

    `seed` decides throttles, ties and which creative of a campaign serves: draw it from the
    system in production. An exchange that is not enabled is answered like an unknown one, 404.
    """

    requests: int
    """Answered so far, tests and no-bids included; unknown exchanges not."""
    bids: int
    """In those answers, of tests too."""

    def __init__(
        self,
        *,
        purses: Purses,
        frequency: FrequencyTable,
        board: Board,
        counters: Counters,
        sealer: Sealer,
        bid_ids: BidIds,
        clock: Clock,
        exchanges: Mapping[str, ExchangeRow],
        seed: int,
        wait_budget_ms: int = 10,
        consent: ConsentRow | None = None,
    ) -> None:
        """`wait_budget_ms`: a request that has waited longer for us, or for a quarter of its exchange's `tmax_ms`, is
        not served: reason OVERLOAD. `consent`: who we are where people consent to vendors; None: nobody."""

    def set_book(self, book: Book) -> None:
        """Serve this book from the next request on."""
    def sample(self) -> tuple[bytes, bytes, bytes] | None:
        """(exchange, request, answer) of the first bid since the last call, and from now on one more is kept.

        Until it is called for the first time nothing is kept, and nothing is copied.
        """
    def answer(self, exchange: bytes, body: bytes) -> tuple[int, bytes]:
        """What the listener would get: (200, JSON) or (204 | 400 | 404, b"")."""
