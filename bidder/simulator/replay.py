"""Auction replay: what would a bidding strategy have bought of a log, with a budget an episode?

Every `episode` auctions share `budget`, which is filled again for the next ones; an unfinished last episode counts too.
A bid is clipped to `max_bid` and to what is left; one that is not below the market price wins, and pays that price.
Auctions stand a virtual second apart. A strategy sees an auction's price after it, as exchanges tell winners what they
pay and losers what would have won; clicks it never sees. Money: integers of the log's unit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bidder.money.landscape import Landscape
from bidder.money.pacing import ALWAYS, FULL_PRICE, Pacer
from bidder.simulator.auction_log import Auction

CURVE = 20  # points of the spend curve
NANO = 1_000_000  # of a unit of the log, in the pacing's eyes
HALF_LIFE = 5_000  # auctions after which what they taught counts half
GUESSES = 20  # made up, where nothing was seen yet


@dataclass(frozen=True, slots=True)
class Rules:
    """ValueError names what is wrong."""

    episode: int  # auctions
    budget: int  # of one
    max_bid: int

    def __post_init__(self) -> None:
        for name in ("episode", "budget", "max_bid"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.replace('_', '-')} {getattr(self, name)}: at least 1 is wanted")


class Strategy(Protocol):
    def begin(self) -> None:
        """An episode begins."""

    def bid(self, pctr: float, left: int) -> int:
        """For the next auction, of which the click rate is known, with so much of the budget left."""

    def saw(self, auction: Auction, paid: int) -> None:
        """What became of it; `paid`: nothing, where it was lost."""


class Mcpc:
    """As much a click as `max_cpc`, whatever the budget."""

    def __init__(self, max_cpc: float) -> None:
        self._max_cpc = max_cpc

    def begin(self) -> None: ...

    def bid(self, pctr: float, left: int) -> int:
        return int(self._max_cpc * pctr)

    def saw(self, auction: Auction, paid: int) -> None: ...


class Lin:
    """`base_bid` for an impression of average click rate, in proportion for others."""

    def __init__(self, base_bid: float, average_ctr: float) -> None:
        self._base_bid = base_bid
        self._average_ctr = average_ctr

    def begin(self) -> None: ...

    def bid(self, pctr: float, left: int) -> int:
        return int(self._base_bid * pctr / self._average_ctr)

    def saw(self, auction: Auction, paid: int) -> None: ...


class Outbid:
    """Value x learned landscape x pace.

    Landscape: of price per expected click, learned from `train` (a log of earlier days) and on from each auction,
    fading. It says what a click may cost for the budget that is left to last for the auctions that are left. Pace: the
    controller of bidder/money/pacing.py, an episode its hour. Its throttle scales the price here, as its multiplier
    does: no floor of a log binds, and a lower price for all buys more than the same price for some.
    """

    def __init__(self, rules: Rules, *, train: Iterable[Auction] = ()) -> None:
        self._rules = rules
        self._landscape = Landscape(1 / 64, rules.max_bid / 1e-6, half_life=HALF_LIFE)
        self._pacer = Pacer()
        self._now = 0
        self._lease = 0
        self._at = self._paid = 0
        self._guessed = False
        for auction in train:
            self._guess(auction.pctr)
            self._learn(auction)

    def begin(self) -> None:
        self._lease += 1
        self._at = self._paid = 0

    def bid(self, pctr: float, left: int) -> int:
        self._now += 1
        self._guess(pctr)
        rules = self._rules
        throttle, multiplier = self._pacer.step(
            rules.budget * NANO,
            (rules.budget - left) * NANO,
            0,
            self._paid * NANO,
            self._at * 1000,
            rules.episode * 1000,
            float(self._now),
            lease=self._lease,
        )
        if not self._guessed:
            return 0
        a_click = self._landscape.bid_for(left / (rules.episode - self._at))
        return int(pctr * a_click * (throttle / ALWAYS) * (multiplier / FULL_PRICE))

    def saw(self, auction: Auction, paid: int) -> None:
        self._at += 1
        self._paid = paid
        self._learn(auction)

    def _guess(self, pctr: float) -> None:
        """Before anything was seen: any price is as likely as twice that price."""
        if self._guessed or pctr <= 0:
            return
        self._guessed = True
        for guess in range(GUESSES):
            price = self._rules.max_bid ** ((guess + 0.5) / GUESSES)
            self._landscape.saw(price / pctr, price)

    def _learn(self, auction: Auction) -> None:
        if auction.pctr > 0:
            self._landscape.saw(max(1, auction.price) / auction.pctr, auction.price)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay bought. `curve`: share of all budgets spent by each twentieth of the episodes."""

    auctions: int
    episodes: int
    budget: int  # of all episodes
    impressions: int
    clicks: int
    cost: int
    expected_clicks: float  # sum of pctr of what was won
    curve: Sequence[float]

    @property
    def win_rate(self) -> float:
        return self.impressions / self.auctions

    @property
    def ecpc(self) -> float | None:
        """Cost of a click; None: there was none."""
        return self.cost / self.clicks if self.clicks else None


def replay(log: Sequence[Auction], strategy: Strategy, rules: Rules) -> Outcome:
    """All of the log, in order."""
    impressions = clicks = cost = episodes = 0
    expected = 0.0
    parts = [0] * CURVE
    for start in range(0, len(log), rules.episode):
        left = rules.budget
        episodes += 1
        strategy.begin()
        for at, auction in enumerate(log[start : start + rules.episode]):
            paid = 0
            if min(strategy.bid(auction.pctr, left), rules.max_bid, left) >= auction.price:
                paid = auction.price
                left -= paid
                cost += paid
                impressions += 1
                clicks += auction.click
                expected += auction.pctr
                parts[at * CURVE // rules.episode] += paid
            strategy.saw(auction, paid)
    budget = episodes * rules.budget
    curve = [round(sum(parts[: at + 1]) / budget, 4) for at in range(CURVE)]
    return Outcome(len(log), episodes, budget, impressions, clicks, cost, expected, curve)
