"""The purses: takes never overspend, and what a file says survives whoever dies."""

import multiprocessing
from pathlib import Path

import pytest

from bidder._fast.mapping import MappingError
from bidder._fast.purses import Purses
from tests.conditions import wait_until

FORK = multiprocessing.get_context("fork")
MINUTE = 29_000_000


@pytest.fixture
def purses(tmp_path: Path) -> Purses:
    return Purses(tmp_path / "shm" / "purses", 64)


def with_lease(purses: Purses, amount: int, lease: int = 7) -> int:
    slot = purses.slot_of(100)
    purses.grant(slot, 1, lease, amount)
    purses.open_half(slot, 1)
    return slot


def test_take_names_the_lease_and_lowers_what_is_left(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    assert purses.take(slot, 300, MINUTE) == (7, 300)
    half = purses.half(slot, 1)
    assert half.left == 700
    assert half.taken[MINUTE % 16] == 300 == sum(half.taken)


def test_take_refuses_when_purse_is_thinner_than_price(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    assert purses.take(slot, 1_001, MINUTE) is None
    assert purses.half(slot, 1).left == 1_000
    assert purses.take(slot, 1_000, MINUTE) == (7, 1_000)
    assert purses.take(slot, 1, MINUTE) is None


def test_a_bid_reserves_the_part_of_its_price_that_the_purse_says(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    purses.set_unreserved(slot, 65_536 * 3 // 4)
    assert purses.take(slot, 2_000, MINUTE) == (7, 500)
    assert purses.take(slot, 2_001, MINUTE) is None
    purses.set_unreserved(slot, 65_535)
    assert purses.take(slot, 1, MINUTE) == (7, 1), "never for nothing"
    assert purses.take(slot, 4_000_000_000, MINUTE) is None
    assert purses.left(slot, 1) == 499
    purses.set_unreserved(slot, 0)
    assert purses.take(slot, 499, MINUTE) == (7, 499)


def test_a_lease_is_lowered_no_further_than_it_is_used(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    assert purses.take(slot, 600, MINUTE) == (7, 600)
    assert not purses.lower(slot, 1, 401)
    assert purses.lower(slot, 1, 400)
    assert (purses.left(slot, 1), purses.half(slot, 1).amount) == (0, 600)
    with pytest.raises(ValueError, match="by=0"):
        purses.lower(slot, 1, 0)


def test_nothing_is_taken_from_a_free_or_a_shut_half(purses: Purses) -> None:
    slot = purses.slot_of(100)
    assert purses.take(slot, 1, MINUTE) is None
    purses.grant(slot, 0, 7, 1_000)
    assert purses.take(slot, 1, MINUTE) is None
    purses.open_half(slot, 0)
    assert purses.take(slot, 1, MINUTE) == (7, 1)
    purses.close_half(slot, 0)
    assert purses.take(slot, 1, MINUTE) is None
    assert purses.half(slot, 0).lease == -7


def test_opening_one_half_shuts_the_other(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    purses.grant(slot, 0, 8, 50)
    purses.open_half(slot, 0)
    assert purses.half(slot, 1).lease == -7
    assert purses.take(slot, 50, MINUTE) == (8, 50)
    assert purses.half(slot, 1).left == 1_000


def test_given_back_take_can_be_taken_again_also_when_its_half_was_shut(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    assert purses.take(slot, 1_000, MINUTE) == (7, 1_000)
    purses.give_back(slot, 7, 400, MINUTE)
    assert purses.take(slot, 400, MINUTE) == (7, 400)
    purses.close_half(slot, 1)
    purses.give_back(slot, 7, 400, MINUTE)
    purses.give_back(slot, 99, 400, MINUTE)
    assert purses.half(slot, 1)[1:] == (400, 0, 1_000, purses.half(slot, 1).taken)


def test_open_half_is_neither_cleared_nor_granted_nor_restored(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    for refused in (
        lambda: purses.clear(slot, 1),
        lambda: purses.grant(slot, 1, 8, 1),
        lambda: purses.restore(slot, 1, 1, 0),
    ):
        with pytest.raises(ValueError, match="close it first"):
            refused()


def test_lease_of_unknown_history_is_never_opened(purses: Purses) -> None:
    slot = purses.slot_of(100)
    purses.grant_unknown(slot, 0, 7)
    with pytest.raises(ValueError, match="no lease to take from"):
        purses.open_half(slot, 0)


def test_amount_credits_and_expiry_move_left_by_their_difference(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    purses.take(slot, 600, MINUTE)
    purses.set_amount(slot, 1, 500)
    assert purses.left(slot, 1) == -100
    purses.apply_credits(slot, 1, 250)
    assert purses.left(slot, 1) == 150
    purses.apply_credits(slot, 1, 200)
    assert purses.left(slot, 1) == 100
    assert purses.expire_bucket(slot, 1, MINUTE, -50) == 600
    assert purses.half(slot, 1) == (7, 450, -50, 500, (0,) * 16)


def test_full_file_grows_and_others_catch_up(tmp_path: Path) -> None:
    purses = Purses(tmp_path / "purses", 2)
    worker = Purses(tmp_path / "purses")
    slots = [purses.slot_of(key) for key in range(100, 105)]
    assert slots == list(range(5))
    purses.grant(4, 0, 9, 77)
    purses.open_half(4, 0)
    assert worker.capacity == 2
    worker.catch_up()
    assert worker.capacity == 8
    assert worker.take(4, 7, MINUTE) == (9, 7)
    assert purses.left(4, 0) == 70


def test_two_who_allot_give_each_campaign_one_slot(tmp_path: Path) -> None:
    one = Purses(tmp_path / "purses", 4)
    other = Purses(tmp_path / "purses")
    assert [who.slot_of(key) for key in range(100, 5_000) for who in (one, other)] == [
        slot for slot in range(4_900) for _ in range(2)
    ]
    assert other.slot_of(100) == 0


def test_restore_makes_left_anew_from_what_is_taken(purses: Purses) -> None:
    slot = with_lease(purses, 1_000)
    purses.take(slot, 600, MINUTE)
    purses.close_half(slot, 1)
    purses.restore(slot, 1, 2_000, -30)
    assert purses.left(slot, 1) == 2_000 - 600 - 30


def test_campaign_keeps_its_slot_across_openings_and_growth(tmp_path: Path) -> None:
    path = tmp_path / "purses"
    purses = Purses(path, 2)
    assert purses.created
    slots = [purses.slot_of(500), purses.slot_of(501), purses.slot_of(500)]
    assert slots == [0, 1, 0]
    purses.grant(1, 0, 9, 77)
    larger = Purses(path, 8)
    assert not larger.created
    assert (larger.capacity, larger.slot_of(502), larger.slot_of(501)) == (8, 2, 1)
    assert larger.half(1, 0).left == 77
    assert Purses(path, 4).capacity == 8


def test_worker_sees_what_the_supervisor_writes(tmp_path: Path) -> None:
    purses = Purses(tmp_path / "purses", 4)
    worker = Purses(tmp_path / "purses")
    slot = with_lease(purses, 1_000)
    purses.set_pacing(slot, 123, 32_768)
    purses.set_off(slot, True)
    assert worker.purse(slot) == (100, 1, 123, 32_768, True)
    assert worker.take(slot, 10, MINUTE) == (7, 10)
    assert purses.left(slot, 1) == 990


def test_another_boot_keeps_slots_and_forgets_leases(tmp_path: Path) -> None:
    path = tmp_path / "purses"
    before = Purses(path, 4, boot=b"a" * 16)
    slot = with_lease(before, 1_000)
    before.mark_surveyed()
    assert Purses(path, 4, boot=b"a" * 16).surveyed
    after = Purses(path, 4, boot=b"b" * 16)
    assert not after.surveyed
    assert not after.created
    assert after.slot_of(100) == slot
    assert after.half(slot, 1) == (0, 0, 0, 0, (0,) * 16)
    assert after.purse(slot) == (100, 0, 2**32 - 1, 65_536, False)


def test_missing_and_foreign_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="purses: missing"):
        Purses(tmp_path / "purses")
    (tmp_path / "purses").write_bytes(b"obpurse9" + bytes(10_000))
    with pytest.raises(MappingError, match=r"obpurse9.*remove it"):
        Purses(tmp_path / "purses", 4)


def test_arguments_outside_the_file_are_refused(purses: Purses) -> None:
    for refused in (lambda: purses.left(64, 0), lambda: purses.left(-1, 0), lambda: purses.left(0, 2)):
        with pytest.raises(IndexError):
            refused()
    for wrong in (lambda: purses.slot_of(0), lambda: purses.set_pacing(0, 1, 65_537), lambda: purses.take(0, 0, 1)):
        with pytest.raises(ValueError):
            wrong()


def _take_all(path: Path, slot: int, price: int) -> None:
    purses = Purses(path)
    while purses.take(slot, price, MINUTE + price):
        pass


def test_processes_that_take_at_once_never_overspend(tmp_path: Path) -> None:
    amount = 2_000_003
    purses = Purses(tmp_path / "purses", 4)
    slot = with_lease(purses, amount)
    prices = (3, 5, 7, 11)
    takers = [FORK.Process(target=_take_all, args=(tmp_path / "purses", slot, price)) for price in prices]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(30)
        assert taker.exitcode == 0
    half = purses.half(slot, 1)
    assert 0 <= half.left < min(prices)
    assert half.left + sum(half.taken) == amount


@pytest.mark.faults
def test_killed_taker_leaves_no_more_than_was_granted(tmp_path: Path) -> None:
    amount = 10**15
    purses = Purses(tmp_path / "purses", 4)
    slot = with_lease(purses, amount)
    for _ in range(8):
        before = purses.left(slot, 1)
        taker = FORK.Process(target=_take_all, args=(tmp_path / "purses", slot, 1_000), daemon=True)
        taker.start()
        try:
            wait_until(lambda before=before: purses.left(slot, 1) < before - 100_000, what="takes")
        finally:
            taker.kill()
            taker.join(10)
    half = purses.half(slot, 1)
    assert amount - 8 * 1_000 <= half.left + sum(half.taken) <= amount
    purses.close_half(slot, 1)
    purses.restore(slot, 1, amount, 0)
    assert purses.left(slot, 1) + sum(half.taken) == amount
