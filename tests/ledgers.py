"""Databases with a ledger in them, as tests want them: emptied, and looked at."""

from contextlib import closing

import psycopg2

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
