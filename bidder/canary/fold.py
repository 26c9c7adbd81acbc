"""Folds the counters of closed windows into a second of each arm.

rows of `Deltas` -> add() -> take() -> canary, baseline

Pure. What is not counted (deaths, memory) the caller fills in. Notices of bids that were made before the canary began
are not its.
"""

from collections.abc import Iterable

from bidder.canary.second import FAMILIES, GROUPS, Second
from bidder.events.schema import Fallback, Kind, LintResult, NoticeKind, Row, Shadow
from bidder.outcome import Reason

CANARY, BASELINE = 1, 2  # arms
_FAMILY = {int(reason): name for name, reasons in FAMILIES.items() for reason in reasons}
_LATE = frozenset({Fallback.LATE, Fallback.BUSY})


class Fold:
    """`since_minute`: UTC minute of the canary's beginning. `slow_us`: the latency aim."""

    def __init__(self, since_minute: int, slow_us: int) -> None:
        self._since = since_minute
        self._quick = (slow_us - 1).bit_length()  # the bucket that the aim is in; what is in later ones is above it
        self._arms = {CANARY: Second(), BASELINE: Second()}

    def add(self, rows: Iterable[Row]) -> None:
        """Of one window."""
        for row in rows:
            second = self._arms.get(row.arm)
            if second is not None:
                self._count(second, row)

    def take(self) -> tuple[Second, Second]:
        """What came since it was taken last: canary, baseline."""
        taken = self._arms[CANARY], self._arms[BASELINE]
        self._arms = {CANARY: Second(), BASELINE: Second()}
        return taken

    def _count(self, second: Second, row: Row) -> None:
        match row.kind:
            case Kind.REQUEST:
                second.requests += row.n
                second.filled += row.n
            case Kind.NOBID:
                second.filled -= row.n
                family = _FAMILY.get(row.reason)
                if family is not None:
                    second.nobids[family] = second.nobids.get(family, 0) + row.n
                if row.reason == Reason.BROKEN:
                    second.errors += row.n
            case Kind.BID:
                second.bids += row.n
                second.offered += row.amount
                second.offered_squares += row.amount**2 / row.n
            case Kind.LATENCY:
                second.latency[row.reason] = second.latency.get(row.reason, 0) + row.n
                if row.reason > self._quick:
                    second.slow += row.n
            case Kind.FALLBACK:
                if row.reason in _LATE:
                    second.late += row.n
                else:
                    second.errors += row.n
            case Kind.LINT:
                second.linted += row.n
                if row.reason == LintResult.INVALID:
                    second.invalid += row.n
            case Kind.NOTICE if row.minute >= self._since:
                second.wins += row.n * (row.reason == NoticeKind.WIN)
                second.spent += row.amount
                second.spent_squares += row.amount**2 / row.n
            case Kind.GROUP:
                group = row.reason % GROUPS
                requests, filled, offered = second.groups.get(group, (0, 0, 0))
                if row.reason < GROUPS:
                    second.groups[group] = requests + row.n, filled, offered
                else:
                    second.groups[group] = requests, filled + row.n, offered + row.amount
            case Kind.SHADOW:
                self._compare(second, row)

    @staticmethod
    def _compare(second: Second, row: Row) -> None:
        if row.reason == Shadow.NONE:
            second.late += row.n
            return
        second.compared += row.n
        match row.reason:
            case Shadow.PRICE | Shadow.CAMPAIGN:
                second.other += row.n
            case Shadow.BID:
                second.more += row.n
            case Shadow.NO_BID:
                second.fewer += row.n
            case Shadow.INVALID:
                second.invalid += row.n
