"""What a bidder host and the controller say to each other about leases, twice a second."""

import msgspec


class LeaseSync(msgspec.Struct, array_like=True, frozen=True):
    """A host asks: here is who I am and which leases I hold; give me what is new."""

    host: str
    healthy: bool  # its stream and spool can be written; where not, nothing is granted or renewed
    revision: int  # of the book it serves; leases are granted for the campaigns of that book
    held: list[int]  # ids of leases that it still settles
    # (lease, nano-USD): this one is over, and can cost no more than that any more
    ceilings: list[tuple[int, int]] = []


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
    closed: list[tuple[int, int]]  # (minute of the bid, nano-USD of reservations billed or lost), open minutes only


class LeaseState(msgspec.Struct, array_like=True, frozen=True):
    """The controller answers: every lease of this host that is not closed, and which it may forget."""

    leases: list[Lease]
    stale: bool  # the totals are not fresh (the aggregator is behind): give nothing back
    revision: int  # config revision that the leases reflect
