"""A bid worker, put together: shared memory, book, decision, listener or door, on one loop.

The supervisor gave it a row of the board. With a listening socket it is one of the stable build: it takes only its
share of connections, and sends requests of other arms to those who answer them. Without one it answers what those
read, for its arm. Either serves the newest book that the board names, and goes when asked: what has begun is
answered first.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import tornado.web
import uvloop

from bidder._fast.answerer import Answerer
from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import Clock
from bidder._fast.counters import CounterFile
from bidder._fast.decision import Decider
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder._fast.sender import Sender
from bidder._fast.shading import Shading
from bidder.campaigns import snapshot
from bidder.canary.answering import Answering, call_at, door_path
from bidder.events.outbox import KEY
from bidder.events.schema import Kind, LintResult
from bidder.listener import BidServer, Listener
from bidder.money.keyfile import FILE, KeyFile
from bidder.money.tokens import BidIds, Sealer, load_keys
from bidder.openrtb.rows import exchange_rows
from bidder.ops import descriptors
from bidder.ops import log as logs
from bidder.ops.presence import Presence
from bidder.ops.priority import go_first
from bidder.ops.vitals import Vitals
from bidder.passing import Taker, pass_on
from bidder.settings import Settings
from bidder.spot_check import SpotCheck
from bidder.users.tables import caps_table

TICK_S = 0.05
DRAIN_S = 4.0
PASS_S = 0.5  # for requests under way, before their connections are passed on
PASS_TICK_S = 0.002
FRESH_S = 1.0  # a worker that has not said anything for so long is given nothing
DRAIN_IDLE_S = 0.5  # that an idle connection may still bring a request, and be told politely
QUIET_S = 0.1  # without a request, and the door of an arm is closed: nobody waits so long


class _Door(tornado.web.RequestHandler):
    """GET, and HEAD as balancers use it; any other method is told so."""

    def head(self) -> None:
        self.get()

    def write_error(self, status_code: int, **kwargs: object) -> None:
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        self.finish({"error": self._reason})


class _Health(_Door):
    def get(self) -> None:
        self.finish({"alive": True})


class _Ready(_Door):
    def initialize(self, worker: "BookWorker") -> None:
        self._worker = worker

    def get(self) -> None:
        self.set_status(200 if self._worker.ready else 503)
        self.finish({"ready": self._worker.ready})


class _Unknown(tornado.web.RequestHandler):
    def prepare(self) -> None:
        self.set_status(404)
        self.finish({"error": "no such route; exchanges post to /bid/{exchange}"})


class BookWorker:
    """What every worker does beside answering: it serves the newest book, seals with the newest key, and says so."""

    _decider: Decider

    def __init__(self, state: Path, settings: Settings, row: int, arm: int) -> None:
        self._row = row
        self._arm = arm
        self._log = logs.get("worker")
        self._board = Board(state / "shm" / "board")
        self._purses = Purses(state / "shm" / "purses", 0)
        self._purses.shading = Shading(state / "shm" / "shading")
        self._keys = KeyFile(state / FILE, self._log)
        self._follower = snapshot.Follower(state)
        self._complaint = ""
        self._rates_until_s: int | None = None
        self._generation = 0
        self._state = state
        self._settings = settings

    def _parts(self) -> dict[str, Any]:
        """Of a decision, but for what it counts with."""
        state, settings = self._state, self._settings
        return {
            "purses": self._purses,
            "frequency": caps_table(state, settings),
            "segments": SegmentTable(state / "shm" / "segments"),
            "board": self._board,
            "sealer": Sealer(load_keys(state / FILE)),
            "bid_ids": BidIds(),
            "clock": Clock(),
            "rows": exchange_rows(
                settings.exchanges,
                settings.tracking.public_url,
                state=state,
                wait_budget_ms=settings.bidder.wait_budget_ms,
            ),
            "seed": int.from_bytes(os.urandom(8), "big"),
            "consent": settings.consent,
        }

    @property
    def ready(self) -> bool:
        """Has a book to bid from."""
        return self._generation > 0

    def _renew_book(self) -> None:
        """The newest book, where it is not the one that we have."""
        began_ns = time.monotonic_ns()
        book = self._follower.refresh()
        if self._follower.reason and self._follower.reason != self._complaint:
            self._log.error("book refused; the last good one serves on", error=self._follower.reason)
        self._complaint = self._follower.reason
        self._watch_rates(book)
        if book is not None:
            self._purses.catch_up()  # a book may name slots that the file has only now
            self._decider.set_book(book)
            self._generation = book.revision
            self._stalled(began_ns)

    def _renew_keys(self) -> None:
        """Seal with the first key of a file that has changed."""
        keys = self._keys.refresh()
        if keys is not None:
            self._decider.sealer = Sealer(keys)

    def _watch_rates(self, book: Book | None) -> None:
        """Rates end while a book is served: said once, as floors in other currencies get no bid from then on."""
        if book is not None:
            self._rates_until_s = book.rates_until_s
            self._rated(book)
        if self._rates_until_s is not None and time.time() >= self._rates_until_s:
            self._rates_until_s = None
            self._log.error("the book's exchange rates are too old; floors in other currencies get no bid")

    def _stalled(self, began_ns: int) -> None:
        """Nothing was answered since then (monotonic ns)."""

    def _rated(self, book: Book) -> None:
        """A new book, and its exchange rates."""

    def _load(self) -> tuple[int, int]:
        """Connections, and how many of them are not read for a while."""
        return 0, 0

    def _facts(self) -> dict[str, int]:
        """For its vitals."""
        return {"generation": self._generation}

    def _beat(self, ready: bool) -> None:
        connections, unread = self._load()
        now_ms = int(time.monotonic() * 1000)
        self._board.beat(self._row, now_ms, self._generation, connections, ready, unread)

    def _go_first(self) -> None:
        """Where that is set; where we may not, bids are better than none."""
        if self._settings.bidder.cpu_scheduling == "rr":
            try:
                go_first()
            except PermissionError:
                self._log.error(
                    "bidder.cpu_scheduling is rr, and this worker may not: it takes turns as ordinary processes do; "
                    "give it RLIMIT_RTPRIO of 1 (LimitRTPRIO=1, `ulimit -r 1`) or CAP_SYS_NICE, then restart"
                )

    async def _serve(self, stop: asyncio.Event) -> None:
        """Answer, until `stop`, and what has begun after that."""
        raise NotImplementedError

    async def _tick(self, stop: asyncio.Event) -> None:
        self._renew_book()
        self._renew_keys()
        self._beat(self.ready)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):  # `wait_for` would make a task of it, and requests wait for that
                await stop.wait()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._board.claim(self._row, os.getpid(), self._arm)
        vitals = Vitals(self._state, "worker", self._facts, seat=self._row, arm=self._arm)
        with Presence(self._state, "worker", row=self._row, arm=self._arm), vitals:
            self._renew_book()
            self._go_first()  # not before, for a start may wait
            await self._serve(stop)
        self._board.release(self._row)


class Worker(BookWorker):
    """A worker of the stable build: it reads requests. Built, then `run()` once."""

    def __init__(self, state: Path, settings: Settings, row: int, listening_fd: int) -> None:
        super().__init__(state, settings, row, arm=0)
        self._counters = CounterFile(state / "shm" / "counters").open_worker(row)
        self._sender = self._decider = Sender(
            call_at=partial(call_at, state / "run"), counters=self._counters, **self._parts()
        )
        application = tornado.web.Application(
            [("/healthz", _Health), ("/readyz", _Ready, {"worker": self})],
            default_handler_class=_Unknown,
            log_function=lambda handler: None,
        )
        self._server = BidServer(self._decider, application, max_body_bytes=settings.bidder.max_body_bytes)
        self._spot_check = SpotCheck(
            self._decider, settings.exchanges, settings.bidder.lint_per_s, self._log, self._count_lint
        )
        self._per_peer = settings.bidder.connections_per_peer
        self._socket = socket.socket(fileno=os.dup(listening_fd))

    def _stalled(self, began_ns: int) -> None:
        self._server.stalled(began_ns)

    def _rated(self, book: Book) -> None:
        self._spot_check.rates = book.rates_at(int(time.time()))

    def _load(self) -> tuple[int, int]:
        return self._server.connections, self._server.unread

    def _count_lint(self, exchange: int, arm: int, valid: bool) -> None:
        result = LintResult.VALID if valid else LintResult.INVALID
        minute = int(time.time()) // 60
        with self._counters:
            self._counters.count(KEY.pack(Kind.LINT, exchange, arm, result, *[0] * 9, minute), 1)

    def _check(self) -> None:
        """Hold a bid against the linter, if one is due."""
        began_ns = time.monotonic_ns()
        if self._spot_check.tick(began_ns):
            self._server.stalled(began_ns)

    def _share(self, connections: int) -> int | None:
        """How many connections we may hold: the mean of the host's workers and an eighth, and one more."""
        self._beat(self.ready)
        rows = [row for row in self._board.rows() if row.arm == 0]
        if len(rows) < 2:
            return None
        total = sum(row.connections for row in rows)
        return total // len(rows) + total // (8 * len(rows)) + 1

    def _facts(self) -> dict[str, int]:
        return super()._facts() | {
            "connections": self._server.connections, "unread": self._server.unread, "refused": self._server.refused,
        }  # fmt: skip

    async def _serve(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        listener = Listener(loop, self._socket, self._server, share=self._share, per_peer=self._per_peer)
        self._sender.relay.begin(loop)
        self._beat(self.ready)
        listener.resume()
        taker = Taker(loop, self._state, self._row, self._server.open)
        while not stop.is_set():
            await self._tick(stop)
            self._check()
        listener.close()
        taker.close()
        await self._pass_on()
        await self._server.drain(idle_grace_s=DRAIN_IDLE_S, give_up_s=DRAIN_S)
        self._sender.relay.end_all()

    async def _pass_on(self) -> None:
        """Connections go to the worker that has the fewest, each when it is between two requests; as long as one is
        there that takes them."""
        deadline = time.monotonic() + PASS_S
        while self._server.connections and time.monotonic() < deadline:
            fresh_ms = int((time.monotonic() - FRESH_S) * 1000)
            others = [row for row in self._board.rows() if row.row != self._row and row.arm == 0 and row.ready]
            others = [row for row in others if row.heartbeat_ms >= fresh_ms]
            left = self._server.release_idle()
            for row in sorted(others, key=lambda row: row.connections):
                left = pass_on(self._state, row.row, left) if left else left
            for connection in left:
                self._server.open(connection)
            if left:
                return
            await asyncio.sleep(PASS_TICK_S)


class ArmWorker(BookWorker):
    """A worker of arm 1 or 2: it answers what others read, through a door. Built, then `run()` once."""

    def __init__(self, state: Path, settings: Settings, row: int, arm: int) -> None:
        super().__init__(state, settings, row, arm)
        answerer = self._decider = Answerer(**self._parts())
        reply = partial(answerer.reply, arm=arm)
        self._door = Answering(door_path(state / "run", arm, row), reply, settings.bidder.max_body_bytes, self._log)

    async def _serve(self, stop: asyncio.Event) -> None:
        self._door.open(asyncio.get_running_loop())
        while not stop.is_set():
            await self._tick(stop)
        self._beat(ready=False)
        await self._door.drain(QUIET_S, DRAIN_S)


def run(state: Path, settings: Settings, row: int, listening_fd: int | None, arm: int = 0) -> None:
    """The whole life of the process. With a listening socket its arm is 0, else it has a door of its arm."""

    async def live() -> None:
        if listening_fd is None:
            await ArmWorker(state, settings, row, arm).run()
        else:
            await Worker(state, settings, row, listening_fd).run()

    descriptors.make_room()
    uvloop.run(live())
