"""The judge of canaries: wrong as seldom as it says, quick where it matters, and always with its figures."""

import json
from dataclasses import replace

import pytest

from bidder.canary.guards import Limits
from bidder.canary.judge import Judge, Rules, Word
from bidder.canary.measures import MEASURES, SHADOW_MEASURES
from bidder.canary.second import FAMILIES, Second
from bidder.outcome import Reason
from tests.arms import Build, arms
from tests.canaries import judged

GOOD = Second(
    requests=100, filled=60, bids=60, wins=12, nobids={"floor": 30}, linted=3, latency={10: 99, 15: 1},
    offered=120_000_000, offered_squares=60 * 4e12, spent=12_000_000, spent_squares=12e12, memory=200 << 20,
)  # fmt: skip
SHADOW = Second(requests=100, filled=60, compared=100, other=2)


def test_of_equal_builds_looked_at_every_second_at_most_one_in_twenty_is_called_worse() -> None:
    outcomes = [judged(seed, Build(), most_s=330) for seed in range(30)]
    assert sum(outcome.verdict.word is Word.ROLLBACK for outcome in outcomes) <= 2
    assert sum(outcome.z_s is not None for outcome in outcomes) >= 6  # what peeking at a z test would have done
    promoted = [outcome.verdict for outcome in outcomes if outcome.verdict.word is Word.PROMOTE]
    assert len(promoted) >= 27
    assert all(verdict.at_s >= 300 for verdict in promoted)


def test_seconds_that_scatter_more_than_chance_do_not_make_equal_builds_look_different() -> None:
    wrong = [seed for seed in range(20) if judged(seed, Build(burst=0.3), most_s=200).verdict.word is Word.ROLLBACK]
    assert len(wrong) <= 2


def test_people_who_come_again_and_get_the_same_do_not_make_equal_builds_look_different() -> None:
    few = Build(users=60)
    blind = [judged(seed, few, most_s=200, users=False).verdict.word is Word.ROLLBACK for seed in range(12)]
    seeing = [judged(seed, few, most_s=200).verdict.word is Word.ROLLBACK for seed in range(12)]
    assert sum(blind) >= 6  # a judge that takes requests for independent
    assert sum(seeing) == 0


def test_a_bid_rate_a_tenth_lower_is_found_in_nineteen_of_twenty_canaries() -> None:
    verdicts = [judged(seed, Build(bid=0.54), Build()).verdict for seed in range(40)]
    found = sorted(verdict.at_s for verdict in verdicts if verdict.word is Word.ROLLBACK)
    assert len(found) >= 38
    assert found[len(found) // 2] <= 60
    assert sum("bid rate" in verdict.because for verdict in verdicts) >= 30


def test_a_difference_that_is_certain_and_matters_to_nobody_rolls_nothing_back() -> None:
    judge = Judge()
    for _ in range(300):
        judge.hear(replace(GOOD, requests=100_000, filled=60_300), replace(GOOD, requests=100_000, filled=60_000))
    finding = judge.verdict().findings[0]
    assert finding.low > 0
    assert finding.says == "not worse"


def test_too_little_traffic_is_inconclusive_and_says_what_was_not_seen() -> None:
    verdict = judged(1, Build(bid=0.1), most_s=400, rate=2.0).verdict
    assert verdict.word is Word.INCONCLUSIVE
    assert "bid rate" in verdict.because


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (replace(GOOD, errors=10), "errors"),
        (replace(GOOD, late=20), "late answers"),
        (replace(GOOD, slow=50), "slow answers"),
        (replace(GOOD, latency={10: 50, 17: 50}), "one answer in a hundred takes more than 65.5 ms; 0.512 ms in"),
        (replace(GOOD, offered=GOOD.offered * 10), "times what the baseline does"),
        (replace(GOOD, invalid=3), "answers break a rule of exchanges; 0 of 18"),
        (replace(GOOD, crashes=2), "died"),
        (replace(GOOD, memory=400 << 20), "400 MB"),
        (replace(GOOD, spent=3_000_000_000), "billed 3.720000000 USD, and 7.200000000 may be yet; 10.000000000"),
    ],
)
def test_what_must_not_wait_is_rolled_back_after_two_seconds(second: Second, says: str) -> None:
    judge = Judge(Rules(limits=Limits(max_spend=10_000_000_000)))
    for _ in range(60):
        judge.hear(GOOD, GOOD)
    assert judge.verdict().word is Word.GO_ON
    judge.hear(second, GOOD)
    judge.hear(second, GOOD)
    verdict = judge.verdict()
    assert verdict.word is Word.ROLLBACK
    assert says in verdict.because


