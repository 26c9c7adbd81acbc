"""Latencies in logarithmic buckets: constant memory, percentiles to 3 %, mergeable across processes.

add(us) -> counts -> quantile(0.99). Times: int µs. Below 64 µs every value has its own bucket; above, each
power of two has 32 of them.
"""

from collections import Counter
from dataclasses import dataclass, field

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_FINE_BITS = 5


def bucket_of(us: int) -> int:
    """The bucket of a value."""
    shift = max(0, us.bit_length() - _FINE_BITS - 1)
    return (shift << _FINE_BITS) + (us >> shift)


def top_of(bucket: int) -> int:
    """The largest value of a bucket."""
    shift = max(0, (bucket >> _FINE_BITS) - 1)
    return ((bucket - (shift << _FINE_BITS) + 1) << shift) - 1


@dataclass(slots=True)
class Latency:
    """How long answers took."""

    counts: Counter[int] = field(default_factory=Counter)  # by bucket
    n: int = 0
    total_us: int = 0
    max_us: int = 0

    def add(self, us: int) -> None:
        """One answer; what a clock makes negative counts as 0."""
        us = max(0, us)
        self.counts[bucket_of(us)] += 1
        self.n += 1
        self.total_us += us
        self.max_us = max(self.max_us, us)

    def merge(self, other: "Latency") -> None:
        """The answers of another process too."""
        self.counts.update(other.counts)
        self.n += other.n
        self.total_us += other.total_us
        self.max_us = max(self.max_us, other.max_us)

    def quantile_us(self, q: float) -> int:
        """At most this took the share `q` of all answers; 0 without any."""
        left = q * self.n
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return min(top_of(bucket), self.max_us)
        return self.max_us

    def document(self) -> dict[str, float]:
        """Milliseconds, for people and programs."""
        found = {name: self.quantile_us(q) / 1_000 for name, q in QUANTILES.items()}
        mean = self.total_us / self.n if self.n else 0.0
        return {**found, "max": self.max_us / 1_000, "mean": round(mean / 1_000, 3)}
