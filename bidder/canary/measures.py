"""Measures: what is compared between a canary and its baseline, in which direction it is harmed, how much alpha it has.

Each is what one trial brought on average: a rate of requests or bids, or an amount for each. The shares of alpha add
up to one, so that all measures and all looks together are wrong about equal builds in at most alpha of canaries
(Bonferroni).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bidder.canary.second import FAMILIES, Second


class Worse(StrEnum):
    """In which direction a measure is harmed."""

    LESS = "less"
    MORE = "more"
    EITHER = "either"


Groups = Callable[[Second], Iterator[tuple[int, int, float]]]  # group, trials, hits


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is compared."""

    name: str
    second: Callable[[Second], tuple[int, float, float | None]]  # trials, hits, squares: see Sums.add
    worse: Worse
    share: float  # of alpha
    margin: float  # of the baseline's mean: certainly no worse than that is as good
    least: float = 0.0  # nor is less than this, in the measure's own unit, worth knowing
    slight: float = 0.0  # of the baseline's mean: a difference that is certain and smaller rolls nothing back
    must: bool = True  # promotion waits for it
    groups: Groups | None = None  # how users make it scatter
    like: str = ""  # a measure that users make scatter as they do this one


def _filled(second: Second) -> Iterator[tuple[int, int, float]]:
    return ((group, requests, filled) for group, (requests, filled, _) in second.groups.items())


def _offered(second: Second) -> Iterator[tuple[int, int, float]]:
    return ((group, requests, offered * 1e3) for group, (requests, _, offered) in second.groups.items())


def _family(name: str) -> Measure:
    """Of requests: those without a bid for reasons of this family."""
    return Measure(
        f"no bid: {name}", lambda s: (s.requests, s.nobids.get(name, 0), None), Worse.EITHER,
        0.03, 0.25, least=0.01, slight=0.05, must=False, like="bid rate",
    )  # fmt: skip


BID_RATE = Measure(
    "bid rate", lambda s: (s.requests, s.filled, None), Worse.EITHER, 0.3, 0.1, slight=0.01, groups=_filled
)
OFFERED = Measure(
    "offered per thousand", lambda s: (s.requests, s.offered * 1e3, s.offered_squares * 1e6), Worse.EITHER,
    0.15, 0.2, slight=0.02, groups=_offered,
)  # fmt: skip
SPEND = Measure(
    "spend per thousand", lambda s: (s.requests, s.spent * 1e3, s.spent_squares * 1e6), Worse.EITHER,
    0.07, 0.25, slight=0.05, must=False, like=OFFERED.name,
)  # fmt: skip
WINS = Measure(
    "win rate", lambda s: (s.bids, s.wins, None), Worse.LESS, 0.08, 0.25, slight=0.02, must=False, like=OFFERED.name
)
INVALID = Measure(  # a few answers a second are looked at, and a guard counts each that is wrong: nobody waits for more
    "invalid answers", lambda s: (s.linted, s.invalid, None), Worse.MORE, 0.04, 0.0, least=0.02, must=False
)
ERRORS = Measure("errors", lambda s: (s.requests, s.errors, None), Worse.MORE, 0.07, 0.0, least=0.005)
LATE = Measure("late answers", lambda s: (s.requests, s.late, None), Worse.MORE, 0.07, 0.0, least=0.005)
SLOW = Measure("slow answers", lambda s: (s.requests, s.slow, None), Worse.MORE, 0.04, 0.5, least=0.01)

MEASURES = (BID_RATE, OFFERED, WINS, SPEND, *map(_family, FAMILIES), INVALID, ERRORS, LATE, SLOW)
"""Of a canary whose answers are sent."""

SHADOW_MEASURES = (
    Measure("other bids", lambda s: (s.compared, s.other, None), Worse.MORE, 0.25, 0.1, least=0.02, slight=0.02),
    Measure(
        "bids where none was", lambda s: (s.compared, s.more, None), Worse.MORE, 0.25, 0.1, least=0.02, slight=0.02
    ),
    Measure(
        "none where a bid was", lambda s: (s.compared, s.fewer, None), Worse.MORE, 0.25, 0.1, least=0.02, slight=0.02
    ),
    Measure("invalid answers", lambda s: (s.compared, s.invalid, None), Worse.MORE, 0.1, 0.0, least=0.02),
    Measure("late answers", lambda s: (s.requests, s.late, None), Worse.MORE, 0.15, 0.0, least=0.005),
)
"""Of a shadow, whose answers are held against those that the stable build sent; its baseline's as well, as equal
builds do not answer alike each time."""
