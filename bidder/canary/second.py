"""A second of an arm: all that a judge hears of it. Counts of requests, bids, answers; money in nano-USD."""

from dataclasses import dataclass, field

from bidder.outcome import Reason

GROUPS = 64  # in which an arm's buckets are counted apart, see Second.groups
_R = Reason
FAMILIES: dict[str, frozenset[Reason]] = {
    "not understood": frozenset({_R.MALFORMED, _R.INVALID_REQUEST, _R.CURRENCY, _R.FORMAT, _R.QUANTITY}),
    "not allowed": frozenset({_R.CONSENT, _R.DSA, _R.SEAT}),
    "nothing that fits": frozenset(
        {_R.TARGETING, _R.FLIGHT, _R.DEAL, _R.SIZE, _R.LINEARITY, _R.PLACEMENT, _R.MIME, _R.PROTOCOL, _R.DELIVERY,
         _R.BITRATE, _R.DURATION, _R.SKIP, _R.ASSETS, _R.POD, _R.EXPDIR, _R.API, _R.SECURE, _R.LANGUAGE}
    ),
    "blocked": frozenset({_R.BAPP, _R.BADV, _R.BCAT, _R.BATTR, _R.BTYPE, _R.APPROVAL}),
    "floor": frozenset({_R.FLOOR, _R.FLOOR_CURRENCY}),
    "held back": frozenset({_R.FREQUENCY, _R.USER, _R.PACED, _R.PURSE_EMPTY}),
}  # fmt: skip
"""No-bid reasons that say something of a build, by what they have in common."""


@dataclass(slots=True)
class Second:
    """What one arm did in one second; a request counts in the arm of its hash, whoever answered it."""

    requests: int = 0
    filled: int = 0  # requests that got a bid
    bids: int = 0
    wins: int = 0  # of bids made in any second
    nobids: dict[str, int] = field(default_factory=dict)  # requests, by name of FAMILIES
    linted: int = 0  # answers that were held against the linter
    invalid: int = 0
    errors: int = 0  # nothing of the arm could be sent: nobody there, unreadable, dearer than may be, a fault of ours
    late: int = 0  # no answer in the arm's part of the deadline, or none taken
    latency: dict[int, int] = field(default_factory=dict)  # by bucket: 2**bucket microseconds or less
    slow: int = 0  # answered above the latency aim
    offered: int = 0  # nano-USD: sum of the prices of bids
    offered_squares: float = 0.0  # sum of the squared prices
    spent: int = 0  # nano-USD billed
    spent_squares: float = 0.0
    groups: dict[int, tuple[int, int, int]] = field(
        default_factory=dict
    )  # by bucket mod GROUPS: requests, filled, offered
    compared: int = 0  # a shadow's answers, held against those that were sent; the next three are parts of it
    other: int = 0  # another campaign, or another price
    more: int = 0  # a bid where none was sent
    fewer: int = 0  # none where one was
    crashes: int = 0  # workers that died unasked
    memory: int = 0  # bytes: resident set of the arm's largest worker
