"""Pacing: how freely may a campaign spend now?

Once a second, for every lease that bids take from: time into the budget hour and what is committed
(spent or reserved) -> throttle -> purse, where the hot path reads it.

Even: a plan grows in a line from five minutes' worth at the start of the hour to the whole amount. Up to the plan
every bid may go; above it the share of bids falls in a line and reaches none a minute's worth later.
As fast as possible: always all. Money: int nano-USD; time in int milliseconds; no floats touch the plan.
"""

from bidder._fast.purses import Purses
from bidder.money.leases import LeaseKeeper

ALL = 2**32 - 1  # throttle: bid when a random 32-bit number is <= this
FULL_PRICE = 65_536  # multiplier, 16.16
SLACK_MS = 300_000  # of the plan that may be spent at once, so that a fresh campaign bids
BAND_MS = 60_000  # of the plan over which the throttle closes


def plan(amount: int, into_ms: int, hour_ms: int) -> int:
    """What an even lease of `amount` may have committed `into_ms` after its hour began."""
    return min(amount, amount * (max(0, into_ms) + SLACK_MS) // hour_ms)


def throttle(amount: int, committed: int, into_ms: int, hour_ms: int) -> int:
    """Of an even lease, 0 to ALL."""
    over = committed - plan(amount, into_ms, hour_ms)
    band = max(1, amount * BAND_MS // hour_ms)
    if over <= 0:
        return ALL
    return max(0, ALL * (band - over) // band)


class Pacer:
    """Sets throttle and multiplier of every purse that is being taken from."""

    def __init__(self, purses: Purses, keeper: LeaseKeeper) -> None:
        self._purses = purses
        self._keeper = keeper

    def tick(self, now: float) -> None:
        """Once a second. `now`: monotonic seconds, as for the keeper."""
        for held in self._keeper.taking():
            share = ALL
            if held.even:
                committed = held.amount - self._purses.left(held.slot, held.which)
                share = throttle(
                    held.amount, committed, int((now - held.begins_at) * 1000), max(1, int(held.hour_s * 1000))
                )
            self._purses.set_pacing(held.slot, share, FULL_PRICE)
