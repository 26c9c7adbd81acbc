"""The sequential test: its sums are what they stand for, its bound is the paper's."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.canary.sequential import Sums, bound, difference


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


def test_the_scatter_of_independent_seconds_is_about_one_and_of_bursts_far_above() -> None:
    rng = random.Random(5)
    even, bursts = Sums(), Sums()
    for second in range(500):
        even.add(100, sum(rng.random() < 0.3 for _ in range(100)))
        chance = 0.1 if second % 2 else 0.5
        bursts.add(100, sum(rng.random() < chance for _ in range(100)))
    assert 1.0 <= even.dispersion < 1.25
    assert bursts.dispersion > 10


def test_groups_whose_people_always_get_the_same_scatter_as_much_as_one_person_comes_often() -> None:
    rng = random.Random(7)
    sums = Sums()
    wants = {group: rng.random() < 0.5 for group in range(64)}  # one person a group
    for _ in range(200):
        second = [rng.randrange(64) for _ in range(32)]
        sums.add(32, sum(wants[group] for group in second))
        for group in second:
            sums.add_group(group, 1, wants[group])
    assert sums.dispersion == pytest.approx(100, rel=0.2)  # each came 100 times


@given(st.floats(1e-9, 1.0), st.floats(0.001, 0.4), st.floats(1e-4, 1.0))
def test_the_mixture_is_at_the_threshold_exactly_at_the_bound(variance: float, alpha: float, tau: float) -> None:
    """Likelihood ratio of N(0, tau^2)-mixed differences against none, as the paper writes it."""
    delta = bound(variance, alpha, tau)
    mixed = variance + tau * tau
    log_ratio = 0.5 * math.log(variance / mixed) + tau * tau * delta * delta / (2 * variance * mixed)
    assert log_ratio == pytest.approx(math.log(1 / alpha), rel=1e-6)


def test_an_arm_without_trials_differs_from_nothing() -> None:
    some = Sums()
    some.add(10, 5)
    assert difference(Sums(), some) is None
    assert difference(some, Sums()) is None
