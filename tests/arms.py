"""Two arms of a canary as they would be seen, a second at a time, drawn from a seed."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bidder.canary.second import FAMILIES, GROUPS, Second
from tests.market import poisson

PRICE = 2_000_000  # nano-USD
QUICK, SLOW = 10, 15  # buckets of latency


@dataclass(frozen=True, slots=True)
class Build:
    """How a build behaves; chances are of one request, but for `win` and `invalid`: of one bid."""

    bid: float = 0.6
    win: float = 0.2
    error: float = 0.0002
    late: float = 0.0002
    slow: float = 0.01
    invalid: float = 0.0
    price: float = 1.0  # times what the other bids
    burst: float = 0.0  # how much the chance of a bid moves from second to second, as a part of it
    users: int = 0  # as many send all requests of an arm, and each always gets what it got; 0: nobody comes twice


def _of(rng: random.Random, trials: int, chance: float) -> int:
    """Binomial; by its limits where they hold."""
    mean = trials * chance
    if mean <= 0:
        return 0
    if mean < 3:
        return min(trials, poisson(rng, mean))
    if mean * (1 - chance) > 12:
        return min(trials, max(0, round(rng.gauss(mean, math.sqrt(mean * (1 - chance))))))
    return sum(rng.random() < chance for _ in range(trials))


class Arm:
    """One arm."""

    def __init__(self, rng: random.Random, build: Build, requests_per_s: float) -> None:
        self._rng = rng
        self._build = build
        self._rate = requests_per_s
        self._users = [(rng.randrange(GROUPS), rng.random() < build.bid) for _ in range(build.users)]

    def second(self) -> Second:
        """The next one."""
        rng, build = self._rng, self._build
        requests = poisson(rng, self._rate)
        price = PRICE * build.price
        groups: dict[int, tuple[int, int, int]] = {}
        if self._users:
            bids = 0
            for _ in range(requests):
                group, wanted = self._users[rng.randrange(len(self._users))]
                before = groups.get(group, (0, 0, 0))
                groups[group] = before[0] + 1, before[1] + wanted, before[2] + int(wanted * price)
                bids += wanted
        else:
            bids = _of(rng, requests, min(1.0, build.bid * (1 + build.burst * rng.uniform(-1, 1))))
        wins = _of(rng, bids, build.win)
        slow = _of(rng, requests, build.slow)
        left = requests - bids
        nobids = {}
        for name in FAMILIES:
            nobids[name] = _of(rng, left, 0.4)
            left -= nobids[name]
        return Second(
            requests=requests,
            filled=bids,
            bids=bids,
            wins=wins,
            nobids=nobids,
            linted=min(bids, 3),
            invalid=_of(rng, min(bids, 3), build.invalid),
            errors=_of(rng, requests, build.error),
            late=_of(rng, requests, build.late),
            latency={QUICK: requests - slow, SLOW: slow},
            slow=slow,
            offered=max(0, round(rng.gauss(bids * price, price * 0.5 * math.sqrt(bids)))),
            offered_squares=bids * price * price * 1.25,
            spent=round(wins * price * 0.8),
            spent_squares=wins * (price * 0.8) ** 2,
            groups=groups,
        )


def arms(
    seed: int, canary: Build, baseline: Build | None = None, requests_per_s: float = 100.0
) -> Iterator[tuple[Second, Second]]:
    """Endless: canary, baseline."""
    rng = random.Random(seed)
    baseline = baseline or replace(Build(), bid=canary.bid, burst=canary.burst, users=canary.users)
    ours, theirs = Arm(rng, canary, requests_per_s), Arm(rng, baseline, requests_per_s)
    while True:
        yield ours.second(), theirs.second()
