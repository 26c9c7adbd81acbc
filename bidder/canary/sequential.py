"""A sequential test that may be looked at after every second: the mixture sequential probability ratio test (mSPRT).

two arms' sums of one measure -> Difference(d, variance) -> bound(alpha, tau): a confidence sequence around d

Under "no difference" the chance that the sequence ever leaves 0, however often one looks and whenever one stops, is at
most alpha (Johari, Koomen, Pekelis, Walsh: "Always valid inference", 2017; Robbins 1970 for the mixture). A z test
looked at each second misfires on half of all equal builds.

Trials are not independent. Seconds differ by more than chance: what both arms have in common (a burst of traffic, a
campaign that ends) is none of the difference between them, what they have not, is. And people come again and get what
they got before, so that arms differ by whom they have. Both scatters are measured, the one between the seconds' own
differences, the other between groups of buckets of an arm's hash; whichever is more widens the variance, none narrows
it. No clock, no I/O. Rates: 0 to 1. Amounts: as they are given.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(slots=True)
class Sums:
    """One measure of one arm: `hits` of `trials`, where a hit may weigh any amount; `squares` of what one trial brought
    (equal to `hits` for a rate)."""

    trials: int = 0
    hits: float = 0.0
    squares: float = 0.0
    by_groups: float = 0.0  # sum of hits^2 / trials over groups
    groups: dict[int, tuple[int, float]] = field(default_factory=dict)  # trials, hits

    def add(self, trials: int, hits: float, squares: float | None = None) -> None:
        """What came since."""
        self.trials += trials
        self.hits += hits
        self.squares += hits if squares is None else squares

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
    def by_people(self) -> float:
        """How many times more groups scatter than independent trials would; at least 1."""
        spread = self.spread
        if len(self.groups) < 2 or spread <= 0.0:
            return 1.0
        trials = sum(group[0] for group in self.groups.values())
        hits = sum(group[1] for group in self.groups.values())
        if not trials:
            return 1.0
        return max(1.0, (self.by_groups - hits * hits / trials) / (len(self.groups) - 1) / spread)


@dataclass(slots=True)
class Pair:
    """One measure of both arms, a second at a time."""

    canary: Sums = field(default_factory=Sums)
    baseline: Sums = field(default_factory=Sums)
    seconds: int = 0  # in which both had trials: d is their difference then, w the weight of it
    weights: float = 0.0  # sum of w
    differences: float = 0.0  # sum of w d
    squares: float = 0.0  # sum of w d^2

    def add(self, canary: tuple[int, float, float | None], baseline: tuple[int, float, float | None]) -> None:
        """One second of both: trials, hits, squares."""
        self.canary.add(*canary)
        self.baseline.add(*baseline)
        ours, theirs = canary[0], baseline[0]
        if ours > 0 and theirs > 0:
            apart = canary[1] / ours - baseline[1] / theirs
            weight = ours * theirs / (ours + theirs)
            self.seconds += 1
            self.weights += weight
            self.differences += weight * apart
            self.squares += weight * apart * apart

    @property
    def spread(self) -> float:
        """Variance of one trial, of both arms together, as they are equal if the builds are; so an arm that has seen no
        hit yet does not look certain. One hit and one miss more than were seen keep it from being 0."""
        trials = self.canary.trials + self.baseline.trials
        hits, squares = self.canary.hits + self.baseline.hits, self.canary.squares + self.baseline.squares
        size = squares / hits if hits > 0 else 1.0  # of a hit
        mean = (hits + size) / (trials + 2)
        return (squares + size * size) / (trials + 2) - mean * mean

    def by_seconds(self, spread: float) -> float:
        """How many times more the seconds' differences scatter than those of independent trials would; at least 1."""
        if self.seconds < 2 or spread <= 0.0:
            return 1.0
        scatter = self.squares - self.differences * self.differences / self.weights
        return max(1.0, scatter / (self.seconds - 1) / spread)

    def difference(self, like: "Pair | None" = None) -> "Difference | None":
        """None until both have trials. `like`: a measure whose groups scatter as those of this one do."""
        canary, baseline = self.canary, self.baseline
        if not canary.trials or not baseline.trials:
            return None
        known = self if like is None else like
        spread = self.spread
        by_seconds = self.by_seconds(spread)
        ours, theirs = max(by_seconds, known.canary.by_people), max(by_seconds, known.baseline.by_people)
        variance = spread * (ours / canary.trials + theirs / baseline.trials)
        return Difference(canary.mean - baseline.mean, variance, baseline.mean)

    def as_dict(self) -> dict[str, Any]:
        """For a file; `of` reads it."""
        return {
            "arms": [
                [sums.trials, sums.hits, sums.squares, sums.by_groups, [[g, *both] for g, both in sums.groups.items()]]
                for sums in (self.canary, self.baseline)
            ],
            "seconds": [self.seconds, self.weights, self.differences, self.squares],
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """What `as_dict` gave."""
        arms = [
            Sums(trials, hits, squares, by_groups, {group: (n, brought) for group, n, brought in groups})
            for trials, hits, squares, by_groups, groups in document["arms"]
        ]
        seconds, weights, differences, squares = document["seconds"]
        return cls(arms[0], arms[1], seconds, weights, differences, squares)


@dataclass(frozen=True, slots=True)
class Difference:
    """Canary less baseline, a trial."""

    delta: float
    variance: float
    base: float  # mean of the baseline


def bound(variance: float, alpha: float, tau: float) -> float:
    """Half the width of the confidence sequence at level 1 - alpha; sharpest for differences of about `tau`."""
    if not 0.0 < alpha < 1.0 or tau <= 0.0:
        raise ValueError(f"alpha={alpha} tau={tau}: alpha within 0 to 1 and a positive tau are wanted")
    if variance <= 0.0:
        return 0.0
    mixed = variance + tau * tau
    return math.sqrt(variance * mixed / (tau * tau) * (2.0 * math.log(1.0 / alpha) + math.log(mixed / variance)))
