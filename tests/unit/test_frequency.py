"""The table of caps: windows, what is forgotten when it is full, whose keys, and many workers at once."""

import multiprocessing
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from bidder._fast.frequency import PERIOD_S, FrequencyTable
from bidder._fast.mapping import MappingError

FORK = multiprocessing.get_context("fork")
NOW_S = 1_790_000_000
BOOT = bytes(range(16))


@pytest.fixture
def table(tmp_path: Path) -> FrequencyTable:
    return FrequencyTable(tmp_path / "shm" / "frequency", 1024, now_s=NOW_S)


def test_a_window_counts_up_to_its_cap_and_no_further(table: FrequencyTable) -> None:
    assert [table.count(7, NOW_S, 60, 3) for _ in range(5)] == [True, True, True, False, False]
    assert table.counted(7, NOW_S) == 3


def test_a_window_begins_with_its_first_bid_and_does_not_slide(table: FrequencyTable) -> None:
    assert table.count(7, NOW_S, 60, 2)
    assert table.count(7, NOW_S + 59, 60, 2)
    assert not table.count(7, NOW_S + 59, 60, 2)
    assert table.counted(7, NOW_S + 60) == 0
    assert table.count(7, NOW_S + 60, 60, 2)
    assert table.counted(7, NOW_S + 119) == 1


def test_keys_of_one_bucket_are_counted_apart(table: FrequencyTable) -> None:
    for key in range(1, 8):
        for _ in range(key):
            assert table.count(key, NOW_S, 60, 10)
    assert [table.counted(key, NOW_S) for key in range(1, 8)] == list(range(1, 8))
    assert table.counted(8, NOW_S) == 0


def test_a_full_bucket_takes_a_place_whose_window_is_over(tmp_path: Path) -> None:
    table = FrequencyTable(tmp_path / "frequency", 8)
    for key in range(1, 9):
        assert table.count(key, NOW_S, 60 if key == 5 else 600, 1)
    assert table.count(9, NOW_S + 60, 600, 1)
    assert (table.forgotten, table.counted(9, NOW_S + 60)) == (0, 1)
    assert all(table.counted(key, NOW_S + 60) for key in range(1, 9) if key != 5)


def test_a_bucket_full_of_running_windows_forgets_the_one_that_ends_first_and_counts_it(tmp_path: Path) -> None:
    table = FrequencyTable(tmp_path / "frequency", 8)
    for key in range(1, 9):
        assert table.count(key, NOW_S, 600 - key, 3)
    assert table.count(9, NOW_S, 600, 3)
    assert (table.counted(9, NOW_S), table.counted(8, NOW_S), table.counted(7, NOW_S)) == (1, 0, 1)
    assert table.forgotten == 1


def test_all_who_attach_share_the_counts(table: FrequencyTable, tmp_path: Path) -> None:
    other = FrequencyTable(tmp_path / "shm" / "frequency")
    assert other.capacity == table.capacity
    assert table.count(7, NOW_S, 60, 2)
    assert other.count(7, NOW_S, 60, 2)
    assert not table.count(7, NOW_S, 60, 2)


def test_counts_outlive_the_supervisor_but_not_a_boot_or_another_size(tmp_path: Path) -> None:
    path = tmp_path / "frequency"
    assert FrequencyTable(path, 64, boot=BOOT).count(7, NOW_S, 60, 2)
    assert FrequencyTable(path, 64, boot=BOOT).counted(7, NOW_S) == 1
    assert FrequencyTable(path, 64, boot=BOOT[::-1]).counted(7, NOW_S) == 0
    assert FrequencyTable(path, 64, boot=BOOT[::-1]).count(7, NOW_S, 60, 2)
    assert FrequencyTable(path, 128, boot=BOOT[::-1]).counted(7, NOW_S) == 0


def test_keys_are_random_replaced_each_period_and_the_one_before_the_last_is_erased(tmp_path: Path) -> None:
    path = tmp_path / "frequency"
    period = NOW_S // PERIOD_S
    begins_s = (period + 1) * PERIOD_S
    table = FrequencyTable(path, 8, now_s=NOW_S, keys=key_of)

    def held() -> list[int]:
        return [which for which in range(period - 2, period + 4) if key_of(which) in path.read_bytes()]

    assert held() == [period - 1, period]
    assert not table.rotate(begins_s - 1)
    assert table.rotate(begins_s)
    assert (held(), table.period, table.keys) == ([period, period + 1], period + 1, key_of(period + 1))
    assert not table.rotate(begins_s + PERIOD_S - 1)
    assert table.rotate(begins_s + 2 * PERIOD_S)  # nobody was there for a period
    assert (held(), table.period) == ([period + 2, period + 3], period + 3)


