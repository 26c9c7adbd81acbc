"""Pacing as one would write it down: a plan in a line, and a band above it over which the share of bids falls."""

from fractions import Fraction
from math import floor

ALL = 2**32 - 1
SLACK_MS = 300_000
BAND_MS = 60_000


def plan(amount: int, into_ms: int, hour_ms: int) -> int:
    """What an even lease of `amount` may have committed `into_ms` after its hour began."""
    return min(amount, floor(Fraction(amount * (max(0, into_ms) + SLACK_MS), hour_ms)))


def throttle(amount: int, committed: int, into_ms: int, hour_ms: int) -> int:
    """Of an even lease, 0 to ALL."""
    over = committed - plan(amount, into_ms, hour_ms)
    band = max(1, min(amount, floor(Fraction(amount * BAND_MS, hour_ms))))
    if over <= 0:
        return ALL
    return max(0, floor(ALL * (1 - Fraction(over, band))))
