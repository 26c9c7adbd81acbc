"""Bus: counter windows of all hosts into the rollups, seconds after they were closed.

Subscriber -> Inbox (order, gaps) -> Writer in a thread -> marks back into the Inbox
Where windows are missing their producer is asked again; what it no longer has is declared in `ops.gap`.
While Postgres is away windows wait in the Inbox as far as there is room; the rest is asked for again.
Times: monotonic seconds.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

import psycopg2

from aggregator.inbox import Inbox
from aggregator.postgres import Backoff, Link
from aggregator.writer import Writer
from bidder.events.bus import Subscriber
from bidder.events.schema import DELTAS_TOPIC, Resend
from bidder.ops.log import Log, first_line

TICK_S = 0.2
BATCH_ROWS = 50_000  # of one transaction


class CounterIntake:
    """Built inside a running loop; `run()` until `stop` is set."""

    def __init__(
        self, addresses: Iterable[str], link: Link, log: Log, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._again = b"again." + os.urandom(6).hex().encode()  # the topic of what we ask for
        self._subscriber = Subscriber(addresses, [DELTAS_TOPIC, self._again])
        self._link = link
        self._writer = Writer(link)
        self._inbox = Inbox()
        self._backoff = Backoff()
        self._log = log
        self._clock = clock
        self._dropped = 0
        self._reached = False  # Postgres, last time
        self._caught_up_at = clock()

    async def run(self, stop: asyncio.Event) -> None:
        """Receive and write; an error that is not Postgres's ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                receiving = tasks.create_task(self._receive())
                while not stop.is_set():
                    delay = await self._tick()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), delay)
                receiving.cancel()
        finally:
            self.close()

    def close(self) -> None:
        """Leave the bus and Postgres."""
        self._subscriber.close()
        self._link.broken()

    @property
    def age_s(self) -> float:
        """Since everything that has come was in Postgres."""
        return self._clock() - self._caught_up_at

    @property
    def waiting(self) -> int:
        """Windows that are not in Postgres yet."""
        return self._inbox.windows

    def health(self) -> dict[str, Any]:
        """For the control socket."""
        return {
            "postgres": self._reached,
            "windows_waiting": self._inbox.windows,
            "windows_dropped": self._inbox.dropped,
            "unreadable": self._subscriber.unreadable,
            "unknown_rows": self._writer.unknown,
        }

    async def _receive(self) -> None:
        while True:
            _, window = await self._subscriber.receive()
            self._inbox.offer(window, self._clock())

    async def _tick(self) -> float:
        """Ask for what is missing, write what is next; seconds until there may be more to do."""
        try:
            more = await self._write()
        except psycopg2.Error as error:
            self._link.broken()
            self._reached = False
            delay = self._backoff.failed()
            self._log.warning("counters wait for Postgres", error=first_line(error), retry_s=delay)
            return delay
        if self._backoff.failures:
            self._log.info("counters are written again", waiting=self._inbox.windows)
        self._backoff.succeeded()
        self._reached = True
        if not self._inbox.windows:
            self._caught_up_at = self._clock()
        for ask in self._inbox.due(self._clock()):
            self._subscriber.ask(Resend(self._again, ask.producer, ask.epoch, ask.first, ask.last))
        if self._inbox.dropped > self._dropped:
            self._log.warning("windows dropped for want of room, to be asked for again", total=self._inbox.dropped)
            self._dropped = self._inbox.dropped
        return 0.0 if more else TICK_S

    async def _write(self) -> bool:
        """One batch; True if another one is ready."""
        unknown = self._inbox.unknown()
        if unknown:
            self._inbox.learn(await asyncio.to_thread(self._writer.marks, unknown))
        losses = self._inbox.losses(self._clock())
        windows = self._inbox.take(losses, BATCH_ROWS)
        if not windows:
            return False
        for loss in losses:
            self._log.error("counter windows are lost", producer=loss.producer, first=loss.first, last=loss.last)
        self._inbox.learn(await asyncio.to_thread(self._writer.apply, windows, losses))
        return len(self._inbox.take([], 1)) > 0
