"""Manual of the explanation; `bidder.explain` puts what it says into words."""

from collections.abc import Collection
from typing import Any

from bidder._fast.decision import Decider

FIRST_FILTER: int
EXAMINED: int
SAME_CAMPAIGN: int

class Explainer(Decider):
    """A decision that says why, for one request at a time; made like a Decider, of private purses and caps (ValueError:
    they are shared). Reasons are numbers of `bidder.outcome.Reason`, slots are of the book, prices nano-USD for one
    impression. In this order: `begin`; of each imp `barred`, then, if nothing bars it, `walk`, whatever is asked
    about its campaigns, and `bid`; at the end `answered`.
    """

    def begin(self, exchange: bytes, body: bytes) -> int:
        """Reads and gates a request: what stands against it as a whole, or NONE. KeyError: no such exchange."""
    @property
    def seat(self) -> str:
        """Ours at this exchange."""
    @property
    def features_off(self) -> int:
        """For this request: bits of `bidder.features`."""
    @property
    def now_s(self) -> int:
        """Unix second at which the request was read."""
    def request(self) -> dict[str, Any] | None:
        """`Reader.view` of it; None where it is malformed."""
    def barred(self, number: int) -> int:
        """What stands against this imp whatever the campaigns are, or NONE."""
    def walk(self, number: int) -> tuple[bytearray, bytearray, list[tuple[int, int, int, int, int, int]]]:
        """By slot the reason (SAME_CAMPAIGN: this campaign is told of in another slot) and where it fell: a
        `Dimension`, a filter (from FIRST_FILTER), or EXAMINED; and of those that may bid (slot, standing, price, tie,
        deal or -1, price before shading)."""
    def bid(self, number: int) -> tuple[int, bool]:
        """Bids on the imp as a worker would: the reason that it would count, and whether there is a bid."""
    def answered(self) -> bytes:
        """The response so far; its tokens open nowhere. Empty without a bid."""
    def campaign_id(self, slot: int) -> str | None: ...
    def is_further(self, slot: int) -> bool:
        """Of a campaign that is told of in another slot?"""
    def facts(self, slot: int) -> dict[str, Any]:
        """What the auction looks at, at the imp that was walked last: prices, purse, flight, caps, creatives with the
        reason of each, and `ways`: (number of the deal in the imp or None, reason)."""
    def aims(
        self, dimension: int, slots: Collection[int], most: int
    ) -> dict[int, tuple[list[bytes], list[bytes], list[int], list[bytes]]]:
        """Of each campaign what it includes and excludes there, `most` of each, as the index spells it; how many of
        each there are; and the excluded ones that the request has."""
    def filters(self, slot: int) -> dict[str, Any]:
        """What the index alone does not decide, and how the request stands to it."""
