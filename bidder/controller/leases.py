"""Leases: a host's right to spend from one campaign's budget in one budget hour.

sync -> close what can no longer be settled, free what ended leases cannot cost any more -> grant
this hour's leases (and, shortly before it begins, the next hour's) -> work amounts out again where a
budget changed or money came free -> tell the host what has changed.

Promise: what all open leases of a campaign may cost, plus what closed ones did cost,
never exceeds its budgets; a budget cut below what is out holds as soon as hosts have synced.
One lease a campaign, host and hour. Money: int nano-USD.
The cost of a sync goes with what has changed (due.py, listing.py), not with the leases that there are.
"""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bidder.controller import due, listing
from bidder.controller.budget import Budget, BudgetHour, amount_of
from bidder.controller.listing import Seen
from bidder.money.units import nano_from_usd
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money

FRESH_S = 5.0  # totals older than this give nothing back
BATCH = 2_000  # campaigns looked at in one sync
CLOSINGS = 1_000  # leases closed in one; each frees money, so that amounts are worked out again


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


_CAMPAIGNS = f"""
SELECT key, total_nano, daily_nano, hourly_nano, even, timezone, flight_end, revision
FROM config.campaign c WHERE key = ANY(%(keys)s) AND {due.RUNNING}
"""

_COMMITTED = """
SELECT l.campaign, l.id, l.hour, l.day, l.closed_at IS NULL, l.amount_nano, coalesce(sum(m.spent_nano), 0)::bigint
FROM ledger.lease l LEFT JOIN ledger.lease_minute m ON m.lease = l.id
WHERE l.campaign = ANY(%s) GROUP BY l.id
"""

_CLOSE = """
UPDATE ledger.lease SET closed_at = %(now)s WHERE id IN (
    SELECT id FROM ledger.lease WHERE host = %(host)s AND closed_at IS NULL AND settle_until <= %(now)s LIMIT %(most)s)
RETURNING campaign
"""


class LeaseOffice:
    """Grants and reports leases; one transaction a sync, one office at a time for the same campaign."""

    def __init__(self, money: Money) -> None:
        self._money = money
        self._unbudgeted = int(nano_from_usd(money.unbudgeted_hour_usd))
        self.forget()

    def forget(self) -> None:
        """On another connection: it may be another database, so hosts are told, and campaigns looked at, anew."""
        self._epoch = secrets.token_hex(8)
        self._looked: dict[str, due.Looked] = {}

    def sync(self, db: Connection, request: LeaseSync, now: datetime) -> LeaseState:
        """Answer one host. `now`: aware, of the controller's clock; hosts get durations only."""
        host = request.host
        in_parts = request.seen is not None  # else it is a host that can only take everything at once
        with db, db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('outbid leases'))")
            crowded = self._free(cursor, request, now)
            before = self._looked.get(host, due.Looked())
            look = due.look(cursor, host, request.healthy, now, before, BATCH if in_parts else None)
            self._grant(cursor, request, look.campaigns, now)
            stale = self._stale(cursor, now)
            open_minute = int((now.timestamp() - self._money.release_after_s) // 60) - 1
            seen = Seen.read(request.seen or "", self._epoch)
            told = listing.tell(cursor, host, seen, now, open_minute, listing.PAGE if in_parts else None)
        self._looked[host] = look.after  # not before it is committed
        return LeaseState(
            leases=told.leases,
            stale=stale,
            revision=look.after.reworked,
            ended=told.ended,
            begins=told.begins,
            ends=told.ends,
            more=told.more or look.more or crowded,
            seen=str(told.seen),
            partial=told.more,
        )

    def _free(self, cursor: Any, request: LeaseSync, now: datetime) -> bool:
        """What ended leases will not cost is free for the leases that are open, whose amounts are worked out again.

        True: there are more to close than fit into one sync.
        """
        cursor.execute(_CLOSE, {"now": now, "host": request.host, "most": CLOSINGS})
        crowded: bool = cursor.rowcount == CLOSINGS
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
        return crowded

    def _grant(self, cursor: Any, request: LeaseSync, campaigns: set[int], now: datetime) -> None:
        """New leases (where the host is healthy), and new amounts where the campaign changed."""
        wanted = self._due(cursor, request, campaigns, now)
        if not wanted:
            return
        cursor.execute(_COMMITTED, (sorted({campaign.key for campaign, _, _ in wanted}),))
        leases: dict[int, list[_Out]] = {}
        for row in cursor.fetchall():
            leases.setdefault(row[0], []).append(_Out(*row[1:]))
        fresh, changed = [], []
        for campaign, hour, mine in wanted:
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
                " VALUES %s ON CONFLICT (campaign, host, hour) DO NOTHING",  # where `take_for_s` ended before the hour
                fresh,
                page_size=1_000,
            )
        if changed:
            execute_values(
                cursor,
                "UPDATE ledger.lease l SET amount_nano = v.amount, revision = v.revision"
                " FROM (VALUES %s) AS v (id, amount, revision) WHERE l.id = v.id",
                changed,
                page_size=1_000,
            )

    def _due(
        self, cursor: Any, request: LeaseSync, keys: set[int], now: datetime
    ) -> list[tuple[_Campaign, BudgetHour, int | None]]:
        """(campaign, hour, lease) for which an amount must be worked out; lease None: not granted yet."""
        if not keys:
            return []
        ask = {"keys": sorted(keys), "host": request.host, "now": now}
        cursor.execute(_CAMPAIGNS, ask | {"horizon": now + timedelta(seconds=due.AHEAD_S)})
        campaigns = [_Campaign(*row) for row in cursor.fetchall()]
        cursor.execute(
            "SELECT campaign, hour, id, revision FROM ledger.lease"
            " WHERE host = %(host)s AND campaign = ANY(%(keys)s) AND take_until > %(now)s",
            ask,
        )
        mine = {(campaign, hour): (lease, revision) for campaign, hour, lease, revision in cursor.fetchall()}
        zones = {campaign.timezone for campaign in campaigns}
        hours = {zone: due.hours_of(now, zone) for zone in zones}
        found: list[tuple[_Campaign, BudgetHour, int | None]] = []
        for campaign in campaigns:
            for hour in hours[campaign.timezone]:
                lease, revision = mine.get((campaign.key, hour.start), (None, 0))
                if revision < campaign.revision and (lease is not None or request.healthy):
                    found.append((campaign, hour, lease))
        return found

    def _stale(self, cursor: Any, now: datetime) -> bool:
        """Are the totals behind what this host's tracker has acknowledged?"""
        cursor.execute("SELECT max(checked_at) FROM ops.stream")
        checked: datetime | None = cursor.fetchone()[0]
        return checked is None or (now - checked).total_seconds() > FRESH_S
