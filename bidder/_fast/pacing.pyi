"""Pacing: what share of its bids may an even lease place now, and at what part of its price?

A controller of one campaign, stepped once a second: how it works stands in pacing.pyx and docs/pacing.md. A host has
one a campaign in its LeaseTable; `Pacer` is the same controller by itself, for replays and tests.
Money: nano-USD.
"""

class Pacer:
    share: float
    """Of the bids, 0 to 1, before the band above the plan."""
    multiplier: float
    """Of the price, 1/16 to 1."""
    demand: float
    """What it would spend a second if it placed every bid; 0: not known."""
    billed_share: float
    """Of what is reserved, as observed."""
    kept: int
    """What outlives a restart, 32 bits."""

    def __init__(self, kept: int = 0, multiplier: int = 65536) -> None:
        """As another one was; 0: nothing is known."""
    def step(
        self,
        amount: int,
        spent: int,
        pending: int,
        taken: int,
        into_ms: int,
        hour_ms: int,
        now: float,
        *,
        tilt: float = 0.0,
        lease: int = 1,
        plan: int = 0,
        elsewhere: int = 0,
    ) -> tuple[int, int]:
        """(throttle, multiplier) as a purse has them: bid when a random 32-bit number is <= the first.

        `spent`: billed of `amount` so far; `pending`: reserved, and neither billed nor lost; `taken`: reserved since
        the last step; `into_ms`: since the hour began; `now`: monotonic seconds. Another `lease` is another hour.
        `plan` > 0: of the hour, for all hosts that share it, of which the others have used `elsewhere`.
        ValueError for a negative amount, an hour without length, or a time before the clock began.
        """

def plan(amount: int, into_ms: int, hour_ms: int, tilt: float = 0.0) -> float:
    """What an even lease may have spent by then. ValueError for a negative amount, or an hour without length."""
