"""The book keeper of a host: hears of a new book, fetches, compiles, publishes it to the workers.

announcement or poll -> manifest -> shards -> overrides -> book-<generation>.bin -> board
A generation is the revision of `config` times EDITS plus a count of local changes (overrides, restarts), so
that what workers map always has a new name. All that blocks runs on one thread.
Whatever fails, the book that is there serves on; it is logged once until it changes.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from bidder.campaigns import snapshot
from bidder.campaigns.compile import compile_book
from bidder.campaigns.fetch import Fetcher, FetchError, Override, apply_overrides
from bidder.events.schema import BOOK_TOPIC, BookAnnouncement
from bidder.ops import log as logs
from bidder.settings import Settings, address

EDITS = 2**20
POLL_S = 2.0


def revision_of(generation: int) -> int:
    """The revision of `config` that a generation reflects."""
    return generation // EDITS


class BookKeeper:
    """Keeps the newest book in `<state>/book`; `serve(generation)` is told of each."""

    def __init__(
        self,
        state: Path,
        settings: Settings,
        purse_of: Callable[[int], int],
        serve: Callable[[int], None],
    ) -> None:
        self._state = state
        self._settings = settings
        self._purse_of = purse_of
        self._serve = serve
        self._log = logs.get("supervisor")
        self._fetcher = Fetcher(
            state,
            f"http://{settings.controller.listen}",
            [address(server) for server in settings.memcached.servers],
        )
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="book")
        self._overrides_seen: Mapping[Path, object] | None = None
        self._complaint = ""
        self.generation = snapshot.current_generation(state) or 0
        self.campaigns: list[int] = []  # keys of those that are active
        self.overrides: list[Override] = []

    async def run(self) -> None:
        """Until cancelled."""
        socket = zmq.asyncio.Context.instance().socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 100)
        host, port = address(self._settings.controller.announce_listen)
        socket.connect(f"tcp://{host}:{port}")
        socket.subscribe(BOOK_TOPIC)
        loop = asyncio.get_running_loop()
        announced: tuple[int, str] | None = None
        try:
            while True:
                try:
                    generation = await loop.run_in_executor(self._thread, self._refresh, announced)
                    self._complain("")
                    if generation is not None:
                        self.generation = generation
                        self._serve(generation)
                except (FetchError, ValueError, OSError) as error:
                    self._complain(str(error))
                announced = await self._announcement(socket)
        finally:
            socket.close()
            self._thread.shutdown(wait=False)

    async def _announcement(self, socket: Any) -> tuple[int, str] | None:
        """The next one that is news, or None after POLL_S."""
        try:
            async with asyncio.timeout(POLL_S):
                while True:
                    _, payload = await socket.recv_multipart()
                    try:
                        message = msgspec.msgpack.decode(payload, type=BookAnnouncement)
                    except msgspec.DecodeError as error:
                        self._complain(f"an announcement that is none: {error}")
                        continue
                    if message.revision != revision_of(self.generation):
                        return message.revision, message.manifest
        except TimeoutError:
            return None

    def _refresh(self, announced: tuple[int, str] | None) -> int | None:
        """On the thread: a new generation, or None where nothing has changed."""
        revision, key = announced or self._fetcher.latest()
        found = self._fetcher.overrides({name: row.key for name, row in self._settings.exchanges.items()})
        newest = revision_of(self.generation)
        if announced is not None and revision < newest:
            return None  # announced before the book that we have; a poll tells if Postgres was really set back
        if revision == newest and found == self._overrides_seen:
            return None
        manifest = self._fetcher.manifest(key)
        records, self.overrides = apply_overrides(self._fetcher.records(manifest), found)
        for override in self.overrides:
            self._log.warning(
                "override refused" if override.error else "override in force",
                file=override.path.name,
                campaign=override.campaign,
                error=override.error,
            )
        edit = self.generation % EDITS + 1 if manifest.revision == newest else 0
        generation = manifest.revision * EDITS + edit
        summary = compile_book(
            records,
            revision=generation,
            exchanges=manifest.exchanges,
            public_url=self._settings.tracking.public_url,
            purse_of=self._purse_of,
            path=snapshot.path_of(self._state, generation),
        )
        snapshot.publish(self._state, generation)
        self._overrides_seen = found
        self.campaigns = [record.key for record in records if record.active]
        self._log.info("book compiled", revision=manifest.revision, generation=generation, summary=str(summary))
        return generation

    def _complain(self, text: str) -> None:
        if text and text != self._complaint:
            self._log.error("the book could not be renewed; the last good one serves on", error=text)
        self._complaint = text
