"""Bid landscape: what would have won? Learned from what auctions were decided at.

saw(bid, paid) -> histogram on a scale of doublings -> win_rate(bid), spend(bid), bid_for(spend), best(value)

`bid`: the least that would have won: what a second-price winner paid, or the minimum to win that exchanges tell.
Any positive numbers of one unit, also of a ratio such as price per expected click. What was seen fades, so that a
market that changes is followed. A histogram of 16 bins a doubling; no clock, no I/O, nothing personal.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil, log2

PARTS = 16  # of a doubling: a bin is 4.4 % wide
REFRESH = 64  # observations after which the sums are made anew
HEAVY = 1e12


class Landscape:
    """Of one market, from `least` to `most`, the ends of the scale. `half_life`: so many observations later one
    counts half. Nothing is known at first; ValueError from what asks then."""

    def __init__(self, least: float, most: float, *, half_life: float = float("inf")) -> None:
        if not 0 < least < most or half_life <= 0:
            raise ValueError(f"least={least} most={most} half_life={half_life}")
        self.tops = [least * 2 ** (at / PARTS) for at in range(ceil(PARTS * log2(most / least)) + 1)]
        """Of the bins: who bids that wins what is in it, and below."""
        self._seen = [0.0] * len(self.tops)
        self._paid = [0.0] * len(self.tops)
        self._growth = 2 ** (1 / half_life)
        self._weight = 1.0  # of the next observation: instead of fading all of them, it counts more
        self._stale = 0  # observations since the sums were made
        self._rates: Sequence[float] = ()
        self._spends: Sequence[float] = ()

    def saw(self, bid: float, paid: float | None = None, *, times: float = 1.0) -> None:
        """An auction that `bid` would have won, for `paid` (else for `bid`)."""
        at = min(len(self.tops) - 1, bisect_left(self.tops, bid))
        self._seen[at] += times * self._weight
        self._paid[at] += times * self._weight * (bid if paid is None else paid)
        self._weight *= self._growth
        self._stale += 1
        if self._weight > HEAVY:
            self._seen = [seen / self._weight for seen in self._seen]
            self._paid = [paid / self._weight for paid in self._paid]
            self._weight = 1.0

    def win_rate(self, bid: float) -> float:
        """Share of auctions that it wins: 0 to 1, in a line between two tops."""
        self._sum()
        return self._between(self._rates, bid)

    def spend(self, bid: float) -> float:
        """What an auction costs on average, won or not, with this bid."""
        self._sum()
        return self._between(self._spends, bid)

    def bid_for(self, spend: float) -> float:
        """The bid with which an auction costs so much on average; the highest of the scale if none does."""
        self._sum()
        at = bisect_left(self._spends, spend)
        if at == 0 or at == len(self.tops):
            return self.tops[min(at, len(self.tops) - 1)]
        below, above = self._spends[at - 1], self._spends[at]
        return float(self.tops[at - 1] * (self.tops[at] / self.tops[at - 1]) ** ((spend - below) / (above - below)))

    def best(self, value: float, *, least: float = 0.0) -> float:
        """Where the winner pays what it bids: the bid in [least, value] that gains most, (value - bid) x win_rate(bid).

        Of equals the highest; `value` itself where nothing can be gained.
        """
        self._sum()
        best, most = value, 0.0
        for top, rate in zip(self.tops, self._rates, strict=True):
            if top > value:
                break
            gain = (value - top) * rate
            if top >= least and gain > 0.0 and gain >= most:
                best, most = top, gain
        return best

    def _between(self, sums: Sequence[float], bid: float) -> float:
        at = bisect_left(self.tops, bid)
        if at == len(sums):
            return sums[-1]
        if at == 0:
            return sums[0] if bid == self.tops[0] else 0.0
        below = self.tops[at - 1]
        return sums[at - 1] + (sums[at] - sums[at - 1]) * (bid - below) / (self.tops[at] - below)

    def _sum(self) -> None:
        if self._rates and self._stale < REFRESH:
            return
        total = sum(self._seen)
        if total <= 0:
            raise ValueError("nothing was seen of this market")
        self._rates, self._spends = _sums(self._seen, total), _sums(self._paid, total)
        self._stale = 0


def _sums(numbers: Sequence[float], total: float) -> list[float]:
    sums, so_far = [], 0.0
    for number in numbers:
        so_far += number / total
        sums.append(so_far)
    return sums
