"""The conductor of a host's canary: from its start to its end, a step a second.

    check the build -> workers of canary and baseline -> slice -> a verdict a second -> wider slices -> promote
    whatever is bad: slice 0 first, then the record of it, then the workers go

The slice is what counts: the next request sees it, and without it a canary answers nobody. What a canary
is and has heard is in `<state>/canary.json`, so that a supervisor that was killed or renewed goes on with it.
All that a host does is behind `Fleet`; times: `clock` is the wall clock, s. Money: int nano-USD.
"""

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from bidder.canary import state as canary_state
from bidder.canary.fold import BASELINE, CANARY, Fold
from bidder.canary.judge import Judge, Rules, Verdict, Word
from bidder.canary.state import BUCKETS, Canary, Outcome, Phase, Plan
from bidder.events.schema import Row
from bidder.ops import log as logs
from bidder.ops.audit import AuditTrail
from bidder.settings import Canary as Settings

READY_S = 30  # for workers of a slice to be ready
AWAY_S = 60  # longer without a supervisor, and the canary is over
RECORD_S = 60  # a verdict that stays the same is recorded so often
SUPERVISOR = "supervisor"  # who decides what nobody asked for


class Refused(Exception):
    """That cannot be done now; the message says why, in one line."""


class Fleet(Protocol):
    """What a host does for its canary. What takes a while is begun, and asked for later: None is "not yet"."""

    @property
    def stable(self) -> tuple[str, str]:
        """Name and digest of the build of the stable workers."""

    @property
    def workers(self) -> int:
        """How many stable ones there are."""

    def check_plan(self, plan: Plan) -> None:
        """Refused where it names what is not there."""

    def begin_check(self, build: str) -> None:
        """Can it serve here?"""

    def checked(self) -> tuple[str, str] | None:
        """The build's digest and "", or "" and why it cannot."""

    def grow(self, arm: int, build: str, digest: str, count: int) -> None:
        """So many workers at least, of this build. Refused where they cannot be started, or its code is another."""

    def ready(self, arm: int) -> bool:
        """All of them have a book to bid from."""

    def deaths(self, arm: int) -> int:
        """Unasked, since the supervisor began."""

    def memory(self, arm: int) -> int:
        """Bytes: resident set of the largest worker."""

    def set_slice(self, buckets: int, plan: Plan) -> None:
        """From the next request on."""

    def end_slice(self) -> None:
        """The next request is the stable workers'. Never fails."""

    def shrink(self) -> None:
        """No workers of canary and baseline any more."""

    def begin_promotion(self, build: str, digest: str, actor: str) -> None:
        """Renew the stable workers. Refused where that cannot be done now, or its code is another."""

    def promoted(self) -> str | None:
        """ "" when it is done, or what went wrong."""


