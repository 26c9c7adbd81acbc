"""Nightly: once a day the books of yesterday are held against each other, and what is old is given up.

run() sleeps until `nightly.at` (UTC) -> whoever writes the night's row does the database's part -> each host its stream
What differs is an error in the log of the aggregator, and stands in report.night. What breaks off is tried again.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from aggregator.reconcile import Difference, books
from aggregator.reconcile_stream import stream
from aggregator.retention import keep
from bidder.events.schema import NoticeKind
from bidder.events.stream import StreamError
from bidder.ops.log import Log, first_line
from bidder.settings import Settings

AGAIN_S = 600.0  # after a night that broke off
BROKEN_OFF = timedelta(hours=3)  # so long after it began, a night that did not end is somebody else's to do
_BEGIN = """
INSERT INTO ops.night AS n (day, host) VALUES (%s, %s)
ON CONFLICT (day) DO UPDATE SET host = EXCLUDED.host, began_at = clock_timestamp()
WHERE n.ended_at IS NULL AND (n.host = EXCLUDED.host OR n.began_at < clock_timestamp() - %s)
"""
_END = "UPDATE ops.night SET ended_at = clock_timestamp(), differences = %s, report = %s WHERE day = %s"


def seconds_until(at: str, now: datetime) -> float:
    """Until it is `at` (HH:MM, UTC) the next time; more than 0."""
    hour, minute = map(int, at.split(":"))
    due = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return ((due if due > now else due + timedelta(days=1)) - now).total_seconds()


class Nightly:
    """The nights of one host. Works with the rights of the tables' owner, on connections of its own."""

    def __init__(
        self,
        state: Path,
        settings: Settings,
        dsn: str,
        spend_on: Mapping[int, NoticeKind],
        log: Log,
        host: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = state
        self._settings = settings
        self._dsn = dsn
        self._spend_on = spend_on
        self._log = log
        self._host = host
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Every night until `stop` is set. There has to be a time for it in the settings."""
        delay = seconds_until(self._settings.nightly.at, self._clock())
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay)
                return
            done = await asyncio.to_thread(self.attempt)
            delay = seconds_until(self._settings.nightly.at, self._clock()) if done else AGAIN_S

    def attempt(self) -> bool:
        """One night; False if it broke off, which the log says."""
        now = self._clock()
        try:
            self.night(now)
        except (psycopg2.Error, StreamError, OSError) as error:
            self._log.warning("the night's work broke off", error=first_line(error))
            return False
        return True

    def night(self, now: datetime) -> list[Difference]:
        """Everything, for the day before `now`; what differs."""
        day = now.astimezone(UTC).date() - timedelta(days=1)
        found: list[Difference] = []
        if self._did(_BEGIN, (day, self._host, BROKEN_OFF)):  # the work in the database is ours
            found += books(self._dsn, day)
            given_up = keep(self._dsn, self._settings, now)
            if given_up.dropped or given_up.shrunk or given_up.leases:
                self._log.info(
                    "gave up what is old",
                    dropped=len(given_up.dropped),
                    shrunk=len(given_up.shrunk),
                    leases=given_up.leases,
                )
            self._did(_END, (len(found), json.dumps([d.as_json() for d in found]), day))
        if self._settings.stream.backend == "spool":
            found += stream(self._dsn, self._state / "spool", self._spend_on)
        for difference in found:
            self._log.error("books differ", **difference.as_json())
        self._log.info("reconciled", day=str(day), differences=len(found))
        return found

    def _did(self, statement: str, parameters: tuple[Any, ...]) -> bool:
        """Did it write a row?"""
        db = psycopg2.connect(self._dsn, connect_timeout=5, application_name="outbid nightly")
        with contextlib.closing(db), db, db.cursor() as cursor:
            cursor.execute(statement, parameters)
            return bool(cursor.rowcount)
