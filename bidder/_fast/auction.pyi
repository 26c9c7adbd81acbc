"""Manual of the auction. It has no verbs for Python; `bidder._fast.decision.Decider` holds one per book."""

from bidder._fast.book import Book
from bidder._fast.caps import Caps
from bidder._fast.purses import Purses
from bidder._fast.request import Reader

class Auction:
    """Made for one book; reads what `reader` read last, looks at `purses` and `caps`."""

    def __init__(self, reader: Reader, book: Book, purses: Purses, caps: Caps) -> None: ...
    @property
    def reason(self) -> int:
        """`bidder.outcome.Reason` of the imp looked at last."""