def key_of(period: int) -> bytes:
    return b"%04d" % period * 16


def test_another_secret_forgets_all_and_without_one_keys_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "frequency"
    assert FrequencyTable(path, 64, now_s=NOW_S, keys=key_of).count(7, NOW_S, 60, 2)
    assert FrequencyTable(path, 64, now_s=NOW_S, keys=key_of).counted(7, NOW_S) == 1
    assert FrequencyTable(path, 64, now_s=NOW_S).counted(7, NOW_S) == 1
    assert FrequencyTable(path, 64, now_s=NOW_S, keys=lambda period: bytes(64)).counted(7, NOW_S) == 0
    drawn = [FrequencyTable(tmp_path / name, 8, now_s=NOW_S).keys for name in ("a", "b")]
    assert drawn[0] != drawn[1]
    with pytest.raises(ValueError, match="64 bytes, not 3"):
        FrequencyTable(tmp_path / "c", 8, now_s=NOW_S, keys=lambda period: b"abc")


def test_a_hold_becomes_an_impression_or_is_given_back(table: FrequencyTable) -> None:
    assert [table.count(7, NOW_S, 600, 2, 60) for _ in range(3)] == [True, True, False]
    assert table.shown(7, NOW_S, NOW_S + 5, 600, 60) == 1
    assert table.counted(7, NOW_S + 59) == 2
    assert table.counted(7, NOW_S + 60) == 1
    assert [table.count(7, NOW_S + 60, 600, 2, 60) for _ in range(2)] == [True, False]
    assert table.statistics | {"dropped": 0} == table.statistics
    assert (table.statistics["confirmed"], table.statistics["late"]) == (1, 0)


def test_a_loss_gives_its_hold_back_at_once_but_none_that_is_gone_or_of_another_window(table: FrequencyTable) -> None:
    assert table.count(7, NOW_S, 600, 1, 60)
    assert table.lost(7, NOW_S, NOW_S + 1, 600, 60)
    assert not table.lost(7, NOW_S, NOW_S + 1, 600, 60)
    assert table.count(7, NOW_S + 10, 600, 1, 60)
    assert not table.lost(7, NOW_S - 1, NOW_S + 10, 600, 60)  # bid before the window began
    assert not table.lost(8, NOW_S, NOW_S + 10, 600, 60)
    assert not table.lost(7, NOW_S + 10, NOW_S + 70, 600, 60)
    assert table.statistics["released"] == 1


def test_an_impression_that_comes_late_is_counted_and_may_go_beyond_the_cap(table: FrequencyTable) -> None:
    assert table.count(7, NOW_S, 600, 1, 60)
    assert table.count(7, NOW_S + 60, 600, 1, 60)
    assert table.shown(7, NOW_S, NOW_S + 61, 600, 60) == 1
    assert table.shown(7, NOW_S + 60, NOW_S + 62, 600, 60) == 2
    assert not table.count(7, NOW_S + 300, 600, 1, 60)
    assert table.statistics["late"] == 1


def test_an_impression_without_a_window_begins_one(table: FrequencyTable) -> None:
    assert table.count(7, NOW_S, 60, 1, 300)
    assert table.shown(7, NOW_S, NOW_S + 61, 60, 300) == 1
    assert table.counted(7, NOW_S + 120) == 1
    assert table.counted(7, NOW_S + 121) == 0


def test_what_another_host_counted_is_learned_and_never_takes_back_what_this_one_knows(table: FrequencyTable) -> None:
    table.learn(7, NOW_S + 50, 2, NOW_S)
    assert (table.counted(7, NOW_S), table.counted(7, NOW_S + 50)) == (2, 0)
    assert table.count(7, NOW_S, 600, 4, 30)
    table.learn(7, NOW_S + 40, 1, NOW_S)
    assert table.counted(7, NOW_S) == 3
    table.learn(7, NOW_S + 40, 3, NOW_S)
    assert table.counted(7, NOW_S) == 4
    table.learn(8, NOW_S, 3, NOW_S)
    assert table.counted(8, NOW_S - 1) == 0


