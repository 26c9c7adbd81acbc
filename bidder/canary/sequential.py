"""A sequential test that may be looked at after every second: the mixture sequential probability ratio test (mSPRT).

two arms' sums of one measure -> Difference(d, variance) -> bound(alpha, tau): a confidence sequence around d

Under "no difference" the chance that the sequence ever leaves 0, however often one looks and whenever one stops, is at
most alpha (Johari, Koomen, Pekelis, Walsh: "Always valid inference", 2017; Robbins 1970 for the mixture). A z test
looked at each second misfires on half of all equal builds.

Rates come in seconds, and seconds differ by more than chance (bursts, users who come again): what the seconds of an arm
scatter beyond binomial widens the variance, it never narrows it.
No clock, no I/O. Rates: 0 to 1. Amounts: as they are given.
"""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Sums:
    """One measure of one arm: `hits` of `trials`, where a hit may weigh any amount, and how its seconds scattered.

    Add a second at a time; `squares` is of what one trial brought (equal to `hits` for a rate).
    """

    trials: int = 0
    hits: float = 0.0
    squares: float = 0.0
    seconds: int = 0
    by_trials: float = 0.0  # sum of hits^2 / trials over the seconds: their scatter, see dispersion

    def add(self, trials: int, hits: float, squares: float | None = None) -> None:
        """One second. Seconds without a trial say nothing."""
        if trials <= 0:
            return
        self.trials += trials
        self.hits += hits
        self.squares += hits if squares is None else squares
        self.seconds += 1
        self.by_trials += hits * hits / trials

    @property
    def mean(self) -> float:
        """Of one trial; 0 without any."""
        return self.hits / self.trials if self.trials else 0.0

    @property
    def spread(self) -> float:
        """Variance of one trial."""
        return max(0.0, self.squares / self.trials - self.mean**2) if self.trials else 0.0

    @property
    def dispersion(self) -> float:
        """How many times more the seconds scatter than independent trials would; at least 1."""
        if self.seconds < 2 or self.spread <= 0.0:
            return 1.0
        between = (self.by_trials - self.hits * self.mean) / (self.seconds - 1)
        return max(1.0, between / self.spread)


@dataclass(frozen=True, slots=True)
class Difference:
    """Canary less baseline, a trial."""

    delta: float
    variance: float
    base: float  # mean of the baseline

    @property
    def relative(self) -> float:
        """Of the baseline's mean; infinite where that is 0 and the canary's is not."""
        if self.base:
            return self.delta / abs(self.base)
        return math.copysign(math.inf, self.delta) if self.delta else 0.0


def difference(canary: Sums, baseline: Sums) -> Difference | None:
    """None until both have trials.

    Both variances are taken from the two arms together, as they are equal if the builds are; so an arm that has
    seen no hit yet does not look certain. One hit and one miss more than were seen keep it from being 0.
    """
    if not canary.trials or not baseline.trials:
        return None
    trials = canary.trials + baseline.trials
    hits, squares = canary.hits + baseline.hits, canary.squares + baseline.squares
    size = squares / hits if hits > 0 else 1.0  # of a hit
    mean = (hits + size) / (trials + 2)
    spread = (squares + size * size) / (trials + 2) - mean * mean
    variance = spread * (canary.dispersion / canary.trials + baseline.dispersion / baseline.trials)
    return Difference(canary.mean - baseline.mean, variance, baseline.mean)


def bound(variance: float, alpha: float, tau: float) -> float:
    """Half the width of the confidence sequence at level 1 - alpha; sharpest for differences of about `tau`."""
    if not 0.0 < alpha < 1.0 or tau <= 0.0:
        raise ValueError(f"alpha={alpha} tau={tau}: alpha within 0 to 1 and a positive tau are wanted")
    if variance <= 0.0:
        return 0.0
    mixed = variance + tau * tau
    return math.sqrt(variance * mixed / (tau * tau) * (2.0 * math.log(1.0 / alpha) + math.log(mixed / variance)))
