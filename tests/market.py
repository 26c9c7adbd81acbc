"""A market in virtual time: one campaign, an hour at a time, with its purse, its notices and its pacing.

A second is a step: the controller is asked, then bids are drawn. What is reserved is the bid; a notice of what became
of it comes `delay_s` later. Money: nano-USD.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt
from random import Random

from bidder.money.pacing import Pacer

PRICE = 2_400_000  # $2.40 CPM
DRAWS = 2**32


@dataclass(frozen=True)
class Market:
    """`traffic`: auctions a second, by the second of the hour. Rivals' bids are log-normal around `median`."""

    traffic: Callable[[int], float]
    median: float = 0.5 * PRICE
    floor: int = 0
    delay_s: int = 1
    first_price: bool = False


@dataclass(frozen=True)
class Hour:
    delivered: float  # share of the amount
    error: float  # root of the mean square of spend against the plan without its lead, by seconds; share of the amount
    impressions: int
    cost: int
    most_out: int  # spent and reserved, at most


def poisson(random: Random, mean: float) -> int:
    if mean > 40:
        return max(0, round(random.gauss(mean, sqrt(mean))))
    count, left = 0, random.random()
    while left > exp(-mean):
        count, left = count + 1, left * random.random()
    return count


def play(pacer: Pacer, market: Market, amount: int, random: Random, *, hour: int = 0, tilt: float = 0.0) -> Hour:
    """One budget hour."""
    spent = pending = taken = impressions = most_out = bought = 0
    due: dict[int, list[tuple[int, int]]] = defaultdict(list)
    square = 0.0
    for second in range(3_600):
        for reserved, paid in due.pop(second, ()):
            pending, spent = pending - reserved, spent + paid
        now = 3_600.0 * hour + second + 1
        throttle, multiplier = pacer.step(
            amount, spent, pending, taken, 1_000 * second, 3_600_000, now, tilt=tilt, lease=hour + 1
        )
        taken = 0
        bid = PRICE * multiplier >> 16
        for _ in range(poisson(random, market.traffic(second) * (throttle + 1) / DRAWS)):
            if bid < market.floor or amount - spent - pending < bid:
                break
            pending, taken = pending + bid, taken + bid
            rival = max(market.floor, round(market.median * exp(0.6 * random.gauss(0, 1))))
            paid = 0 if rival > bid else bid if market.first_price else rival
            bought, impressions = bought + paid, impressions + (paid > 0)
            due[second + 1 + market.delay_s].append((bid, paid))
        most_out = max(most_out, spent + pending)
        into = (second + 1) / 3_600
        square += (bought - amount * into * (1 + tilt * (1 - into))) ** 2
    return Hour(bought / amount, sqrt(square / 3_600) / amount, impressions, bought, most_out)
