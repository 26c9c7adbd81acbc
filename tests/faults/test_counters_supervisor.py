"""A supervisor or a worker killed at any point: no count is lost, none is counted twice."""

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from bidder._fast.counters import CounterFile
from bidder.events.outbox import Outbox
from bidder.events.schema import Deltas, Kind
from tests.conditions import wait_until
from tests.unit.test_counters import key

FORK = multiprocessing.get_context("fork")
STEPS = ["flipped", "written", "stored", "cleared"]


def _close_windows_and_die(state: Path, step: str, nth: int) -> None:
    seen = 0

    def at_step(reached: str) -> None:
        nonlocal seen
        seen += reached == step
        if seen == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    file = CounterFile(state / "counters")
    outbox = Outbox(state, "h/bidder", 100, at_step=at_step)
    while True:
        outbox.close_window(file, [], 0)
        for row in (0, 1):
            with file.open_worker(row) as worker:
                worker.count(key(exchange=row), 1)


def published(outbox: Outbox) -> list[Deltas]:
    return [msgspec.msgpack.decode(data, type=Deltas) for data in outbox.messages(outbox.epoch, 1, 10**6)]


@pytest.mark.faults
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_supervisor_neither_loses_nor_doubles(tmp_path: Path, step: str, nth: int) -> None:
    file = CounterFile(tmp_path / "counters")
    before = {0: 5, 1: 7}
    for row, n in before.items():
        with file.open_worker(row) as worker:
            worker.count(key(exchange=row), n)
    child = FORK.Process(target=_close_windows_and_die, args=(tmp_path, step, nth), daemon=True)
    child.start()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL
    outbox = Outbox(tmp_path, "h/bidder", 100)
    interrupted = outbox.seq
    outbox.close_window(file, [], 0)
    outbox.close_window(file, [], 0)
    messages = published(outbox)
    assert [message.seq for message in messages] == list(range(1, interrupted + 3))
    # The child counted 1 in each row after every window that it finished; at "cleared" a row may be cleared in the
    # window in which it dies, which changes no total.
    finished = {"flipped": nth - 1, "written": nth - 1, "stored": nth - 1, "cleared": (nth - 1) // 2}[step]
    totals = {row: sum(r.n for m in messages for r in m.rows if r.exchange == row) for row in before}
    assert totals == {row: n + finished for row, n in before.items()}


def _count_forever(path: Path, row: int) -> None:
    worker = CounterFile(path).open_worker(row)
    n = 0
    while True:
        n += 1
        with worker:
            worker.count(key(kind=Kind.REQUEST, campaign=n % 50), 1, 3)
            worker.count(key(kind=Kind.LATENCY, minute=n), 1)


@pytest.mark.faults
def test_killed_worker_leaves_everything_but_the_request_it_died_in(tmp_path: Path) -> None:
    file = CounterFile(tmp_path / "counters")
    outbox = Outbox(tmp_path, "h/bidder", 1_000)
    totals: Counter[int] = Counter()
    for _ in range(5):
        child = FORK.Process(target=_count_forever, args=(tmp_path / "counters", 0), daemon=True)
        child.start()
        try:
            for _ in range(3):
                wait_until(lambda: file.flip(0) is not None, what="counts")
                for row in outbox.close_window(file, [0], 0).rows:
                    totals[row.kind] += row.n
        finally:
            child.kill()
            child.join(10)
    for _ in range(2):
        for row in outbox.close_window(file, [], 0).rows:
            totals[row.kind] += row.n
            assert row.kind == Kind.LATENCY or 0 <= row.amount - row.n * 3 <= 3
    assert totals[Kind.REQUEST] > 0
    assert 0 <= totals[Kind.REQUEST] - totals[Kind.LATENCY] <= 5
