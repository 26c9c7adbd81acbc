"""A restart under load: workers are renewed one by one, then the supervisor becomes the new code.

    check -> each worker of arm 0: a new one beside it, ready on the board, the old one drains -> handover -> done
    where anything fails before the end: those that were renewed go back, and the host is in one build again

One restart at a time; whoever asked for it hears of each step, also across the handover.
"""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bidder import builds
from bidder.builds import Build, BuildError
from bidder.ops import control
from bidder.ops import log as logs
from bidder.ops.audit import AuditTrail
from bidder.ops.notify import reloading
from bidder.workers import STABLE, NoRowError, Post, WorkerPool

READY_S = 20.0  # for a new worker, from its start
STEADY_MS = 200  # that it must go on for then
GONE_S = 8.0  # for an old one, which is killed before
LOOK_S = 0.01


class RestartError(Exception):
    """A step has failed; the message is one line."""


class Record(msgspec.Struct):
    """One restart, as `outbid restart` hears of it. `lines`: what was done so far, in words."""

    number: int = 0
    build: str = ""
    actor: str = ""
    lines: list[str] = []
    done: bool = True
    failure: str = ""


class Restart:
    """Of one supervisor. `become(build)`: hand this process over; the next program calls `resume`."""

    def __init__(
        self, state: Path, pool: WorkerPool, audit: AuditTrail, become: Callable[[Build], None], settings: Path | None
    ) -> None:
        self._state = state
        self._pool = pool
        self._audit = audit
        self._become = become
        self._settings = settings
        self._record = Record()
        self._task: asyncio.Task[None] | None = None
        self._checking: subprocess.Popen[str] | None = None
        self._log = logs.get("supervisor")

    @property
    def is_under_way(self) -> bool:
        """Workers are being renewed, or about to be."""
        return not self._record.done

    @property
    def failure(self) -> str:
        """Of the last one; empty: it did what it was to do, or there was none."""
        return self._record.failure

    def begin(self, name: str | None, actor: str) -> Record:
        """To the build of this name; None: the current one, or else the code of this process as it is on the disk now.

        ControlError: there is no such build, or a restart is under way.
        """
        self._expect_rest()
        try:
            build = builds.load(self._state, name) if name is not None else builds.current(self._state)
            build = builds.here() if build is None else build.verified()
        except BuildError as error:
            raise control.ControlError(str(error)) from None
        return self._begin(build, actor, "restart")

    def begin_to(self, build: Build, actor: str) -> Record:
        """To this one, which somebody has verified. ControlError: a restart is under way."""
        self._expect_rest()
        return self._begin(build, actor, "restart")

    def begin_reload(self, names: list[str], actor: str) -> Record:
        """To the code that runs: every process of it reads its settings again, of which these have changed."""
        self._expect_rest()
        return self._begin(builds.running(), actor, "reload", settings=names)

    def _expect_rest(self) -> None:
        if self.is_under_way:
            raise control.ControlError(f"a restart to build {self._record.build} is under way")
        if self._pool.is_stopped:
            raise control.ControlError("the workers are stopped; start them first: outbid start worker")

    def _begin(self, build: Build, actor: str, verb: str, **detail: object) -> Record:
        self._record = Record(self._record.number + 1, build.name, actor, done=False)
        self._tell(f"{verb}: to build {build.name}, digest {build.digest}")
        self._audit.record(actor, verb, build.name, digest=build.digest, number=self._record.number, **detail)
        reloading()
        self._task = asyncio.ensure_future(self._run(build))
        return self._record

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The record, with the lines that come after the first `after`."""
        said: dict[str, Any] = msgspec.to_builtins(self._record)
        return said | {"lines": self._record.lines[int(request.get("after", 0)) :]}

    def as_dict(self) -> dict[str, Any]:
        """For the next program of this process."""
        found: dict[str, Any] = msgspec.to_builtins(self._record)
        return found

    def recall(self, said: dict[str, Any]) -> None:
        """In the code that is about to take over: what is under way."""
        self._record = msgspec.convert(said, Record)

    def resume(self, previous: Build, failure: str) -> None:
        """In the code that took over: it is done. Or in the one of before, where that one could not."""
        if failure:
            self._task = asyncio.ensure_future(self._take_back(previous, f"its supervisor does not start: {failure}"))
            return
        self._tell(f"the supervisor runs build {builds.running().name}")
        try:
            builds.use(self._state, self._record.build)
        except BuildError:  # nobody has added it: it is the code that lies where ours did
            pass
        except OSError as error:
            self._tell(f"not noted as the current build: {error}")
        self._finish("")

    async def close(self) -> None:
        """Stop where it is: the supervisor ends."""
        if self._checking is not None:
            self._checking.kill()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, build: Build) -> None:
        before = builds.running()
        try:
            await self._check(build)
            await self.roll(build)
        except (BuildError, NoRowError, RestartError, OSError) as error:
            await self._take_back(before, str(error))
        else:
            self._tell(f"the supervisor becomes build {build.name}")
            self._become(build)

    async def _check(self, build: Build) -> None:
        def started(process: "subprocess.Popen[str]") -> None:
            self._checking = process

        self._tell("checking it in a process of its own")
        try:
            await asyncio.to_thread(builds.check, self._state, build, self._settings, started)
        finally:
            self._checking = None

    async def roll(self, build: Build) -> None:
        """Every worker that accepts connections becomes one of that build. RestartError, NoRowError: one could not;
        those before it have, those behind it have not."""
        for post in self._pool.posts(STABLE):
            await self._replace(post, build)
        for post in self._pool.posts(STABLE):
            self._expect_alive(post)

    async def _replace(self, old: Post, build: Build) -> None:
        was_ready = self._is_ready(old)
        (new,) = self._pool.grow(STABLE, build, on_trial=True)
        try:
            await self._until_it_serves(new, was_ready)
        except RestartError:
            self._pool.retire(new)
            raise
        new.on_trial = False
        pid = old.seat.pid
        self._pool.retire(old)
        await self._until_gone(old)
        self._expect_alive(new)
        self._tell(f"row {new.row}: worker {new.seat.pid} of build {build.name} took the place of {pid}")

    def _is_ready(self, post: Post) -> bool:
        row = self._pool.on_board(post)
        return row is not None and row.ready

    async def _until_it_serves(self, post: Post, ready: bool) -> None:
        """It accepts, and goes on for a moment; with `ready`, it has a book too."""
        deadline = time.monotonic() + READY_S
        since_ms = None
        while True:
            row = self._pool.on_board(post)
            if row is None or not (row.ready or (row.heartbeat_ms and not ready)):
                since_ms = None
            elif since_ms is None:
                since_ms = row.heartbeat_ms
            elif row.heartbeat_ms - since_ms >= STEADY_MS:
                return
            if post.seat.deaths:
                raise RestartError(
                    f"a new worker of build {post.build.name} died before it was ready; the log says why"
                )
            if time.monotonic() > deadline:
                raise RestartError(f"a new worker of build {post.build.name} was not ready after {READY_S:g} s")
            await asyncio.sleep(LOOK_S)

    @staticmethod
    def _expect_alive(post: Post) -> None:
        if post.seat.deaths:
            raise RestartError(f"a new worker of build {post.build.name} died; the log says why")

    async def _until_gone(self, post: Post) -> None:
        deadline = time.monotonic() + GONE_S
        while not self._pool.is_gone(post):
            if time.monotonic() > deadline:
                raise RestartError(f"worker {post.seat.pid} of build {post.build.name} does not end")
            await asyncio.sleep(LOOK_S)

    async def _take_back(self, build: Build, why: str) -> None:
        """Workers that were renewed become `build`'s again."""
        self._tell(f"given up: {why}")
        renewed = [post for post in self._pool.posts(STABLE) if not post.build.is_like(build)]
        try:
            for post in renewed:
                await self._replace(post, build)
        except (NoRowError, RestartError) as error:
            why += f"; and going back failed, so that workers of both builds serve: {error}"
        self._finish(why)

    def _finish(self, error: str) -> None:
        record = self._record
        record.failure, record.done = error, True
        outcome = "failed" if error else "done"
        self._tell(f"{outcome}: {error}" if error else f"done: this host runs build {record.build}")
        self._audit.record(record.actor, f"restart {outcome}", record.build, number=record.number, why=error)

    def _tell(self, line: str) -> None:
        self._record.lines.append(line)
        self._log.info("restart", step=line)
