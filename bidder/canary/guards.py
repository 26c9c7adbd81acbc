"""Guards: what ends a canary within two seconds, without a test: deaths, errors, lateness, money, memory.

a second of both arms -> Guard.hear() -> None, or why, in words with figures; what was seen stays seen.
Shares are of the last seconds; where the stable build fails as much it is not the build's fault.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from bidder.canary.second import Second
from bidder.money.units import usd_text


@dataclass(frozen=True, slots=True)
class Limits:
    """What is too much. Shares: 0 to 1."""

    window_s: int = 3  # of shares
    least: int = 20  # trials before a share says anything
    errors: float = 0.05
    late: float = 0.05
    slow: float = 0.25
    invalid: int = 3  # answers that an exchange would refuse
    p99_us: int = 30_000
    p99_of: int = 200  # requests that it is taken of: the last ones
    offered_factor: float = 3.0  # of what the baseline offers for a request
    crashes: int = 2  # in the last `crash_s`
    crash_s: int = 60
    memory_factor: float = 1.5  # of the baseline's memory ...
    memory_slack: int = 64 << 20  # ... and this much, in bytes
    max_spend: int | None = None  # nano-USD: billed, and offered in the last `unbilled_s`
    unbilled_s: int = 60  # in which a bid is billed, if at all


class Guard:
    """Of one canary."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.tripped: str | None = None
        self.spent = 0
        self._at_s = 0
        self._linted = [[0, 0], [0, 0]]  # of canary and baseline: looked at, invalid
        self._deaths: deque[int] = deque()  # second of each
        self._open: deque[int] = deque(maxlen=limits.unbilled_s)  # offered, a second
        self._recent: deque[tuple[Second, Second]] = deque(maxlen=limits.window_s)
        self._latency = Latest(limits.p99_of), Latest(limits.p99_of)

    @property
    def exposed(self) -> int:
        """Nano-USD that were billed, or still may be."""
        return self.spent + sum(self._open)

    def hear(self, canary: Second, baseline: Second) -> None:
        """The next second of both arms."""
        limits = self.limits
        self._at_s += 1
        self._recent.append((canary, baseline))
        self._deaths.extend([self._at_s] * canary.crashes)
        while self._deaths and self._deaths[0] <= self._at_s - limits.crash_s:
            self._deaths.popleft()
        self.spent += canary.spent
        self._open.append(canary.offered)
        for linted, latest, second in zip(self._linted, self._latency, (canary, baseline), strict=True):
            linted[0] += second.linted + second.compared
            linted[1] += second.invalid
            latest.add(second.latency)
        self.tripped = self.tripped or self._looks_bad()

    def _looks_bad(self) -> str | None:
        limits = self.limits
        if len(self._deaths) >= limits.crashes:
            return f"guard: {len(self._deaths)} workers of the canary died within {limits.crash_s} s"
        for look in (self._breaks_rules, self._share_too_high, self._too_dear, self._too_much, self._too_slow):
            if why := look():
                return why
        return self._too_large()

    def _breaks_rules(self) -> str | None:
        (looked_at, invalid), (of, theirs) = self._linted
        if invalid < self.limits.invalid or invalid * max(1, of) <= 2 * theirs * looked_at:
            return None
        return f"guard: {invalid} of {looked_at} answers break a rule of exchanges; {theirs} of {of} in the baseline"

    def _share_too_high(self) -> str | None:
        requests = sum(ours.requests for ours, _ in self._recent)
        if requests < self.limits.least:
            return None
        theirs = max(1, sum(theirs.requests for _, theirs in self._recent))
        for name, what, most in (
            ("errors", "errors", self.limits.errors),
            ("late", "late answers", self.limits.late),
            ("slow", "slow answers", self.limits.slow),
        ):
            share = sum(getattr(ours, name) for ours, _ in self._recent) / requests
            if share > most:
                usual = sum(getattr(other, name) for _, other in self._recent) / theirs
                if share > 2 * usual:
                    return f"guard: {what} {share:.1%} of {requests} requests, {usual:.1%} in the baseline"
        return None

    def _too_dear(self) -> str | None:
        bids, usual_bids = (sum(pair[arm].bids for pair in self._recent) for arm in (0, 1))
        if min(bids, usual_bids) < self.limits.least:
            return None
        offered, usual = (sum(pair[arm].offered for pair in self._recent) for arm in (0, 1))
        requests, of = (sum(pair[arm].requests for pair in self._recent) for arm in (0, 1))
        times = offered * of / max(1, usual * requests)
        if times > self.limits.offered_factor:
            return f"guard: the canary offers {times:.1f} times what the baseline does for a request"
        return None

    def _too_much(self) -> str | None:
        if self.limits.max_spend is None or self.exposed <= self.limits.max_spend:
            return None
        billed, most = usd_text(self.spent), usd_text(self.limits.max_spend)
        return f"guard: billed {billed} USD, and {usd_text(sum(self._open))} may be yet; {most} were allowed"

    def _too_slow(self) -> str | None:
        p99, usual = (latest.p99_us for latest in self._latency)
        if p99 is None or p99 < self.limits.p99_us or (usual is not None and p99 < 2 * usual):
            return None
        beside = "not known of" if usual is None else f"{usual / 1000:.3g} ms in"
        return f"guard: one answer in a hundred takes more than {p99 / 1000:.3g} ms; {beside} the baseline"

    def _too_large(self) -> str | None:
        canary, baseline = self._recent[-1]
        ceiling = self.limits.memory_factor * baseline.memory + self.limits.memory_slack
        if baseline.memory and canary.memory > ceiling:
            ours, theirs = canary.memory >> 20, baseline.memory >> 20
            return f"guard: a worker of the canary holds {ours} MB, one of the baseline {theirs} MB"
        return None

    def as_dict(self) -> dict[str, Any]:
        """What must not be forgotten when the process is another: `recall` takes it."""
        return {
            "at_s": self._at_s,
            "tripped": self.tripped,
            "spent": self.spent,
            "linted": self._linted,
            "deaths": list(self._deaths),
            "open": list(self._open),
        }

    def recall(self, document: dict[str, Any]) -> None:
        """Go on from `as_dict`; the last seconds' shares begin anew."""
        self._at_s, self.tripped, self.spent = document["at_s"], document["tripped"], document["spent"]
        self._linted = document["linted"]
        self._deaths.extend(document["deaths"])
        self._open.extend(document["open"])


class Latest:
    """Latency of the last `of` requests, and a second's more, by bucket."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._seconds: deque[dict[int, int]] = deque()
        self._counts: Counter[int] = Counter()
        self._total = 0

    def add(self, latency: dict[int, int]) -> None:
        """Of the next second."""
        if not latency:
            return
        self._seconds.append(latency)
        self._counts.update(latency)
        self._total += sum(latency.values())
        while self._total - sum(self._seconds[0].values()) >= self._of:
            oldest = self._seconds.popleft()
            self._counts.subtract(oldest)
            self._total -= sum(oldest.values())

    @property
    def p99_us(self) -> int | None:
        """One answer in a hundred took longer than this, the start of its bucket; None while there are too few."""
        if self._total < self._of:
            return None
        above, bucket = 0, 0
        for bucket in sorted(self._counts, reverse=True):
            above += self._counts[bucket]
            if above * 100 > self._total:
                break
        return (1 << bucket) >> 1
