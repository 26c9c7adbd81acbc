"""Totals: what a host has counted since its supervisor began, folded from the windows that it closes anyway.

add(Deltas) -> families() for /metrics and StatsD. Pure. Labels: exchange, arm and numbers that have names;
no campaign, no place, nothing of a person.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum

from bidder.events.schema import CapEvent, Deltas, Fallback, Kind, LintResult, NoticeKind, Row, Shadow
from bidder.ops.metrics import COUNTER, AnyFamily, Family, Histogram
from bidder.outcome import Reason

ARMS = ("stable", "canary", "baseline")  # all others are of experiments
LATENCY_TOP = 21  # two seconds; longer ones are in +Inf
BOUNDS_S = tuple(2.0**bucket / 1e6 for bucket in range(LATENCY_TOP + 1))
NANO = 1e-9
OTHER = "other"  # an exchange that the settings no longer have


def arm_name(arm: int) -> str:
    """For a label."""
    return ARMS[arm] if arm < len(ARMS) else "experiment"


def _name(kind: type[IntEnum], number: int) -> str:
    """What a later build counts here may have no name yet."""
    try:
        return kind(number).name.lower()
    except ValueError:
        return str(number)


def summed(rows: Iterable[Row]) -> list[Row]:
    """The same counts by kind, exchange, arm and reason alone: some dozens of rows instead of some thousands."""
    sums: dict[tuple[int, int, int, int], list[int]] = {}
    for row in rows:
        what = (row.kind, row.exchange, row.arm, row.reason)
        if (so_far := sums.get(what)) is None:
            sums[what] = [row.n, row.amount]
        else:
            so_far[0] += row.n
            so_far[1] += row.amount
    return [Row(*what, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n, amount) for what, (n, amount) in sums.items()]


class Totals:
    """`exchanges`: names by key."""

    def __init__(self, exchanges: Mapping[int, str]) -> None:
        self._exchanges = exchanges
        self.windows = Family("outbid_windows_total", COUNTER, "Windows of counters that were closed.")
        self.requests = Family("outbid_requests_total", COUNTER, "Bid requests answered.", ("exchange", "arm"))
        self.bids = Family("outbid_bids_total", COUNTER, "Bids sent, one an impression.", ("exchange", "arm"))
        self.offered = Family(
            "outbid_offered_usd_total", COUNTER, "Sum of the prices that were bid, in USD.", ("exchange", "arm")
        )
        self.nobids = Family(
            "outbid_nobids_total", COUNTER, "Requests without a bid, by reason.", ("exchange", "arm", "reason")
        )
        self.latency = Histogram(
            "outbid_decision_seconds", "From the read of a request to its answer.", BOUNDS_S, ("arm",)
        )
        self.fallbacks = Family(
            "outbid_fallbacks_total", COUNTER, "Requests of an arm that the stable build answered.", ("arm", "reason")
        )
        self.lint = Family(
            "outbid_linted_total", COUNTER, "Answers held against the rules of exchanges.", ("arm", "result")
        )
        self.shadows = Family("outbid_shadows_total", COUNTER, "Shadow answers compared with those sent.", ("result",))
        self.caps = Family("outbid_caps_total", COUNTER, "What became of bids that count under caps.", ("event",))
        self.notices = Family(
            "outbid_notices_total", COUNTER, "Notices of bids, as trackers heard them.", ("exchange", "arm", "kind")
        )
        self.spend = Family(
            "outbid_spend_usd_total", COUNTER, "Prices of the notices that book, in USD.", ("exchange", "arm")
        )
        self.windows.set(0)

    def add(self, deltas: Deltas) -> None:
        """One closed window, once."""
        self.windows.add(1)
        for row in deltas.rows:
            self._count(row)

    def families(self) -> list[AnyFamily]:
        """All, whatever they hold."""
        return [
            self.windows, self.requests, self.bids, self.offered, self.nobids, self.latency, self.fallbacks, self.lint,
            self.shadows, self.caps, self.notices, self.spend,
        ]  # fmt: skip

    def _count(self, row: Row) -> None:
        arm = arm_name(row.arm)
        where = (self._exchanges.get(row.exchange, OTHER), arm)
        match row.kind:
            case Kind.REQUEST:
                self.requests.add(row.n, *where)
                self.bids.add(0, *where)  # so that none is a number, too
            case Kind.BID:
                self.bids.add(row.n, *where)
                self.offered.add(row.amount * NANO, *where)
            case Kind.NOBID:
                self.nobids.add(row.n, *where, _name(Reason, row.reason))
            case Kind.LATENCY:
                self.latency.add(row.reason, row.n, row.amount * NANO, arm)
            case Kind.CAP:
                self.caps.add(row.n, _name(CapEvent, row.reason))
            case Kind.FALLBACK:
                self.fallbacks.add(row.n, arm, _name(Fallback, row.reason))
            case Kind.LINT:
                self.lint.add(row.n, arm, _name(LintResult, row.reason))
            case Kind.NOTICE:
                self.notices.add(row.n, *where, _name(NoticeKind, row.reason))
                self.spend.add(row.amount * NANO, *where)
            case Kind.SHADOW:
                self.shadows.add(row.n, _name(Shadow, row.reason))
