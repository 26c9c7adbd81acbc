"""The table of leases: what its face refuses, and how it tells halves apart."""

from pathlib import Path

import pytest

from bidder._fast.leases import LeaseTable
from bidder._fast.purses import Purses
from tests.unit.test_leases import CAMPAIGN, lease

MINUTE = 30_000_000


@pytest.fixture
def table(tmp_path: Path) -> LeaseTable:
    return LeaseTable(Purses(tmp_path / "purses", 4))


def placed(table: LeaseTable, id: int = 7, now: float = 0.0, **at: float) -> int:
    half = 2 * table.purses.slot_of(int(at.get("campaign", CAMPAIGN)))
    table.place(half, lease(id, **at), now, now, MINUTE, known=True, restored=False, mark=1)
    return half


def test_a_half_that_is_taken_is_not_given_to_another_lease(table: LeaseTable) -> None:
    half = placed(table)
    with pytest.raises(ValueError, match="not free"):
        placed(table, 8)
    table.drop(half, 0.5)
    assert not table.is_quiet(half, 1.4)
    with pytest.raises(ValueError, match="not free"):
        placed(table, 8, now=1.4)
    placed(table, 8, now=1.5)
    assert table.lease_of(half) == 8


def test_only_a_lease_can_be_dropped(table: LeaseTable) -> None:
    half = placed(table)
    table.drop(half, 0.0)
    for nobody, error in ((half, ValueError), (half + 1, ValueError), (-1, IndexError)):
        with pytest.raises(error, match=f"half={nobody}"):
            table.drop(nobody, 0.0)


def test_leases_are_found_by_campaign_and_id(table: LeaseTable) -> None:
    half = placed(table)
    assert table.find(CAMPAIGN, 7) == half
    assert table.find(CAMPAIGN, 8) == -1
    used = table.purses.used
    assert table.find(CAMPAIGN + 1, 7) == -1
    assert table.purses.used == used, "asking gives nobody a purse"
    assert table.covers([CAMPAIGN])
    assert not table.covers([CAMPAIGN, CAMPAIGN + 1])


def test_what_closed_of_many_leases_is_kept_apart_when_some_of_them_go(table: LeaseTable) -> None:
    halves = {n: placed(table, n, campaign=n) for n in range(1, 200)}
    for n in halves:
        assert table.purses.take(table.purses.slot_of(n), n, MINUTE) is not None
    table.hear([lease(n, campaign=n, closed=[(MINUTE, n)]) for n in halves], 0.0, MINUTE, fresh=False, mark=1)
    for n in range(1, 200, 3):
        table.drop(halves.pop(n), 0.0)
    table.settle_closed(MINUTE, fresh=True)
    assert {n: table.purses.left(half >> 1, 0) for n, half in halves.items()} == dict.fromkeys(halves, 1_000)
