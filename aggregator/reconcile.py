"""Reconcile: do the books agree with each other? What says the same is compared, and every difference is said.

accounts: all balances together are zero; totals, receipts and days say the same of each exchange, campaign, lease
bids: what each bid paid <-> transfers <-> rollups, of one UTC day of bids
One snapshot of the database, so that whoever books meanwhile disturbs nothing. The stream: reconcile_stream.py,
exchanges' invoices: invoice.py. Money: int nano-USD.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import psycopg2

from aggregator.postgres import EPOCH

Sums = dict[tuple[Any, ...], int]

CLOCKS_APART = timedelta(hours=1)  # of bidders and the database, at most
_MONEY = "nano_usd"
_ACCOUNTS = "SELECT coalesce(sum(balance_nano), 0)::bigint FROM ledger.balance"
_PER_EXCHANGE = {
    "transfers": "SELECT credit, sum(amount_nano)::bigint FROM ledger.total WHERE reason = 'media' GROUP BY 1",
    "receipts": "SELECT 'media:' || exchange, sum(amount_nano)::bigint FROM ledger.receipt_hour GROUP BY 1",
    "days": "SELECT 'media:' || exchange, sum(spent_nano)::bigint FROM ledger.campaign_day"
    " WHERE exchange > 0 GROUP BY 1",
}
_PER_CAMPAIGN = {
    "transfers": "SELECT credit, sum(amount_nano)::bigint FROM ledger.total WHERE reason = 'charge' GROUP BY 1",
    "days": "SELECT 'campaign:' || campaign, sum(spent_nano + fee_nano)::bigint FROM ledger.campaign_day GROUP BY 1",
}
_PER_LEASE = {
    "transfers": "SELECT debit, sum(amount_nano)::bigint FROM ledger.total"
    " WHERE reason = 'media' AND starts_with(debit, 'lease:') GROUP BY 1",
    "leases": "SELECT 'lease:' || lease, sum(spent_nano)::bigint FROM ledger.lease_minute GROUP BY 1",
}
_BIDS = """
SELECT exchange, campaign, sum(spent_nano)::bigint FROM ledger.bid
WHERE bid_id >= %(low)s AND bid_id < %(high)s AND spent_nano > 0 GROUP BY 1, 2
"""
_ROLLUP = """
SELECT exchange, campaign, sum(spend_nano)::bigint FROM rollup.notice_minute
WHERE minute >= %(since)s AND minute < %(until)s AND spend_nano > 0 GROUP BY 1, 2
"""
_TRANSFERS = """
SELECT split_part(credit, ':', 2)::int, sum(amount_nano)::bigint FROM ledger.transfer
WHERE reason = 'media' AND minute >= %(first)s AND minute < %(last)s AND at >= %(posted)s GROUP BY 1
"""
_NAMES = """
SELECT 'campaign:' || key, 'campaign ' || id FROM config.campaign WHERE key = ANY(%(campaigns)s)
UNION ALL SELECT 'media:' || key, 'exchange ' || name FROM config.exchange
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two places that should say the same and do not."""

    what: str  # as `openx 2026-11-25`
    left: str  # where the first figure is from
    left_value: int
    right: str
    right_value: int
    cause: str  # the likely one
    unit: str = _MONEY  # or notices, bytes

    @property
    def size(self) -> int:
        """How far they are apart, in `unit`."""
        return self.left_value - self.right_value

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"size": self.size}


def books(dsn: str, day: date) -> list[Difference]:
    """All that this database says of money, and the bids of this UTC day. psycopg2.Error where it cannot be read."""
    with snapshot(dsn) as cursor:
        return [*_accounts(cursor), *_day(cursor, day)]


@contextlib.contextmanager
def snapshot(dsn: str) -> Iterator[Any]:
    """A cursor that sees the database as it is now, and changes nothing. psycopg2.Error where it cannot be read."""
    db = psycopg2.connect(dsn, connect_timeout=5, application_name="outbid reconcile", options="-c TimeZone=UTC")
    with contextlib.closing(db):
        db.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with db, db.cursor() as cursor:
            yield cursor


def _sums(cursor: Any, statement: str, parameters: Mapping[str, Any] | None = None) -> Sums:
    cursor.execute(statement, parameters or {})
    return {tuple(row[:-1]): row[-1] for row in cursor.fetchall() if row[-1]}


def _accounts(cursor: Any) -> Iterable[Difference]:
    cursor.execute(_ACCOUNTS)
    (total,) = cursor.fetchone()
    if total:
        yield Difference("all accounts", "their sum", total, "zero", 0, "rows of ledger.total were changed by hand")
    for about, sides in (("exchange", _PER_EXCHANGE), ("campaign", _PER_CAMPAIGN), ("lease", _PER_LEASE)):
        found = {name: _sums(cursor, statement) for name, statement in sides.items()}
        first = found.pop("transfers")
        for name, other in found.items():
            yield from _compare(
                cursor,
                first,
                "transfers",
                other,
                name,
                f"one of them was changed by hand since it was booked ({about})",
            )


def _day(cursor: Any, day: date) -> Iterable[Difference]:
    since = EPOCH + (day - EPOCH.date())
    until = since + timedelta(days=1)
    first, last = ((edge - EPOCH) // timedelta(minutes=1) for edge in (since, until))
    ask = {
        **{"since": since, "until": until, "first": first, "last": last, "posted": since - CLOCKS_APART},
        **{"low": first.to_bytes(4, "big"), "high": last.to_bytes(4, "big")},
    }
    rollup = _sums(cursor, _ROLLUP, ask)
    of_exchange = _by_exchange(rollup)
    transfers = _sums(cursor, _TRANSFERS, ask) if first >= kept_from(cursor, "transfers") else None
    if transfers is not None:
        yield from _compare(
            cursor, transfers, "transfers", of_exchange, "rollups",
            "rollups of that day were changed or dropped", suffix=f" {day}",
        )  # fmt: skip
    if first >= kept_from(cursor, "bids"):
        bids = _sums(cursor, _BIDS, ask)
        yield from _compare(
            cursor, bids, "bids", rollup, "rollups", "rollups of that day were changed or dropped", suffix=f" {day}"
        )
        if transfers is not None:
            yield from _compare(
                cursor, _by_exchange(bids), "bids", transfers, "transfers",
                "bids of that day were changed or lost", suffix=f" {day}",
            )  # fmt: skip


def _by_exchange(sums: Sums) -> Sums:
    found: Sums = {}
    for (exchange, _), nano in sums.items():
        found[(exchange,)] = found.get((exchange,), 0) + nano
    return found


def kept_from(cursor: Any, what: str) -> int:
    """The first minute of which nothing was given up."""
    cursor.execute("SELECT minute FROM ops.horizon WHERE what = %s", (what,))
    return int(cursor.fetchone()[0])


def _compare(
    cursor: Any, left: Sums, left_name: str, right: Sums, right_name: str, cause: str, suffix: str = ""
) -> Iterable[Difference]:
    keys = sorted(key for key in left.keys() | right.keys() if left.get(key, 0) != right.get(key, 0))
    names = _names(cursor, keys)
    for key in keys:
        yield Difference(
            f"{_name(key, names)}{suffix}", left_name, left.get(key, 0), right_name, right.get(key, 0), cause
        )


def _accounts_of(key: tuple[Any, ...]) -> list[str]:
    """(exchange), (exchange, campaign), or (account) as accounts."""
    if isinstance(key[0], str):
        return [key[0]]
    return [f"{kind}:{number}" for kind, number in zip(("media", "campaign"), key, strict=False)]


def _names(cursor: Any, keys: Iterable[tuple[Any, ...]]) -> dict[str, str]:
    accounts = {account for key in keys for account in _accounts_of(key)}
    campaigns = [int(account.partition(":")[2]) for account in accounts if account.startswith("campaign:")]
    if not accounts:
        return {}
    cursor.execute(_NAMES, {"campaigns": campaigns})
    return dict(cursor.fetchall())


def _name(key: tuple[Any, ...], names: Mapping[str, str]) -> str:
    return ", ".join(names.get(account, account) for account in _accounts_of(key))
