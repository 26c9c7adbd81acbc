"""The tracker process: wiring, life and end.

stream, sockets -> Tornado on uvloop -> until SIGTERM or SIGINT: stop accepting, answer what is under way, write it, go
Control socket `tracker`: flush, health. Presence: role "tracker". Bidders of this host draw
leases only while its health says so.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from tornado.httpserver import HTTPServer

from bidder.events.opening import open_stream
from bidder.events.stream import Stream, StreamError
from bidder.money.keyfile import FILE, KeyFile
from bidder.ops import control, descriptors
from bidder.ops.listening import StartError, listening
from bidder.ops.log import Log, get
from bidder.ops.notify import notify
from bidder.ops.presence import Presence
from bidder.ops.vitals import Vitals
from bidder.settings import Settings
from bidder.tracking.counted import TrackerCounters
from bidder.tracking.desk import Desk
from bidder.tracking.door import Door
from bidder.tracking.handlers import Shared, application
from bidder.tracking.notice import Lives
from bidder.tracking.sources import Landings, PriceKeyFiles
from bidder.tracking.users import TrackedUsers

REFRESH_S = 1.0  # how old keys and book may be as we know them
WATCH_S = 0.5  # how often we look whether notices can be taken
ARRIVING_S = 0.2  # for the requests of connections that were accepted last: each is answered, and told to close
DRAIN_S = 5.0  # that notices under way may take at the end
MAX_HEADER = 16_384
MAX_BODY = 65_536  # some exchanges post their notices with a body, which says nothing to us
IDLE_S = 75.0


class Tracker:
    """Everything that one tracker process holds."""

    def __init__(self, state: Path, settings: Settings, stream: Stream, log: Log) -> None:
        self._state = state
        self._stream = stream
        self._log = log
        self._keys = KeyFile(state / FILE, log)
        self._price_keys = PriceKeyFiles(state, settings.exchanges, log)
        self._landings = Landings(state, log)
        lives = Lives.of(settings.tracking, settings.money.release_after_s)
        self._desk = Desk(stream, settings.exchanges, lives, log, renew=self._keys.refresh)
        self._counters = TrackerCounters(state, settings.exchanges)
        self._users = TrackedUsers(state, settings, log, self._counters.cap)
        self._desk.settle = self._users.settlement.notice
        self._desk.count = self._counters.notice

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Until SIGTERM or SIGINT; then everything acknowledged is on the disk and all doors are closed."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await self._refresh()
        shared = Shared(self._desk, self._landings.url, self._log, self._users.statistics)
        server = HTTPServer(
            Door(shared, application(shared, self._users.routes(shared))),
            max_header_size=MAX_HEADER,
            max_body_size=MAX_BODY,
            max_buffer_size=MAX_HEADER + MAX_BODY,
            idle_connection_timeout=IDLE_S,
            body_timeout=IDLE_S,
        )
        handlers: dict[str, control.Handler] = {"flush": self._flush, "health": self._health}
        doors = await control.serve(self._state / "run" / "tracker.sock", handlers)
        try:
            server.add_sockets(sockets)
            host, port = sockets[0].getsockname()[:2]
            where = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            shown = Presence(self._state, "tracker", where, stream=self._stream.id)
            with shown, Vitals(self._state, "tracker", self._facts):
                self._log.info("listening", address=where, stream=self._stream.id, position=self._stream.durable)
                writing = asyncio.ensure_future(self._users.run())
                notify("READY=1")
                await self._until(stop)
                notify("STOPPING=1")
                await self._drain(server)
                await self._users.close()
                writing.cancel()
        finally:
            await doors.close()

    async def _until(self, stop: asyncio.Event) -> None:
        watching = asyncio.create_task(self._watch())
        while not stop.is_set():
            await self._refresh()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_S):
                    await stop.wait()
        watching.cancel()

    async def _refresh(self) -> None:
        keys = self._keys.refresh()
        if keys is not None:
            self._desk.use(keys)
        self._desk.price_keys = self._price_keys.refresh()
        await self._landings.refresh()
        self._counters.refresh()
        self._users.refresh(self._landings.book)

    async def _watch(self) -> None:
        """Say when notices can no longer be taken, whatever else may wait for the disk; until cancelled."""
        was_ready = True
        while True:
            ready = self._desk.ready
            if ready != was_ready:
                say = self._log.info if ready else self._log.error
                say(
                    "ready again" if ready else "not ready",
                    stream=self._stream.failure,
                    keys=bool(self._desk.kids),
                )
            was_ready = ready
            notify("WATCHDOG=1")
            await asyncio.sleep(WATCH_S)

    async def _drain(self, server: HTTPServer) -> None:
        self._desk.draining = True
        server.stop()
        await asyncio.sleep(ARRIVING_S)
        deadline = time.monotonic() + DRAIN_S
        while self._desk.underway and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self._desk.closed = True
        await server.close_all_connections()
        self._log.info("stopped", **self._desk.statistics())

    async def _flush(self, request: dict[str, Any]) -> control.Answer:
        """What covers everything acknowledged before the question: a position, or a sequence number a shard."""
        position = await asyncio.wrap_future(self._stream.flush())
        reached = {shard: str(at) for shard, at in self._stream.reached.items()}
        return {"stream": self._stream.id} | ({"shards": reached} if reached else {"position": position})

    def _facts(self) -> dict[str, Any]:
        return {
            "position": self._stream.position, "durable": self._stream.durable, "underway": self._desk.underway,
            "commits": self._stream.commits,
        }  # fmt: skip

    def _health(self, request: dict[str, Any]) -> control.Answer:
        return {
            "healthy": self._desk.ready,
            "keys": bool(self._desk.kids),
            "kids": list(self._desk.kids),
            "failure": self._stream.failure,
            "stream": self._stream.id,
            "position": self._stream.position,
            "durable": self._stream.durable,
            "commits": self._stream.commits,
            "book_revision": self._landings.revision,
        }


def run(state: Path, settings: Settings, descriptor: int | None = None) -> None:
    """The whole life of the process; returns after SIGTERM or SIGINT. `descriptor`: a socket that listens already.

    SystemExit with one line for an address or a spool that another process has; ControlError for a second tracker.
    """
    log = get("tracker")
    try:
        sockets = [listening(settings.tracker.listen, "tracker", descriptor)]
    except StartError as error:
        sys.exit(f"outbid tracker: {error}")
    try:
        stream = open_stream(state, settings, log)
    except StreamError as error:
        sys.exit(f"outbid tracker: {error}")
    descriptors.make_room()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Tracker(state, settings, stream, log).serve(sockets))
    finally:
        stream.close()
