"""The tables of users while processes that use them are killed, and while readers look at what is being written."""

import itertools
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

from bidder._fast.frequency import FrequencyTable
from bidder._fast.segments import SegmentTable
from tests.conditions import wait_until

FORK = multiprocessing.get_context("fork")
NOW_S = 1_790_000_000
CAP = 20
KEYS = [key << 20 | key * 8 for key in range(1, 60)]
PER_S, HOLD_S = 600, 300


def _bid_and_settle(path: Path, seed: int, now_s: int, begun: Event) -> None:
    """Count, confirm and give back, for ever."""
    table = FrequencyTable(path)
    mine: list[int] = []
    turn = seed
    for number in itertools.count():
        turn = (turn * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        key = KEYS[(turn >> 33) % len(KEYS)]
        if table.count(key, now_s, PER_S, CAP, HOLD_S):
            mine.append(key)
        if len(mine) > 30:
            gone = mine.pop(turn >> 40 & 15)
            if turn >> 50 & 7:
                table.lost(gone, now_s, now_s + 1, PER_S, HOLD_S)
            else:
                table.shown(gone, now_s, now_s + 1, PER_S, HOLD_S)
        if number == 300:
            begun.set()


def test_one_that_is_killed_anywhere_leaves_no_window_above_its_cap_and_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "frequency"
    table = FrequencyTable(path, 1 << 14)
    for round_number in range(12):
        now_s = NOW_S + round_number * PER_S
        begun = [FORK.Event() for _ in range(3)]
        workers = [
            FORK.Process(target=_bid_and_settle, args=(path, 97 * round_number + n, now_s, begun[n]), daemon=True)
            for n in range(3)
        ]
        for worker in workers:
            worker.start()
        for event in begun:
            assert event.wait(20)
        for worker in workers:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            worker.join(10)
        counted = [table.counted(key, now_s) for key in KEYS]
        assert 0 < max(counted) <= CAP
        assert table.statistics["late"] == table.statistics["forgotten"] == 0


def _write(path: Path, digest: int, ended: Event) -> None:
    table = SegmentTable(path)
    turn = 0
    while not ended.is_set():
        turn += 1
        table.put(digest, {f"s-{'ab'[turn % 2]}{n}": NOW_S + 100 for n in range(3 + turn % 5)}, NOW_S)


def test_a_reader_of_segments_sees_one_writing_or_none_never_two_mixed(tmp_path: Path) -> None:
    path = tmp_path / "segments"
    table = SegmentTable(path, 1024)
    ended = FORK.Event()
    writer = FORK.Process(target=_write, args=(path, 77, ended), daemon=True)
    writer.start()
    wait_until(lambda: table.names(77, NOW_S), 20, "the first row")
    seen = set()
    for _ in range(50_000):
        names = table.names(77, NOW_S)
        assert len({name[2] for name in names}) <= 1, names
        seen.add(tuple(names))
    ended.set()
    writer.join(10)
    assert len(seen) > 2


def test_a_row_whose_writer_was_killed_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "segments"
    table = SegmentTable(path, 1024)
    table.put(77, {"s-a": NOW_S + 100}, NOW_S)
    for _ in range(10):
        ended = FORK.Event()
        writer = FORK.Process(target=_write, args=(path, 77, ended), daemon=True)
        writer.start()
        wait_until(lambda: table.names(77, NOW_S) not in ([], ["s-z"]), 20, "a row of the writer")
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(10)
        table.put(77, {"s-z": NOW_S + 100}, NOW_S)
        assert table.names(77, NOW_S) == ["s-z"]
