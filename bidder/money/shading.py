"""Shading: what part of its value to bid where the winner pays what it bids.

minimum to win of auctions -> bins by class of placements -> Landscape -> shares(): of each value the part that gains
most, (value - bid) x P(win | bid), as bidder/_fast/shading.pyx looks it up. Pure. Money: nano-USD for one impression.
"""

from collections.abc import Mapping
from math import log2

from bidder._fast.shading import Shading, key_of
from bidder.money.landscape import Landscape

__all__ = ["BINS", "FIRST_BIN", "LEAST_SEEN", "STEPS", "Shading", "bin_of", "key_of", "shares", "wider"]

PARTS = 8  # of a doubling, a bin
FIRST_BIN = PARTS * 12
BINS = PARTS * 16
STEPS = 64
LEAST_SEEN = 500.0  # auctions, before their landscape is believed
_FORMAT_BITS = 0xFFFF_FF00  # of a class: all but its size


def bin_of(price: int) -> int:
    """Of a price >= 1; what is off the scale stands at its end."""
    return min(FIRST_BIN + BINS - 1, max(FIRST_BIN, int(PARTS * log2(price))))


def wider(key: int) -> int:
    """The class of all sizes of this one's exchange and format; never that of a placement."""
    return key & _FORMAT_BITS | 0xFF


def shares(auctions: Mapping[int, float]) -> list[int] | None:
    """Of a landscape by bin: for each step of the value, what to bid of it in 65536ths, 0 all; None: too few."""
    if sum(auctions.values()) < LEAST_SEEN:
        return None
    landscape = Landscape(2**12, 2**28)
    for bin, times in auctions.items():
        landscape.saw(2 ** ((bin + 1) / PARTS) * 0.999, times=times)  # as if all of a bin cost what its dearest do
    found = []
    for step in range(STEPS):
        value = 2 ** (12 + step // 4) * (1 + (step % 4 + 0.5) / 4)
        best = landscape.best(value)
        found.append(0 if best >= value else min(65_535, max(1, round(best / value * 65_536))))
    return found
