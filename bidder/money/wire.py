"""What a bidder host and the controller say to each other about leases, twice a second.

The controller names what has changed since the host last heard of it, over as many answers as it takes. A *listing*
names every lease there is: the first thing a host hears is one, and so it is whenever the controller cannot tell what
has changed. Fields are only ever added at the end, with defaults by which who does not know them is understood.
"""

import msgspec


class LeaseSync(msgspec.Struct, array_like=True, frozen=True):
    """A host asks: here is who I am and how far I have heard; what is new?"""

    host: str
    healthy: bool  # its stream and spool can be written; where not, nothing is granted or renewed
    revision: int  # of the book it serves; leases are granted for the campaigns of that book
    held: list[int]  # ids of leases; not read any more
    # (lease, nano-USD): this one is over, and can cost no more than that any more
    ceilings: list[tuple[int, int]] = []
    seen: str | None = (
        None  # of the last answer; "": none yet; None: a host that wants a listing in one piece each time
    )
    # (lease, amount, used): so much this host would like the lease to have in all. More than it has: it asks for that.
    # Less: it has lowered it already, so that it can cost no more. `used`: what of it is spent or reserved;
    # where it is even, and others pace by it, what is reserved counts as far as it is expected to be billed.
    # None: a host that lives on what it gets.
    wants: list[tuple[int, int, int]] | None = None
    shades: str | None = None  # version of those that it has; "": none yet; None: it knows of none


class Lease(msgspec.Struct, array_like=True, frozen=True):
    """What a host may take of one campaign's budget in one budget hour. Durations count from the answer."""

    id: int
    campaign: int  # key
    amount: int  # nano-USD, all that this lease may ever cost; it grows and shrinks with the budget
    begins_in_s: float  # > 0: the lease of the next budget hour, granted ahead
    take_for_s: float  # <= 0: nothing may be taken any more
    settle_for_s: float  # <= 0: closed; what was not spent has gone back
    hour_s: float  # length of the budget hour that it belongs to, for pacing
    even: bool  # pace evenly over that hour
    spent: int  # nano-USD billed so far
    # (minute of the bid, nano-USD of reservations billed or lost): open minutes only, at least those that changed
    closed: list[tuple[int, int]]
    # how much livelier the hour's beginning is than its end: the plan's pace is 1 + tilt at first and 1 - tilt at last
    tilt: float = 0.0
    plan: int = 0  # nano-USD, what all hosts together may spend in that hour; 0: not shared, `amount` is all there is
    elsewhere: int = 0  # nano-USD of it that other leases have spent or reserved, roughly and some seconds ago
    price: int = 0  # nano-USD, the most that one bid of this campaign may cost
    # nano-USD; >= 0: the budget was cut, lower the lease to this, or as far as it is not used, and say so in `wants`
    limit: int = -1
    passes_on: bool = False  # what it does not need at its end, the next hour's lease has at its beginning


class Shades(msgspec.Struct, array_like=True, frozen=True):
    """How hosts shade bids, see bidder.money.shading."""

    version: str
    classes: list[tuple[int, bytes]]  # class of placements, 64 shares as u16 LE


class LeaseState(msgspec.Struct, array_like=True, frozen=True):
    """The controller answers: leases of this host that are not closed, and which it may forget."""

    leases: list[Lease]
    stale: bool  # the totals are not fresh (the aggregator is behind): give nothing back
    revision: int  # config revision that the leases reflect
    ended: list[tuple[int, int]] = []  # (lease, campaign): closed
    begins: bool = True  # a listing begins here: whatever was listed before says nothing any more
    ends: bool = True  # the listing ends here: what was not named since it began is closed
    more: bool = False  # there is more to say, or to grant: ask again at once
    seen: str = ""  # to be told in the next question
    partial: bool = False  # more changes, or leases of the listing, are known than are named so far
    hosts: int = 1  # that share budgets now: those that asked within the last half minute
    # `wants` and `ceilings` were taken in. They are not where `seen` is not that of the last answer given to this host:
    # the question was overtaken by a later one, or the answer before got lost. They are to be said again.
    heard: bool = False
    shades: Shades | None = None  # where the host has others than these
