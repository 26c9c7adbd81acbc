"""The sequential test: its sums are what they stand for, its bound is the paper's."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.canary.sequential import Pair, Sums, bound


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=1, max_size=40))
def test_sums_are_what_all_trials_one_by_one_give(seconds: list[tuple[int, float]]) -> None:
    sums, trials = Sums(), []
    for count, share in seconds:
        hits = round(count * share)
        sums.add(count, hits)
        trials += [1] * hits + [0] * (count - hits)
    assert sums.trials == len(trials)
    if trials:
        assert sums.mean == pytest.approx(statistics.fmean(trials))
        assert sums.spread == pytest.approx(statistics.pvariance(trials), abs=1e-9)


def paired(*chances: tuple[float, float]) -> Pair:
    """A second each, with these chances of canary and baseline."""
    rng = random.Random(5)
    pair = Pair()
    for chance in chances:
        canary, baseline = (sum(rng.random() < one for _ in range(100)) for one in chance)
        pair.add((100, canary, None), (100, baseline, None))
    return pair


def test_independent_seconds_scatter_as_they_should_and_bursts_of_one_arm_far_more() -> None:
    even = paired(*[(0.3, 0.3)] * 400)
    assert 1.0 <= even.by_seconds(even.spread) < 1.25
    bursts = paired(*[(0.1, 0.3), (0.5, 0.3)] * 200)
    assert bursts.by_seconds(bursts.spread) > 5


def test_what_moves_both_arms_is_none_of_their_difference() -> None:
    tides = paired(*[(0.1, 0.1), (0.5, 0.5)] * 200)
    assert tides.by_seconds(tides.spread) < 1.25


def test_groups_whose_people_always_get_the_same_scatter_as_much_as_one_person_comes_often() -> None:
    rng = random.Random(7)
    sums = Sums()
    wants = {group: rng.random() < 0.5 for group in range(64)}  # one person a group
    for _ in range(200):
        second = [rng.randrange(64) for _ in range(32)]
        sums.add(32, sum(wants[group] for group in second))
        for group in second:
            sums.add_group(group, 1, wants[group])
    assert sums.by_people == pytest.approx(100, rel=0.2)  # each came 100 times


@given(st.floats(1e-9, 1.0), st.floats(0.001, 0.4), st.floats(1e-4, 1.0))
def test_the_mixture_is_at_the_threshold_exactly_at_the_bound(variance: float, alpha: float, tau: float) -> None:
    """Likelihood ratio of N(0, tau^2)-mixed differences against none, as the paper writes it."""
    delta = bound(variance, alpha, tau)
    mixed = variance + tau * tau
    log_ratio = 0.5 * math.log(variance / mixed) + tau * tau * delta * delta / (2 * variance * mixed)
    assert log_ratio == pytest.approx(math.log(1 / alpha), rel=1e-6)


def test_an_arm_without_trials_differs_from_nothing() -> None:
    pair = Pair()
    pair.add((0, 0.0, None), (10, 5.0, None))
    assert pair.difference() is None
    pair.add((1, 1.0, None), (0, 0.0, None))
    assert pair.difference() is not None
