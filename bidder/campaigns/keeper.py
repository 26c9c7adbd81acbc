"""The book keeper of a host: hears of a new book, has it built and published, and tells the workers.

announcement or poll -> job -> builder (build.py, a process of its own) -> book-<generation>.bin -> board
A generation is the revision of `config` times EDITS plus a count of local changes (overrides, restarts), so
that what workers map always has a new name. What blocks here runs on one thread, and is brief.
Whatever fails, the book that is there serves on; it is logged once until it changes.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import zmq
import zmq.asyncio

from bidder.campaigns import snapshot
from bidder.campaigns.build import Built, Job
from bidder.campaigns.fetch import Fetcher, FetchError, Override
from bidder.embedded.child import end, spawn
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
        serve: Callable[[int], None],
    ) -> None:
        self._state = state
        self._settings = settings
        self._serve = serve
        self._log = logs.get("supervisor")
        self._controller = f"http://{settings.controller.listen}"
        self._memcached = [address(server) for server in settings.memcached.servers]
        self._exchanges = {name: row.key for name, row in settings.exchanges.items()}
        self._fetcher = Fetcher(state, self._controller, self._memcached)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="book")
        self._overrides_seen: Mapping[Path, object] | None = None  # that the book reflects
        self._overrides_asked: Mapping[Path, object] | None = None  # that the builder was started for
        self._complaint = ""
        self._newest_at = time.monotonic()
        self.generation = snapshot.current_generation(state) or 0
        self._built = False  # in this run
        self.campaigns = array("I")  # keys of those that are active
        self.overrides: list[Override] = []

    @property
    def age_s(self) -> float:
        """Since this book was last known to be the newest."""
        return time.monotonic() - self._newest_at

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
                    job = await loop.run_in_executor(self._thread, self._wanted, announced)
                    if job is not None:
                        await self._build(job)
                    self._complain("")
                    self._newest_at = time.monotonic()
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

    def _wanted(self, announced: tuple[int, str] | None) -> Job | None:
        """On the thread: the book to build, or None where nothing has changed."""
        revision, key = announced or self._fetcher.latest()
        found = self._fetcher.overrides(self._exchanges)
        newest = revision_of(self.generation)
        if announced is not None and revision < newest:
            return None  # announced before the book that we have; a poll tells if Postgres was really set back
        if revision == newest and found == self._overrides_seen:
            return None
        edit = self.generation % EDITS + 1 if revision == newest else 0
        self._overrides_asked = found
        return Job(
            state=str(self._state),
            controller=self._controller,
            memcached=self._memcached,
            public_url=self._settings.tracking.public_url,
            exchanges=self._exchanges,
            manifest=key,
            generation=revision * EDITS + edit,
            fresh=not self._built,
        )

    async def _build(self, job: Job) -> None:
        """On the loop's thread, which must be the one that forks; FetchError where there is no new book."""
        reading, writing = os.pipe()
        try:
            builder = spawn(
                [sys.executable, "-m", "bidder.campaigns.build", str(writing), msgspec.json.encode(job).decode()],
                cwd=Path.cwd(),
                log=None,
                environ=os.environ,
                account=None,
                on_orphaned=signal.SIGKILL,
                pass_fds=(writing,),
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        try:
            loop = asyncio.get_running_loop()
            built, keys = await loop.run_in_executor(self._thread, _outcome, reading, builder)
        finally:
            end(builder, [])
        if built.error:
            raise FetchError(built.error)
        self._built = True
        self._overrides_seen = self._overrides_asked
        self.overrides = [Override(Path(path), campaign, error) for path, campaign, error in built.overrides]
        for override in self.overrides:
            self._log.warning(
                "override refused" if override.error else "override in force",
                file=override.path.name,
                campaign=override.campaign,
                error=override.error,
            )
        self.campaigns = keys
        self.generation = job.generation
        self._log.info("book built", revision=revision_of(job.generation), summary=built.summary)
        self._serve(job.generation)

    def _complain(self, text: str) -> None:
        if text and text != self._complaint:
            self._log.error("the book could not be renewed; the last good one serves on", error=text)
        self._complaint = text


def _outcome(reading: int, builder: "subprocess.Popen[bytes]") -> tuple[Built, "array[int]"]:
    """On the thread: what the builder says at its end, and the keys of the campaigns that run."""
    keys = array("I")
    with open(reading, "rb") as pipe:
        line = pipe.readline()
        keys.frombytes(pipe.read())
    code = builder.wait()
    try:
        built = msgspec.json.decode(line, type=Built)
    except msgspec.DecodeError:
        raise FetchError(f"the book's builder ended with code {code}, and said nothing") from None
    if code or len(keys) != built.campaigns:
        raise FetchError(f"the book's builder ended with code {code} in the middle of its answer")
    return built, keys
