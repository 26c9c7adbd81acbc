"""The judge: is this build as good as the one that serves? Looked at every second, right however often one looks.

a second of both arms -> Judge.hear() -> Judge.verdict() -> go on | promote | rollback | inconclusive, with its numbers

Two things decide. **Guards** (bidder/canary/guards.py) look at the last seconds alone and act at once. **Measures**
(bidder/canary/measures.py) are compared by a sequential test (bidder/canary/sequential.py), all of them together wrong
in at most `alpha` of equal builds. A measure that is certainly worse rolls back; when all of those that must be are
certainly not worse than their margin, the build may be promoted. What is neither by `most_s` is inconclusive, and a
person decides.

Both arms get equally small slices of the same traffic, so that like is compared with like. Pure: no clock, no I/O.
Times: seconds since the canary began. Money: int nano-USD.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from bidder.canary.guards import Guard, Limits
from bidder.canary.measures import MEASURES, SHADOW_MEASURES, Measure, Worse
from bidder.canary.second import Second
from bidder.canary.sequential import Pair, bound
from bidder.settings import Canary


class Word(StrEnum):
    """What a verdict says."""

    GO_ON = "go on"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Rules:
    """How sure, how long."""

    alpha: float = 0.05  # of equal builds that may be told apart, over all measures and looks together
    tau: float = 0.05  # difference that the test is sharpest for, as a part of the baseline's mean
    least_s: int = 10  # how much seconds scatter is not known before: no measure speaks
    min_s: int = 300  # no promotion before
    most_s: int = 3_600  # then it is inconclusive
    shadow: bool = False  # its answers are compared, not sent
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, settings: Canary, min_s: int, *, shadow: bool = False, max_spend: int | None = None) -> Self:
        """As the settings say; `min_s` of all steps, `max_spend` in nano-USD."""
        limits = Limits(
            errors=settings.errors,
            late=settings.late,
            slow=settings.slow,
            invalid=settings.invalid,
            p99_us=settings.p99_ms * 1_000,
            offered_factor=settings.offered_factor,
            crashes=settings.crashes,
            memory_factor=settings.memory_factor,
            memory_slack=settings.memory_mb << 20,
            max_spend=max_spend,
            unbilled_s=settings.unbilled_s,
        )
        most_s = max(settings.most_s, 2 * min_s)
        return cls(settings.alpha, settings.tau, min_s=min_s, most_s=most_s, shadow=shadow, limits=limits)


class Finding(NamedTuple):
    """One measure as it stands: the true difference lies within low..high, a trial, at the test's level."""

    measure: str
    canary: float
    baseline: float
    trials: int  # of the canary
    low: float
    high: float
    says: str  # worse | not worse | open


@dataclass(frozen=True, slots=True)
class Verdict:
    """`because` in words with figures; `findings` are the inputs it was made from."""

    word: Word
    because: str
    at_s: int
    findings: tuple[Finding, ...] = ()
    spent: int = 0  # nano-USD billed
    exposed: int = 0  # and what may be billed yet

    def as_dict(self) -> dict[str, Any]:
        """For files, audit and verbs: what is not bounded yet is None."""
        rows = [finding._asdict() for finding in self.findings]
        findings = [{key: None if value in _ENDLESS else value for key, value in row.items()} for row in rows]
        money = {"spent_nano": self.spent, "exposed_nano": self.exposed}
        return {"word": str(self.word), "because": self.because, "at_s": self.at_s, **money, "findings": findings}


_ENDLESS = (-math.inf, math.inf)


