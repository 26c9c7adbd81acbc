"""The judge: is this build as good as the one that serves? Looked at every second, right however often one looks.

a second of both arms -> Judge.hear() -> Judge.verdict() -> go on | promote | rollback | inconclusive, with its numbers

Two things decide. **Guards** look at the last seconds alone and act at once: crashes, errors, late answers, memory,
what is offered and spent. **Measures** are compared by a sequential test (bidder/canary/sequential.py), all of them
together wrong in at most `alpha` of equal builds: each gets its share, the bid rate the largest. A measure that is
certainly worse rolls back; when all of those that must be are certainly not worse than their margin, the build may be
promoted. What is neither by `most_s` is inconclusive, and a person decides.

Both arms get equally small slices of the same traffic, so that like is compared with like. Pure: no clock, no I/O.
Times: seconds since the canary began. Money: int nano-USD.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bidder.canary.sequential import Sums, bound, difference


@dataclass(frozen=True, slots=True)
class Second:
    """What one arm did in one second; a request counts in the arm of its hash, whoever answered it."""

    requests: int = 0
    bids: int = 0
    wins: int = 0  # of bids made in any second
    linted: int = 0
    invalid: int = 0  # of the linted
    errors: int = 0  # answered 5xx, reset or broken
    late: int = 0  # not answered in the arm's part of the deadline
    slow: int = 0  # answered above the latency aim
    offered: int = 0  # nano-USD: sum of the prices of bids
    offered_squares: float = 0.0  # sum of the squared prices
    spent: int = 0  # nano-USD billed
    crashes: int = 0  # workers that died unasked
    memory: int = 0  # bytes: resident set of the arm's largest worker


class Word(StrEnum):
    """What a verdict says."""

    GO_ON = "go on"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"


class Worse(StrEnum):
    """In which direction a measure is harmed."""

    LESS = "less"
    MORE = "more"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is compared: what a trial brought on average."""

    name: str
    second: Callable[[Second], tuple[int, float, float | None]]  # trials, hits, squares: see Sums.add
    worse: Worse
    margin: float  # of the baseline's mean: no worse than that is as good
    share: float  # of alpha
    least: float = 0.0  # a difference smaller than this, in the measure's own unit, matters to nobody
    must: bool = True  # promotion waits for it


