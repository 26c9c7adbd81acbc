"""Pacing: even campaigns follow their plan, the others never wait."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder._fast.pacing import throttle
from bidder._fast.purses import Purses
from bidder.money.leases import LeaseKeeper
from bidder.money.wire import Lease, LeaseState
from tests.reference import pacing as reference

ALL = 2**32 - 1
FULL_PRICE = 65_536
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
USD = 10**9

amounts = st.integers(0, 2**50)
times = st.integers(-MINUTE_MS, 2 * HOUR_MS)


def test_plan_begins_with_five_minutes_worth_and_ends_with_all() -> None:
    for into_ms, planned in [(0, USD), (30 * MINUTE_MS, 7 * USD), (55 * MINUTE_MS, 12 * USD), (HOUR_MS, 12 * USD)]:
        assert throttle(12 * USD, planned, into_ms, HOUR_MS) == ALL
        assert throttle(12 * USD, planned + 1, into_ms, HOUR_MS) < ALL


def test_every_bid_goes_up_to_the_plan_and_none_a_minutes_worth_above() -> None:
    assert throttle(60 * USD, 5 * USD, 0, HOUR_MS) == ALL
    assert throttle(60 * USD, 5 * USD + USD // 2, 0, HOUR_MS) == ALL // 2
    assert throttle(60 * USD, 6 * USD, 0, HOUR_MS) == 0
    assert throttle(60 * USD, 6 * USD, MINUTE_MS, HOUR_MS) == ALL


@given(
    st.integers(0, 2**62), st.integers(-(2**62), 2**62), st.integers(-MINUTE_MS, 30 * HOUR_MS), st.integers(1, 2**40)
)
def test_throttle_is_what_the_plan_says(amount: int, committed: int, into_ms: int, hour_ms: int) -> None:
    assert throttle(amount, committed, into_ms, hour_ms) == reference.throttle(amount, committed, into_ms, hour_ms)


@given(amounts, amounts, times)
def test_throttle_is_a_share_and_never_falls_with_time_nor_rises_with_spend(
    amount: int, committed: int, into_ms: int
) -> None:
    now = throttle(amount, committed, into_ms, HOUR_MS)
    assert 0 <= now <= ALL
    assert throttle(amount, committed, into_ms + 1_000, HOUR_MS) >= now
    assert throttle(amount, committed + 1, into_ms, HOUR_MS) <= now


def test_an_hour_without_length_and_a_negative_amount_are_refused() -> None:
    for amount, hour_ms in [(-1, HOUR_MS), (1, 0)]:
        with pytest.raises(ValueError, match=f"amount={amount} hour_ms={hour_ms}"):
            throttle(amount, 0, 0, hour_ms)


def test_even_leases_are_slowed_and_the_others_left(tmp_path: Path) -> None:
    purses = Purses(tmp_path / "purses", 4)
    keeper = LeaseKeeper(purses, release_after_s=600, clock=lambda: 1_800_000_000.0)
    keeper.apply(LeaseState([], False, 1), 0.0, complete=False)
    leases = [
        Lease(1, 100, 60 * USD, -60.0, 3_540.0, 5_340.0, 3_600.0, True, 0, []),
        Lease(2, 101, 60 * USD, -60.0, 3_540.0, 5_340.0, 3_600.0, False, 0, []),
    ]
    keeper.apply(LeaseState(leases, False, 1), 10.0)
    for campaign in (100, 101):
        assert purses.take(purses.slot_of(campaign), 10 * USD, 30_000_000) is not None
    keeper.pace(10.0)
    assert [purses.purse(purses.slot_of(campaign))[2:4] for campaign in (100, 101)] == [
        (0, FULL_PRICE),
        (ALL, FULL_PRICE),
    ]
    keeper.pace(10.0 + 240.0)
    assert purses.purse(purses.slot_of(100)).throttle == ALL
