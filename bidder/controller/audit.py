"""What hosts have done, into ops.audit: each record once, however often it is told."""

import json

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bidder.ops.audit import AuditRecord


def keep(db: Connection, records: list[AuditRecord]) -> None:
    """All of them, in one transaction."""
    rows = [
        (record.at_ms / 1000, record.actor, record.verb, record.subject, json.dumps(record.detail), *_origin(record))
        for record in records
    ]
    with db, db.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO ops.audit (at, actor, verb, subject, detail, host, seq, pid) VALUES %s"
            " ON CONFLICT (host, seq) DO NOTHING",
            rows,
            template="(to_timestamp(%s), %s, %s, %s, %s, %s, %s, %s)",
        )


def _origin(record: AuditRecord) -> tuple[str, int, int]:
    return record.host, record.seq, record.pid