def test_no_more_is_billed_than_allowed_where_all_that_is_on_offer_is_billed() -> None:
    judge = Judge(Rules(limits=Limits(max_spend=1_000_000_000, unbilled_s=5)))
    billed = offered = 0
    while judge.verdict().word is Word.GO_ON:
        offered += GOOD.offered
        billed += GOOD.spent
        judge.hear(GOOD, GOOD)
    assert billed + 5 * GOOD.offered <= 1_000_000_000 + GOOD.offered + GOOD.spent
    assert "were allowed" in judge.verdict().because


def test_what_a_guard_has_seen_stays_seen() -> None:
    judge = Judge()
    judge.hear(replace(GOOD, errors=50), GOOD)
    for _ in range(30):
        judge.hear(GOOD, GOOD)
    assert judge.verdict().word is Word.ROLLBACK


def test_where_the_stable_build_fails_as_much_the_canary_is_not_to_blame() -> None:
    judge = Judge()
    slow = {10: 40, 17: 60}
    for _ in range(10):
        judge.hear(replace(GOOD, errors=12, slow=60, latency=slow), replace(GOOD, errors=11, slow=55, latency=slow))
    assert judge.verdict().word is Word.GO_ON


def test_workers_that_died_long_ago_are_forgotten() -> None:
    judge = Judge()
    judge.hear(replace(GOOD, crashes=1), GOOD)
    for _ in range(60):
        judge.hear(GOOD, GOOD)
    judge.hear(replace(GOOD, crashes=1), GOOD)
    assert judge.verdict().word is Word.GO_ON


def test_other_reasons_for_no_bid_are_found_where_the_bid_rate_stays() -> None:
    judge = Judge()
    for _ in range(120):
        judge.hear(replace(GOOD, nobids={"floor": 15, "blocked": 15}), GOOD)
    verdict = judge.verdict()
    assert verdict.word is Word.ROLLBACK
    assert "no bid: floor is 0.15 against 0.3" in verdict.because
    assert "no bid: blocked" in verdict.because


def test_every_reason_has_one_family_at_most_and_those_of_a_request_that_was_read_have_one() -> None:
    named = [reason for family in FAMILIES.values() for reason in family]
    assert len(named) == len(set(named))
    # Of requests that no build has looked at, of switches, of a fault of ours (an error), and of books.
    others = {"NONE", "NO_BOOK", "OFF", "OVERLOAD", "CAMPAIGN_OFF", "BROKEN", "SECRET", "PEER", "RATE", "RESPONSE_SIZE"}
    assert {reason.name for reason in Reason} - {reason.name for reason in named} <= others | {"FEATURE"}


def test_a_shadow_is_judged_by_how_its_answers_compare() -> None:
    judge = Judge(Rules(shadow=True))
    assert judge.measures == SHADOW_MEASURES
    for _ in range(400):
        judge.hear(SHADOW, SHADOW)
    assert judge.verdict().word is Word.PROMOTE  # as good: what becomes of that is not the judge's
    for _ in range(400):
        judge.hear(replace(SHADOW, other=20), SHADOW)
    assert "other bids" in judge.verdict().because


def test_before_anything_was_heard_everything_is_open() -> None:
    verdict = Judge().verdict()
    assert verdict.word is Word.GO_ON
    assert {finding.says for finding in verdict.findings} == {"open"}
    assert [finding.measure for finding in verdict.findings] == [measure.name for measure in MEASURES]


def test_another_process_goes_on_from_what_one_has_heard() -> None:
    one, other = Judge(), Judge()
    seconds = arms(3, Build(users=500), requests_per_s=50.0)
    for _ in range(40):
        pair = next(seconds)
        one.hear(*pair)
    other.recall(json.loads(json.dumps(one.as_dict())))
    for _ in range(40):
        pair = next(seconds)
        one.hear(*pair)
        other.hear(*pair)
    assert other.verdict() == one.verdict()
    assert other.guard.exposed == one.guard.exposed
    with pytest.raises(ValueError, match="sums of"):
        Judge(Rules(shadow=True)).recall(one.as_dict())


def test_measures_cannot_share_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="shares"):
        Judge(measures=(*MEASURES, MEASURES[0]))
