"""How much of its price a bid reserves, as wins are observed: a campaign on a clock that the test turns."""

import random
from pathlib import Path

import msgspec
import pytest

from bidder.money.wire import Lease
from tests.unit.test_leases import Host, lease

PRICE = 1_000
BIDS_A_SECOND = 20


class Campaign:
    """Bids at a constant rate; wins are billed 30 s later, losses never told."""

    def __init__(self, place: Path, amount: int, price: int = PRICE) -> None:
        """`price`: the most that a bid costs, as the controller says it; 0: it does not."""
        self.host = Host(place)
        self.id = 7
        self.amount = amount
        self.spent = 0
        self.closed: dict[int, int] = {}
        self.refused = 0
        self._price = price
        self._due: list[tuple[float, int, int]] = []  # when, minute of the bid, reserved
        self._chance = random.Random(1)

    def run(self, seconds: int, wins: float, stale: bool = False) -> None:
        """So many seconds, of whose bids this part wins."""
        host = self.host
        for _ in range(seconds):
            host.now += 1.0
            while self._due and self._due[0][0] <= host.now:
                _, minute, taken = self._due.pop(0)
                self.spent += PRICE
                self.closed[minute] = self.closed.get(minute, 0) + taken
            host.hear(self._lease(), stale=stale)
            host.keeper.pace(host.now)
            for _ in range(BIDS_A_SECOND):
                got = host.purses.take(host.slot, PRICE, host.minute)
                if got is None:
                    self.refused += 1
                elif self._chance.random() < wins:
                    self._due.append((host.now + 30, host.minute, got[1]))

    def next_lease(self, amount: int) -> None:
        """Of the next hour; what is out of the one before does not matter here."""
        self.id += 1
        self.amount, self.spent, self.closed, self._due = amount, 0, {}, []

    def _lease(self) -> Lease:
        closed = [(minute, nano) for minute, nano in sorted(self.closed.items()) if minute > self.host.minute - 13]
        told = lease(self.id, self.amount, spent=self.spent, closed=closed, take=1e5 - self.host.now, settle=2e5)
        return msgspec.structs.replace(told, plan=self.amount, price=self._price)

    @property
    def reserved(self) -> float:
        """Of its price, by the next bid."""
        got = self.host.purses.take(self.host.slot, PRICE, self.host.minute)
        assert got is not None
        self.host.purses.give_back(self.host.slot, *got, self.host.minute)
        return got[1] / PRICE


def test_on_day_one_a_bid_reserves_its_full_price(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 100_000 * PRICE)
    campaign.run(600, 0.05)
    assert campaign.reserved == 1.0


def test_a_bid_reserves_what_bids_were_billed_and_a_margin(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 100_000 * PRICE)
    campaign.run(2_400, 0.05)
    assert 0.05 < campaign.reserved < 0.12


def test_where_most_bids_win_full_prices_are_reserved(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 100_000 * PRICE)
    campaign.run(1_800, 0.8)
    assert campaign.reserved == 1.0


def test_bids_that_win_more_often_are_reserved_more_of_within_minutes(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 100_000 * PRICE)
    campaign.run(2_400, 0.05)
    campaign.run(240, 0.3)
    assert campaign.reserved > 0.2


def test_bids_of_a_round_of_buckets_ago_do_not_count_again_while_totals_are_stale(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 1_000_000 * PRICE)
    campaign.run(2_400, 0.4)
    before = campaign.reserved
    assert 0.4 < before < 0.6
    campaign.run(1_500, 0.4, stale=True)
    assert 0.4 < campaign.reserved < before


def test_the_last_stretch_is_reserved_in_full(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, 100_000 * PRICE)
    campaign.run(2_400, 0.05)
    assert campaign.reserved < 0.2
    campaign.amount = (campaign.amount - campaign.host.left) * 102 // 100
    campaign.run(1, 0.05)
    assert campaign.reserved == 1.0


@pytest.mark.parametrize(("wins", "times"), [(0.05, 2.0), (0.2, 1.1)])
def test_an_hour_is_spent_further_than_with_full_prices_and_not_overspent(
    tmp_path: Path, wins: float, times: float
) -> None:
    spent = []
    for place, price in (("full", 0), ("expected", PRICE)):
        (tmp_path / place).mkdir()
        campaign = Campaign(tmp_path / place, 1_000_000 * PRICE, price)
        campaign.run(1_800, wins)
        campaign.next_lease(int(BIDS_A_SECOND * 3_600 * wins * 0.9) * PRICE)
        campaign.run(3_600, wins)
        assert campaign.spent <= campaign.amount
        spent.append(campaign.spent / campaign.amount)
    print(spent)
    assert spent[1] >= times * spent[0]
