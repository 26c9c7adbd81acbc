"""Money: the notices of a durable stream into the ledger, a moment after they were acknowledged.

Source -> Batch (up to 5,000 notices, or what there is) -> Ledger.commit() -> place
The place lies in Postgres and moves with what was booked, so nothing is lost or booked twice, whoever dies when.
What cannot be booked yet (Postgres away, stream damaged, exchange unknown) stops the stream and is said; nothing is
passed over.
Times: monotonic seconds.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import psycopg2

from aggregator.dedupe import UnknownExchange, UnknownKind
from aggregator.ledger import Batch, Ledger, StreamBusy, StreamMoved
from aggregator.postgres import Backoff, Link
from bidder.events.stream import Place, Source, StreamError
from bidder.ops.log import Log, first_line

BATCH_NOTICES = 5_000
POLL_S = 0.1
STANDBY_S = 0.5  # between looks whether the one who books is still there
CHECK_EVERY_S = 0.5  # how often an idle stream is said to be complete


class MoneyIntake:
    """One stream, by one reader at a time."""

    def __init__(
        self,
        open_source: Callable[[], Source],
        ledger: Ledger,
        link: Link,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_source` raises StreamError as long as there is no stream."""
        self._open_source = open_source
        self._ledger = ledger
        self._link = link
        self._log = log
        self._clock = clock
        self._backoff = Backoff()
        self._source: Source | None = None
        self._place: Place | None = None
        self._checked_at = -CHECK_EVERY_S
        self._booked = 0
        self._problem: str | None = "it has not begun"
        self._caught_up_at = clock()
        self._standby = False  # another process books this stream; this one takes over when that one ends

    async def run(self, stop: asyncio.Event) -> None:
        """Book until `stop` is set; the batch under way is finished first."""
        while not stop.is_set():
            delay = await asyncio.to_thread(self.attempt)
            if delay > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), delay)
        self._link.broken()

    @property
    def position(self) -> int | None:
        """Up to where all is booked; None while that is to be read from Postgres."""
        place = self._place
        return place.position if place else None

    @property
    def age_s(self) -> float:
        """Since everything that was acknowledged was in Postgres, or another aggregator saw to it."""
        return self._clock() - self._caught_up_at

    def health(self) -> dict[str, Any]:
        """For the control socket."""
        return {
            "stream": self._source.id if self._source else None,
            "position": self.position,
            "booked": self._booked,
            "standby": self._standby,
            "problem": self._problem,
        }

    def attempt(self) -> float:
        """step(), where known troubles become a line in the log and a pause; seconds until the next."""
        try:
            more = self.step()
        except StreamBusy as busy:
            if not self._standby:
                self._log.info("another aggregator books this stream; standing by", stream=str(busy))
            self._problem, self._standby = None, True
            self._caught_up_at = self._clock()
            return STANDBY_S
        except (psycopg2.Error, StreamError, UnknownExchange, UnknownKind, StreamMoved) as error:
            if isinstance(error, psycopg2.Error):
                self._link.broken()
            self._place = None  # read again where it stands
            delay = self._backoff.failed()
            self._problem = first_line(error)
            self._log.warning("money waits", problem=self._problem, retry_s=delay)
            return delay
        if self._backoff.failures:
            self._log.info("money is booked again", position=self.position)
        self._backoff.succeeded()
        if self._standby:
            self._log.info("this aggregator books the stream now")
        self._problem, self._standby = None, False
        if not more:
            self._caught_up_at = self._clock()
        return 0.0 if more else POLL_S

    def step(self) -> bool:
        """Take and book one batch; True if there is more. Raises what `attempt` handles."""
        if self._source is None:
            self._source = self._open_source()
        if self._place is None:
            self._place = self._ledger.place(self._source.id, exclusive=self._source.shared)
            self._source.resume(self._place)
        notices, after, complete_at = self._source.take(BATCH_NOTICES)
        now = self._clock()
        if not (notices or after.marks) and now - self._checked_at < CHECK_EVERY_S:
            return False
        checked_s_ago = None if complete_at is None else now - complete_at
        before = self._place.position
        self._ledger.commit(Batch(self._source.id, before, after.position, notices, checked_s_ago, after.marks))
        self._place = after
        self._booked += len(notices)
        self._checked_at = now if complete_at is None else complete_at
        return complete_at is None and bool(notices)
