"""`outbid up`: every role of one host, as children of one process.

lock -> Postgres, memcached -> tables -> controller, tracker, supervisor, aggregator, monitor -> ready
What dies comes back within a second, what was stopped stays away until it is started.
All children die with this process, however it ends.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bidder import builds
from bidder.builds import Build, BuildError
from bidder.doors import ask_supervisor, doors
from bidder.embedded.child import EmbeddedError, spawn
from bidder.embedded.memcached import Memcached
from bidder.embedded.ports import is_free
from bidder.embedded.postgres import Postgres
from bidder.ops import control, presence
from bidder.ops import log as logs
from bidder.ops.audit import AuditTrail, actor
from bidder.ops.listening import StartError, listening
from bidder.ops.seat import Process, Seat
from bidder.ops.vitals import Vitals
from bidder.reload import changed, refuse_fixed
from bidder.settings import Settings, address

WATCH_S = 0.05
PREDECESSOR_S = 10.0
READY_S = 60.0
START_S = 10.0  # for one role that is started again
END_S = {"supervisor": 15.0, "tracker": 8.0, "aggregator": 8.0, "controller": 5.0, "monitor": 5.0}
COMMANDS = {"supervisor": "bidder"}  # roles whose verb has another name
ALIASES = {"bidder": "supervisor"}
NEEDS = {"controller": "postgres", "aggregator": "postgres"}  # without it they live, but cannot do their job


class HostError(Exception):
    """The host cannot start; the message says why, in one line."""


@contextlib.contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Hold the lock of a state directory; HostError where another `outbid up` has it."""
    descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise HostError(f"an `outbid up` (pid {owner}) already runs on {state}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


class Host:
    """The children of `outbid up`.

    `prepare(dsn)` brings the tables up to date; `save(settings, analyst_dsn)` leaves both for verbs and roles;
    `read()`: the settings as they are written now.
    """

    def __init__(
        self,
        state: Path,
        settings: Settings,
        prepare: Callable[[str], object],
        save: Callable[[Settings, str], None],
        progress: Callable[[str], None],
        read: Callable[[], Settings] | None = None,
    ) -> None:
        self._read = read
        self._analyst_dsn = ""
        self._state = state
        self._settings = settings
        self._prepare = prepare
        self._save = save
        self._progress = progress
        self._log = logs.get("up")
        self._audit = AuditTrail(state)
        self._services: dict[str, Postgres | Memcached] = {}
        self._seats: dict[str, Seat] = {}
        try:
            self._build = (builds.current(state) or builds.running()).verified()
        except BuildError as error:
            raise HostError(str(error)) from None
        self._tracker_socket: socket.socket | None = None
        self._settling: asyncio.Future[None] | None = None
        self._unwanted: set[str] = set()  # services that an operator has stopped

    def start_services(self) -> None:
        """Postgres and memcached where the settings name none, and the tables. Blocks."""
        self._expect_free_ports()
        settings, analyst_dsn = self._settings, ""
        if not settings.postgres.dsn:
            self._progress("starting Postgres")
            postgres = Postgres(self._state, settings.postgres.port)
            self._services["postgres"] = postgres
            postgres.start()
            analyst_dsn = postgres.analyst_dsn
            settings = dataclasses.replace(settings, postgres=dataclasses.replace(settings.postgres, dsn=postgres.dsn))
        if not settings.memcached.servers:
            self._progress("starting memcached")
            memcached = Memcached(self._state, settings.memcached.port, settings.memcached.memory_mb)
            self._services["memcached"] = memcached
            memcached.start()
            servers = (f"127.0.0.1:{settings.memcached.port}",)
            settings = dataclasses.replace(settings, memcached=dataclasses.replace(settings.memcached, servers=servers))
        self._progress("bringing tables up to date")
        self._prepare(settings.postgres.dsn)
        self._settings, self._analyst_dsn = settings, analyst_dsn
        self._save(settings, analyst_dsn)

    def _expect_free_ports(self) -> None:
        """HostError names the first door that another program has; children of a killed `up` get a moment to end."""
        settings, deadline = self._settings, time.monotonic() + PREDECESSOR_S
        addresses = {
            "bidder.listen": settings.bidder.listen,
            "bidder.bus_listen": settings.bidder.bus_listen,
            "bidder.metrics_listen": settings.bidder.metrics_listen,
            "tracker.listen": settings.tracker.listen,
            "controller.listen": settings.controller.listen,
            "controller.announce_listen": settings.controller.announce_listen,
            "monitor.listen": settings.monitor.listen,
        }
        for setting, door in ((setting, door) for setting, door in addresses.items() if door):
            host, port = address(door)
            while ":" not in host and not is_free(port, host):
                if time.monotonic() >= deadline or not presence.present(self._state):
                    raise HostError(
                        f"port {port} on {host} is taken by another program; "
                        f"stop that, or choose another with --port-base or the setting {setting}"
                    )
                time.sleep(WATCH_S)

    def start_roles(self) -> None:
        """One seat a role; they come up by themselves and in any order. HostError: the tracker's port is taken."""
        try:
            self._hold_tracker()
        except StartError as error:
            raise HostError(str(error)) from None
        for role in END_S:
            self._seats[role] = Seat(role, partial(self._start, role), self._log)
        self._look_after()

    def _start(self, role: str) -> Process:
        build = self._current_build()
        held = [self._tracker_socket.fileno()] if role == "tracker" and self._tracker_socket is not None else []
        given = [word for descriptor in held for word in ("--fd", str(descriptor))]
        return spawn(
            build.command(COMMANDS.get(role, role), "--state", str(self._state), *given),
            cwd=Path.cwd(),
            log=self._log_of(role),
            environ=build.environ() | {"OUTBID_LOG_FILE": str(self._log_of(role))},
            account=None,
            on_orphaned=signal.SIGTERM,
            pass_fds=held,
        )

    def _hold_tracker(self) -> None:
        """Listen for the tracker: who comes while it is renewed, or comes back, waits instead of being refused."""
        if self._tracker_socket is None:
            self._tracker_socket = listening(self._settings.tracker.listen, "tracker")

    def _let_tracker_go(self) -> None:
        if self._tracker_socket is not None:
            self._tracker_socket.close()
            self._tracker_socket = None

    def _current_build(self) -> Build:
        """That roles are started from; the one of before where it cannot be read any more."""
        try:
            self._build = builds.current(self._state) or builds.running()
        except BuildError as error:
            self._log.error("the current build cannot be had; the one of before is started", error=str(error))
        return self._build

    def _look_after(self) -> None:
        now = time.monotonic()
        for seat in self._seats.values():
            seat.look_after(now)
        for role, service in self._services.items():
            if role not in self._unwanted and service.poll() is not None:
                self._log.error(f"{role} died", exit_code=service.poll())
                self._launch(role, service)

    def _launch(self, role: str, service: Postgres | Memcached) -> None:
        try:
            service.launch()
        except (EmbeddedError, OSError) as error:  # the next look tries again
            self._log.error(f"{role} does not come back", error=str(error))

    def pids(self) -> dict[str, list[int]]:
        """By role, as the ready line has them."""
        found: dict[str, list[int]] = {
            role: []
            for role in (
                "supervisor",
                "worker",
                "tracker",
                "controller",
                "aggregator",
                "monitor",
                "postgres",
                "memcached",
            )
        }
        for role, seat in self._seats.items():
            found[role] = [seat.pid] if seat.pid is not None else []
        for role, service in self._services.items():
            found[role] = [service.pid] if service.pid is not None else []
        return found

    async def wait_ready(self) -> dict[str, Any]:
        """The ready line, when every process answers; HostError names those that do not."""
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + READY_S
        waiting = doors(self._state, self._settings)
        while waiting:
            for role, is_ready in list(waiting.items()):
                if await loop.run_in_executor(None, is_ready):
                    self._progress(f"{role} is ready")
                    del waiting[role]
            if waiting and time.monotonic() > deadline:
                logs_at = self._state / "log"
                raise HostError(f"not ready after {READY_S:g} s: {', '.join(waiting)}; see {logs_at}/<role>.log")
            await asyncio.sleep(WATCH_S)
        settings = self._settings
        status = await loop.run_in_executor(None, self._ask_supervisor, {"do": "status"})
        pids = self.pids()
        pids["worker"] = [row["pid"] for row in status["workers"]]
        return {
            "ready": True,
            "bid": f"http://{settings.bidder.listen}",
            "tracker": f"http://{settings.tracker.listen}",
            "controller": f"http://{settings.controller.listen}",
            "monitor": f"http://{settings.monitor.listen}",
            "postgres": settings.postgres.dsn,
            "pids": pids,
        }

    def _ask_supervisor(self, request: dict[str, Any]) -> dict[str, Any]:
        return ask_supervisor(self._state, request)

    async def _stop_role(self, request: dict[str, Any]) -> dict[str, Any]:
        role = self._role(request)
        loop = asyncio.get_running_loop()
        if role == "worker":
            await loop.run_in_executor(None, self._ask_supervisor, {"do": "stop_workers"})
        elif role in self._seats:
            if role == "tracker":
                self._let_tracker_go()
            await self._end([self._seats[role]])
        else:
            self._unwanted.add(role)
            await loop.run_in_executor(None, self._services[role].stop)
        self._log.warning("stopped by an operator", role=role)
        self._audit.record(control.actor_of(request), "stop", role)
        return {"stopped": role}

    async def _start_role(self, request: dict[str, Any]) -> dict[str, Any]:
        role = self._role(request)
        self._audit.record(control.actor_of(request), "start", role)
        if role == "worker":
            await asyncio.get_running_loop().run_in_executor(None, self._ask_supervisor, {"do": "start_workers"})
        elif role in self._seats:
            if role == "tracker":
                try:
                    self._hold_tracker()
                except StartError as error:
                    raise control.ControlError(str(error)) from None
            self._seats[role].want_again()
        elif role in self._unwanted:
            self._unwanted.discard(role)
            self._services[role].launch()
            await asyncio.get_running_loop().run_in_executor(None, self._services[role].wait_ready)
        self._look_after()
        return {"started": role, "ready": await self._until_ready(role)}

    async def _reload(self, request: dict[str, Any]) -> dict[str, Any]:
        """The settings as they are written now, for every process that begins from here on; the supervisor first."""
        before = self._settings
        try:
            settings = before if self._read is None else self._read()
            if "postgres" in self._services:
                settings = dataclasses.replace(settings, postgres=before.postgres)
            if "memcached" in self._services:
                settings = dataclasses.replace(settings, memcached=before.memcached)
            refuse_fixed(changed(before, settings))
        except ValueError as error:
            raise control.ControlError(str(error)) from None
        self._save(settings, self._analyst_dsn)
        question = {"do": "reload", "actor": control.actor_of(request)}
        try:
            said = await asyncio.get_running_loop().run_in_executor(None, self._ask_supervisor, question)
        except control.ControlError:
            self._save(before, self._analyst_dsn)
            raise
        self._settings = settings
        self._settling = asyncio.ensure_future(self._settle(before, said["number"]))
        return said

    async def _settle(self, before: Settings, number: int) -> None:
        """Where the bidder gives the new settings up after all, the ones of before are the host's again."""
        record: dict[str, Any] = {"number": number, "done": not number, "failure": ""}
        while not record["done"] and record["number"] == number:
            await asyncio.sleep(WATCH_S)
            with contextlib.suppress(control.ControlError):  # it may be between two programs
                record = await asyncio.to_thread(self._ask_supervisor, {"do": "restarting"})
        if record["failure"]:
            self._settings = before
            self._save(before, self._analyst_dsn)

    async def _restart_role(self, request: dict[str, Any]) -> dict[str, Any]:
        """One process ends, and begins anew from the current build. A tracker's socket listens on meanwhile."""
        role = self._role(request)
        if role not in self._seats or role == "supervisor":
            renewable = ", ".join(sorted(set(self._seats) - {"supervisor"}))
            raise control.ControlError(f"{role} is not renewed like this; {renewable} are")
        if not self._seats[role].wanted:
            raise control.ControlError(f"{role} is stopped; start it: outbid start {role}")
        await self._end([self._seats[role]])
        self._seats[role].want_again()
        self._look_after()
        self._audit.record(control.actor_of(request), "restart", role, build=self._build.name)
        return {"restarted": role, "build": self._build.name, "ready": await self._until_ready(role)}

    async def _until_ready(self, role: str) -> bool:
        """Can it do its job? Not waited for where what it needs has been stopped."""
        door = doors(self._state, self._settings).get("supervisor" if role == "worker" else role)
        deadline = time.monotonic() + (START_S if NEEDS.get(role) not in self._unwanted else 0.0)
        while door is not None and not await asyncio.get_running_loop().run_in_executor(None, door):
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(WATCH_S)
        return True

    def _role(self, request: dict[str, Any]) -> str:
        role = ALIASES.get(str(request["role"]), str(request["role"]))
        known = [*self._seats, "worker", *self._services]
        if role not in known:
            raise control.ControlError(f"no role {role!r} runs here; there are {', '.join(sorted(known))}")
        return role

    async def _end(self, seats: list[Seat]) -> None:
        for seat in seats:
            seat.ask_to_go()
            deadline = time.monotonic() + END_S[seat.role]
            while seat.pid is not None and time.monotonic() < deadline:
                await asyncio.sleep(WATCH_S)
            seat.kill()

    async def run(self, announce: Callable[[dict[str, Any]], None]) -> None:
        """Until SIGTERM or SIGINT; `announce` gets the ready line."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        server = await control.serve(
            self._state / "run" / "up.sock",
            {
                "stop": self._stop_role,
                "start": self._start_role,
                "restart": self._restart_role,
                "reload": self._reload,
                "pids": lambda request: self.pids(),
            },
        )
        self._audit.record(actor(), "up", "host", argv=sys.argv[1:])
        vitals = Vitals(self._state, "up", self._facts)
        stopping = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(self._watch())
        ready = asyncio.create_task(self.wait_ready())
        try:
            with vitals:
                await asyncio.wait([stopping, watching, ready], return_when=asyncio.FIRST_COMPLETED)
                if ready.done():
                    announce(ready.result())
                    await asyncio.wait([stopping, watching], return_when=asyncio.FIRST_COMPLETED)
            if watching.done():  # it has no end of its own
                watching.result()
        finally:
            for task in (stopping, watching, ready):
                task.cancel()
            await asyncio.gather(stopping, watching, ready, return_exceptions=True)
            self._progress("stopping")
            self._audit.record(actor(), "down", "host")
            self._let_tracker_go()
            await self._end(list(reversed(self._order())))
            await server.close()

    def _order(self) -> list[Seat]:
        """Started first, stopped last."""
        return [self._seats[role] for role in ("controller", "monitor", "aggregator", "tracker", "supervisor")]

    def _facts(self) -> dict[str, Any]:
        """For its vitals: how often each role died, and which should run and do not."""
        services = [role for role, service in self._services.items() if role not in self._unwanted]
        missing = [role for role, seat in self._seats.items() if seat.wanted and seat.pid is None]
        missing += [role for role in services if self._services[role].pid is None]
        return {"deaths": {role: seat.deaths for role, seat in self._seats.items()}, "missing": missing}

    async def _watch(self) -> None:
        while True:
            self._look_after()
            await asyncio.sleep(WATCH_S)

    def _log_of(self, role: str) -> Path:
        return self._state / "log" / f"{role}.log"

    def stop_services(self) -> None:
        """memcached and Postgres, last. Blocks."""
        for service in reversed(self._services.values()):
            service.stop()
