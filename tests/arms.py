"""Two arms of a canary as they would be seen, a second at a time, drawn from a seed."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bidder.canary.judge import Second

PRICE = 2_000_000  # nano-USD


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


def _poisson(rng: random.Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _of(rng: random.Random, trials: int, chance: float) -> int:
    """Binomial; by its limits where they hold."""
    mean = trials * chance
    if mean <= 0:
        return 0
    if mean < 3:
        return min(trials, _poisson(rng, mean))
    if mean * (1 - chance) > 12:
        return min(trials, max(0, round(rng.gauss(mean, math.sqrt(mean * (1 - chance))))))
    return sum(rng.random() < chance for _ in range(trials))


def second(rng: random.Random, build: Build, requests_per_s: float) -> Second:
    """One second of one arm."""
    requests = _poisson(rng, requests_per_s)
    moved = build.bid * (1 + build.burst * rng.uniform(-1, 1))
    bids = _of(rng, requests, min(1.0, moved))
    price = PRICE * build.price
    return Second(
        requests=requests,
        bids=bids,
        wins=_of(rng, bids, build.win),
        linted=bids,
        invalid=_of(rng, bids, build.invalid),
        errors=_of(rng, requests, build.error),
        late=_of(rng, requests, build.late),
        slow=_of(rng, requests, build.slow),
        offered=max(0, round(rng.gauss(bids * price, price * 0.5 * math.sqrt(bids)))),
        offered_squares=bids * price * price * 1.25,
    )


def arms(
    seed: int, canary: Build, baseline: Build | None = None, requests_per_s: float = 100.0
) -> Iterator[tuple[Second, Second]]:
    """Endless: canary, baseline."""
    rng = random.Random(seed)
    baseline = baseline or replace(Build(), bid=canary.bid, burst=canary.burst)
    while True:
        yield second(rng, canary, requests_per_s), second(rng, baseline, requests_per_s)
