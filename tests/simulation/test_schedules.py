"""Money under simulated faults: a thousand schedules keep every promise, and planted bugs do not go unnoticed."""

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from tests.simulation.mutations import NONE, Bugs
from tests.simulation.plan import FAULTS, plan
from tests.simulation.run import Place, failure, schedules, shortened

SCHEDULES = 1_000
ENOUGH = 600  # schedules in which each planted bug is found, from anywhere
ONCE = [5046]  # schedules beyond these that broke a promise when they were first played: mended since
FIRST = {"reuse_epoch": 250, "never_stale": 70, "close_behind": 80}  # seeds to begin at, so that it does not take long


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.erase()


def test_a_thousand_schedules_of_faults_break_no_promise() -> None:
    told = list(schedules(0, SCHEDULES, processes=2))
    assert len(told) == SCHEDULES
    assert [each.failure for each in told if each.failure is not None] == []


@pytest.mark.parametrize("seed", ONCE)
def test_what_once_broke_a_promise_does_so_no_more(seed: int, place: Place) -> None:
    assert failure(plan(seed), place) is None


def test_those_schedules_have_every_fault_in_them() -> None:
    steps = {step.what for seed in range(SCHEDULES) for step in plan(seed).steps}
    assert steps == {*FAULTS, "bids", "questions", "window"}


@pytest.mark.parametrize("bug", [field.name for field in dataclasses.fields(Bugs)])
def test_a_planted_bug_is_found(bug: str, place: Place) -> None:
    bugs = Bugs(**{bug: True})
    first = FIRST.get(bug, 0)
    assert any(failure(plan(seed), place, bugs) for seed in range(first, first + ENOUGH))


def test_a_seed_plays_the_same_each_time(place: Place) -> None:
    for seed in range(20, 30):
        once, again = list[str](), list[str]()
        assert failure(plan(seed), place, say=once.append) == failure(plan(seed), place, say=again.append)
        assert once == again


def test_a_failing_schedule_is_made_shorter_and_still_fails(place: Place) -> None:
    bugs = Bugs(acknowledge_early=True)
    seed, wrong = next((seed, wrong) for seed in itertools.count() if (wrong := failure(plan(seed), place, bugs)))
    short = shortened(plan(seed), wrong, place, bugs, within_s=5.0)
    assert len(short.steps) < len(plan(seed).steps) / 2
    assert failure(short, place, bugs) is not None
    assert failure(short, place, NONE) is None
