"""A host that is told only what changed knows the same as one that is told everything each time."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder._fast.purses import HalfView, Purses
from bidder.money.leases import LeaseKeeper
from bidder.money.wire import LeaseState
from tests.reference.office import RELEASE_S, Office
from tests.unit.test_leases import START

CAMPAIGNS = (100, 101, 102)


class Host:
    def __init__(self, place: Path) -> None:
        self._place = place
        self.now = 0
        self.restart()
        self.keeper.apply(LeaseState([], False, 0), 0.0, complete=False)
        self.keeper.seen = ""

    def restart(self) -> None:
        self.purses = Purses(self._place / "purses", 8)
        self.keeper = LeaseKeeper(self.purses, release_after_s=RELEASE_S, clock=lambda: START + self.now)

    def take(self, campaign: int, price: int, minute: int) -> tuple[int, int] | None:
        return self.purses.take(self.purses.slot_of(campaign), price, minute)

    def state(self) -> dict[int, HalfView]:
        """lease -> everything about it, wherever it stands."""
        halves = [self.purses.half(self.purses.slot_of(campaign), which) for campaign in CAMPAIGNS for which in (0, 1)]
        held = set(self.keeper.held())
        return {abs(half.lease): half for half in halves if abs(half.lease) in held}


OFTEN = ("grant", "take", "wait", "sync")
STEP = st.tuples(
    st.sampled_from(
        [*OFTEN, *OFTEN, "take", "sync", "bill", "lose", "amount", "stale", "restart", "forget", "ceilings"]
    ),
    st.integers(0, 10**6),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=20, max_size=80), st.integers(1, 5), st.builds(random.Random, st.integers(0, 2**32)))
def test_changes_say_the_same_as_listings(steps: list[tuple[str, int]], page: int, chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        office = Office(START, page)
        told, listed = Host(Path(one)), Host(Path(other))
        reservations: list[tuple[int, int, int]] = []
        now = 0
        for step, value in [*steps, ("wait", 2), ("sync", 0), ("wait", 2), ("sync", 0)]:
            minute = int(START + now) // 60
            leases = list(office.leases.values())
            if step == "grant":
                begins = now + (value % 3 - 1) * 10
                take = max(now, begins) + value % 400 + 1
                office.grant(CAMPAIGNS[value % 3], value % 5_000, begins, take, take + value % 700)
            elif step == "take":
                price = value % 300 + 1
                taken = told.take(CAMPAIGNS[value % 3], price, minute)
                assert taken == listed.take(CAMPAIGNS[value % 3], price, minute)
                if taken is not None:
                    reservations.append((taken[0], minute, price))
            elif step in ("bill", "lose") and reservations:
                id, of_minute, price = reservations.pop(value % len(reservations))
                lease = office.leases[id]
                lease.spent += value % price if step == "bill" else 0
                lease.closed[of_minute] = lease.closed.get(of_minute, 0) + price
                office.touch(lease)
            elif step == "amount" and leases:
                leases[value % len(leases)].amount = value % 5_000
                office.touch(leases[value % len(leases)])
            elif step == "wait":
                now += value % (2_000 if value % 5 == 0 else 170)
                for host in (told, listed):
                    host.now = now
                    host.keeper.tick(now)
            elif step == "restart":
                told.restart()
                listed.restart()
            elif step == "forget":
                office.epoch += 1
            elif step == "ceilings":
                assert sorted(told.keeper.ceilings(now)) == sorted(listed.keeper.ceilings(now))
            if step in ("sync", "stale", "restart"):
                listed.keeper.apply(office.listing(now, step == "stale"), now)
                while True:
                    state = office.answer(told.keeper.seen, now, step == "stale")
                    if chance.random() < 0.2:
                        continue  # it got lost
                    told.keeper.apply(state, now)
                    if not state.more:
                        break
                for host in (told, listed):
                    host.keeper.tick(now)
                assert told.state() == listed.state()
                assert told.keeper.ready(CAMPAIGNS) == listed.keeper.ready(CAMPAIGNS)
                assert told.keeper.overspent == listed.keeper.overspent
        open_now = [lease for lease in office.leases.values() if not lease.ended]
        assert set(told.keeper.held()) <= {lease.id for lease in open_now}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_nothing_is_given_back_in_the_middle_of_a_listing(host: Host) -> None:
    office = Office(START, 1)
    for campaign in CAMPAIGNS[:2]:
        office.grant(campaign, 1_000, 0, 3_000, 4_800)
    host.keeper.apply(office.listing(0, False), 0)
    assert host.take(100, 600, int(START) // 60) is not None
    host.now = 700
    first = office.answer("", 700, False)
    assert first.more
    host.keeper.apply(first, 700)
    host.keeper.tick(700)
    assert host.take(100, 600, int(START + 700) // 60) is None
    assert sorted(host.keeper.held()) == [1, 2]
    host.keeper.apply(office.answer(host.keeper.seen, 700, False), 700)
    assert not host.keeper.ready([100])
    host.keeper.apply(office.answer(host.keeper.seen, 700, False), 700)
    host.keeper.tick(700)
    assert host.keeper.ready([100])
    assert host.take(100, 600, int(START + 700) // 60) is not None


def test_nothing_is_given_back_in_the_middle_of_changes(host: Host) -> None:
    office = Office(START, 1)
    one, two = (office.grant(campaign, 1_000, 0, 3_000, 4_800) for campaign in CAMPAIGNS[:2])
    while host.keeper.held() != [1, 2] or not host.keeper.ready([101]):
        host.keeper.apply(office.answer(host.keeper.seen, 0, False), 0)
    minute = int(START) // 60
    assert host.take(101, 600, minute) is not None
    one.amount = 2_000
    two.spent, two.closed = 500, {minute: 600}
    office.touch(one)
    office.touch(two)
    host.now = 700
    host.keeper.apply(office.answer(host.keeper.seen, 700, False), 700)
    host.keeper.tick(700)
    assert host.take(101, 600, int(START + 700) // 60) is None
    for _ in range(2):
        host.keeper.apply(office.answer(host.keeper.seen, 700, False), 700)
    host.keeper.tick(700)
    assert [host.state()[lease].left for lease in (1, 2)] == [2_000, 500]


def test_a_survey_takes_as_many_answers_as_the_listing_has(tmp_path: Path) -> None:
    office = Office(START, 1)
    for campaign in CAMPAIGNS[:2]:
        office.grant(campaign, 1_000, 0, 3_000, 4_800)
    purses = Purses(tmp_path / "purses", 8)
    keeper = LeaseKeeper(purses, release_after_s=RELEASE_S, clock=lambda: START)
    while not keeper.surveyed:
        with pytest.raises(ValueError, match="healthy=False"):
            keeper.apply(office.answer(keeper.seen, 0, False), 0)
        keeper.apply(office.answer(keeper.seen, 0, False), 0, complete=False)
    assert sorted(keeper.held()) == [1, 2]
    for campaign in CAMPAIGNS[:2]:
        assert purses.take(purses.slot_of(campaign), 1, 1) is None
