"""Reading: reports as an analyst sees them, and waiting until the facts have arrived.

Everything goes through schema `report` with the rights of group analyst, read only, at most 60 s a statement.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import psycopg2

from bidder.ops.log import first_line
from reporting.queries import Question, ReportError, build

OPTIONS = "-c role=analyst -c default_transaction_read_only=on -c statement_timeout=60s -c TimeZone=UTC"
POLL_S = 0.05
NEWEST = 500  # of the audit

REACHED = """
SELECT name, epoch, position FROM report.data_status
UNION ALL SELECT stream || '/' || shard, NULL, sequence FROM report.shard_status
"""

Rows = tuple[list[str], list[tuple[Any, ...]]]  # columns, rows

LISTS = {
    "accounts": "SELECT account, kind, advertiser, campaign, exchange, debits_usd, credits_usd, balance_usd"
    " FROM report.ledger ORDER BY kind, abs(balance_nano_usd) DESC, account",
    "suspense": "SELECT bid_id, received_at, minute, exchange, campaign, price_usd, state, reviewed_at,"
    " reviewed_by, note FROM report.suspense ORDER BY state = 'open' DESC, received_at",
    "status": "SELECT source, name, epoch, position, complete_through, lag_s, lost_windows FROM report.data_status"
    " ORDER BY source, name, epoch",
    "audit": "SELECT at, actor, host, verb, subject, detail - 'findings' - 'verdict' AS detail FROM report.audit"
    f" ORDER BY at DESC LIMIT {NEWEST}",
    "canaries": "SELECT canary, host, actor, build, stable, exchange, country, shadow, started_at, ended_at, outcome,"
    " because, round(widest_slice, 4) AS widest_slice FROM report.canaries ORDER BY started_at DESC",
    "budget": "SELECT campaign, advertiser, status, total_usd, daily_usd, hourly_usd, spend_usd, spend_today_usd,"
    " leased_usd FROM report.budget ORDER BY spend_nano_usd DESC, campaign",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """A position that `report.data_status` or `report.shard_status` is to reach. `epoch`: of a producer of counters."""

    name: str
    epoch: int | None
    position: int


class Reader:
    """One connection. ReportError, one line, where Postgres does not answer as it should."""

    def __init__(self, dsn: str, wait_s: float = 0.0) -> None:
        """`wait_s`: that Postgres may take to come back."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                self._db = psycopg2.connect(dsn, connect_timeout=5, application_name="outbid report", options=OPTIONS)
                break
            except psycopg2.OperationalError as error:
                if time.monotonic() >= deadline:
                    raise ReportError(f"cannot reach Postgres: {first_line(error)}") from None
            time.sleep(POLL_S)
        self._db.autocommit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def answer(self, question: Question) -> Rows:
        """The rows of one report."""
        return self._rows(*build(question))

    def listing(self, name: str) -> Rows:
        """One of LISTS."""
        return self._rows(LISTS[name], None)

    def decisions(self, canary: str) -> list[tuple[datetime, str, str, dict[str, Any]]]:
        """At, by whom, which, and with which figures: all of one canary, the oldest first."""
        _, rows = self._rows(
            "SELECT at, actor, verb, detail FROM report.audit WHERE subject = %(canary)s AND verb LIKE 'canary %%'"
            " ORDER BY at, verb = 'canary end'",
            {"canary": canary},
        )
        return rows

    def balance(self) -> tuple[int, int]:
        """What all accounts add up to, in nano-USD, and how many there are."""
        _, rows = self._rows("SELECT coalesce(sum(balance_nano_usd), 0)::bigint, count(*) FROM report.ledger", None)
        total, accounts = rows[0]
        return int(total), int(accounts)

    def wait_for(
        self,
        goals: Sequence[Goal],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> list[Goal]:
        """Until every goal is reached; what is not in time."""
        deadline = clock() + timeout_s
        while True:
            _, rows = self._rows(REACHED, None)
            reached = {(name, epoch): position for name, epoch, position in rows}
            left = [goal for goal in goals if reached.get((goal.name, goal.epoch), 0) < goal.position]
            if not left or clock() >= deadline:
                return left
            sleep(POLL_S)

    def _rows(self, sql: str, parameters: dict[str, Any] | None) -> Rows:
        try:
            with self._db.cursor() as cursor:
                cursor.execute(sql, parameters)
                columns = [column.name for column in cursor.description or ()]
                return columns, cursor.fetchall()
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
            raise ReportError(
                "this database has no reports yet: `outbid up` or `outbid controller` makes them"
            ) from None
        except psycopg2.Error as error:
            raise ReportError(f"Postgres: {first_line(error)}") from None
