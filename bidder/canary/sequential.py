"""A sequential test that may be looked at after every second: the mixture sequential probability ratio test (mSPRT).

two arms' sums of one measure -> Difference(d, variance) -> bound(alpha, tau): a confidence sequence around d

Under "no difference" the chance that the sequence ever leaves 0, however often one looks and whenever one stops, is at
most alpha (Johari, Koomen, Pekelis, Walsh: "Always valid inference", 2017; Robbins 1970 for the mixture). A z test
looked at each second misfires on half of all equal builds.

Trials are not independent: seconds differ by more than chance (bursts), and so do people, who come again and get
what they got before. The scatter is measured between seconds and between groups of buckets of the arm's hash, and
whichever is more widens the variance; it never narrows it. No clock, no I/O. Rates: 0 to 1. Amounts: as they are given.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(slots=True)
class Sums:
    """One measure of one arm: `hits` of `trials`, where a hit may weigh any amount, and how parts of it scattered.

    Add a second at a time; `squares` is of what one trial brought (equal to `hits` for a rate).
    """

    trials: int = 0
    hits: float = 0.0
    squares: float = 0.0
    seconds: int = 0
    by_seconds: float = 0.0  # sum of hits^2 / trials over the seconds: their scatter, see dispersion
    by_groups: float = 0.0  # likewise over groups
    groups: dict[int, tuple[int, float]] = field(default_factory=dict)  # trials, hits

    def add(self, trials: int, hits: float, squares: float | None = None) -> None:
        """One second. Seconds without a trial say nothing of the scatter."""
        self.hits += hits
        self.squares += hits if squares is None else squares
        if trials > 0:
            self.trials += trials
            self.seconds += 1
            self.by_seconds += hits * hits / trials

    def add_group(self, group: int, trials: int, hits: float) -> None:
        """What one group of those whom the arm has met brought since it was added last."""
        before, brought = self.groups.get(group, (0, 0.0))
        if before:
            self.by_groups -= brought * brought / before
        trials, hits = before + trials, brought + hits
        self.groups[group] = trials, hits
        if trials:
            self.by_groups += hits * hits / trials

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
        """How many times more seconds, or groups, scatter than independent trials would; at least 1."""
        spread = self.spread
        if spread <= 0.0:
            return 1.0
        most = 1.0
        if self.seconds > 1:
            most = max(most, (self.by_seconds - self.hits * self.mean) / (self.seconds - 1) / spread)
        if len(self.groups) > 1:
            trials = sum(group[0] for group in self.groups.values())
            hits = sum(group[1] for group in self.groups.values())
            if trials:
                most = max(most, (self.by_groups - hits * hits / trials) / (len(self.groups) - 1) / spread)
        return most

    def as_dict(self) -> dict[str, Any]:
        """For a file; `of` reads it."""
        numbers = (self.trials, self.hits, self.squares, self.seconds, self.by_seconds, self.by_groups)
        return {"numbers": numbers, "groups": {str(group): both for group, both in self.groups.items()}}

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """What `as_dict` gave."""
        groups = {int(group): (int(trials), float(hits)) for group, (trials, hits) in document["groups"].items()}
        trials, hits, squares, seconds, by_seconds, by_groups = document["numbers"]
        return cls(trials, hits, squares, seconds, by_seconds, by_groups, groups)


@dataclass(frozen=True, slots=True)
class Difference:
    """Canary less baseline, a trial."""

    delta: float
    variance: float
    base: float  # mean of the baseline


def difference(canary: Sums, baseline: Sums, dispersions: tuple[float, float] = (1.0, 1.0)) -> Difference | None:
    """None until both have trials. `dispersions`: of canary and baseline, as far as others know of more.

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
    ours, theirs = max(canary.dispersion, dispersions[0]), max(baseline.dispersion, dispersions[1])
    variance = spread * (ours / canary.trials + theirs / baseline.trials)
    return Difference(canary.mean - baseline.mean, variance, baseline.mean)


def bound(variance: float, alpha: float, tau: float) -> float:
    """Half the width of the confidence sequence at level 1 - alpha; sharpest for differences of about `tau`."""
    if not 0.0 < alpha < 1.0 or tau <= 0.0:
        raise ValueError(f"alpha={alpha} tau={tau}: alpha within 0 to 1 and a positive tau are wanted")
    if variance <= 0.0:
        return 0.0
    mixed = variance + tau * tau
    return math.sqrt(variance * mixed / (tau * tau) * (2.0 * math.log(1.0 / alpha) + math.log(mixed / variance)))
