"""Leases in purses: when they open and shut, and what moves what is left."""

from pathlib import Path

import msgspec
import pytest

from bidder._fast.purses import Purses
from bidder.money import leases
from bidder.money.leases import LeaseKeeper
from bidder.money.wire import Lease, LeaseState

START = 1_800_000_000.0  # wall clock at monotonic 0; a whole minute
CAMPAIGN = 100


def lease(
    id: int = 7, amount: int = 1_000, spent: int = 0, closed: list[tuple[int, int]] | None = None, **at: float
) -> Lease:
    return Lease(
        id=id,
        campaign=int(at.get("campaign", CAMPAIGN)),
        amount=amount,
        begins_in_s=at.get("begins", -60.0),
        take_for_s=at.get("take", 3_000.0),
        settle_for_s=at.get("settle", 4_800.0),
        hour_s=3_600.0,
        even=False,
        spent=spent,
        closed=closed or [],
    )


def shared(lease: Lease, plan: int = 1_000, limit: int = -1) -> Lease:
    return msgspec.structs.replace(lease, plan=plan, limit=limit, price=1)


class Host:
    """A keeper with a clock to turn: `now` is monotonic, the wall clock goes along."""

    def __init__(self, directory: Path, surveyed: bool = True, now: float = 0.0) -> None:
        self.now = now
        self.wall_s = 0  # by which the wall clock was set
        self.purses = Purses(directory / "purses", 16)
        self.keeper = LeaseKeeper(self.purses, release_after_s=600, clock=lambda: START + self.now + self.wall_s)
        if surveyed and not self.keeper.surveyed:
            self.keeper.apply(LeaseState([], False, 0), self.now, complete=False)

    @property
    def slot(self) -> int:
        return self.purses.slot_of(CAMPAIGN)

    @property
    def minute(self) -> int:
        return int(START + self.now + self.wall_s) // 60

    def hear(self, *leases: Lease, stale: bool = False, complete: bool = True) -> None:
        self.keeper.apply(LeaseState(list(leases), stale, 5), self.now, complete=complete)
        self.keeper.tick(self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.keeper.tick(self.now)

    def take(self, price: int) -> int | None:
        """The lease that it came from."""
        taken = self.purses.take(self.slot, price, self.minute)
        return taken[0] if taken else None

    @property
    def left(self) -> int:
        """Of the open half."""
        return next(half.left for half in (self.purses.half(self.slot, which) for which in (0, 1)) if half.lease > 0)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_granted_lease_can_be_taken_from_at_once(host: Host) -> None:
    assert host.take(1) is None
    host.hear(lease())
    assert host.take(1_000) == 7
    assert host.take(1) is None


def test_lease_granted_ahead_opens_when_its_hour_begins(host: Host) -> None:
    host.hear(lease(7, take=10.0), lease(8, amount=50, begins=10.0, take=3_610.0))
    assert host.take(10) == 7
    host.wait(9.9)
    assert host.take(10) == 7
    host.wait(0.1)
    assert host.take(10) == 8
    assert host.left == 40


def test_lease_whose_time_is_over_gives_nothing_but_settles_on(host: Host) -> None:
    host.hear(lease(take=10.0))
    host.take(600)
    host.wait(10.0)
    assert host.take(1) is None
    host.hear(lease(take=-1.0, spent=100, closed=[(host.minute, 600)]))
    assert host.take(1) is None
    half = next(half for half in (host.purses.half(host.slot, which) for which in (0, 1)) if half.lease)
    assert (half.lease, half.left) == (-7, 900)


def test_a_lease_that_is_over_says_what_it_can_still_cost_once_bids_are_out_of_it(host: Host) -> None:
    host.hear(lease(take=10.0))
    host.take(300)
    assert host.keeper.ceilings(host.now) == []
    host.wait(10.0)
    assert host.keeper.ceilings(host.now) == []  # a bid may be in the middle of it
    host.wait(1.0)
    assert host.keeper.ceilings(host.now) == [(7, 300)]
    host.hear(lease(amount=300, take=-1.0))
    assert host.keeper.ceilings(host.now) == []
    host.hear(lease(amount=300, take=-1.0, spent=100, closed=[(host.minute, 300)]))
    assert host.keeper.ceilings(host.now) == [(7, 100)]


def test_of_very_many_ceilings_some_are_told_at_once_and_the_others_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "CEILINGS", 2)
    every = [lease(n, campaign=n, take=10.0) for n in range(1, 6)]
    host.hear(*every)
    host.wait(10.0)
    host.wait(1.0)
    told = host.keeper.ceilings(host.now)
    assert len(told) == 2
    done = {id for id, _ in told}
    host.hear(*(lease(n, amount=0 if n in done else 1_000, campaign=n, take=-1.0) for n in range(1, 6)))
    assert done.isdisjoint(id for id, _ in host.keeper.ceilings(host.now))