def test_a_table_of_an_earlier_layout_makes_room_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "frequency"
    path.write_bytes(b"obfreqs1" + bytes(40_000))
    assert FrequencyTable(path, 8).count(7, NOW_S, 60, 1)


def test_a_file_that_is_missing_foreign_or_cut_short_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "frequency"
    with pytest.raises(MappingError, match=r"supervisor .* creates it"):
        FrequencyTable(path)
    path.write_bytes(b"obpurse1" + bytes(40_000))
    with pytest.raises(MappingError, match="remove it"):
        FrequencyTable(path, 8)
    path.unlink()
    FrequencyTable(path, 1024)
    with path.open("r+b") as file:
        file.truncate(40_000)
    with pytest.raises(MappingError, match="shorter than its 1024 slots"):
        FrequencyTable(path)


@pytest.mark.parametrize("capacity", [-8, 4, 12, 1000, 1 << 29])
def test_a_capacity_is_a_power_of_two(tmp_path: Path, capacity: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        FrequencyTable(tmp_path / "frequency", capacity)


def test_arguments_that_mean_nothing_are_refused(table: FrequencyTable) -> None:
    with pytest.raises(ValueError, match="key=0"):
        table.count(0, NOW_S, 60, 1)
    with pytest.raises(ValueError, match="key=0"):
        table.counted(0, NOW_S)
    with pytest.raises(ValueError, match="per_s=0"):
        table.count(1, NOW_S, 0, 1)
    with pytest.raises(ValueError, match="impressions=0"):
        table.count(1, NOW_S, 60, 0)


WORKERS = 4
KEYS = 200
CAP = 25


def test_workers_that_count_at_once_never_pass_the_cap_where_there_is_room(tmp_path: Path) -> None:
    FrequencyTable(tmp_path / "frequency", 4096)
    counted = race(tmp_path / "frequency", KEYS)
    assert counted == [CAP] * KEYS


def test_holds_that_become_impressions_while_others_count_never_pass_the_cap(tmp_path: Path) -> None:
    table = FrequencyTable(tmp_path / "frequency", 4096)
    counted = race(tmp_path / "frequency", KEYS, hold_s=300)
    assert counted == [CAP] * KEYS
    assert table.statistics["confirmed"] == CAP * KEYS
    assert table.statistics["late"] == 0


def test_workers_that_open_the_same_windows_at_the_same_moment_open_each_once(tmp_path: Path) -> None:
    FrequencyTable(tmp_path / "frequency", 1 << 18)
    opened = race(tmp_path / "frequency", 20_000, rounds=1, cap=1)
    assert sum(opened) == len(opened)


def test_workers_that_fight_for_old_places_pass_the_cap_by_one_each_at_most(tmp_path: Path) -> None:
    table = FrequencyTable(tmp_path / "frequency", 256)
    for old in range(1_000, 1_256):
        table.count(old, NOW_S - 100, 60, 1)  # every slot has had its user; all windows are over
    counted = race(tmp_path / "frequency", KEYS)
    assert table.forgotten == 0
    assert max(counted) <= CAP + WORKERS - 1
    assert min(counted) >= CAP - WORKERS + 1


def race(path: Path, keys: int, *, rounds: int = CAP + 1, cap: int = CAP, hold_s: int = 0) -> list[int]:
    """Four processes count every key once a round, in the same order; how often each key was counted."""
    results: SimpleQueue[list[int]] = FORK.SimpleQueue()
    start = FORK.Barrier(WORKERS)
    workers = [
        FORK.Process(target=_count_all, args=(path, keys, rounds, cap, hold_s, start, results), daemon=True)
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    tallies = [results.get() for _ in workers]
    for worker in workers:
        worker.join(10)
        assert worker.exitcode == 0
    return [sum(tally[key] for tally in tallies) for key in range(keys)]


def _count_all(
    path: Path, keys: int, rounds: int, cap: int, hold_s: int, start: Barrier, results: SimpleQueue[list[int]]
) -> None:
    table = FrequencyTable(path)
    tally = [0] * keys
    start.wait(10)
    for _ in range(rounds):
        for key in range(keys):
            counted = table.count(key * 8 + 1 | key << 20, NOW_S, 600, cap, hold_s)
            tally[key] += counted
            if counted and hold_s:
                table.shown(key * 8 + 1 | key << 20, NOW_S, NOW_S, 600, hold_s)
    results.put(tally)
