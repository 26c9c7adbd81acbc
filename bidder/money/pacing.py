"""Pacing, for who has one campaign to pace by itself: the controller that hosts run for each of theirs.

How it works stands in bidder/_fast/pacing.pyx and docs/pacing.md.
"""

from bidder._fast.pacing import Pacer, plan

__all__ = ["ALWAYS", "FULL_PRICE", "Pacer", "plan"]

ALWAYS = 2**32 - 1  # throttle: every bid
FULL_PRICE = 65_536  # multiplier: 1.0
