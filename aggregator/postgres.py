"""The connection to Postgres: made again when it broke, with time limits, and the leaves of partitioned tables.

Whoever writes asks `Link.connection()` each time; psycopg2.Error means: nothing of this transaction happened
(or nobody knows, and the marks in the database tell). `Link.broken()` then drops the connection.
"""

import contextlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import psycopg2
from psycopg2.extensions import connection as Connection

MINUTES_A_DAY = 24 * 60
DAILY = ("traffic_minute", "notice_minute", "latency_minute", "flagged_minute", "caps_minute", "arm_minute")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOOKKEEPER = "bookkeeper"  # the group that writes facts, and may do nothing else (0007)
BOOKING_LOCK = 0x0B1D_001  # advisory; shared by who books, exclusive for a moment when a horizon is raised (0013)
FIRST_RETRY_S, LONGEST_RETRY_S = 0.1, 2.0


class Backoff:
    """How long to wait after an error: longer after each in a row."""

    def __init__(self) -> None:
        self.failures = 0

    def failed(self) -> float:
        """Seconds until the next try."""
        self.failures += 1
        return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self.failures - 1, 30))  # 2**1024 is no float

    def succeeded(self) -> None:
        """The next error is a first one."""
        self.failures = 0


class Link:
    """One connection of one thread."""

    def __init__(self, dsn: str, name: str, role: str | None = BOOKKEEPER) -> None:
        """`role`: with whose rights it works; None: with those of the login."""
        self._dsn = dsn
        self._name = name
        self._options = "-c TimeZone=UTC -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
        if role is not None:
            self._options += f" -c role={role}"
        self._connection: Connection | None = None
        self._leaves: set[str] = set()

    def connection(self) -> Connection:
        """The open connection, or a new one; psycopg2.OperationalError where Postgres is away."""
        if self._connection is None:
            self._connection = psycopg2.connect(
                self._dsn,
                application_name=self._name,
                connect_timeout=5,
                tcp_user_timeout=10_000,
                keepalives_idle=5,
                options=self._options,
            )
            self._leaves.clear()
        return self._connection

    def broken(self) -> None:
        """Forget the connection after an error."""
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def ensure_days(self, minutes: Iterable[int]) -> None:
        """Leaves of the rollups for the days of these minutes, in transactions of their own."""
        for day in sorted({minute // MINUTES_A_DAY for minute in minutes}):
            begin = EPOCH + timedelta(days=day)
            for table in DAILY:
                self._ensure("rollup." + table, f"{table}_{begin:%Y%m%d}", str(begin), str(begin + timedelta(days=1)))

    def ensure_hours(self, minutes: Iterable[int]) -> None:
        """Leaves of ledger.bid for the hours of these minutes."""
        for hour in sorted({minute // 60 for minute in minutes}):
            begin = EPOCH + timedelta(hours=hour)
            low, high = (f"\\x{60 * edge:08x}" for edge in (hour, hour + 1))
            self._ensure("ledger.bid", f"bid_{begin:%Y%m%d%H}", low, high)

    def ensure_transfers(self) -> None:
        """Leaves of ledger.transfer for today and tomorrow by the clock of Postgres; asked anew each hour of ours."""
        asked = f"transfer {time.time() // 3_600:.0f}"
        if asked in self._leaves:
            return
        with self.connection() as db, db.cursor() as cursor:
            cursor.execute("SELECT ledger.ensure_transfers(now() + n * interval '1 day') FROM generate_series(0, 1) n")
        self._leaves.add(asked)

    def _ensure(self, parent: str, leaf: str, low: str, high: str) -> None:
        if leaf in self._leaves:
            return
        with self.connection() as db, db.cursor() as cursor:
            cursor.execute("SELECT ops.ensure_partition(%s, %s, %s, %s)", (parent, leaf, low, high))
        self._leaves.add(leaf)
