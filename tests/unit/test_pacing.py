"""Pacing: what the controller does, step by step, and in whole hours of a market."""

from math import sin
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.money.pacing import ALWAYS, FULL_PRICE, Pacer, plan
from tests.market import PRICE, Market, play, poisson
from tests.reference import pacing as reference

HOUR_MS = 3_600_000
USD = 10**9

moments = st.tuples(
    st.integers(0, 30),  # takes
    st.floats(0, 1),  # of what is pending: resolved
    st.floats(0, 1.2),  # of what is resolved: billed
    st.sampled_from([0.3, 1.0, 1.0, 1.0, 40.0]),  # seconds
    st.booleans(),  # an hour begins, seldom: all of it must be True
)


@settings(max_examples=60)
@given(
    st.lists(moments, min_size=1, max_size=60),
    st.sampled_from([3_600, 1_000, 60]),
    st.integers(0, 10**10),
    st.floats(-1, 1),
    st.sampled_from([(0, 0), (0, 0), (3 * 10**9, 0), (10**10, 4 * 10**9)]),
)
def test_the_controller_does_what_the_written_down_one_does(
    story: list[tuple[int, float, float, float, bool]], hour_s: int, amount: int, tilt: float,
    shared: tuple[int, int],
) -> None:  # fmt: skip
    pacer, slow = Pacer(), reference.Controller()
    now, into, lease = 1.0, 0.0, 1
    spent = pending = 0
    for takes, resolved, billed, passed, begins in story:
        if begins and takes > 20:
            lease, into, spent, pending = lease + 1, 0.0, 0, 0
        taken = takes * 2_000_000
        gone = int((pending + taken) * resolved)
        pending, spent = pending + taken - gone, spent + int(gone * billed)
        now, into = now + passed, into + passed
        told = reference.Seen(amount, spent, pending, taken, int(into * 1000), hour_s * 1000, tilt, lease, now, *shared)
        throttle, multiplier = pacer.step(
            amount, spent, pending, taken, int(into * 1000), hour_s * 1000, now, tilt=tilt, lease=lease, plan=shared[0],
            elsewhere=shared[1],
        )  # fmt: skip
        share, price = slow.step(told)
        assert throttle / ALWAYS == pytest.approx(share, rel=1e-6, abs=1e-8)
        assert multiplier == pytest.approx(price * FULL_PRICE, abs=1)
        assert pacer.billed_share == pytest.approx(slow.billed_share())
        assert pacer.demand == pytest.approx(slow.demand())


@given(st.integers(0, 2**60), st.integers(-60_000, 2 * HOUR_MS), st.floats(-1, 1))
def test_the_plan_begins_with_two_minutes_worth_and_ends_with_all(amount: int, into_ms: int, tilt: float) -> None:
    into = min(1.0, max(0.0, into_ms / HOUR_MS))
    assert plan(amount, into_ms, HOUR_MS, tilt) == pytest.approx(reference.plan(amount, into, tilt))
    assert plan(amount, 0, HOUR_MS, tilt) == pytest.approx(amount / 30)
    assert plan(amount, HOUR_MS, HOUR_MS, tilt) == pytest.approx(amount)
    assert plan(amount, into_ms + 1_000, HOUR_MS, tilt) >= plan(amount, into_ms, HOUR_MS, tilt) * (1 - 1e-12)


def test_a_fresh_campaign_bids_always_and_at_its_full_price() -> None:
    assert Pacer().step(USD, 0, 0, 0, 0, HOUR_MS, 1.0) == (ALWAYS, FULL_PRICE)


