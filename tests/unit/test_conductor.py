"""The conductor: a canary from its start to its end, on a host that does what it is told, second by second."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bidder.canary import state as canary_state
from bidder.canary.conductor import AWAY_S, READY_S, Conductor, Refused
from bidder.canary.fold import BASELINE, CANARY
from bidder.canary.state import Canary, Outcome, Phase, Plan
from bidder.events.schema import Fallback, Kind, LintResult, NoticeKind, Row, Shadow
from bidder.ops.audit import AuditTrail
from bidder.settings import Canary as Settings
from tests.unit.test_canary_fold import row

SETTINGS = Settings(min_s=5, most_s=60)
PLAN = Plan("b2", [100], min_s=20)


class Fleet:
    """A host that does at once what it is told, unless a test says otherwise."""

    def __init__(self) -> None:
        self.stable = ("b1", "d0")
        self.workers = 4
        self.checks: tuple[str, str] | None = ("d1", "")
        self.is_ready = True
        self.counts = {CANARY: 0, BASELINE: 0}
        self.builds: dict[int, str] = {}
        self.dead = {CANARY: 0, BASELINE: 0}
        self.rss = {CANARY: 200 << 20, BASELINE: 200 << 20}
        self.buckets = 0
        self.promotion: str | None = None
        self.no_promotion = ""
        self.did: list[str] = []

    def check_plan(self, plan: Plan) -> None:
        if plan.exchange == "nobody":
            raise Refused("no exchange 'nobody'")

    def begin_check(self, build: str) -> None:
        self.did.append(f"check {build}")

    def checked(self) -> tuple[str, str] | None:
        return self.checks

    def grow(self, arm: int, build: str, digest: str, count: int) -> None:
        self.counts[arm], self.builds[arm] = count, build
        assert digest == {CANARY: "d1", BASELINE: "d0"}[arm]

    def ready(self, arm: int) -> bool:
        return self.is_ready

    def deaths(self, arm: int) -> int:
        return self.dead[arm]

    def memory(self, arm: int) -> int:
        return self.rss[arm]

    def set_slice(self, buckets: int, plan: Plan) -> None:
        self.buckets = buckets
        self.did.append(f"slice {buckets}")

    def end_slice(self) -> None:
        self.buckets = 0
        self.did.append("slice 0")

    def shrink(self) -> None:
        self.counts = {CANARY: 0, BASELINE: 0}
        self.did.append("shrink")

    def begin_promotion(self, build: str, digest: str, actor: str) -> None:
        assert digest == "d1"
        if self.no_promotion:
            raise Refused(self.no_promotion)
        self.did.append(f"promote {build}")
        self.promotion = None

    def promoted(self) -> str | None:
        return self.promotion


class Scene:
    """A conductor, its host, its clock, and traffic for both arms."""

    def __init__(self, state: Path, settings: Settings = SETTINGS) -> None:
        (state / "host").write_text("0123456789ab\n")
        self.state = state
        self.settings = settings
        self.now = 1_800_000_000.0
        self.fleet = Fleet()
        self.audit = AuditTrail(state, clock=lambda: self.now)
        self.conductor = self.renewed()

    def renewed(self) -> Conductor:
        """As the next supervisor makes it."""
        conductor = Conductor(self.state, self.fleet, self.audit, self.settings, clock=lambda: self.now)
        conductor.recall()
        return conductor

    @property
    def canary(self) -> Canary:
        found = self.conductor.canary
        assert found is not None
        return found

    def seconds(self, count: int, canary: Iterable[Row] = (), *, requests: int = 400) -> None:
        """Like traffic for both arms, and these rows of the canary's each second."""
        minute = int(self.now // 60)
        for _ in range(count):
            self.now += 1
            if self.fleet.buckets:
                for arm in (CANARY, BASELINE):
                    self.conductor.hear(
                        [
                            row(Kind.REQUEST, requests, arm=arm, minute=minute),
                            row(Kind.NOBID, requests // 2, arm=arm, reason=24, minute=minute),
                            row(Kind.BID, requests // 2, arm=arm, amount=2_000_000 * requests, minute=minute),
                            row(Kind.LATENCY, requests, arm=arm, reason=9, minute=minute),
                            row(Kind.LINT, 3, arm=arm, reason=LintResult.VALID, minute=minute),
                        ]
                    )
                self.conductor.hear(canary)
            self.conductor.step()

    def told(self, verb: str) -> list[dict[str, Any]]:
        return [record.detail for record in self.audit.read() if record.verb == f"canary {verb}"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_good_build_goes_through_all_steps_and_is_taken(scene: Scene) -> None:
    scene.conductor.start(replace_plan(steps=[100, 500, 2_500], auto_promote=True), "ann", ["canary", "start"])
    assert scene.canary.phase is Phase.CHECKING
    scene.seconds(2)
    assert (scene.canary.phase, scene.fleet.buckets, scene.fleet.builds) == (Phase.RUNNING, 100, {1: "b2", 2: "b1"})
    scene.seconds(19)
    assert scene.fleet.buckets == 100
    scene.seconds(3)
    assert scene.fleet.buckets == 500
    scene.seconds(41)
    assert (scene.fleet.buckets, scene.fleet.counts) == (2_500, {1: 1, 2: 1})
    scene.seconds(2)
    assert scene.canary.phase is Phase.PROMOTING
    assert scene.fleet.buckets == 2_500
    scene.fleet.promotion = ""
    scene.seconds(1)
    assert (scene.canary.outcome, scene.fleet.buckets, scene.fleet.did[-2:]) == (
        Outcome.PROMOTED, 0, ["slice 0", "shrink"],
    )  # fmt: skip
    assert scene.told("start")[0]["argv"] == ["canary", "start"]
    assert [detail["buckets"] for detail in scene.told("slice")] == [100, 500, 2_500]
    assert scene.told("promote")[0]["word"] == "promote"
    assert scene.told("end")[0]["outcome"] == "promoted"


def replace_plan(**changes: Any) -> Plan:
    return Plan(**({name: getattr(PLAN, name) for name in Plan.__struct_fields__} | changes))


def test_workers_are_as_many_as_the_slice_needs(scene: Scene) -> None:
    scene.fleet.workers = 12
    scene.conductor.start(replace_plan(steps=[2_500]), "ann", [])
    scene.seconds(1)
    assert scene.fleet.counts == {1: 3, 2: 3}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(Kind.FALLBACK, 100, reason=Fallback.GONE)], "errors"),
        ([row(Kind.FALLBACK, 100, reason=Fallback.LATE)], "late answers"),
        ([row(Kind.LINT, 2, reason=LintResult.INVALID)], "break a rule of exchanges"),
        ([row(Kind.BID, 1, amount=10**12)], "times what the baseline does"),
        ([row(Kind.NOTICE, 1, reason=NoticeKind.BILL, amount=60 * 10**9, minute=30_000_001)], "were allowed"),
    ],
)
def test_what_a_guard_sees_takes_the_slice_away_within_two_seconds_before_anything_else(
    scene: Scene, rows: list[Row], says: str
) -> None:
    scene.conductor.start(replace_plan(max_spend=50 * 10**9), "ann", [])
    scene.seconds(5)
    scene.fleet.did.clear()
    scene.seconds(2, rows)
    assert scene.fleet.did == ["slice 0", "shrink"]
    assert scene.canary.outcome is Outcome.ROLLED_BACK
    assert says in scene.canary.because
    end = scene.told("end")[0]
    assert end["because"] == scene.canary.because
    assert end["buckets"] == 100
    assert {finding["measure"] for finding in end["verdict"]["findings"]} >= {"bid rate", "errors"}


