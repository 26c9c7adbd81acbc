"""Pacing of a host's leases: what their purses say to bids, second by second."""

from pathlib import Path

from bidder._fast.purses import Purses
from bidder.money.leases import LeaseKeeper
from bidder.money.pacing import ALWAYS, FULL_PRICE
from bidder.money.wire import Lease, LeaseState

USD = 10**9
START = 1_800_000_000.0
PRICE = 2_000_000


class Host:
    """A keeper and its purses on one clock; bids are taken by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0
        self.start()

    def start(self) -> None:
        self.purses = Purses(self.path / "purses", 4)
        self.keeper = LeaseKeeper(self.purses, release_after_s=600, clock=lambda: START + self.now)

    def grant(self, *leases: Lease) -> None:
        if not self.keeper.surveyed:
            self.keeper.apply(LeaseState([], False, 1), self.now, complete=False)
        self.keeper.apply(LeaseState(list(leases), False, 1), self.now)

    def second(self, campaign: int, bids: int, price: int = PRICE) -> None:
        """One second of bids, then a step of pacing."""
        slot = self.purses.slot_of(campaign)
        for _ in range(bids):
            self.purses.take(slot, price, int((START + self.now) // 60))
        self.now += 1.0
        self.keeper.pace(self.now)

    def pacing(self, campaign: int) -> tuple[int, int]:
        view = self.purses.purse(self.purses.slot_of(campaign))
        return view.throttle, view.multiplier


def lease(campaign: int, amount: int = 36 * USD // 10, *, even: bool = True, id: int = 1, spent: int = 0) -> Lease:
    return Lease(id, campaign, amount, 0.0, 3_600.0, 5_400.0, 3_600.0, even, spent, [])


def test_even_leases_are_slowed_and_the_others_left(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.grant(lease(100, id=1), lease(101, id=2, even=False))
    for _ in range(20):
        host.second(100, 50)
        host.second(101, 50)
    throttle, multiplier = host.pacing(100)
    assert throttle < ALWAYS
    assert multiplier < FULL_PRICE
    assert host.pacing(101) == (ALWAYS, FULL_PRICE)


def test_a_lease_that_has_bid_for_a_minutes_worth_above_its_plan_waits(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.grant(lease(100, 60 * USD))
    host.second(100, 1, price=4 * USD)
    assert host.pacing(100)[0] == 0


def test_who_never_bid_is_told_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.grant(lease(100))
    host.second(100, 0)
    assert host.pacing(100) == (ALWAYS, FULL_PRICE)


def test_an_even_lease_that_becomes_asap_is_let_go(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.grant(lease(100, 60 * USD))
    host.second(100, 1, price=4 * USD)
    host.grant(lease(100, 60 * USD, even=False))
    host.second(100, 0)
    assert host.pacing(100) == (ALWAYS, FULL_PRICE)


def test_takes_are_counted_across_minutes(tmp_path: Path) -> None:
    """Ten bids a second are twenty times what the plan wants: as many are seen when a minute turns as else."""
    host = Host(tmp_path)
    host.grant(lease(100))
    throttles = []
    for _ in range(130):
        host.second(100, 10)
        throttles.append(host.pacing(100)[0])
    assert max(throttles[70:130]) < 0.6 * ALWAYS
    assert min(throttles[40:60]) <= min(throttles[60:64])


def test_a_supervisor_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.grant(lease(100))
    for _ in range(60):
        host.second(100, 8)
    before = host.pacing(100)
    assert before[1] < FULL_PRICE
    host.start()
    host.grant(lease(100))
    host.second(100, 0)
    host.second(100, 0)
    throttle, multiplier = host.pacing(100)
    assert abs(multiplier - before[1]) < 0.05 * before[1]
    assert throttle < ALWAYS


def test_a_host_with_more_campaigns_than_it_began_with_forgets_no_pace(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.grant(lease(100, 60 * USD))
    host.second(100, 1, price=4 * USD)
    host.grant(lease(100, 60 * USD), *[lease(200 + number, id=10 + number) for number in range(20)])
    host.second(100, 0)
    assert host.pacing(100)[0] == 0
