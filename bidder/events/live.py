"""What the live page shows: the last minutes of the bus, folded by second. Pure; no I/O.

add(Deltas) -> snapshot(): rates of requests, bids and no-bid reasons, and latency percentiles.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bidder.events.schema import Deltas, Kind
from bidder.outcome import Reason

KEEP_S = 120
RECENT = 10  # windows that the figures on top are made of


@dataclass(slots=True)
class Second:
    """What all hosts counted in the windows that closed in one second."""

    at: int  # unix seconds
    requests: Counter[int] = field(default_factory=Counter)  # by key of the exchange
    bids: Counter[int] = field(default_factory=Counter)
    reasons: Counter[int] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)  # by bucket


class Live:
    """The last KEEP_S seconds."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque(maxlen=KEEP_S)
        self._seen: dict[tuple[str, int], int] = {}

    def add(self, deltas: Deltas) -> None:
        """One window; one that was seen already is passed over."""
        producer = (deltas.producer, deltas.epoch)
        if deltas.seq <= self._seen.get(producer, 0):
            return
        self._seen[producer] = deltas.seq
        at = deltas.window_ms // 1000
        second = next((known for known in self._seconds if known.at == at), None)
        if second is None:
            second = Second(at)
            self._seconds.append(second)
        for row in deltas.rows:
            if row.kind == Kind.REQUEST:
                second.requests[row.exchange] += row.n
            elif row.kind == Kind.BID:
                second.bids[row.exchange] += row.n
            elif row.kind == Kind.NOBID:
                second.reasons[row.reason] += row.n
            elif row.kind == Kind.LATENCY:
                second.latency[row.reason] += row.n

    def snapshot(self, exchanges: dict[int, str]) -> dict[str, Any]:
        """Figures of the last RECENT windows, and one point a second behind them."""
        recent = list(self._seconds)[-RECENT:]
        windows = max(1, len(recent))
        requests = _total(second.requests for second in recent)
        bids = _total(second.bids for second in recent)
        reasons = _total(second.reasons for second in recent)
        latency = _total(second.latency for second in recent)
        return {
            "requests_per_s": requests.total() / windows,
            "bids_per_s": bids.total() / windows,
            "exchanges": {
                exchanges.get(key, str(key)): {"requests_per_s": n / windows, "bids_per_s": bids[key] / windows}
                for key, n in sorted(requests.items())
            },
            "nobid_reasons_per_s": {Reason(key).name: n / windows for key, n in reasons.most_common(8)},
            "latency_us": {f"p{share}": percentile(latency, share) for share in (50, 99)},
            "points": [[second.at, second.requests.total(), second.bids.total()] for second in self._seconds],
        }


def _total(counters: Iterable[Counter[int]]) -> Counter[int]:
    total: Counter[int] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def percentile(buckets: Counter[int], share: int) -> int | None:
    """Upper end, in microseconds, of the bucket in which that share of requests is reached; None without any."""
    wanted = buckets.total() * share / 100
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return int(2**bucket)
    return None
