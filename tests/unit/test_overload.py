"""Overload in virtual time: goodput within 35 ms, who is left out, how soon it is over. Seeded, no clock but ours."""

import pytest

from bidder.admission import LEAST_READ, Control, Sample, Valves
from tests.crowds import Crowd, Tally

CROWDS = {
    "one request a connection": {},
    "pipelined": {"depth": 8},
    "shedding is cheap": {"shed_cost": 0.4},
    "shedding costs nearly a bid": {"shed_cost": 0.9},
}


def sample(served: int = 0, shed: int = 0, *, wait_ms: float = 0, busy: float = 1.0, nano: int = 0) -> Sample:
    return Sample({1: (served, shed, nano)}, round(wait_ms * 1e6), busy)


def goodput(crowd: Crowd, load: float, seconds: float) -> tuple[float, Tally]:
    """Good answers as a share of the worker's capacity."""
    tally = crowd.run(load, seconds)
    return tally.good / (crowd.capacity * seconds), tally


def test_below_capacity_nobody_is_shed_or_left_unread() -> None:
    crowd = Crowd()
    share, tally = goodput(crowd, 0.9, 1.0)
    assert share == pytest.approx(0.9, abs=0.03)
    assert tally.shed == 0
    assert set(tally.unread) == {0}


@pytest.mark.parametrize("kind", CROWDS)
@pytest.mark.parametrize(("load", "least"), [(1.2, 0.8), (2, 0.8), (5, 0.6)])
def test_goodput_holds_far_above_capacity(kind: str, load: float, least: float) -> None:
    crowd = Crowd(**CROWDS[kind])  # type: ignore[arg-type]
    crowd.run(load, 1.2)
    share, tally = goodput(crowd, load, 0.6)
    assert share >= least
    assert tally.longest_unread_s <= 1.0


def test_goodput_holds_with_thousands_of_connections() -> None:
    crowd = Crowd(connections=2_000)
    crowd.run(2, 1.5)
    share, _ = goodput(crowd, 2, 0.5)
    assert share >= 0.8


@pytest.mark.parametrize("kind", CROWDS)
def test_within_a_second_of_a_burst_all_is_as_before(kind: str) -> None:
    crowd = Crowd(**CROWDS[kind])  # type: ignore[arg-type]
    crowd.run(3, 1.2)
    assert crowd.unread > 0
    crowd.run(0.5, 1.0)
    assert crowd.unread == 0
    _, tally = goodput(crowd, 0.5, 0.5)
    assert tally.good == pytest.approx(tally.arrived, abs=3)
    assert tally.p99 < 0.002


def test_the_exchange_that_earns_least_is_left_out_first() -> None:
    crowd = Crowd(exchanges=[("openx", 0.5, 10), ("pubmatic", 0.5, 5_000)])
    crowd.run(0.5, 0.5)
    crowd.run(2, 1.5)
    crowd.served_of = dict.fromkeys(crowd.served_of, 0)
    crowd.run(2, 0.8)
    assert crowd.served_of["pubmatic"] > 5 * crowd.served_of["openx"]


def test_one_sample_of_shedding_closes_nothing_two_do() -> None:
    control = Control()
    assert control.step(sample(50, 50)).open
    assert control.step(sample(100, 0)).open
    assert control.step(sample(50, 50)).open
    assert control.step(sample(50, 50)).read_to == pytest.approx(0.5)


def test_reading_never_ceases_altogether_and_opens_again_when_nothing_comes() -> None:
    control = Control()
    for _ in range(100):
        control.step(sample(0, 1_000))
    assert control.valves.read_to == LEAST_READ
    for _ in range(8):
        control.step(sample(busy=0.0))
    assert control.valves == Valves()


def test_a_standing_queue_leaves_the_least_worth_unserved_until_it_is_gone() -> None:
    control = Control()
    for _ in range(3):
        valves = control.step(sample(100, wait_ms=6))
    assert (valves.read_to, valves.serve_to) == (1.0, pytest.approx(0.85))
    for _ in range(6):
        valves = control.step(sample(100, wait_ms=1))
    assert valves.open


def test_lanes_rank_by_what_a_request_of_theirs_was_bid() -> None:
    control = Control()
    control.step(Sample({1: (100, 0, 100), 2: (10, 0, 5_000), 3: (50, 50, 1_000)}, 0, 0.5))
    assert control.ranking() == [2, 3, 1]
    control.step(Sample({1: (0, 100, 0)}, 0, 0.5))
    assert control.ranking() == [2, 3, 1], "who was not served has not become worthless"
