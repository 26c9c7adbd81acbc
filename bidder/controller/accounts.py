"""Accounts: what leases must know of campaigns, read from Postgres and written back.

read() -> Account, whose Outs a sync changes -> write() what differs. One transaction, under the office's lock.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from psycopg2.extras import execute_values

from bidder.controller import due
from bidder.controller.shares import Account, Campaign, Out

RECENT = timedelta(hours=2)  # leases of an hour that may not be over yet are looked at one by one

_CAMPAIGNS = f"""
SELECT key, total_nano, daily_nano, hourly_nano, even, timezone, flight_end, revision, price_nano, {due.RUNNING}
FROM config.campaign c WHERE key = ANY(%(keys)s)
"""
_OUTS = """
SELECT l.campaign, l.id, l.host, l.hour, l.day, l.take_until, l.settle_until, l.closed_at IS NULL,
    l.closed_at IS NULL AND l.take_until > %(now)s, l.amount_nano, coalesce(m.spent, 0), l.revision, l.wanted_nano,
    l.used_nano, l.limit_nano, l.plan_nano, l.elsewhere_nano, l.tilt
FROM ledger.lease l
LEFT JOIN LATERAL (SELECT sum(spent_nano)::bigint AS spent FROM ledger.lease_minute WHERE lease = l.id) m ON true
WHERE l.id IN (
    SELECT id FROM ledger.lease WHERE campaign = ANY(%(keys)s) AND closed_at IS NULL
    UNION SELECT id FROM ledger.lease WHERE campaign = ANY(%(keys)s) AND hour > %(recent)s
) ORDER BY l.id
"""
_SPENT = """
SELECT campaign, day, sum(spent_nano)::bigint FROM ledger.campaign_day WHERE campaign = ANY(%(keys)s) GROUP BY 1, 2
"""
_INSERT = """
INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision, plan_nano,
    elsewhere_nano, tilt)
VALUES %s
"""
_UPDATE = """
UPDATE ledger.lease l SET amount_nano = v.amount, take_until = v.take_until, settle_until = v.settle_until,
    revision = v.revision, wanted_nano = v.wanted, used_nano = v.used, limit_nano = v.most, plan_nano = v.plan,
    elsewhere_nano = v.elsewhere
FROM (VALUES %s) AS v (id, amount, take_until, settle_until, revision, wanted, used, most, plan, elsewhere)
WHERE l.id = v.id
"""


@dataclass(frozen=True, slots=True)
class Books:
    """Accounts by campaign, and their leases as they were read."""

    accounts: dict[int, Account]
    before: dict[int, Out]


def read(cursor: Any, keys: Iterable[int], now: datetime, unbudgeted: int) -> Books:
    """Those that there are of these campaigns, whether or not they run."""
    ask = {"keys": sorted(keys), "now": now, "recent": now - RECENT, "horizon": now + timedelta(seconds=due.AHEAD_S)}
    cursor.execute(_CAMPAIGNS, ask)
    accounts = {row[0]: Account(Campaign(*row), unbudgeted) for row in cursor.fetchall()}
    settled: dict[int, dict[date, int]] = {key: {} for key in accounts}
    before = {}
    cursor.execute(_OUTS, ask)
    for key, *columns in cursor.fetchall():
        out = Out(*columns)
        accounts[key].outs.append(out)
        settled[key][out.day] = settled[key].get(out.day, 0) - out.spent
        before[columns[0]] = copy.copy(out)
    cursor.execute(_SPENT, ask)  # last: what is booked meanwhile counts twice for a moment, not never
    for key, day, spent in cursor.fetchall():
        settled[key][day] = settled[key].get(day, 0) + spent
    for key, account in accounts.items():
        account.settled = settled[key]
    return Books(accounts, before)


def write(cursor: Any, books: Books) -> None:
    """Leases that are new, and those that are not what they were."""
    fresh, changed = [], []
    for account in books.accounts.values():
        for out in account.outs:
            times = (out.take_until, out.settle_until, out.revision)
            if out.lease is None:
                key = account.campaign.key
                fresh.append((key, out.host, out.hour, out.day, out.amount, *times, out.plan, out.elsewhere, out.tilt))
            elif out != books.before[out.lease]:
                said = (out.wanted, out.used, out.limit)
                changed.append((out.lease, out.amount, *times, *said, out.plan, out.elsewhere))
    if fresh:
        execute_values(cursor, _INSERT, fresh, page_size=1_000)
    if changed:
        template = "(%s, %s, %s::timestamptz, %s::timestamptz, %s, %s::bigint, %s, %s, %s, %s)"
        execute_values(cursor, _UPDATE, changed, template=template, page_size=1_000)
