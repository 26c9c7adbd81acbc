"""The judge of canaries: wrong as seldom as it says, quick where it matters, and always with its figures."""

import math
import random
import statistics
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.canary.judge import MEASURES, Guards, Judge, Rules, Second, Verdict, Word
from bidder.canary.sequential import Sums, bound, difference
from tests.arms import Build, arms

GOOD = Second(
    requests=100, bids=60, wins=12, linted=60, offered=120_000_000, offered_squares=60 * 4e12, memory=200 << 20
)


def judged(seed: int, canary: Build, seconds: int, baseline: Build | None = None, rate: float = 100.0) -> Verdict:
    """With a verdict after every second, until there is one."""
    judge = Judge(Rules(most_s=seconds))
    verdict = judge.verdict()
    for pair in islice(arms(seed, canary, baseline, rate), seconds):
        judge.hear(*pair)
        verdict = judge.verdict()
        if verdict.word in (Word.ROLLBACK, Word.PROMOTE):
            break
    return verdict


def test_of_a_thousand_equal_builds_looked_at_every_second_at_most_one_in_twenty_is_called_worse() -> None:
    wrong = [seed for seed in range(1_000) if judged(seed, Build(), 330).word is Word.ROLLBACK]
    assert len(wrong) <= 50, f"{len(wrong)} of 1000, the first: {wrong[:5]}"


def test_seconds_that_scatter_more_than_chance_do_not_make_equal_builds_look_different() -> None:
    wrong = [seed for seed in range(150) if judged(seed, Build(burst=0.3), 330).word is Word.ROLLBACK]
    assert len(wrong) <= 7


def test_a_bid_rate_a_tenth_lower_is_found_in_nineteen_of_twenty_canaries() -> None:
    verdicts = [judged(seed, Build(bid=0.54), 600, Build()) for seed in range(200)]
    found = [verdict.at_s for verdict in verdicts if verdict.word is Word.ROLLBACK]
    assert len(found) >= 190
    assert statistics.median(found) <= 60
    assert all("bid rate" in verdict.because or "offered" in verdict.because for verdict in verdicts)


def test_equal_builds_are_promoted_when_the_time_has_come_and_not_before() -> None:
    verdicts = [judged(seed, Build(), 600) for seed in range(40)]
    assert sum(verdict.word is Word.PROMOTE for verdict in verdicts) >= 38
    assert all(verdict.at_s >= 300 for verdict in verdicts if verdict.word is Word.PROMOTE)


def test_too_little_traffic_is_inconclusive_and_says_what_was_not_seen() -> None:
    verdict = judged(1, Build(bid=0.1), 400, rate=2.0)
    assert verdict.word is Word.INCONCLUSIVE
    assert "bid rate" in verdict.because


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (replace(GOOD, errors=10), "errors"),
        (replace(GOOD, late=20), "late answers"),
        (replace(GOOD, slow=50), "slow answers"),
        (replace(GOOD, offered=GOOD.offered * 10), "times what the baseline does"),
        (replace(GOOD, invalid=3), "refused by an exchange"),
        (replace(GOOD, crashes=2), "died"),
        (replace(GOOD, memory=400 << 20), "400 MB"),
        (replace(GOOD, spent=2_000), "spent 2000 nano-USD"),
        (replace(GOOD, bids=0, wins=0, linted=0, offered=0, offered_squares=0), "bid rate"),
    ],
)
def test_what_must_not_wait_is_rolled_back_after_two_seconds(second: Second, says: str) -> None:
    judge = Judge(Rules(guards=Guards(max_spend=1_000)))
    for _ in range(60):
        judge.hear(GOOD, GOOD)
    assert judge.verdict().word is Word.GO_ON
    judge.hear(second, GOOD)
    judge.hear(second, GOOD)
    verdict = judge.verdict()
    for _ in range(20 if says == "bid rate" else 0):  # not a guard's: the test needs some seconds
        judge.hear(second, GOOD)
        verdict = judge.verdict()
    assert verdict.word is Word.ROLLBACK
    assert says in verdict.because


def test_what_a_guard_has_seen_stays_seen() -> None:
    judge = Judge()
    judge.hear(replace(GOOD, errors=50), GOOD)
    for _ in range(30):
        judge.hear(GOOD, GOOD)
    assert judge.verdict().word is Word.ROLLBACK


def test_where_the_stable_build_fails_as_much_the_canary_is_not_to_blame() -> None:
    judge = Judge()
    for _ in range(10):
        judge.hear(replace(GOOD, errors=12, slow=60), replace(GOOD, errors=11, slow=55))
    assert judge.verdict().word is Word.GO_ON


def test_workers_that_died_long_ago_are_forgotten() -> None:
    judge = Judge()
    judge.hear(replace(GOOD, crashes=1), GOOD)
    for _ in range(60):
        judge.hear(GOOD, GOOD)
    judge.hear(replace(GOOD, crashes=1), GOOD)
    assert judge.verdict().word is Word.GO_ON


def test_before_anything_was_heard_everything_is_open() -> None:
    verdict = Judge().verdict()
    assert verdict.word is Word.GO_ON
    assert {finding.says for finding in verdict.findings} == {"open"}
    assert [finding.measure for finding in verdict.findings] == [measure.name for measure in MEASURES]


def test_measures_cannot_share_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="shares"):
        Judge(measures=(*MEASURES, MEASURES[0]))


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
    for second in range(2_000):
        even.add(100, sum(rng.random() < 0.3 for _ in range(100)))
        chance = 0.1 if second % 2 else 0.5
        bursts.add(100, sum(rng.random() < chance for _ in range(100)))
    assert 1.0 <= even.dispersion < 1.15
    assert bursts.dispersion > 10


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
