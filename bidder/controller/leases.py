"""Leases: a host's right to spend from one campaign's budget in one budget hour.

sync -> close what can no longer be settled, free what ended leases cannot cost any more -> grant
this hour's leases (and, shortly before it begins, the next hour's) -> work amounts out again where a
budget changed or money came free -> tell the host what it holds and what its notices have cost so far.

Promise: what all open leases of a campaign may cost, plus what closed ones did cost,
never exceeds its budgets; a budget cut below what is out holds as soon as hosts have synced.
One lease a campaign, host and hour. Money: int nano-USD.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bidder.controller import store
from bidder.money.units import nano_from_usd
from bidder.money.wire import Lease, LeaseState, LeaseSync
from bidder.settings import Money

AHEAD_S = 20.0  # the next hour's lease is granted this long before it begins
FRESH_S = 5.0  # totals older than this give nothing back


@dataclass(frozen=True, slots=True)
class BudgetHour:
    """The hour of a campaign's zone in which `now` falls."""

    start: datetime  # UTC
    end: datetime  # UTC
    day: date
    left_in_day: int  # whole hours from `start` to the end of the day, this one included; >= 1

    @staticmethod
    def at(now: datetime, timezone: str) -> "BudgetHour":
        """Works on days of 23 and 25 hours, and in zones off the whole hour."""
        local = now.astimezone(ZoneInfo(timezone))
        start = now - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), ZoneInfo(timezone))
        left = round((midnight.astimezone(UTC) - start).total_seconds() / 3600)
        return BudgetHour(start=start, end=start + timedelta(hours=1), day=local.date(), left_in_day=max(1, left))


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one campaign (None: no such limit) and what is already spoken for outside the lease in question."""

    total: int | None
    daily: int | None
    hourly: int | None
    even: bool
    flight_end: datetime | None
    committed_total: int
    committed_day: int
    committed_hour: int


def amount_of(budget: Budget, hour: BudgetHour, unbudgeted: int) -> int:
    """What one lease may cost. An even budget is spread over the hours that are left."""
    if budget.total is None and budget.daily is None and budget.hourly is None:
        return unbudgeted
    limits = []
    if budget.hourly is not None:
        limits.append(budget.hourly - budget.committed_hour)
    if budget.daily is not None:
        left = budget.daily - budget.committed_day
        limits.append(-(-left // hour.left_in_day) if budget.even else left)
    if budget.total is not None:
        left = budget.total - budget.committed_total
        if budget.even and budget.daily is None and budget.flight_end is not None:
            hours = max(1, -(-(budget.flight_end - hour.start) // timedelta(hours=1)))
            left = -(-left // hours)
        limits.append(left)
    return max(0, min(limits))


@dataclass(frozen=True, slots=True)
class _Campaign:
    key: int
    total: int | None
    daily: int | None
    hourly: int | None
    even: bool
    timezone: str
    flight_end: datetime | None
    revision: int


@dataclass(frozen=True, slots=True)
class _Out:
    """One lease of a campaign, as its budget sees it."""

    lease: int | None
    hour: datetime
    day: date
    open: bool
    amount: int
    spent: int

    @property
    def cost(self) -> int:
        """Open: all that it may cost, and what late bills added; closed: what it did cost."""
        return max(self.amount, self.spent) if self.open else self.spent


_CAMPAIGNS = """
SELECT key, total_nano, daily_nano, hourly_nano, even, timezone, flight_end, revision
FROM config.campaign
WHERE status = 'active'
  AND (flight_start IS NULL OR flight_start < %(horizon)s) AND (flight_end IS NULL OR flight_end > %(now)s)
"""

_COMMITTED = """
SELECT l.campaign, l.id, l.hour, l.day, l.closed_at IS NULL, l.amount_nano, coalesce(sum(m.spent_nano), 0)::bigint
FROM ledger.lease l LEFT JOIN ledger.lease_minute m ON m.lease = l.id
WHERE l.campaign = ANY(%s) GROUP BY l.id
"""

_HELD = """
SELECT l.id, l.campaign, l.amount_nano, l.hour, l.take_until, l.settle_until, c.even,
       coalesce(sum(m.spent_nano), 0)::bigint,
       array_agg(m.minute) FILTER (WHERE m.minute >= %(open_minute)s AND m.closed_nano > 0),
       array_agg(m.closed_nano) FILTER (WHERE m.minute >= %(open_minute)s AND m.closed_nano > 0)
