"""The tracker's share in users: caps that notices settle, and doors for browsers, on one store.

Made by the tracker, refreshed with its book once a second, run beside its server.
"""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from tornado.web import RequestHandler

from bidder._fast.acquaintances import Acquaintances
from bidder._fast.counters import CounterFile, Counters
from bidder._fast.mapping import MappingError
from bidder.events.outbox import KEY, TRACKER_ROW
from bidder.events.schema import CapEvent, Kind
from bidder.money.tokens import Token, create_keys
from bidder.ops.log import Log
from bidder.settings import Settings
from bidder.tracking import visit
from bidder.tracking.handlers import Shared
from bidder.users.consent import ConsentGate
from bidder.users.keys import FILE, user_keys
from bidder.users.people import People
from bidder.users.settle import Settlement
from bidder.users.store import open_store
from bidder.users.tables import caps_table


class TrackedUsers:
    """`settlement.notice` is what the desk tells."""

    def __init__(self, state: Path, settings: Settings, log: Log) -> None:
        self._state = state
        self._settings = settings
        self._log = log
        self._store = open_store(settings)
        self._counters: Counters | None = None
        self._counters_inode = 0
        self.settlement = Settlement(state, settings, self._store, count=self._cap)
        self._people = People(self._store, user_keys(state), settings.users)
        self._inode = 0
        self._counts: Counter[str] = Counter()
        self._doors = visit.Doors(
            people=self._people,
            gate=ConsentGate(settings.consent),
            exchanges=settings.exchanges,
            secret=create_keys(state / FILE)[0].secret,
            cookie_s=settings.users.match_ttl_s,
            secure=settings.tracking.public_url.startswith("https://"),
            tell=self._count,
        )

    def _cap(self, token: Token, event: CapEvent) -> None:
        """Onto the bus with the counters of the bidder of this host, if there is one."""
        if self._counters is None:
            return
        key = KEY.pack(
            Kind.CAP,
            token.exchange,
            token.arm,
            event,
            0,
            0,
            0,
            0,
            0,
            token.campaign,
            token.creative,
            0,
            0,
            token.minute,
        )
        with self._counters:
            self._counters.count(key, 1)

    def _count(self, what: str) -> None:
        self._counts[what] += 1

    def routes(self, shared: Shared) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
        """Doors for browsers."""
        return visit.routes(shared, self._doors)

    def refresh(self, book: object) -> None:
        """The newest book, and the table that this host's bidder has now."""
        self.settlement.refresh(book)
        self._refresh_counters(self._state / "shm" / "counters")
        path = self._state / "shm" / "frequency"
        try:
            inode = path.stat().st_ino
            if inode != self._inode:
                self._people.learn = Acquaintances(caps_table(self._state, self._settings)).ask
                self._inode = inode
        except (FileNotFoundError, MappingError):
            self._people.learn = lambda digest: None
            self._inode = 0

    def _refresh_counters(self, path: Path) -> None:
        """The file that the supervisor has made; it would be another's if we made it."""
        try:
            inode = path.stat().st_ino
            if inode != self._counters_inode:
                self._counters = CounterFile(path).open_worker(TRACKER_ROW)
                self._counters_inode = inode
        except (FileNotFoundError, MappingError):
            self._counters, self._counters_inode = None, 0

    async def run(self) -> None:
        """Until cancelled; an error of ours is said, and the rest goes on."""
        while True:
            try:
                await self.settlement.run()
            except Exception as error:
                self._log.exception("caps are not written to the store", exc=error)
                await asyncio.sleep(1)

    def statistics(self) -> dict[str, object]:
        """For this host only: numbers."""
        return {"caps": self.settlement.statistics(), "people": dict(self._people.counts), "doors": dict(self._counts)}

    async def close(self) -> None:
        """What is under way is finished, if the store lets it."""
        try:
            async with asyncio.timeout(1.0):
                await self._people.settled()
                await self.settlement.settled()
        except TimeoutError:
            pass
