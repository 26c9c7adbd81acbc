"""Manual of the decision: one object a worker, from which its listener gets every answer."""

from collections.abc import Iterable

from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import Clock
from bidder._fast.counters import Counters
from bidder._fast.frequency import FrequencyTable
from bidder._fast.handler import BidHandler
from bidder._fast.purses import Purses
from bidder._fast.row import ExchangeRow
from bidder._fast.segments import SegmentTable
from bidder._fast.tcf import ConsentRow
from bidder._fast.tokens import BidIds, Sealer

class Decider(BidHandler):
    """Answers bid requests; until `set_book` with no-bids of reason NO_BOOK.

    `seed` decides throttles, ties and which creative of a campaign serves: draw it from the
    system in production. An exchange without a row is answered 404.
    """

    seed: int
    """From which the next request's random number follows."""
    requests: int
    """Answered so far, tests and no-bids included; unknown exchanges not."""
    bids: int
    """In those answers, of tests too."""
    sealer: Sealer
    """Of tokens; another may take its place between two requests."""

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
        rows: Iterable[ExchangeRow],
        seed: int,
        consent: ConsentRow | None = None,
        segments: SegmentTable | None = None,
    ) -> None:
        """`rows`: the exchanges that are served, as `bidder.openrtb.rows` makes them. `consent`: who we are where
        people consent to vendors; None: nobody. `segments`: our own, which users of `frequency` are in."""

    def set_book(self, book: Book) -> None:
        """Serve this book from the next request on."""
    def sample(self, arm: int = 0) -> tuple[bytes, bytes, bytes] | None:
        """(exchange, request, answer) of the first bid since the last call, and from now on one more is kept.
        `arm`: 1 or 2: of those that another build made (shadows as well); 0: of our own.

        ValueError for other arms.
        Until it is called for the first time nothing is kept, and nothing is copied.
        """
    def answer(self, exchange: bytes, body: bytes) -> tuple[int, bytes]:
        """What the listener would get: (200, JSON) or (204 | 400 | 404, b"")."""
