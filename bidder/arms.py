"""The arms of a host: workers of a canary and of its baseline, their slice, and the conductor who decides about both.

verbs, closed windows, a step a second -> Canaries -> conductor (bidder/canary) -> Arms -> pool, board, restart
"""

import asyncio
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bidder import builds
from bidder._fast.board import Board
from bidder.builds import Build, BuildError
from bidder.canary.conductor import Conductor, Refused
from bidder.canary.fold import BASELINE, CANARY
from bidder.canary.state import BUCKETS, Plan
from bidder.events.schema import Row
from bidder.openrtb.codes import pack3
from bidder.ops import control
from bidder.ops.audit import AuditTrail
from bidder.ops.vitals import resident_bytes
from bidder.restart import Restart
from bidder.settings import Settings
from bidder.workers import STABLE, NoRowError, WorkerPool

ARMS = (CANARY, BASELINE)


class Arms:
    """`bidder.canary.conductor.Fleet` of this host. On the loop's thread; what a build says of itself is waited for in
    another."""

    def __init__(
        self,
        state: Path,
        settings: Settings,
        pool: WorkerPool,
        board: Board,
        restart: Restart,
        settings_file: Path | None,
    ) -> None:
        self._state = state
        self._settings = settings
        self._pool = pool
        self._board = board
        self._restart = restart
        self._settings_file = settings_file
        self._checking: asyncio.Future[tuple[str, str]] | None = None
        self._process: subprocess.Popen[str] | None = None

    @property
    def _stable(self) -> Build:
        posts = self._pool.posts(STABLE)
        return posts[0].build if posts else builds.running()

    @property
    def stable(self) -> tuple[str, str]:
        """Name and digest."""
        return self._stable.name, self._stable.digest

    @property
    def workers(self) -> int:
        """That accept connections."""
        return len(self._pool.posts(STABLE))

    def check_plan(self, plan: Plan) -> None:
        """Refused: its build or exchange is not there, or nobody works here."""
        if self._pool.is_stopped:
            raise Refused("the workers are stopped; start them first: outbid start worker")
        if self._restart.is_under_way:
            raise Refused("a restart is under way; ask again when it is done")
        self._exchange(plan)
        self._build(plan.build)

    def _exchange(self, plan: Plan) -> int:
        if plan.exchange is None:
            return 0
        row = self._settings.exchanges.get(plan.exchange)
        if row is None:
            known = ", ".join(sorted(self._settings.exchanges))
            raise Refused(f"no exchange {plan.exchange!r}; there are {known}")
        return row.key

    def _build(self, name: str) -> Build:
        try:
            return builds.load(self._state, name).verified()
        except BuildError as error:
            raise Refused(str(error)) from None

    def _as_judged(self, name: str, digest: str) -> Build:
        """The build of this name, as long as it is the one that was checked when the canary began."""
        build = self._build(name)
        if build.digest != digest:
            raise Refused(
                f"build {name} was added anew: its digest is {build.digest}, not {digest}, which is the canary's"
            )
        return build

    def begin_check(self, build: str) -> None:
        """In a process of its own."""
        self.end_check()
        self._checking = asyncio.ensure_future(asyncio.to_thread(self._check, build))

    def _check(self, name: str) -> tuple[str, str]:
        try:
            build = builds.load(self._state, name).verified()
            builds.check(self._state, build, self._settings_file, self._started)
        except BuildError as error:
            return "", str(error)
        return build.digest, ""

    def _started(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def end_check(self) -> None:
        """Nobody wants to hear of it any more."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.kill()

    def checked(self) -> tuple[str, str] | None:
        """The build's digest and "", or "" and why it cannot serve."""
        if self._checking is None or not self._checking.done():
            return None
        return self._checking.result()

    def grow(self, arm: int, build: str, digest: str, count: int) -> None:
        """So many workers of this arm at least; those of the baseline are of the build that serves."""
        more = count - len(self._pool.posts(arm))
        if more > 0:
            try:
                self._pool.grow(arm, self._stable if arm == BASELINE else self._as_judged(build, digest), more)
            except NoRowError as error:
                raise Refused(str(error)) from None

    def ready(self, arm: int) -> bool:
        """All of them have a book to bid from."""
        return self._pool.ready(arm) == len(self._pool.posts(arm)) > 0

    def deaths(self, arm: int) -> int:
        """Unasked, since the supervisor began."""
        return self._pool.deaths(arm)

    def memory(self, arm: int) -> int:
        """Bytes: resident set of the largest worker that serves; 0 where there is none."""
        return max((_resident(row.pid) for row in self._pool.serving(arm)), default=0)

    def show_doors(self) -> None:
        """Workers that read requests ask those that are ready."""
        for arm in ARMS:
            rows = tuple(row.row for row in self._pool.serving(arm))
            if self._pool.posts(arm) and rows != self._board.arm(arm).doors:
                self._board.set_arm(arm, doors=rows)

    def set_slice(self, buckets: int, plan: Plan) -> None:
        """From the next request on."""
        self.show_doors()
        terms: dict[str, Any] = {
            "wait_us": self._settings.canary.wait_ms * 1_000,
            "shadow": plan.shadow,
            "exchange": self._exchange(plan),
            "country": 0 if plan.country is None else pack3(plan.country),
        }
        self._board.set_arm(CANARY, begin=0, end=buckets, **terms)
        self._board.set_arm(BASELINE, begin=BUCKETS - buckets, end=BUCKETS, **terms)

    def end_slice(self) -> None:
        """The next request is the stable workers'."""
        for arm in ARMS:
            self._board.set_arm(arm, begin=0, end=0)

    def shrink(self) -> None:
        """No workers of canary and baseline any more."""
        for arm in ARMS:
            self._board.set_arm(arm, doors=())
            self._pool.shrink(arm)

    def begin_promotion(self, build: str, digest: str, actor: str) -> None:
        """As `outbid restart --build` would."""
        judged = self._as_judged(build, digest)
        try:
            self._restart.begin_to(judged, actor)
        except control.ControlError as error:
            raise Refused(str(error)) from None

    def promoted(self) -> str | None:
        """ "" when it is done, or what went wrong."""
        return None if self._restart.is_under_way else self._restart.failure


def _resident(pid: int) -> int:
    try:
        return resident_bytes(pid)
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0


class Canaries:
    """What the supervisor asks: `recall` when it has begun, `hear` of each window, `step` once a second."""

    def __init__(self, state: Path, arms: Arms, audit: AuditTrail, settings: Settings) -> None:
        self._arms = arms
        self._conductor = Conductor(state, arms, audit, settings.canary)

    def recall(self) -> None:
        """Go on with what the supervisor before was at."""
        self._conductor.recall()

    def hear(self, rows: Iterable[Row]) -> None:
        """Counters of a window that was closed."""
        self._conductor.hear(rows)

    def step(self) -> None:
        """A second is over."""
        self._arms.show_doors()
        self._conductor.step()

    def close(self) -> None:
        """The supervisor ends; its workers do."""
        self._arms.end_check()

    def handlers(self) -> dict[str, control.Handler]:
        """What verbs ask for."""
        return {"canary_start": self._start, "canary_promote": self._promote, "canary_abort": self._abort}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = msgspec.convert(request.get("plan"), Plan)
            canary = self._conductor.start(
                plan, control.actor_of(request), [str(word) for word in request.get("argv", [])]
            )
        except (msgspec.ValidationError, Refused) as error:
            raise control.ControlError(str(error)) from None
        return {"canary": canary.id, "build": plan.build, "stable": canary.stable}

    def _promote(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            canary = self._conductor.promote(control.actor_of(request))
        except Refused as error:
            raise control.ControlError(str(error)) from None
        return {"canary": canary.id, "build": canary.plan.build}

    def _abort(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            canary = self._conductor.abort(control.actor_of(request), str(request.get("why", "")))
        except Refused as error:
            raise control.ControlError(str(error)) from None
        return {"canary": canary.id, "build": canary.plan.build}
