"""The supervisor of a bidder host: sockets, shared memory, workers, and what they live on.

It owns the listening socket and the shared memory; its workers decide. Once a second it
closes the window of counters and publishes it; it keeps the book and the leases
in step with the controller, carries switches to the workers, and answers verbs.
Postgres, memcached, controller and aggregator may all be away: workers go on.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bidder import builds
from bidder._fast.board import Board
from bidder._fast.counters import CounterFile
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder.arms import Arms, Canaries
from bidder.builds import Build, BuildError
from bidder.campaigns import snapshot
from bidder.campaigns.keeper import BookKeeper, revision_of
from bidder.events.bus import BusError, Publisher, Subscriber
from bidder.events.outbox import TRACKER_ROW, Outbox, OutboxError
from bidder.events.schema import SWITCHES_TOPIC
from bidder.handover import Handover, argv_of, become, give_back, hear_again, hold_back, take
from bidder.money import keyfile
from bidder.money.leases import LeaseKeeper
from bidder.money.shading import Shading
from bidder.money.sync import LeaseSyncer
from bidder.money.tokens import create_keys
from bidder.openrtb.rows import exchange_rows
from bidder.ops import control, presence
from bidder.ops import log as logs
from bidder.ops.audit import AuditTrail
from bidder.ops.audit_sender import AuditSender
from bidder.ops.listening import StartError, listening
from bidder.ops.switchboard import Switchboard
from bidder.ops.switches import SwitchError
from bidder.renewals import Renewals
from bidder.restart import Restart
from bidder.service import Service
from bidder.settings import Settings
from bidder.telemetry.process import Telemetry
from bidder.tracker_watch import TrackerWatch
from bidder.users.keeper import UserKeeper
from bidder.users.keys import user_keys
from bidder.users.store import open_store
from bidder.workers import STABLE, NoRowError, WorkerPool

WINDOW_S = 1.0
FLUSH_S = 5.0
PURSES = 16_384  # at first; the file grows with the book
SETTLED_S = 1.0  # that the jobs of a supervisor which took over must have lasted


class Supervisor:
    """One host's bidder. Built, then `run()` once."""

    def __init__(
        self,
        state: Path,
        settings: Settings,
        host: str,
        settings_file: Path | None = None,
        handover: Handover | None = None,
        read: Callable[[], Settings] | None = None,
    ) -> None:
        """`settings_file`: that workers read theirs from; None: as verbs of this host do. `handover`: the sockets and
        workers of the code that this process ran before. `read`: the settings as they are written now."""
        self._state = state
        self._settings_file = settings_file
        self._handover = handover
        self._successor: Build | None = None
        self._stop = asyncio.Event()
        self._settings = settings
        self._log = logs.get("supervisor")
        self._exchanges = {name: row.key for name, row in settings.exchanges.items()}
        try:  # what no worker could start with is said here, once
            exchange_rows(settings.exchanges, settings.tracking.public_url, state=state)
        except ValueError as error:
            raise StartError(str(error)) from None
        if handover is None:
            self._socket = listening(settings.bidder.listen, "bidder")
        else:  # the descriptor itself stays as it is until we have begun: it may have to go back
            self._socket = socket.socket(fileno=os.dup(handover.listening))
        self._board = Board(state / "shm" / "board", anew=True)
        kept = set() if handover is None else {post["row"] for post in handover.posts}
        for row in self._board.rows():  # of workers that died with an earlier supervisor
            if row.row not in kept:
                self._board.release(row.row)
        self._purses = Purses(state / "shm" / "purses", PURSES)
        if not self._purses.surveyed:  # a new file, or another boot: slots in a book of before may be others' now
            snapshot.forget(state)
        self._frequency = FrequencyTable(
            state / "shm" / "frequency", settings.users.capped, now_s=int(time.time()), keys=user_keys(state)
        )
        self._users = UserKeeper(
            self._frequency,
            SegmentTable(state / "shm" / "segments", settings.users.segmented),
            open_store(settings),
            settings.users,
        )
        self._counters = CounterFile(state / "shm" / "counters")
        self._outbox = Outbox(state, f"{host}/bidder", settings.bus.keep_windows)
        self._publisher = Publisher(settings.bidder.bus_listen, self._outbox)
        self._keeper = LeaseKeeper(self._purses, release_after_s=settings.money.release_after_s)
        self._audit = AuditTrail(state)
        self._audit_sender = AuditSender(self._audit, f"http://{settings.controller.listen}")
        self._switchboard = Switchboard(
            state, host, self._board, self._purses, self._exchanges, audit=self._audit,
            book=lambda: snapshot.current(state), publish=partial(self._publisher.send, SWITCHES_TOPIC),
        )  # fmt: skip
        create_keys(state / keyfile.FILE)
        self._workers = WorkerPool(state, self._board, self._socket.fileno(), settings_file)
        count = settings.bidder.workers or max(1, (os.cpu_count() or 1) - 1)
        if handover is None:
            self._workers.grow(STABLE, builds.current(state) or builds.running(), count)
        else:
            self._workers.adopt(handover.posts, handover.deaths)
            self._workers.resize(STABLE, builds.running(), count)
        self._service = Service(self._workers, lambda: self._restart.is_under_way)
        self._restart = Restart(state, self._workers, self._audit, self._become, settings_file)
        self._renewals = Renewals(state, settings, self._restart, self._workers, read)
        arms = Arms(state, settings, self._workers, self._board, self._restart, settings_file)
        self._canaries = Canaries(state, arms, self._audit, settings)
        self._book = BookKeeper(state, settings, self._serve)
        self._tracker = TrackerWatch(state, self._switchboard.apply)
        self._leases = LeaseSyncer(
            self._keeper, host, f"http://{settings.controller.listen}", settings.money.sync_s,
            lambda: self._tracker.healthy, self._served_revision, Shading(state / "shm" / "shading", make=True),
        )  # fmt: skip
        self._telemetry = Telemetry(state, settings, self._facts)
        self._serve(self._book.generation)

    def _serve(self, generation: int) -> None:
        """Show workers the newest book; what is switched off stays off in it."""
        self._switchboard.apply()
        self._board.book_revision = generation

    def _served_revision(self) -> int:
        """The oldest revision that any wanted worker serves; 0 while one is not ready. One on trial is not asked."""
        rows = [self._workers.on_board(post) for post in self._workers.posts() if not post.on_trial]
        return min((revision_of(row.book_revision) if row and row.ready else 0 for row in rows), default=0)

    def _close_window(self) -> bool:
        """One closed window of counters onto the bus; False where a worker stood in the middle of a request."""
        busy = self._outbox.busy
        counting = [*self._workers.rows, TRACKER_ROW]
        deltas = self._outbox.close_window(self._counters, counting, int(time.time() * 1000))
        self._publisher.publish(deltas)
        self._telemetry.window(deltas)
        self._canaries.hear(deltas.rows)
        return self._outbox.busy == busy

    async def _flush(self, request: dict[str, Any]) -> dict[str, Any]:
        """Everything that was answered before now is in windows that are closed."""
        deadline = time.monotonic() + FLUSH_S
        while not self._close_window():
            if time.monotonic() > deadline:
                raise control.ControlError(f"a window could not be closed within {FLUSH_S:g} s")
            await asyncio.sleep(0.001)
        return {"producer": self._outbox.producer, "epoch": self._outbox.epoch, "seq": self._outbox.seq}

    async def _every_second(self) -> None:
        """Counters out, throttles anew; keys of users anew when it is time."""
        while True:
            due = time.monotonic() + WINDOW_S
            try:
                self._close_window()
            except OutboxError as error:
                self._log.error("counters wait in shared memory", error=str(error))
            self._canaries.step()
            self._keeper.pace(time.monotonic())
            self._frequency.rotate(int(time.time()))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _hear_hosts(self) -> None:
        """What other hosts' supervisors say of switches."""
        hosts = Subscriber(self._settings.bus.hosts, [SWITCHES_TOPIC])
        try:
            while True:
                _, message = await hosts.message()
                self._switchboard.hear(message)
        finally:
            hosts.close()

    def _serving(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            "revision": self._served_revision(),
            "generation": self._book.generation,
            "leases_revision": self._keeper.revision,
            "leases": self._keeper.count,
            "leases_ready": self._keeper.ready(self._book.campaigns),
        }

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._facts() | self._telemetry.facts()

    def _facts(self) -> dict[str, Any]:
        posts = [(post, self._workers.on_board(post)) for post in self._workers.posts()]
        return {
            "pid": os.getpid(),
            "workers": [
                {
                    "pid": row.pid,
                    "arm": post.arm,
                    "build": post.build.name,
                    "ready": bool(row.ready),
                    "book_revision": revision_of(row.book_revision),
                    "connections": row.connections,
                    "unread_connections": row.unread,
                }
                for post, row in posts
                if row is not None
            ],
            "book_revision": revision_of(self._book.generation),
            "book_age_s": self._book.age_s,
            "leases_revision": self._keeper.revision,
            "leases": self._keeper.count,
            "leases_age_s": self._leases.age_s,
            "worker_deaths": self._workers.deaths(),
            "outbox": {
                "windows": self._outbox.windows,
                "overflowed": self._outbox.overflowed,
                "busy": self._outbox.busy,
                "unheard": self._publisher.unheard,
            },
            "tracker_healthy": self._tracker.healthy,
            "held": self._tracker.held,
            "users": self._frequency.statistics | dict(self._users.counts),
            "overrides": [
                {"file": item.path.name, "campaign": item.campaign, "error": item.error}
                for item in self._book.overrides
            ],
            "switches": self._switchboard.as_dict(),
        }

    def _become(self, build: Build) -> None:
        """Hand this process over when the jobs have ended."""
        self._successor = build
        self._stop.set()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT: then workers drain and the last window goes out. Or until another build takes over
        this process: workers go on, and this does not return."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        self._renewals.hear_signals(loop)
        server = await control.serve(
            self._state / "run" / "supervisor.sock",
            {
                "flush": self._flush,
                "serving": self._serving,
                "status": self._status,
                "switch": self._switchboard.switch,
                "switches": lambda request: self._switchboard.as_dict(),
                **self._renewals.handlers(),
                **self._canaries.handlers(),
            },
            None if self._handover is None else socket.socket(fileno=os.dup(self._handover.control)),
        )
        shown = presence.Presence(self._state, "supervisor", f"http://{self._settings.bidder.listen}")
        self._log.info("listening", address=self._settings.bidder.listen, workers=len(self._workers.rows))
        if self._handover is not None:
            self._restart.recall(self._handover.restart)
        self._canaries.recall()
        try:
            await self._work_until(self._stop)
            hold_back()  # a SIGTERM from here on is for the next code
            await asyncio.sleep(0)  # and one that has come is heard
        except BaseException:
            self._successor = None
            raise
        finally:
            if self._successor is None and self.settled:
                self._service.stopping()
                await self._restart.close()
                self._canaries.close()
                await self._workers.stop()
                self._close_window()
                await server.close()
                self._publisher.close()
                self._socket.close()
                shown.close()
        if self._successor is not None:
            self._publisher.close()
            become(
                self._successor,
                Handover(
                    listening=self._socket.fileno(),
                    control=await server.hand_over(),
                    presence=shown.hand_over(),
                    previous=builds.running().as_dict(),
                    argv=argv_of(self._state, self._settings_file),
                    posts=self._workers.handed_over(),
                    deaths=self._workers.all_deaths,
                    restart=self._restart.as_dict(),
                ),
            )

    @property
    def settled(self) -> bool:
        """What the code before left is ours: there is no way back to it. Before that, a failure is given back."""
        return self._handover is None

    async def _settle_in(self) -> None:
        """All jobs have run for a moment: what was left to us is ours, and signals that waited are heard."""
        if self._handover is not None:
            await asyncio.sleep(0.0 if self._handover.failure else SETTLED_S)
            given, self._handover = self._handover, None
            for descriptor in (given.listening, given.control, given.presence):
                os.close(descriptor)
            self._restart.resume(Build.of(given.previous), given.failure)
        hear_again()

    def _end(self) -> None:
        """Also where another build was about to take over."""
        self._successor = None
        self._stop.set()

    async def _work_until(self, stop: asyncio.Event) -> None:
        """All jobs, until `stop`; one that fails ends them all, and its error is raised."""
        jobs = asyncio.gather(
            self._settle_in(),
            self._workers.run(),
            self._every_second(),
            self._book.run(),
            self._tracker.run(),
            self._leases.run(),
            self._publisher.run(),
            self._switchboard.run(),
            self._hear_hosts(),
            self._users.run(),
            self._audit_sender.run(),
            self._telemetry.run(),
            self._service.run(),
        )
        stopping = asyncio.ensure_future(stop.wait())
        either: set[asyncio.Future[Any]] = {jobs, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if jobs.done():
            await jobs
        jobs.cancel()
        await asyncio.gather(jobs, return_exceptions=True)


def run(
    state: Path,
    read: Callable[[], Settings],
    host: str,
    settings_file: Path | None = None,
    carrier: int | None = None,
) -> None:
    """The whole life of the process. StartError where it cannot begin.

    `carrier`: of a handover, see bidder.handover. Where this code cannot take over, the code before goes on.
    """
    handover = None if carrier is None else take(carrier)
    supervisor: Supervisor | None = None

    async def live() -> None:
        nonlocal supervisor
        supervisor = Supervisor(state, read(), host, settings_file, handover, read)
        await supervisor.run()

    try:
        asyncio.run(live())
    except Exception as error:
        settled = supervisor is not None and supervisor.settled
        if handover is not None and not settled and not handover.failure:
            give_back(handover, f"{type(error).__name__}: {error}")
        if isinstance(error, SwitchError | BusError | BuildError | NoRowError):
            raise StartError(str(error)) from None
        raise
