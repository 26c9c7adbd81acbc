"""The outbox: windows are numbered without gaps, kept, and found again by the next supervisor."""

from pathlib import Path

import msgspec
import pytest

from bidder._fast.counters import CounterFile
from bidder.events.outbox import Outbox, OutboxError
from bidder.events.schema import Deltas
from tests.unit.test_counters import key


@pytest.fixture
def file(tmp_path: Path) -> CounterFile:
    return CounterFile(tmp_path / "shm" / "counters")


def stored(outbox: Outbox, first: int = 1, last: int = 10**6) -> list[Deltas]:
    return [msgspec.msgpack.decode(data, type=Deltas) for data in outbox.messages(outbox.epoch, first, last)]


def test_window_merges_all_workers_by_key_and_is_stored_as_sent(file: CounterFile, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "h/bidder", 10)
    for row, n in ((0, 1), (1, 2), (7, 4)):
        with file.open_worker(row) as worker:
            worker.count(key(exchange=1), n, 10 * n)
            worker.count(key(exchange=2, minute=row), 1)
    deltas = outbox.close_window(file, range(8), 1_234)
    assert (deltas.producer, deltas.epoch, deltas.seq, deltas.window_ms) == ("h/bidder", outbox.epoch, 1, 1_234)
    assert {(row.exchange, row.minute, row.n, row.amount) for row in deltas.rows} == {
        (1, 0, 7, 70),
        (2, 0, 1, 0),
        (2, 1, 1, 0),
        (2, 7, 1, 0),
    }
    assert stored(outbox) == [deltas]


def test_window_without_counts_still_has_its_number(file: CounterFile, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "h/bidder", 10)
    assert [outbox.close_window(file, [], at).seq for at in range(3)] == [1, 2, 3]
    assert [message.rows for message in stored(outbox)] == [[], [], []]


def test_next_supervisor_goes_on_with_epoch_and_seq(file: CounterFile, tmp_path: Path) -> None:
    first = Outbox(tmp_path, "h/bidder", 10)
    first.close_window(file, [], 0)
    second = Outbox(tmp_path, "h/bidder", 10)
    assert second.epoch == first.epoch
    assert second.close_window(file, [], 0).seq == 2
    assert [message.seq for message in stored(second)] == [1, 2]


def test_another_boot_begins_another_epoch_and_still_sends_the_old_one(file: CounterFile, tmp_path: Path) -> None:
    first = Outbox(tmp_path, "h/bidder", 10, boot=b"a" * 16)
    first.close_window(file, [], 0)
    second = Outbox(tmp_path, "h/bidder", 10, boot=b"b" * 16)
    assert second.epoch != first.epoch
    assert second.close_window(file, [], 0).seq == 1
    assert len(list(second.messages(first.epoch, 1, 1))) == 1


def test_only_the_last_messages_are_kept(file: CounterFile, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "h/bidder", 3)
    for at in range(5):
        outbox.close_window(file, [], at)
    assert [message.seq for message in stored(outbox)] == [3, 4, 5]
    assert [message.seq for message in stored(outbox, 4, 4)] == [4]
    assert len(list((tmp_path / "outbox").glob("*.msg"))) == 3


def test_worker_that_stays_inside_a_request_is_waited_for_and_then_left_for_the_next_window(
    file: CounterFile, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path, "h/bidder", 10)
    with file.open_worker(0) as worker:
        worker.count(key(), 1)
        assert outbox.close_window(file, [0], 0).rows == []
        assert outbox.busy == 1
        worker.count(key(), 1)
    assert [row.n for row in outbox.close_window(file, [0], 0).rows] == [2]


def test_row_without_a_worker_is_not_waited_for(file: CounterFile, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "h/bidder", 10)
    worker = file.open_worker(0)
    worker.__enter__()
    worker.count(key(), 5)
    assert [row.n for row in outbox.close_window(file, [], 0).rows] == [5]


def test_window_that_cannot_be_stored_keeps_its_counts_for_the_next(file: CounterFile, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "h/bidder", 10)
    with file.open_worker(0) as worker:
        worker.count(key(), 5)
    directory = tmp_path / "outbox"
    directory.rename(tmp_path / "away")
    with pytest.raises(OutboxError, match="cannot be stored: No such file"):
        outbox.close_window(file, [0], 0)
    (tmp_path / "away").rename(directory)
    deltas = outbox.close_window(file, [0], 0)
    assert (deltas.seq, [row.n for row in deltas.rows]) == (1, [5])


def test_damaged_newest_message_is_refused_by_name(file: CounterFile, tmp_path: Path) -> None:
    Outbox(tmp_path, "h/bidder", 10).close_window(file, [], 0)
    path = next((tmp_path / "outbox").glob("*.msg"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OutboxError, match=path.name):
        Outbox(tmp_path, "h/bidder", 10).close_window(file, [], 0)


def test_unreadable_epoch_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "epoch").write_text("?")
    with pytest.raises(OutboxError, match=r"epoch.*remove it"):
        Outbox(tmp_path, "h/bidder", 10)
