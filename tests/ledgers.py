"""Databases with a ledger in them, as tests want them: emptied, and looked at."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg2

from aggregator.ledger import Batch, Ledger
from aggregator.migrate import migrate
from aggregator.postgres import Link
from bidder.events.schema import Notice, NoticeKind
from tests.conftest import Databases

BY_BILL = {1: NoticeKind.BILL}
ONE_CAMPAIGN = """
INSERT INTO config.exchange VALUES (1, 'openx', 'billing');
INSERT INTO config.advertiser (id) VALUES ('a');
INSERT INTO config.campaign (id, advertiser, status, body, revision) VALUES ('c', 1, 'active', '{}', 1);
"""

_FACTS = (
    *("ops.progress", "ops.gap", "ops.stream"),
    *("ledger.bid", "ledger.lease_minute", "ledger.total", "ledger.campaign_day", "ledger.receipt_hour"),
    *("ledger.suspense", "ledger.lease", "ops.night"),
    *("rollup.traffic_minute", "rollup.notice_minute", "rollup.latency_minute", "rollup.flagged_minute"),
)


def empty(dsn: str) -> None:
    """No facts any more; campaigns stay. Transfers cannot be deleted: the owner lifts that for a moment."""
    with closing(psycopg2.connect(dsn)) as db, db, db.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger.transfer DISABLE TRIGGER append_only; DELETE FROM ledger.transfer")
        cursor.execute("ALTER TABLE ledger.transfer ENABLE TRIGGER append_only")
        for table in _FACTS:
            cursor.execute(f"DELETE FROM {table}")  # of a few rows: much faster than TRUNCATE


def run(dsn: str, sql: str, parameters: Any = None, **options: Any) -> list[tuple[Any, ...]]:
    """In a transaction of its own; rows, where it gives some."""
    with closing(psycopg2.connect(dsn, **options)) as db, db, db.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def created(databases: Databases, sql: str) -> Iterator[str]:
    """For a fixture: a database with all tables and what `sql` puts there, dropped afterwards."""
    dsn = databases.create()
    migrate(dsn)
    run(dsn, sql)
    yield dsn
    databases.drop(dsn)


def linked(dsn: str) -> Iterator[Link]:
    """For a fixture: a link to it, emptied."""
    empty(dsn)
    link = Link(dsn, "test")
    yield link
    link.broken()


def booked(link: Link, *notices: Notice, rules: Mapping[int, NoticeKind] = BY_BILL) -> Ledger:
    """As one batch of the stream `s`, behind what it had."""
    ledger = Ledger(link, rules)
    at = ledger.place("s").position
    ledger.commit(Batch("s", at, at + len(notices), notices))
    return ledger
