"""Money: the notices of this host's durable stream into the ledger, a moment after they were acknowledged.

StreamReader -> Batch (up to 5,000 notices, or what there is) -> Ledger.commit() -> position
The position lies in Postgres and moves with what was booked, so nothing is lost or booked twice, whoever dies when.
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
from aggregator.ledger import Batch, Ledger, StreamMoved
from aggregator.postgres import Backoff, Link
from bidder.events.schema import Notice
from bidder.events.stream import StreamError, StreamReader
from bidder.ops.log import Log

BATCH_NOTICES = 5_000
READ_BYTES = 512 * 1024
POLL_S = 0.1
CHECK_EVERY_S = 0.5  # how often an idle stream is said to be complete
KEEP_S = 7 * 86_400.0  # what was booked stays in the stream so long, to be looked at
TRIM_EVERY_S = 3_600.0


class MoneyIntake:
    """One stream of one host."""

    def __init__(
        self,
        open_stream: Callable[[], StreamReader],
        ledger: Ledger,
        link: Link,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`open_stream` raises StreamError as long as there is no stream: the tracker makes it."""
        self._open_stream = open_stream
        self._ledger = ledger
        self._link = link
        self._log = log
        self._clock = clock
        self._backoff = Backoff()
        self._reader: StreamReader | None = None
        self._position: int | None = None
        self._checked_at = -CHECK_EVERY_S
        self._trimmed_at = clock()
        self._booked = 0
        self._problem: str | None = "it has not begun"

    async def run(self, stop: asyncio.Event) -> None:
        """Book until `stop` is set; the batch under way is finished first."""
        while not stop.is_set():
            delay = await asyncio.to_thread(self.attempt)
            if delay > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), delay)
        self._link.broken()

    def health(self) -> dict[str, Any]:
        """For the control socket."""
        return {"stream": self._reader.id if self._reader else None, "position": self._position} | {
            "booked": self._booked,
            "problem": self._problem,
        }

    def attempt(self) -> float:
        """step(), where known troubles become a line in the log and a pause; seconds until the next."""
        try:
            more = self.step()
        except (psycopg2.Error, StreamError, UnknownExchange, UnknownKind, StreamMoved) as error:
            if isinstance(error, psycopg2.Error):
                self._link.broken()
            self._position = None  # read again where it stands
            delay = self._backoff.failed()
            self._problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._log.warning("money waits", problem=self._problem, retry_s=delay)
            return delay
        if self._backoff.failures:
            self._log.info("money is booked again", position=self._position)
        self._backoff.succeeded()
        self._problem = None
        return 0.0 if more else POLL_S

    def step(self) -> bool:
        """Read and book one batch; True if there is more. Raises what `attempt` handles."""
        if self._reader is None:
            self._reader = self._open_stream()
        if self._position is None:
            self._position = self._ledger.position(self._reader.id)
        notices, after, checked_at = self._read(self._reader, self._position)
        now = self._clock()
        if not notices and now - self._checked_at < CHECK_EVERY_S:
            return False
        checked_s_ago = None if checked_at is None else now - checked_at
        self._ledger.commit(Batch(self._reader.id, self._position, after, notices, checked_s_ago))
        self._position = after
        self._booked += len(notices)
        self._checked_at = now if checked_at is None else checked_at
        if now - self._trimmed_at >= TRIM_EVERY_S:
            self._trimmed_at = now
            self._reader.trim(after, KEEP_S)
        return checked_at is None

    def _read(self, reader: StreamReader, position: int) -> tuple[list[Notice], int, float | None]:
        """Notices, the position after them, and when the end of what is durable was seen (None: there is more)."""
        notices: list[Notice] = []
        while len(notices) < BATCH_NOTICES:
            asked_at = self._clock()
            read, position_after = reader.read(position, READ_BYTES)
            if not read:
                return notices, position, asked_at
            room = BATCH_NOTICES - len(notices)
            notices += [notice for _, notice in read[:room]]
            position = position_after if len(read) <= room else read[room - 1][0]
        return notices, position, None
