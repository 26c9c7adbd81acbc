"""The tracker's share in users: caps that notices settle, and doors for browsers, on one store.

Made by the tracker, refreshed with its book once a second, run beside its server.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.web import RequestHandler

from bidder._fast.acquaintances import Acquaintances
from bidder.events.schema import CapEvent
from bidder.money.tokens import Token
from bidder.ops.followed import Followed
from bidder.ops.log import Log
from bidder.settings import Settings
from bidder.tracking import visit
from bidder.tracking.handlers import Shared
from bidder.users.consent import ConsentGate
from bidder.users.keys import user_keys, user_secret
from bidder.users.people import People
from bidder.users.settle import Settlement
from bidder.users.store import open_store
from bidder.users.tables import caps_table


class TrackedUsers:
    """`settlement.notice` is what the desk tells."""

    def __init__(self, state: Path, settings: Settings, log: Log, count: Callable[[Token, CapEvent], None]) -> None:
        self._log = log
        self._store = open_store(settings)
        shm = state / "shm"
        self._acquaintances = Followed(shm / "frequency", lambda: Acquaintances(caps_table(state, settings)))
        self.settlement = Settlement(state, settings, self._store, count=count)
        self._people = People(self._store, user_keys(state), settings.users)
        self._counts: Counter[str] = Counter()
        self._doors = visit.Doors(
            people=self._people,
            gate=ConsentGate(settings.consent),
            exchanges=settings.exchanges,
            secret=user_secret(state),
            cookie_s=settings.users.match_ttl_s,
            secure=settings.tracking.public_url.startswith("https://"),
            tell=self._count,
        )

    def _count(self, what: str) -> None:
        self._counts[what] += 1

    def routes(self, shared: Shared) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
        """Doors for browsers."""
        return visit.routes(shared, self._doors)

    def refresh(self, book: object) -> None:
        """The newest book, and the table that this host's bidder has now."""
        self.settlement.refresh(book)
        if self._acquaintances.refresh():
            there = self._acquaintances.now
            self._people.learn = (lambda digest: None) if there is None else there.ask

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