def test_a_minutes_worth_above_the_plan_nothing_goes() -> None:
    assert Pacer().step(60 * USD, 2 * USD, 0, 0, 0, HOUR_MS, 1.0)[0] == ALWAYS
    half = Pacer().step(60 * USD, 2 * USD + USD // 2, 0, 0, 0, HOUR_MS, 1.0)[0]
    assert half == pytest.approx(ALWAYS / 2, rel=1e-6)
    assert Pacer().step(60 * USD, 3 * USD, 0, 0, 0, HOUR_MS, 1.0)[0] == 0


def test_nonsense_is_refused() -> None:
    for amount, hour_ms, now in [(-1, HOUR_MS, 1.0), (1, 0, 1.0), (1, HOUR_MS, 0.0)]:
        with pytest.raises(ValueError, match=f"amount={amount} hour_ms={hour_ms}"):
            Pacer().step(amount, 0, 0, 0, 0, hour_ms, now)
    with pytest.raises(ValueError, match="amount=-1"):
        plan(-1, 0, HOUR_MS)


def test_a_plan_without_a_number_for_its_tilt_is_flat() -> None:
    assert plan(USD, HOUR_MS // 2, HOUR_MS, float("nan")) == plan(USD, HOUR_MS // 2, HOUR_MS)


SHAPES = {
    "steady": lambda second: 50,
    "just enough": lambda second: 8,
    "peaks": lambda second: 30 * (1 + 0.9 * sin(second / 200)),
    "ten times as much at once": lambda second: 20 if second < 1_800 else 200,
    "a tenth at once": lambda second: 200 if second < 1_800 else 20,
    "ten minutes of drought": lambda second: 0 if 1_200 < second < 1_800 else 50,
}


@pytest.mark.parametrize("delay_s", [0, 1, 10, 60])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_hour_follows_its_plan_and_spends_its_money(shape: str, delay_s: int) -> None:
    random, pacer = Random(7), Pacer()
    for hour in range(2 if delay_s == 60 else 1):
        seen = play(pacer, Market(SHAPES[shape], delay_s=delay_s), 20 * USD, random, hour=hour)
        assert seen.error <= 0.05, (hour, seen)
        assert seen.delivered >= 0.98, (hour, seen)
        assert seen.most_out <= 20 * USD


def test_a_tilted_plan_is_followed_too() -> None:
    market = Market(lambda second: 20 - second / 240)
    seen = play(Pacer(), market, 20 * USD, Random(3), tilt=0.6)
    assert seen.error <= 0.05
    assert seen.delivered >= 0.98


def test_where_there_is_plenty_the_price_falls_until_it_buys_what_is_wanted() -> None:
    for first_price in (False, True):
        random, pacer = Random(5), Pacer()
        market = Market(SHAPES["steady"], first_price=first_price)
        hours = [play(pacer, market, 20 * USD, random, hour=hour) for hour in range(2)]
        assert pacer.multiplier < 0.6
        assert hours[1].cost / hours[1].impressions < 0.4 * PRICE
        assert hours[1].delivered >= 0.98


def test_where_a_floor_binds_the_price_stays_above_it_and_the_throttle_works() -> None:
    random, pacer = Random(5), Pacer()
    market = Market(SHAPES["steady"], floor=2_000_000)
    play(pacer, market, 20 * USD, random)
    seen = play(pacer, market, 20 * USD, random, hour=1)
    assert 2_000_000 / PRICE < pacer.multiplier <= 1
    assert seen.delivered >= 0.98
    assert seen.error <= 0.05


def test_with_too_little_traffic_everything_is_bid_on_at_the_full_price() -> None:
    pacer = Pacer()
    play(pacer, Market(lambda second: 1), 20 * USD, Random(5))
    assert (pacer.share, pacer.multiplier) == (1.0, 1.0)


def test_what_is_known_outlives_a_restart() -> None:
    random, before = Random(5), Pacer()
    market = Market(lambda second: 300, delay_s=10)
    play(before, market, 20 * USD, random)
    after = Pacer(before.kept, round(before.multiplier * FULL_PRICE))
    assert after.share == pytest.approx(before.share, rel=0.001)
    assert after.multiplier == pytest.approx(before.multiplier, rel=0.001)
    assert after.billed_share == pytest.approx(before.billed_share, abs=0.001)
    assert play(after, market, 20 * USD, random, hour=1).error <= 0.05


def test_who_placed_nothing_when_its_supervisor_ended_bids_again() -> None:
    random, before = Random(5), Pacer()
    market = Market(lambda second: 20)
    play(before, market, 20 * USD, random)
    for second in (3_601.0, 3_602.0):  # all of the hour's money is out in its first second: far ahead of the plan
        assert before.step(20 * USD, 20 * USD, 0, 0, 1_000, HOUR_MS, second, lease=9)[0] == 0
    after = Pacer(before.kept, FULL_PRICE)
    assert after.share < 1e-9
    assert play(after, market, 20 * USD, random, hour=1).delivered >= 0.95


def test_nothing_kept_is_a_fresh_start() -> None:
    assert (Pacer(0, 1_000).share, Pacer(0, 1_000).multiplier) in [(0.0, 0.0), (1.0, 1.0)]
    assert Pacer(0, 1_000).step(USD, 0, 0, 0, 0, HOUR_MS, 1.0) == (ALWAYS, FULL_PRICE)


def test_a_reservation_that_nobody_bills_does_not_count_as_spend_for_long() -> None:
    pacer = Pacer()
    seen = play(pacer, Market(lambda second: 100, median=3 * PRICE, delay_s=60), 20 * USD, Random(2))
    assert pacer.billed_share < 0.2
    assert seen.delivered > 0.5


def test_hosts_that_share_an_hour_follow_its_plan_together() -> None:
    """Four hosts, one with four times the traffic of another, which hear of each other five seconds late."""
    random, amount = Random(11), 20 * USD
    traffic, pacers = (40, 20, 10, 10), [Pacer() for _ in range(4)]
    spent, taken, history = [0] * 4, [0] * 4, [[0] * 4] * 5
    square, prices = 0.0, []
    for second in range(3_600):
        known = history[-5]
        for host, pacer in enumerate(pacers):
            throttle, multiplier = pacer.step(
                amount, spent[host], 0, taken[host], 1_000 * second, HOUR_MS, second + 1.0, plan=amount,
                elsewhere=sum(known) - known[host],
            )  # fmt: skip
            bids = poisson(random, traffic[host] * throttle / ALWAYS)
            taken[host] = min(bids * (PRICE * multiplier >> 16), max(0, amount - sum(spent)))
            spent[host] += taken[host]
            prices.append(multiplier)
        history = [*history[-4:], list(spent)]
        square += (sum(spent) - amount * (second + 1) / 3_600) ** 2
    assert sum(spent) >= 0.98 * amount
    assert (square / 3_600) ** 0.5 <= 0.05 * amount
    assert min(spent) > 0
    assert min(prices) < 0.5 * FULL_PRICE
