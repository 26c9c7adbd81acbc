"""Every event that leaves a process, declared once.

Numbers, and names of business things, are all that an event can hold: no field
could carry a person's id, address or location. The bus carries `Deltas`
(counters, once a second); the durable stream carries `Notice` (money).
Both are msgpack arrays in the order of their fields; fields are only ever added at the end.
"""

from enum import IntEnum, IntFlag

import msgspec

DELTAS_TOPIC = b"deltas"  # first frame of a counters message; the second is `Deltas`
SWITCHES_TOPIC = b"switches"  # first frame of what a host knows of switches; the second: bidder.ops.switches
BOOK_TOPIC = b"book"  # first frame of an announcement; the second is `BookAnnouncement`


class Kind(IntEnum):
    """Kinds of counters; `_fast/counters.pxd` has the same numbers."""

    REQUEST = 1
    BID = 2
    NOBID = 3
    LATENCY = 4
    CAP = 5  # of trackers: what became of a bid that counts under caps
    FALLBACK = 6  # a request of this arm that the stable build answered
    LINT = 7  # an answer that was held against the linter
    NOTICE = 8  # of trackers: what was told of a bid; amount: what it books
    SHADOW = 9  # an answer that was compared, and not sent
    GROUP = 10  # requests of an arm, by group of their bucket (reason); from 64 on those with a bid, and their offers


class CapEvent(IntEnum):
    """`Row.reason` of Kind.CAP."""

    SHOWN = 1  # its impression was confirmed
    BEYOND = 2  # and is one more than a cap allows; SHOWN is counted, too
    GIVEN_BACK = 3  # a loss gave its count back


class Fallback(IntEnum):
    """`Row.reason` of Kind.FALLBACK: why the build of the arm did not answer."""

    LATE = 1  # not within its part of the deadline
    GONE = 2  # no worker of it is there, or it died with the request
    BUSY = 3  # it takes no more
    PRICE = 4  # it bid more than any campaign may
    BROKEN = 5  # its answer cannot be read


class LintResult(IntEnum):
    """`Row.reason` of Kind.LINT."""

    VALID = 1
    INVALID = 2


class Shadow(IntEnum):
    """`Row.reason` of Kind.SHADOW: how a shadow's answer compares with the one that was sent."""

    SAME = 1  # same campaigns at the same prices, or no bid either
    PRICE = 2  # the same campaigns at other prices
    CAMPAIGN = 3  # another campaign
    BID = 4  # a bid where none was sent
    NO_BID = 5  # none where one was
    INVALID = 6  # it breaks a rule, or cannot be read
    NONE = 7  # no answer in time


class Row(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One counter of one window. Keys are those of `config.*`; 0 means none or other.

    Thousands are made a second; the garbage collector need not look at what is numbers alone.
    """

    kind: int
    exchange: int
    arm: int
    reason: int  # Reason for NOBID, bucket for LATENCY (2**bucket microseconds or less); else see Kind
    format: int
    os: int
    country: int  # packed alpha-3, see bidder.openrtb.codes
    w: int
    h: int
    campaign: int
    creative: int
    deal: int
    inventory: int
    minute: int  # UTC minutes since 1970, of the request
    n: int
    amount: (
        int  # nano-USD: sum of the prices of BID, of what NOTICE books, of what GROUP offers; of LATENCY: nanoseconds
    )


class Deltas(msgspec.Struct, array_like=True, frozen=True):
    """What one producer counted in one closed window. (producer, epoch, seq) is unique; seq has no gaps."""

    producer: str
    epoch: int
    seq: int  # from 1
    window_ms: int  # wall clock at which the window was closed
    rows: list[Row]


class Resend(msgspec.Struct, array_like=True, frozen=True):
    """Asked of a producer by a subscriber, upstream on the bus: send these again, on this topic."""

    topic: bytes
    producer: str
    epoch: int
    first: int
    last: int


class BookAnnouncement(msgspec.Struct, array_like=True, frozen=True):
    """The controller has published a manifest."""

    revision: int
    manifest: str  # memcached key, and path below /book/ of the controller


class NoticeKind(IntEnum):
    """What an exchange or a page tells us of one bid."""

    WIN = 1
    BILL = 2
    LOSS = 3
    IMPRESSION = 4
    CLICK = 5
    CONVERSION = 6
    VIEWABLE = 7
    START = 8  # of a video or audio; the four after it as well
    FIRST_QUARTILE = 9
    MIDPOINT = 10
    THIRD_QUARTILE = 11
    COMPLETE = 12


class NoticeFlag(IntFlag):
    """What is wrong with a notice. Any flag but LATE means: it books nothing and uses up no key."""

    NONE = 0
    PRICE_MISSING = 1  # empty, AUDIT, or the macro as it was
    PRICE_INVALID = 2  # not a positive decimal
    PRICE_ABOVE_BID = 4
    PRICE_UNVERIFIABLE = 8  # encrypted, and no key of this exchange opens it
    EXPIRED = 16  # past the token's life: to suspense, for review
    LATE = 32


class Notice(msgspec.Struct, array_like=True, frozen=True):
    """One verified notice, as the durable stream keeps it. Test bids never get here."""

    kind: int
    flags: int
    bid_id: bytes  # 12 bytes: minute u32 BE | worker epoch | counter
    received_ms: int  # wall clock
    price: int  # nano-USD, as the exchange says; 0: none given. Of a conversion: its value
    loss_reason: int  # OpenRTB loss reason; 0: none given
    exchange: int
    arm: int
    format: int
    os: int
    country: int
    w: int
    h: int
    campaign: int
    creative: int
    deal: int
    inventory: int
    lease: int
    bid_price: int  # nano-USD
    taken: int  # nano-USD reserved in the purse for this bid
    min_to_win: int = 0  # nano-USD: the price that would have won, or that just wins; 0: not said

    @property
    def minute(self) -> int:
        """UTC minute of the bid, from its id."""
        return int.from_bytes(self.bid_id[:4], "big")