class Judge:
    """Of one canary."""

    def __init__(self, rules: Rules | None = None, measures: tuple[Measure, ...] | None = None) -> None:
        """ValueError where the measures' shares are more than the whole of alpha."""
        self.rules = rules or Rules()
        self.measures = measures or (SHADOW_MEASURES if self.rules.shadow else MEASURES)
        if not 0.0 < math.fsum(measure.share for measure in self.measures) <= 1.0 + 1e-9:
            raise ValueError("the shares of the measures add up to more than 1, or to nothing")
        self.at_s = 0
        self.guard = Guard(self.rules.limits)
        self._pairs = {measure.name: Pair() for measure in self.measures}

    def hear(self, canary: Second, baseline: Second) -> None:
        """The next second of both arms."""
        self.at_s += 1
        for measure in self.measures:
            pair = self._pairs[measure.name]
            pair.add(measure.second(canary), measure.second(baseline))
            if measure.groups is not None:
                for sums, second in ((pair.canary, canary), (pair.baseline, baseline)):
                    for group in measure.groups(second):
                        sums.add_group(*group)
        self.guard.hear(canary, baseline)

    def verdict(self) -> Verdict:
        """As of the seconds heard."""
        findings = tuple(self._finding(measure) for measure in self.measures)
        word, because = self._decide(findings)
        return Verdict(word, because, self.at_s, findings, self.guard.spent, self.guard.exposed)

    def _decide(self, findings: tuple[Finding, ...]) -> tuple[Word, str]:
        rules = self.rules
        if self.guard.tripped:
            return Word.ROLLBACK, self.guard.tripped
        worse = [finding for finding in findings if finding.says == "worse"]
        if worse:
            return Word.ROLLBACK, "; ".join(map(in_words, worse))
        open_ = [f.measure for f, m in zip(findings, self.measures, strict=True) if m.must and f.says == "open"]
        if self.at_s >= rules.min_s and not open_:
            return Word.PROMOTE, "no measure is worse than its margin"
        if self.at_s >= rules.most_s:
            return Word.INCONCLUSIVE, f"not enough seen in {self.at_s} s of {', '.join(open_)}"
        if open_:
            return Word.GO_ON, f"open: {', '.join(open_)}"
        return Word.GO_ON, f"as good so far; {rules.min_s - self.at_s} s to go"

    def _finding(self, measure: Measure) -> Finding:
        pair = self._pairs[measure.name]
        canary, baseline = pair.canary, pair.baseline
        found = pair.difference(self._pairs.get(measure.like)) if self.at_s >= self.rules.least_s else None
        tau = 0.0 if found is None else max(self.rules.tau * abs(found.base), measure.least)
        if found is None or tau <= 0.0 or found.variance <= 0.0:  # there is no scale yet to measure by
            return Finding(measure.name, canary.mean, baseline.mean, canary.trials, -math.inf, math.inf, "open")
        half = bound(found.variance, self.rules.alpha * measure.share, tau)
        low, high = found.delta - half, found.delta + half
        base = abs(found.base)
        slight, margin = measure.slight * base, max(measure.margin * base, measure.least)
        says = "open"
        if (low > slight and measure.worse is not Worse.LESS) or (high < -slight and measure.worse is not Worse.MORE):
            says = "worse"
        elif (high <= margin or measure.worse is Worse.LESS) and (low >= -margin or measure.worse is Worse.MORE):
            says = "not worse"
        return Finding(measure.name, canary.mean, baseline.mean, canary.trials, low, high, says)

    def as_dict(self) -> dict[str, Any]:
        """All that was heard, for a file: `recall` goes on from it."""
        return {
            "at_s": self.at_s,
            "sums": {name: pair.as_dict() for name, pair in self._pairs.items()},
            "guard": self.guard.as_dict(),
        }

    def recall(self, document: dict[str, Any]) -> None:
        """Go on from what another process heard; KeyError, TypeError or ValueError where it is of other measures."""
        ours, theirs = self._pairs.keys(), document["sums"].keys()
        if ours != theirs:
            raise ValueError(f"sums of {', '.join(sorted(theirs))}; wanted are those of {', '.join(sorted(ours))}")
        self._pairs = {name: Pair.of(pair) for name, pair in document["sums"].items()}
        self.at_s = document["at_s"]
        self.guard.recall(document["guard"])


def in_words(finding: Finding) -> str:
    """One finding, with its figures."""
    relative = "" if not finding.baseline else f"{(finding.canary / finding.baseline - 1) * 100:+.1f} %; "
    return (
        f"{finding.measure} is {finding.canary:.4g} against {finding.baseline:.4g} ({relative}"
        f"difference {finding.low:+.3g} to {finding.high:+.3g}, {finding.trials} trials)"
    )