class Conductor:
    """Of one host. `step()` once a second, after `hear()` of what was counted in it."""

    def __init__(
        self, state: Path, fleet: Fleet, audit: AuditTrail, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._fleet = fleet
        self._audit = audit
        self._settings = settings
        self._clock = clock
        self._log = logs.get(SUPERVISOR)
        self._judge = Judge()
        self._fold = Fold(0, 1)
        self._waited_s = 0  # in this phase
        self._deaths = {CANARY: 0, BASELINE: 0}  # as of the last second
        self._baseline_deaths: deque[int] = deque()  # second of each
        self._recorded: tuple[int, object] | None = None  # when, and what, of the verdict that was recorded last
        self._started_deaths = 0  # of the canary, in this phase
        self.canary: Canary | None = None

    # What operators ask for.

    def start(self, plan: Plan, actor: str, argv: list[str]) -> Canary:
        """Begin. Refused: another is under way, or the plan makes no sense here."""
        if self.canary is not None and self.canary.under_way:
            raise Refused(f"canary {self.canary.id} of build {self.canary.plan.build} is under way: abort it first")
        if why := plan.wrong():
            raise Refused(why)
        self._fleet.check_plan(plan)
        now = self._clock()
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}"
        canary = Canary(name, plan, actor, int(now * 1000))
        canary.stable, canary.stable_digest = self._fleet.stable
        self.canary = canary
        self._begin_judging(canary)
        self._enter(Phase.CHECKING)
        fields: dict[str, Any] = {name: getattr(plan, name) for name in Plan.__struct_fields__}
        self._audit.record(actor, "canary start", canary.id, **fields, stable=canary.stable, argv=argv)
        self._fleet.begin_check(plan.build)
        return canary

    def promote(self, actor: str) -> Canary:
        """Take the build now, whatever the judge says. Refused: none is running."""
        canary = self._running()
        if canary.plan.shadow:
            raise Refused("a shadow has answered nobody: start a canary of that build")
        self._promote(canary, actor)
        return canary

    def abort(self, actor: str, why: str) -> Canary:
        """End it now. Refused: there is none, or its build is taken already."""
        canary = self._under_way()
        if canary.phase is Phase.PROMOTING:
            raise Refused(f"build {canary.plan.build} is being taken; when it is, go back with outbid restart --build")
        self._end(Outcome.ABORTED, why or "no reason was given", actor)
        return canary

    def _under_way(self) -> Canary:
        if self.canary is None or not self.canary.under_way:
            raise Refused("no canary is under way")
        return self.canary

    def _running(self) -> Canary:
        canary = self._under_way()
        if canary.phase is not Phase.RUNNING:
            raise Refused(f"canary {canary.id} is {canary.phase}, not running")
        return canary

    # Once a second.

    def hear(self, rows: Iterable[Row]) -> None:
        """Of a window that was closed."""
        if self.canary is not None and self.canary.under_way:
            self._fold.add(rows)

    def step(self) -> None:
        """A second is over."""
        canary = self.canary
        if canary is None or not canary.under_way:
            return
        self._waited_s += 1
        try:
            self._go_on(canary)
        except Refused as refused:
            self._end(Outcome.FAILED, str(refused))
        except Exception:  # a bug of ours costs the host neither its supervisor nor a slice that nobody judges
            self._log.exception("the canary is given up")
            self._end(Outcome.FAILED, "a fault of its conductor; the supervisor's log has the place")
        if canary.under_way:
            self._write(durable=False)

    def _go_on(self, canary: Canary) -> None:
        canary_deaths, baseline_deaths = self._count_deaths()
        if canary.buckets and not self._hear_out(canary, canary_deaths, baseline_deaths):
            return
        match canary.phase:
            case Phase.CHECKING:
                self._await_check(canary)
            case Phase.STARTING:
                self._await_workers(canary, canary_deaths)
            case Phase.RUNNING:
                self._maybe_widen(canary)
            case Phase.PROMOTING:
                self._await_promotion(canary)

    def _count_deaths(self) -> tuple[int, int]:
        """Of canary and baseline, since the last second."""
        now = {arm: self._fleet.deaths(arm) for arm in (CANARY, BASELINE)}
        more = now[CANARY] - self._deaths[CANARY], now[BASELINE] - self._deaths[BASELINE]
        self._deaths = now
        return more

    def _hear_out(self, canary: Canary, deaths: int, baseline_deaths: int) -> bool:
        """Judge the second that is over; False: that ends it."""
        ours, theirs = self._fold.take()
        ours.crashes, ours.memory = deaths, self._fleet.memory(CANARY)
        theirs.crashes, theirs.memory = baseline_deaths, self._fleet.memory(BASELINE)
        self._judge.hear(ours, theirs)
        verdict = self._judge.verdict()
        canary.judge = self._judge.as_dict()
        canary.verdict = verdict.as_dict()
        if canary.phase is Phase.PROMOTING:  # what goes wrong from here on, the promotion says
            return True
        if verdict.word is Word.ROLLBACK:
            self._end(Outcome.ROLLED_BACK, verdict.because)
        elif verdict.word is Word.INCONCLUSIVE:
            self._end(Outcome.INCONCLUSIVE, verdict.because)
        elif self._fleet.stable != (canary.stable, canary.stable_digest):
            self._end(Outcome.INCONCLUSIVE, f"the stable build became {' '.join(self._fleet.stable)} meanwhile")
        elif why := self._baseline_is_gone(baseline_deaths):
            self._end(Outcome.INCONCLUSIVE, why)
        else:
            self._record(verdict)
        return canary.under_way

    def _baseline_is_gone(self, deaths: int) -> str | None:
        limits = self._judge.rules.limits
        self._baseline_deaths.extend([self._judge.at_s] * deaths)
        while self._baseline_deaths and self._baseline_deaths[0] <= self._judge.at_s - limits.crash_s:
            self._baseline_deaths.popleft()
        count = len(self._baseline_deaths)
        if count < limits.crashes:
            return None
        return f"{count} workers of the baseline died within {limits.crash_s} s: there is nothing to compare with"

    def _record(self, verdict: Verdict) -> None:
        """Into the audit trail: what has changed, and once a minute what has not."""
        says = verdict.word, tuple(finding.says for finding in verdict.findings)
        if self._recorded is None or says != self._recorded[1] or verdict.at_s >= self._recorded[0] + RECORD_S:
            self._recorded = verdict.at_s, says
            assert self.canary is not None
            self._audit.record(SUPERVISOR, "canary verdict", self.canary.id, **self.canary.verdict)

    def _await_check(self, canary: Canary) -> None:
        found = self._fleet.checked()
        if found is None:
            return
        canary.digest, why = found
        if why:
            self._end(Outcome.FAILED, why)
        else:
            self._start_workers(canary)

    def _start_workers(self, canary: Canary) -> None:
        count = max(1, math.ceil(self._fleet.workers * canary.plan.steps[canary.step] / BUCKETS))
        self._fleet.grow(CANARY, canary.plan.build, canary.digest, count)
        self._fleet.grow(BASELINE, canary.stable, canary.stable_digest, count)
        self._enter(Phase.STARTING)

    def _all_ready(self) -> bool:
        return self._fleet.ready(CANARY) and self._fleet.ready(BASELINE)

    def _await_workers(self, canary: Canary, deaths: int) -> None:
        """For the slice of this step; those of before go on answering theirs meanwhile."""
        limit = self._judge.rules.limits.crashes
        self._started_deaths += deaths
        if not canary.buckets and self._started_deaths >= limit:
            self._end(Outcome.ROLLED_BACK, f"{self._started_deaths} workers of the canary died before one was ready")
        elif self._all_ready():
            self._set_slice(canary, canary.plan.steps[canary.step])
            canary.step_from_s = self._judge.at_s
            self._enter(Phase.RUNNING)
        elif self._waited_s >= READY_S:
            slower = "the canary" if not self._fleet.ready(CANARY) else "the baseline"
            self._end(Outcome.FAILED, f"the workers of {slower} were not ready within {READY_S} s")

    def _maybe_widen(self, canary: Canary) -> None:
        """The next slice when this one's time is over; at the last one the build is taken, or waits for a person."""
        plan = canary.plan
        is_last = canary.step + 1 >= len(plan.steps)
        if not is_last and self._judge.at_s - canary.step_from_s >= plan.min_s:
            canary.step += 1
            self._start_workers(canary)
        elif is_last and canary.verdict.get("word") == Word.PROMOTE:
            if plan.auto_promote and not plan.shadow:
                self._promote(canary, SUPERVISOR)
            elif self._judge.at_s >= self._judge.rules.most_s:
                why = "a shadow promotes nothing" if plan.shadow else "nobody has promoted it"
                self._end(Outcome.INCONCLUSIVE, f"as good as the baseline after {self._judge.at_s} s; {why}")

    def _promote(self, canary: Canary, actor: str) -> None:
        self._fleet.begin_promotion(canary.plan.build, canary.digest, actor)
        self._audit.record(actor, "canary promote", canary.id, build=canary.plan.build, **canary.verdict)
        self._enter(Phase.PROMOTING)

    def _await_promotion(self, canary: Canary) -> None:
        failure = self._fleet.promoted()
        if failure is None:
            return
        if failure:
            self._end(Outcome.FAILED, f"build {canary.plan.build} could not be taken: {failure}")
        else:
            self._end(Outcome.PROMOTED, str(canary.verdict.get("because", "")))

    # What is done to the host.

    def _set_slice(self, canary: Canary, buckets: int) -> None:
        self._fleet.set_slice(buckets, canary.plan)
        if buckets != canary.buckets:
            self._audit.record(SUPERVISOR, "canary slice", canary.id, buckets=buckets, step=canary.step)
        canary.buckets = buckets

    def _end(self, outcome: Outcome, because: str, actor: str = SUPERVISOR) -> None:
        """First of all nobody is answered by it any more."""
        canary = self.canary
        assert canary is not None
        had, canary.buckets = canary.buckets, 0
        self._fleet.end_slice()
        canary.outcome, canary.because = outcome, because
        canary.ended_ms = int(self._clock() * 1000)
        self._enter(Phase.ENDED)
        self._audit.record(
            actor, "canary end", canary.id, outcome=outcome, because=because, build=canary.plan.build, buckets=had,
            verdict=canary.verdict,
        )  # fmt: skip
        say = self._log.info if outcome is Outcome.PROMOTED else self._log.warning
        say("canary over", canary=canary.id, build=canary.plan.build, outcome=outcome, because=because)
        self._fleet.shrink()

    def _enter(self, phase: Phase) -> None:
        assert self.canary is not None
        self.canary.phase = phase
        self._waited_s = self._started_deaths = 0
        self._write(durable=True)

    def _write(self, *, durable: bool) -> None:
        canary = self.canary
        assert canary is not None
        canary.seen_ms = int(self._clock() * 1000)
        try:
            canary_state.write(self._state, canary, durable=durable)
        except OSError as error:  # it goes on; another supervisor would not know
            self._log.error("canary.json cannot be written", error=error.strerror)

    def _begin_judging(self, canary: Canary) -> None:
        plan = canary.plan
        rules = Rules.of(self._settings, plan.min_s * len(plan.steps), shadow=plan.shadow, max_spend=plan.max_spend)
        self._judge = Judge(rules)
        self._fold = Fold(canary.started_ms // 60_000, self._settings.slow_ms * 1_000)
        self._count_deaths()
        self._baseline_deaths.clear()
        self._recorded = None

    def recall(self) -> None:
        """Go on with the canary of the supervisor before: once, when this one has begun."""
        try:
            self.canary = canary = canary_state.read(self._state)
        except ValueError as error:
            self._log.error("no canary is gone on with", error=str(error))
            canary = None
        if canary is None or not canary.under_way:
            self._fleet.end_slice()
            self._fleet.shrink()
            return
        away_s = self._clock() - canary.seen_ms / 1000
        self._begin_judging(canary)
        try:
            if canary.judge:
                self._judge.recall(canary.judge)
        except (KeyError, TypeError, ValueError):
            self._end(Outcome.INCONCLUSIVE, "this build's judge measures other things than the one that began it")
            return
        if not 0 <= away_s <= AWAY_S:
            self._end(Outcome.INCONCLUSIVE, f"for {away_s:.0f} s there was no supervisor")
        elif canary.phase is Phase.CHECKING:
            self._fleet.begin_check(canary.plan.build)
        elif canary.phase is Phase.PROMOTING:
            self._resume_promotion(canary)
        else:
            self._resume_workers(canary)

    def _resume_promotion(self, canary: Canary) -> None:
        if not self._all_ready():
            self._fleet.end_slice()
        if self._fleet.promoted() is not None and self._fleet.stable[0] != canary.plan.build:
            try:
                self._fleet.begin_promotion(canary.plan.build, canary.digest, SUPERVISOR)
            except Refused as refused:
                self._end(Outcome.FAILED, str(refused))

    def _resume_workers(self, canary: Canary) -> None:
        """They live on where the process was renewed, and are begun again where it was killed."""
        try:
            self._start_workers(canary)
            if not self._all_ready():
                self._fleet.end_slice()
        except Refused as refused:
            self._end(Outcome.FAILED, str(refused))
