"""Retention: what is old is given up, a leaf or some leases at a time; nobody who writes waits for it.

raise the horizon -> leaves of ledger.bid shrink to the bids that were clicked, later go -> leaves of rollups and
transfers go -> leases that were closed long ago are folded into their campaigns
Money stays: in ledger.total, campaign_day and receipt_hour. A notice of a bid that was given up counts as expired (its
token is, but for a stream that lay still for days) and is reviewed by hand, so that nothing is booked twice.
Works with the rights of the owner of the tables, on a connection of its own. Days: UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from aggregator.postgres import BOOKING_LOCK, DAILY, EPOCH
from bidder.settings import Settings

LEASES_AT_ONCE = 1_000
LOCK_TIMEOUT = "30s"
_LEAVES = """
SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass ORDER BY c.relname
"""
_LEFT_OVER = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname ~ %s AND NOT c.relispartition ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What one run dropped; names of leaves, and how many leases."""

    shrunk: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    leases: int = 0


def keep(dsn: str, settings: Settings, now: datetime) -> GivenUp:
    """One night's work; psycopg2.Error leaves the rest to the next night."""
    retention = settings.retention
    db = psycopg2.connect(dsn, connect_timeout=5, application_name="outbid retention")
    db.autocommit = True
    try:
        _run(db, f"SET lock_timeout = '{LOCK_TIMEOUT}'; SET TimeZone = 'UTC'")
        shrunk: list[str] = []
        dropped: list[str] = []
        if retention.bids_days:
            bids = now - timedelta(days=retention.bids_days)
            clicks = bids - timedelta(seconds=settings.tracking.click_window_s)
            _raise_horizon(db, {"bids": bids, "clicks": clicks})
            dropped += _drop(db, "ledger.bid", "bid", clicks)
            shrunk += _shrink(db, bids, clicks)
        if retention.rollup_days:
            for table in DAILY:
                dropped += _drop(db, f"rollup.{table}", table, now - timedelta(days=retention.rollup_days))
        if retention.transfers_days:
            transfers = now - timedelta(days=retention.transfers_days)
            _raise_horizon(db, {"transfers": transfers})
            dropped += _drop(db, "ledger.transfer", "transfer", transfers)
        leases = _retire(db, now - timedelta(days=retention.leases_days)) if retention.leases_days else 0
        return GivenUp(tuple(shrunk), tuple(dropped), leases)
    finally:
        db.close()


def _run(db: Connection, statement: str | sql.Composable, parameters: Any = None) -> list[tuple[Any, ...]]:
    with db.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def _raise_horizon(db: Connection, edges: Mapping[str, datetime]) -> None:
    """Between two batches, so that whoever books afterwards knows it."""
    with db.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (BOOKING_LOCK,))
        for what, edge in edges.items():
            hour = edge.replace(minute=0, second=0, microsecond=0)
            cursor.execute(
                "UPDATE ops.horizon SET minute = greatest(minute, %s) WHERE what = %s",
                ((hour - EPOCH) // timedelta(minutes=1), what),
            )
        cursor.execute("COMMIT")


def _end_of(leaf: str) -> datetime:
    """Of the hour or day that the name of a leaf ends with."""
    stamp = leaf.rpartition("_")[2]
    form, length = ("%Y%m%d%H", timedelta(hours=1)) if len(stamp) == 10 else ("%Y%m%d", timedelta(days=1))
    return datetime.strptime(stamp, form).replace(tzinfo=EPOCH.tzinfo) + length


def _old(db: Connection, parent: str, before: datetime) -> Iterator[tuple[str, bool]]:
    """(leaf, half detached) of all that ends before; only names that we give."""
    for leaf, pending in _run(db, _LEAVES, (parent,)):
        if leaf.rpartition("_")[2].isdigit() and _end_of(leaf) <= before:
            yield leaf, pending


def _drop(db: Connection, parent: str, name: str, before: datetime) -> list[str]:
    schema = parent.partition(".")[0]
    dropped = []
    for leaf, pending in list(_old(db, parent, before)):
        _detach(db, parent, leaf, pending)
        _run(db, sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, leaf)))
        dropped.append(leaf)
    for (leaf,) in _run(db, _LEFT_OVER, (schema, f"^{name}_[0-9]{{8,10}}$")):  # of a night that broke off
        if _end_of(leaf) <= before:
            _run(db, sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, leaf)))
            dropped.append(leaf)
    return dropped


def _detach(db: Connection, parent: str, leaf: str, pending: bool) -> None:
    """Waits for those who use the table, while others go on."""
    schema = parent.partition(".")[0]
    statement = (
        "ALTER TABLE {} DETACH PARTITION {} FINALIZE" if pending else "ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY"
    )
    _run(
        db,
        sql.SQL(statement).format(
            sql.Identifier(*parent.split(".")),
            sql.Identifier(schema, leaf),
        ),
    )


def _shrink(db: Connection, before: datetime, after: datetime) -> list[str]:
    """Leaves of ledger.bid between the two horizons, to those bids whose conversions may still come.

    From detaching to attaching, well below a second, a conversion of this hour is refused, and its stream tries again.
    """
    shrunk = []
    for (leaf,) in _run(db, _LEFT_OVER, ("ledger", "^bid_[0-9]{10}$")):  # of a night that broke off
        _replace(db, leaf)
        shrunk.append(leaf)
    for leaf, pending in list(_old(db, "ledger.bid", before)):
        if _end_of(leaf) <= after or _is_shrunk(db, leaf):
            continue
        table, index = sql.Identifier("ledger", leaf), sql.Identifier(f"{leaf}_clicked")
        _run(db, sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier("ledger", f"{leaf}_clicked")))
        _run(
            db,
            sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} (bid_id) WHERE clicked_at IS NOT NULL").format(index, table),
        )
        _detach(db, "ledger.bid", leaf, pending)
        _replace(db, leaf)
        shrunk.append(leaf)
    return shrunk


def _is_shrunk(db: Connection, leaf: str) -> bool:
    found = _run(db, "SELECT obj_description(%s::regclass) = 'clicked only'", (f"ledger.{leaf}",))
    return bool(found[0][0])


def _replace(db: Connection, leaf: str) -> None:
    """The detached leaf by one with its clicked bids, in one transaction."""
    table, old = sql.Identifier("ledger", leaf), sql.Identifier("ledger", f"{leaf}_old")
    minute = (_end_of(leaf) - EPOCH) // timedelta(minutes=1)
    low, high = (sql.Literal(f"\\x{edge:08x}") for edge in (minute - 60, minute))
    statements = (
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(table, sql.Identifier(f"{leaf}_old")),
        sql.SQL("CREATE TABLE {} (LIKE ledger.bid INCLUDING ALL)").format(table),
        sql.SQL("INSERT INTO {} SELECT * FROM {} WHERE clicked_at IS NOT NULL").format(table, old),
        sql.SQL("COMMENT ON TABLE {} IS 'clicked only'").format(table),
        sql.SQL("ALTER TABLE ledger.bid ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(table, low, high),
        sql.SQL("DROP TABLE {}").format(old),
    )
    with db.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise


def _retire(db: Connection, closed_before: datetime) -> int:
    total = 0
    while True:
        retired: int = _run(db, "SELECT ledger.retire_leases(%s, %s)", (closed_before, LEASES_AT_ONCE))[0][0]
        total += retired
        if retired < LEASES_AT_ONCE:
            return total
