"""The replay of a second-price log as one would write it down, for bids that depend on the click rate alone."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor


def replay(
    log: Sequence[tuple[int, int, float]], bid: Callable[[Fraction], Fraction], episode: int, budget: int, max_bid: int
) -> tuple[int, int, int]:
    """(impressions, clicks, cost)"""
    won: list[tuple[int, int]] = []
    left = 0
    for number, (click, price, pctr) in enumerate(log):
        if number % episode == 0:
            left = budget
        offer = floor(bid(Fraction(pctr)))
        if offer > max_bid:
            offer = max_bid
        if offer > left:
            offer = left
        if offer >= price:
            won.append((click, price))
            left = left - price
    return len(won), sum(click for click, _ in won), sum(price for _, price in won)