FROM ledger.lease l JOIN config.campaign c ON c.key = l.campaign LEFT JOIN ledger.lease_minute m ON m.lease = l.id
WHERE l.host = %(host)s AND l.closed_at IS NULL
GROUP BY l.id, c.key
"""


class LeaseOffice:
    """Grants and reports leases; one transaction a sync, one office at a time for the same campaign."""

    def __init__(self, money: Money) -> None:
        self._money = money
        self._unbudgeted = int(nano_from_usd(money.unbudgeted_hour_usd))

    def sync(self, db: Connection, request: LeaseSync, now: datetime) -> LeaseState:
        """Answer one host. `now`: aware, of the controller's clock; hosts get durations only."""
        with db, db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('outbid leases'))")
            self._free(cursor, request, now)
            revision = store.newest_revision(cursor)
            self._grant(cursor, request, now)
            return LeaseState(
                leases=self._held(cursor, request.host, now), stale=self._stale(cursor, now), revision=revision
            )

    def _free(self, cursor: Any, request: LeaseSync, now: datetime) -> None:
        """What ended leases will not cost is free for the leases that are open, whose amounts are worked out again."""
        cursor.execute(
            "UPDATE ledger.lease SET closed_at = %s WHERE host = %s AND closed_at IS NULL AND settle_until <= %s"
            " RETURNING campaign",
            (now, request.host, now),
        )
        freed = {campaign for (campaign,) in cursor.fetchall()}
        if request.ceilings:
            lowered = execute_values(
                cursor,
                "UPDATE ledger.lease l SET amount_nano = v.ceiling FROM (VALUES %s) AS v (id, ceiling, host, now)"
                " WHERE l.id = v.id AND l.host = v.host AND l.closed_at IS NULL AND l.take_until <= v.now"
                " AND l.amount_nano > v.ceiling RETURNING l.campaign",
                [(lease, max(0, ceiling), request.host, now) for lease, ceiling in request.ceilings],
                fetch=True,
            )
            freed |= {campaign for (campaign,) in lowered}
        if freed:
            cursor.execute(
                "UPDATE ledger.lease SET revision = 0"
                " WHERE campaign = ANY(%s) AND closed_at IS NULL AND take_until > %s",
                (sorted(freed), now),
            )

    def _grant(self, cursor: Any, request: LeaseSync, now: datetime) -> None:
        """New leases (where the host is healthy), and new amounts where the campaign changed."""
        due = self._due(cursor, request, now)
        if not due:
            return
        cursor.execute(_COMMITTED, (sorted({campaign.key for campaign, _, _ in due}),))
        leases: dict[int, list[_Out]] = {}
        for row in cursor.fetchall():
            leases.setdefault(row[0], []).append(_Out(*row[1:]))
        fresh, changed = [], []
        for campaign, hour, mine in due:
            others = leases.setdefault(campaign.key, [])
            apart = [out for out in others if mine is None or out.lease != mine]
            amount = amount_of(
                Budget(
                    total=campaign.total,
                    daily=campaign.daily,
                    hourly=campaign.hourly,
                    even=campaign.even,
                    flight_end=campaign.flight_end,
                    committed_total=sum(out.cost for out in apart),
                    committed_day=sum(out.cost for out in apart if out.day == hour.day),
                    committed_hour=sum(out.cost for out in apart if out.hour == hour.start),
                ),
                hour,
                self._unbudgeted,
            )
            if mine is not None:
                spent = next(out.spent for out in others if out.lease == mine)
                changed.append((mine, max(amount, spent), campaign.revision))
                continue
            take_until = min(hour.end, max(hour.start, now) + timedelta(seconds=self._money.take_for_s))
            settle_until = take_until + timedelta(seconds=self._money.settle_for_s)
            fresh.append(
                (campaign.key, request.host, hour.start, hour.day, amount, take_until, settle_until, campaign.revision)
            )
            others.append(_Out(None, hour.start, hour.day, True, amount, 0))
        if fresh:
            execute_values(
                cursor,
                "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
                " VALUES %s",
                fresh,
            )
        if changed:
            execute_values(
                cursor,
                "UPDATE ledger.lease l SET amount_nano = v.amount, revision = v.revision"
                " FROM (VALUES %s) AS v (id, amount, revision) WHERE l.id = v.id",
                changed,
            )

    def _due(self, cursor: Any, request: LeaseSync, now: datetime) -> list[tuple["_Campaign", BudgetHour, int | None]]:
        """(campaign, hour, lease) for which an amount must be worked out; lease None: not granted yet."""
        cursor.execute(_CAMPAIGNS, {"now": now, "horizon": now + timedelta(seconds=AHEAD_S)})
        campaigns = [_Campaign(*row) for row in cursor.fetchall()]
        cursor.execute(
            "SELECT campaign, hour, id, revision FROM ledger.lease WHERE host = %s AND take_until > %s",
            (request.host, now),
        )
        mine = {(campaign, hour): (lease, revision) for campaign, hour, lease, revision in cursor.fetchall()}
        hours: dict[str, list[BudgetHour]] = {}
        due: list[tuple[_Campaign, BudgetHour, int | None]] = []
        for campaign in campaigns:
            if campaign.timezone not in hours:
                current = BudgetHour.at(now, campaign.timezone)
                near = (current.end - now).total_seconds() <= AHEAD_S
                hours[campaign.timezone] = [current, *([BudgetHour.at(current.end, campaign.timezone)] * near)]
            for hour in hours[campaign.timezone]:
                lease, revision = mine.get((campaign.key, hour.start), (None, 0))
                if revision < campaign.revision and (lease is not None or request.healthy):
                    due.append((campaign, hour, lease))
        return due

    def _stale(self, cursor: Any, now: datetime) -> bool:
        """Are the totals behind what this host's tracker has acknowledged?"""
        cursor.execute("SELECT max(checked_at) FROM ops.stream")
        checked: datetime | None = cursor.fetchone()[0]
        return checked is None or (now - checked).total_seconds() > FRESH_S

    def _held(self, cursor: Any, host: str, now: datetime) -> list[Lease]:
        """Every open lease of the host, with what its notices have cost."""
        open_minute = int((now.timestamp() - self._money.release_after_s) // 60) - 1
        cursor.execute(_HELD, {"host": host, "open_minute": open_minute})
        return [
            Lease(
                id=lease,
                campaign=campaign,
                amount=amount,
                begins_in_s=(hour - now).total_seconds(),
                take_for_s=(take_until - now).total_seconds(),
                settle_for_s=(settle_until - now).total_seconds(),
                hour_s=3600.0,
                even=even,
                spent=spent,
                closed=list(zip(minutes or (), closed or (), strict=True)),
            )
            for lease, campaign, amount, hour, take_until, settle_until, even, spent, minutes, closed in cursor
        ]