def test_leases_of_more_campaigns_than_the_purses_began_with_are_kept(tmp_path: Path) -> None:
    purses = Purses(tmp_path / "purses", 2)
    keeper = LeaseKeeper(purses, release_after_s=600, clock=lambda: START)
    keeper.apply(LeaseState([], False, 0), 0.0, complete=False)
    keeper.apply(LeaseState([lease(n, campaign=n) for n in range(1, 300)], False, 1), 0.0)
    assert keeper.held() == list(range(1, 300))
    assert keeper.count == 299
    for n in range(1, 300):
        assert purses.take(purses.slot_of(n), 1_000, 1) == (n, 1_000)
    keeper.apply(LeaseState([], False, 1), 1.0)
    assert keeper.count == 0


def test_renewed_lease_opens_again_where_it_stood(host: Host) -> None:
    host.hear(lease(take=10.0))
    host.take(600)
    host.wait(10.0)
    assert host.take(1) is None
    host.hear(lease(take=100.0))
    assert host.take(1) == 7
    assert host.left == 399


def test_new_amount_moves_what_is_left(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.hear(lease(amount=1_500))
    assert host.left == 900
    host.hear(lease(amount=500))
    assert host.left == -100
    assert host.take(1) is None


def test_a_lease_that_is_cut_keeps_what_its_bids_may_cost(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.hear(shared(lease(), limit=300))
    assert host.left == 0
    assert host.keeper.wants(host.now) == [(7, 600, 600)]
    host.hear(shared(lease(), limit=300))  # it has not heard that yet
    assert host.left == 0
    host.hear(shared(lease(amount=600, closed=[(host.minute, 200)]), limit=300))
    assert host.keeper.wants(host.now) == [(7, 400, 400)]
    host.hear(shared(lease(amount=2_000, closed=[(host.minute, 200)])))
    assert host.left == 1_600


def test_bill_costs_its_price_and_gives_back_the_rest_of_the_reservation(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.hear(lease(spent=150, closed=[(host.minute, 200)]))
    assert host.left == 1_000 - 600 + 200 - 150
    host.hear(lease(spent=150, closed=[(host.minute, 600)]))
    assert host.left == 1_000 - 150


def test_answer_that_comes_late_changes_nothing(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.hear(lease(spent=150, closed=[(host.minute, 600)]))
    host.hear(lease(spent=0, closed=[(host.minute, 200)]))
    host.hear(lease())
    assert host.left == 850


def test_stale_totals_cost_but_give_nothing_back(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.hear(lease(spent=10, closed=[(host.minute, 600)]), stale=True)
    assert host.left == 400
    host.hear(lease(spent=700, closed=[(host.minute, 600)]), stale=True)
    assert host.left == 300
    host.hear(lease(spent=700, closed=[(host.minute, 600)]))
    assert host.left == 300


def test_reservation_without_a_notice_comes_back_once_after_its_time(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    minute = host.minute
    host.wait(659.0)
    host.hear(lease())
    assert host.left == 400
    host.wait(1.0)
    assert host.left == 1_000
    host.hear(lease(closed=[(minute, 600)]))
    assert host.left == 1_000
    host.hear(lease(spent=550, closed=[(minute, 600)]))
    assert host.left == 450


def test_nothing_comes_back_while_totals_are_stale_or_old(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.wait(700.0)
    assert host.left == 400
    host.hear(lease(), stale=True)
    assert host.left == 400
    host.hear(lease())
    assert host.left == 1_000


@pytest.mark.parametrize("jump_s", [3_600, -3_600, 700])
def test_a_wall_clock_that_is_set_gives_nothing_back_before_its_time(host: Host, jump_s: int) -> None:
    host.hear(lease())
    host.take(600)
    host.wait(120.0)
    host.hear(lease())
    host.wall_s = jump_s
    for _ in range(5):
        host.wait(100.0)
        host.hear(lease())
        assert host.left == 400
    for _ in range(30):
        host.wait(100.0)
        host.hear(lease(take=1_000.0))
    assert host.left == 1_000


def test_what_is_told_in_parts_is_as_old_as_the_first_of_them(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.wait(700.0)
    first = LeaseState([lease()], False, 5, begins=False, ends=False, more=True, partial=True)
    host.keeper.apply(first, host.now)
    host.wait(4.0)  # meanwhile a bill is booked, of which the rest says nothing
    host.keeper.apply(LeaseState([], False, 5, begins=False, ends=False), host.now)
    host.keeper.tick(host.now)
    assert host.left == 400
    host.keeper.apply(LeaseState([lease(spent=500)], False, 5, begins=False, ends=False), host.now)
    host.keeper.tick(host.now)
    assert host.left == 500


def test_only_what_was_not_closed_comes_back(host: Host) -> None:
    host.hear(lease())
    host.take(600)
    host.hear(lease(spent=80, closed=[(host.minute, 100)]))
    assert host.left == 1_000 - 500 - 80
    host.wait(700.0)
    host.hear(lease(spent=80))
    assert host.left == 1_000 - 80


def test_late_bills_can_bring_it_below_zero_and_are_counted_as_overspend(host: Host) -> None:
    host.hear(lease())
    host.take(1_000)
    host.wait(700.0)
    host.hear(lease())
    assert host.take(1_000) == 7
    host.hear(lease(spent=900))
    assert host.left == -900
    host.hear(lease(spent=1_900, closed=[(host.minute, 1_000)]))
    assert host.left == -900
    assert host.keeper.overspent == 900


def test_totals_that_say_more_than_was_taken_give_back_no_more_than_was_taken(host: Host) -> None:
    host.hear(lease())
    host.take(100)
    host.hear(lease(closed=[(host.minute, 600)]))
    assert host.left == 1_000


def test_restarted_supervisor_restores_what_is_left_from_what_was_taken(host: Host, tmp_path: Path) -> None:
    host.hear(lease())
    host.take(300)
    minute = host.minute
    host.wait(60.0)
    host.take(200)
    host.hear(lease(spent=90, closed=[(minute, 100)]))
    again = Host(tmp_path, now=host.now)
    assert again.take(1) is None
    again.hear(lease(spent=120, closed=[(minute, 150)]))
    assert again.left == 1_000 - 120 - (300 - 150) - 200


def test_lost_purses_never_open_a_lease_that_was_out_before(tmp_path: Path) -> None:
    host = Host(tmp_path, surveyed=False)
    assert not host.keeper.surveyed
    host.hear(lease(7), lease(8, begins=10.0, take=3_610.0), complete=False)
    assert host.keeper.surveyed
    assert host.take(1) is None
    again = Host(tmp_path, now=1.0)
    again.hear(lease(7), lease(8, begins=9.0, take=3_609.0))
    assert again.take(1) is None
    assert sorted(again.keeper.held()) == [7, 8]
    again.wait(9.0)
    assert again.take(1) == 8


def test_first_question_after_a_loss_must_not_draw_leases(tmp_path: Path) -> None:
    host = Host(tmp_path, surveyed=False)
    with pytest.raises(ValueError, match="healthy=False"):
        host.hear(lease())


def test_lease_with_a_history_that_no_purse_knows_is_not_opened(host: Host) -> None:
    host.hear(lease(spent=1))
    assert host.take(1) is None


def test_half_is_emptied_for_another_lease_a_second_after_it_was_shut(host: Host) -> None:
    host.hear(lease(5, take=-1.0, begins=-4_000.0), lease(6, take=5.0), lease(7, begins=5.0, take=3_605.0))
    assert host.take(1) == 6
    host.wait(5.0)
    assert host.take(1) == 7
    host.hear(lease(7), lease(8, amount=9))
    assert not host.keeper.ready([CAMPAIGN])
    assert host.take(1) == 7
    host.now += 1.0
    host.hear(lease(7), lease(8, amount=9))
    assert host.keeper.ready([CAMPAIGN])
    assert host.take(9) == 8


def test_closed_lease_is_forgotten(host: Host) -> None:
    host.hear(lease(settle=0.0))
    assert host.keeper.held() == []
    host.hear(lease())
    assert host.keeper.held() == [7]
    host.hear()
    assert host.keeper.held() == []
    assert host.take(1) is None


def test_ready_when_every_campaign_has_a_lease_or_was_refused_one(tmp_path: Path) -> None:
    host = Host(tmp_path, surveyed=False)
    assert not host.keeper.ready([])
    host.hear(complete=False)
    assert not host.keeper.ready([CAMPAIGN])
    host.hear(lease(), complete=False)
    assert host.keeper.ready([CAMPAIGN])
    assert not host.keeper.ready([CAMPAIGN, 101])
    host.hear(lease())
    assert host.keeper.ready([CAMPAIGN, 101])


def test_takes_of_the_minute_ahead_of_the_supervisors_clock_are_kept(host: Host) -> None:
    host.now = 1_200.0
    host.hear(lease())
    host.purses.take(host.slot, 600, host.minute + 1)
    host.hear(lease())
    assert host.left == 400
    host.wait(600.0)
    host.hear(lease())
    assert host.left == 400
    host.wait(120.0)
    host.hear(lease())
    assert host.left == 1_000


def test_release_times_that_minutes_cannot_be_told_apart_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 720"):
        LeaseKeeper(Purses(tmp_path / "purses", 1), release_after_s=721)
