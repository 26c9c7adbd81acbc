"""Bid landscapes: what was seen, read back, and the bid that gains most."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.money.landscape import REFRESH, Landscape

prices = st.lists(st.integers(1, 1_000), min_size=1, max_size=40)


def learned(seen: list[int], **options: float) -> Landscape:
    landscape = Landscape(0.5, 2_000, **options)
    for price in seen:
        landscape.saw(price)
    return landscape


@given(prices, st.integers(0, 40))
def test_win_rate_and_spend_at_a_top_are_shares_of_what_was_seen(seen: list[int], number: int) -> None:
    landscape = learned(seen)
    top = landscape.tops[min(len(landscape.tops) - 1, number * 5)]
    assert landscape.win_rate(top) == pytest.approx(sum(price <= top for price in seen) / len(seen))
    assert landscape.spend(top) == pytest.approx(sum(price for price in seen if price <= top) / len(seen))


@given(prices, st.floats(0.5, 2_000), st.floats(0.5, 2_000))
def test_a_higher_bid_never_wins_less(seen: list[int], one: float, other: float) -> None:
    landscape = learned(seen)
    low, high = sorted((one, other))
    assert 0 <= landscape.win_rate(low) <= landscape.win_rate(high) <= 1 + 1e-9
    assert landscape.spend(low) <= landscape.spend(high) + 1e-9


@given(prices, st.floats(0.01, 0.99))
def test_the_bid_for_a_spend_spends_it(seen: list[int], share: float) -> None:
    landscape = learned(seen)
    wanted = share * sum(seen) / len(seen)
    bid = landscape.bid_for(wanted)
    assert landscape.spend(bid * 1.045) >= wanted - 1e-9
    assert landscape.spend(bid / 1.045) <= wanted + 1e-9


@given(prices, st.integers(1, 1_500), st.integers(0, 100))
def test_the_best_bid_gains_as_much_as_any(seen: list[int], value: int, least: int) -> None:
    landscape = learned(seen)
    best = landscape.best(value, least=min(least, value))
    gains = [(value - top) * landscape.win_rate(top) for top in landscape.tops if least <= top <= value]
    assert min(least, value) <= best <= value
    assert (value - best) * landscape.win_rate(best) == pytest.approx(max(gains, default=0.0))


def test_where_nothing_can_be_gained_the_value_is_bid() -> None:
    assert learned([900]).best(100.0) == 100.0


def test_what_was_seen_fades_by_half_in_a_half_life() -> None:
    landscape = learned([10] * 500 + [100] * 500, half_life=500)
    assert landscape.win_rate(20) == pytest.approx(1 / 3, rel=0.01)


def test_very_many_observations_lose_no_precision() -> None:
    landscape = learned([10, 100] * 3_000, half_life=20)
    assert landscape.win_rate(20) == pytest.approx(0.5, abs=0.02)


def test_sums_are_made_anew_after_some_observations() -> None:
    landscape = learned([10])
    assert landscape.win_rate(50) == 1
    for _ in range(REFRESH):
        landscape.saw(100)
    assert landscape.win_rate(50) == pytest.approx(1 / (REFRESH + 1))


def test_nothing_seen_and_a_scale_without_length_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing was seen"):
        Landscape(1, 2).win_rate(1)
    for least, most, half_life in [(0, 1, 1), (2, 2, 1), (1, 2, 0)]:
        with pytest.raises(ValueError, match="least="):
            Landscape(least, most, half_life=half_life)