MEASURES = (
    Measure("bid rate", lambda s: (s.requests, s.bids, None), Worse.EITHER, 0.1, 0.4),
    Measure("win rate", lambda s: (s.bids, s.wins, None), Worse.LESS, 0.25, 0.1, must=False),
    Measure("offered per request", lambda s: (s.requests, s.offered, s.offered_squares), Worse.EITHER, 0.2, 0.2),
    Measure("invalid answers", lambda s: (s.linted, s.invalid, None), Worse.MORE, 0.0, 0.05, least=0.02),
    Measure("errors", lambda s: (s.requests, s.errors, None), Worse.MORE, 0.0, 0.1, least=0.005),
    Measure("late answers", lambda s: (s.requests, s.late, None), Worse.MORE, 0.0, 0.1, least=0.005),
    Measure("slow answers", lambda s: (s.requests, s.slow, None), Worse.MORE, 0.5, 0.05, least=0.01),
)


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits that end a canary within a look or two. Shares are of the last `window_s` seconds."""

    window_s: int = 3
    least: int = 20  # trials before a share says anything
    errors: float = 0.05
    late: float = 0.05
    slow: float = 0.25
    invalid: int = 3  # answers that an exchange would refuse
    offered_factor: float = 3.0  # of what the baseline offers for a request
    crashes: int = 2  # in the last `crash_s`
    crash_s: int = 60
    memory_factor: float = 1.5  # of the baseline's memory ...
    memory_slack: int = 64 << 20  # ... and this much, in bytes
    max_spend: int | None = None  # nano-USD that the slice may spend or have on offer unbilled


@dataclass(frozen=True, slots=True)
class Rules:
    """How sure, how long."""

    alpha: float = 0.05  # of equal builds that may be told apart, over all measures and looks together
    least_s: int = 10  # how much seconds scatter is not known before: no measure speaks
    tau: float = 0.05  # difference that the test is sharpest for, as a part of the baseline's mean
    min_s: int = 300  # no promotion before
    most_s: int = 3_600  # then it is inconclusive
    guards: Guards = field(default_factory=Guards)


@dataclass(frozen=True, slots=True)
class Finding:
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


class Judge:
    """Of one canary."""

    def __init__(self, rules: Rules | None = None, measures: tuple[Measure, ...] = MEASURES) -> None:
        """ValueError where the measures' shares are more than the whole of alpha."""
        if not 0.0 < math.fsum(measure.share for measure in measures) <= 1.0 + 1e-9:
            raise ValueError("the shares of the measures add up to more than 1, or to nothing")
        self.rules = rules or Rules()
        self.measures = measures
        self.at_s = 0
        self._sums = {measure.name: (Sums(), Sums()) for measure in measures}  # canary, baseline
        self._recent: deque[tuple[Second, Second]] = deque(maxlen=self.rules.guards.window_s)
        self._crashes: deque[int] = deque()  # second of each
        self._spent = 0
        self._invalid = 0
        self._tripped: str | None = None

    def hear(self, canary: Second, baseline: Second) -> None:
        """The next second of both arms."""
        self.at_s += 1
        for measure in self.measures:
            of_canary, of_baseline = self._sums[measure.name]
            of_canary.add(*measure.second(canary))
            of_baseline.add(*measure.second(baseline))
        self._recent.append((canary, baseline))
        self._crashes.extend([self.at_s] * canary.crashes)
        while self._crashes and self._crashes[0] <= self.at_s - self.rules.guards.crash_s:
            self._crashes.popleft()
        self._spent += canary.spent
        self._invalid += canary.invalid
        self._tripped = self._tripped or self._guard()

    def verdict(self) -> Verdict:
        """As of the seconds heard."""
        findings = tuple(self._finding(measure) for measure in self.measures)
        if self._tripped:
            return Verdict(Word.ROLLBACK, self._tripped, self.at_s, findings)
        worse = [finding for finding in findings if finding.says == "worse"]
        if worse:
            return Verdict(Word.ROLLBACK, "; ".join(map(_in_words, worse)), self.at_s, findings)
        open_ = [f.measure for f, m in zip(findings, self.measures, strict=True) if m.must and f.says == "open"]
        if not open_ and self.at_s >= self.rules.min_s:
            return Verdict(Word.PROMOTE, "no measure is worse than its margin", self.at_s, findings)
        if self.at_s >= self.rules.most_s:
            why = f"not enough seen in {self.at_s} s of {', '.join(open_)}" if open_ else "it may be promoted"
            return Verdict(Word.INCONCLUSIVE, why, self.at_s, findings)
        waits = f"open: {', '.join(open_)}" if open_ else f"as good so far; {self.rules.min_s - self.at_s} s to go"
        return Verdict(Word.GO_ON, waits, self.at_s, findings)

    def _finding(self, measure: Measure) -> Finding:
        canary, baseline = self._sums[measure.name]
        found = difference(canary, baseline)
        if found is None:
            return Finding(measure.name, canary.mean, baseline.mean, canary.trials, -math.inf, math.inf, "open")
        tau = max(self.rules.tau * abs(found.base), measure.least)
        if tau <= 0.0 or self.at_s < self.rules.least_s:  # without either there is no scale yet to measure by
            return Finding(measure.name, canary.mean, baseline.mean, canary.trials, -math.inf, math.inf, "open")
        half = bound(found.variance, self.rules.alpha * measure.share, tau)
        low, high = found.delta - half, found.delta + half
        margin = max(measure.margin * abs(found.base), measure.least)
        says = "open"
        if (low > 0 and measure.worse is not Worse.LESS) or (high < 0 and measure.worse is not Worse.MORE):
            says = "worse"
        elif (high <= margin or measure.worse is Worse.LESS) and (low >= -margin or measure.worse is Worse.MORE):
            says = "not worse"
        return Finding(measure.name, canary.mean, baseline.mean, canary.trials, low, high, says)

    def _guard(self) -> str | None:
        """What must not wait for a test, in words; None: nothing."""
        guards = self.rules.guards
        canary, baseline = _together([pair[0] for pair in self._recent]), _together([pair[1] for pair in self._recent])
        if len(self._crashes) >= guards.crashes:
            return f"guard: {len(self._crashes)} workers of the canary died within {guards.crash_s} s"
        if guards.max_spend is not None and self._spent > guards.max_spend:
            return f"guard: the canary has spent {self._spent} nano-USD; {guards.max_spend} were allowed"
        if self._invalid >= guards.invalid:
            return f"guard: {self._invalid} answers of the canary would be refused by an exchange"
        if canary.requests >= guards.least:
            for name, count, usual, most in (
                ("errors", canary.errors, baseline.errors, guards.errors),
                ("late answers", canary.late, baseline.late, guards.late),
                ("slow answers", canary.slow, baseline.slow, guards.slow),
            ):
                share, their_share = count / canary.requests, usual / max(1, baseline.requests)
                if share > most and share > 2 * their_share:  # where the stable build fails too, it is not the build
                    return f"guard: {name} {share:.1%} of {canary.requests} requests, {their_share:.1%} in the baseline"
        if canary.bids >= guards.least and baseline.bids >= guards.least:
            times = canary.offered * baseline.requests / (baseline.offered * canary.requests)
            if times > guards.offered_factor:
                return f"guard: the canary offers {times:.1f} times what the baseline does for a request"
        ceiling = guards.memory_factor * baseline.memory + guards.memory_slack
        if baseline.memory and canary.memory > ceiling:
            ours, theirs = canary.memory >> 20, baseline.memory >> 20
            return f"guard: a worker of the canary holds {ours} MB, one of the baseline {theirs} MB"
        return None


_SUMMED = ("requests", "bids", "errors", "late", "slow", "offered")


def _together(seconds: list[Second]) -> Second:
    """What guards look at, of several seconds."""
    sums = {name: sum(getattr(second, name) for second in seconds) for name in _SUMMED}
    return replace(Second(), **sums, memory=max((second.memory for second in seconds), default=0))


def _in_words(finding: Finding) -> str:
    relative = (finding.canary / finding.baseline - 1) * 100 if finding.baseline else math.inf
    return (
        f"{finding.measure} is {finding.canary:.4g} against {finding.baseline:.4g} ({relative:+.1f} %; "
        f"difference {finding.low:+.3g} to {finding.high:+.3g}, {finding.trials} trials)"
    )