def test_a_build_that_bids_less_is_rolled_back_by_the_test(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(15, [row(Kind.NOBID, 100, reason=24)])
    assert scene.canary.outcome is Outcome.ROLLED_BACK
    assert "bid rate is 0.25 against 0.5" in scene.canary.because


def test_a_build_that_fails_its_check_answers_nobody(scene: Scene) -> None:
    scene.fleet.checks = None
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(3)
    assert scene.canary.phase is Phase.CHECKING
    scene.fleet.checks = ("", "build b2 fails its check: no book")
    scene.seconds(1)
    assert (scene.canary.outcome, scene.canary.because) == (Outcome.FAILED, "build b2 fails its check: no book")
    assert "slice 100" not in scene.fleet.did


def test_workers_that_die_before_they_are_ready_are_the_builds_fault(scene: Scene) -> None:
    scene.fleet.is_ready = False
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(2)
    scene.fleet.dead[CANARY] += 2
    scene.seconds(1)
    assert scene.canary.outcome is Outcome.ROLLED_BACK
    assert scene.canary.because == "2 workers of the canary died before one was ready"


def test_workers_that_are_never_ready_are_not_waited_for(scene: Scene) -> None:
    scene.fleet.is_ready = False
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(READY_S + 1)
    assert scene.canary.outcome is Outcome.FAILED
    assert "not ready within" in scene.canary.because


def test_workers_that_die_twice_in_a_minute_are_rolled_back_and_those_of_the_baseline_end_it(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.fleet.dead[CANARY] += 1
    scene.seconds(3)
    assert scene.canary.under_way
    scene.fleet.dead[CANARY] += 1
    scene.seconds(1)
    assert scene.canary.outcome is Outcome.ROLLED_BACK
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.fleet.dead[BASELINE] += 2
    scene.seconds(1)
    assert scene.canary.outcome is Outcome.INCONCLUSIVE
    assert "nothing to compare with" in scene.canary.because


def test_memory_that_grows_is_rolled_back(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.fleet.rss[CANARY] = 500 << 20
    scene.seconds(1)
    assert "500 MB" in scene.canary.because


def test_without_auto_promote_a_person_decides_or_nobody_does(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(30)
    assert scene.canary.verdict["word"] == "promote"
    assert scene.canary.phase is Phase.RUNNING
    scene.seconds(60)
    assert scene.canary.outcome is Outcome.INCONCLUSIVE
    assert "nobody has promoted it" in scene.canary.because
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.conductor.promote("bob")
    assert scene.fleet.did[-1] == "promote b2"
    with pytest.raises(Refused, match="is being taken"):
        scene.conductor.abort("bob", "")
    scene.fleet.promotion = "its workers did not start"
    scene.seconds(1)
    assert scene.canary.outcome is Outcome.FAILED
    assert scene.fleet.buckets == 0


def test_a_promotion_that_cannot_begin_changes_nothing(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.fleet.no_promotion = "a restart is under way"
    with pytest.raises(Refused, match="a restart is under way"):
        scene.conductor.promote("bob")
    assert scene.canary.phase is Phase.RUNNING


def test_abort_ends_it_in_any_phase_but_the_last_and_says_who_and_why(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.conductor.abort("bob", "wrong build")
    assert scene.canary.outcome is Outcome.ABORTED
    end = next(record for record in scene.audit.read() if record.verb == "canary end")
    assert (end.actor, end.detail["because"]) == ("bob", "wrong build")
    with pytest.raises(Refused, match="no canary is under way"):
        scene.conductor.abort("bob", "")
    with pytest.raises(Refused, match="no canary is under way"):
        scene.conductor.promote("bob")


def test_one_canary_at_a_time_and_no_plan_that_cannot_be(scene: Scene) -> None:
    for plan, says in (
        (replace_plan(steps=[500, 100]), "wider"),
        (replace_plan(steps=[0]), "0.01 %"),
        (replace_plan(steps=[6_000]), "50 %"),
        (replace_plan(min_s=0), "second"),
        (replace_plan(max_spend=0), "nothing"),
        (replace_plan(shadow=True, auto_promote=True), "shadow"),
        (replace_plan(shadow=True, max_spend=1), "spends nothing"),
        (replace_plan(exchange="nobody"), "no exchange"),
    ):
        with pytest.raises(Refused, match=says):
            scene.conductor.start(plan, "ann", [])
    scene.conductor.start(PLAN, "ann", [])
    with pytest.raises(Refused, match="is under way"):
        scene.conductor.start(PLAN, "ann", [])


def test_a_shadow_is_compared_and_never_taken(scene: Scene) -> None:
    scene.conductor.start(replace_plan(shadow=True), "ann", [])
    both = [row(Kind.SHADOW, 380, arm=arm, reason=Shadow.SAME) for arm in (1, 2)]
    scene.seconds(50, both)
    assert scene.canary.verdict["word"] == "promote"
    with pytest.raises(Refused, match="a shadow has answered nobody"):
        scene.conductor.promote("bob")
    scene.seconds(20, both)
    assert scene.canary.outcome is Outcome.INCONCLUSIVE
    assert "a shadow promotes nothing" in scene.canary.because


def test_a_shadow_that_answers_otherwise_is_rolled_back(scene: Scene) -> None:
    scene.conductor.start(replace_plan(shadow=True), "ann", [])
    scene.seconds(
        30, [row(Kind.SHADOW, 100, arm=1, reason=Shadow.PRICE), row(Kind.SHADOW, 100, arm=2, reason=Shadow.SAME)]
    )
    assert scene.canary.outcome is Outcome.ROLLED_BACK
    assert "other bids" in scene.canary.because


def test_a_supervisor_that_was_killed_goes_on_where_it_was(scene: Scene) -> None:
    scene.conductor.start(replace_plan(auto_promote=True), "ann", [])
    scene.seconds(15)
    before = scene.canary
    scene.now += 3
    scene.fleet.is_ready = False
    scene.fleet.counts = {1: 0, 2: 0}
    scene.fleet.did.clear()
    scene.conductor = scene.renewed()
    assert scene.fleet.did == ["slice 0"]
    assert scene.fleet.counts == {1: 1, 2: 1}
    scene.seconds(2)
    assert scene.canary.phase is Phase.STARTING
    scene.fleet.is_ready = True
    scene.seconds(1)
    assert scene.fleet.buckets == 100
    assert scene.canary.id == before.id
    assert scene.canary.verdict["findings"][0]["trials"] == before.verdict["findings"][0]["trials"]
    scene.seconds(6)
    assert scene.canary.phase is Phase.PROMOTING


def test_workers_that_a_renewed_supervisor_finds_ready_keep_their_slice(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.fleet.did.clear()
    scene.conductor = scene.renewed()
    scene.seconds(1)
    assert scene.fleet.did == ["slice 100"]
    assert [detail["buckets"] for detail in scene.told("slice")] == [100]


def test_too_long_without_a_supervisor_is_inconclusive(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.now += AWAY_S + 1
    scene.conductor = scene.renewed()
    assert scene.canary.outcome is Outcome.INCONCLUSIVE
    assert "there was no supervisor" in scene.canary.because
    assert scene.fleet.buckets == 0


def test_a_promotion_goes_on_in_the_next_supervisor(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.conductor.promote("bob")
    scene.fleet.stable = ("b2", "d1")  # the process is the new build's now
    scene.fleet.promotion = ""
    scene.conductor = scene.renewed()
    scene.seconds(1)
    assert scene.canary.outcome is Outcome.PROMOTED


def test_a_promotion_whose_supervisor_was_killed_begins_again(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.conductor.promote("bob")
    scene.fleet.promotion = ""  # nothing is under way in the new process
    scene.conductor = scene.renewed()
    assert scene.fleet.did[-1] == "promote b2"
    scene.seconds(1)
    assert scene.canary.phase is Phase.PROMOTING


def test_another_stable_build_ends_the_comparison(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(5)
    scene.fleet.stable = ("b3", "d3")
    scene.seconds(1)
    assert scene.canary.outcome is Outcome.INCONCLUSIVE
    assert "the stable build became b3 d3" in scene.canary.because


def test_verdicts_are_recorded_when_they_change_and_once_a_minute(tmp_path: Path) -> None:
    scene = Scene(tmp_path, replace(SETTINGS, most_s=300))
    scene.conductor.start(replace_plan(min_s=100), "ann", [])
    scene.seconds(150)
    verdicts = scene.told("verdict")
    assert [verdict["word"] for verdict in verdicts][-1] == "promote"
    assert 3 <= len(verdicts) <= 14
    seconds = [verdict["at_s"] for verdict in verdicts]
    assert max(later - earlier for earlier, later in pairwise(seconds)) <= 60
    assert verdicts[-1]["findings"][0].keys() >= {"canary", "baseline", "low", "high", "says", "trials"}


def test_a_file_that_is_no_canary_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "canary.json").write_text("{}")
    with pytest.raises(ValueError, match=r"canary\.json"):
        canary_state.read(tmp_path)


def test_the_file_has_what_a_verb_shows(scene: Scene) -> None:
    scene.conductor.start(PLAN, "ann", [])
    scene.seconds(12)
    document = json.loads((scene.state / "canary.json").read_text())
    assert document["verdict"]["at_s"] == 10
    assert document["plan"]["build"] == "b2"
    found = canary_state.read(scene.state)
    assert found is not None
    assert (found.id, found.phase, found.plan) == (scene.canary.id, Phase.RUNNING, PLAN)
