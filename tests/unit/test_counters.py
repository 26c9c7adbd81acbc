"""Counters: what workers count is drained once, in whichever window."""

from pathlib import Path

import pytest

from bidder._fast.counters import CounterFile
from bidder._fast.mapping import MappingError
from bidder.events.outbox import KEY
from bidder.events.schema import Kind, Row

ROOM = 16_384 // 8 * 7
FIELDS = Row.__struct_fields__


def key(**fields: int) -> bytes:
    fields.setdefault("kind", Kind.REQUEST)
    return KEY.pack(*(fields.get(name, 0) for name in FIELDS[:-2]))


def test_key_is_the_event_row_without_its_sums() -> None:
    assert KEY.size == 32
    values = tuple(range(1, 15))
    row = Row(*KEY.unpack(KEY.pack(*values)), 7, 8)
    assert tuple(getattr(row, name) for name in FIELDS) == (*values, 7, 8)


@pytest.fixture
def file(tmp_path: Path) -> CounterFile:
    return CounterFile(tmp_path / "shm" / "counters")


def test_same_key_adds_up_and_another_key_stands_apart(file: CounterFile) -> None:
    worker = file.open_worker(0)
    with worker:
        worker.count(key(exchange=1), 1)
        worker.count(key(exchange=2), 1, 500)
        worker.count(key(exchange=1), 2, 70)
    assert sorted(file.drain(0, 0)) == [(key(exchange=1), 3, 70), (key(exchange=2), 1, 500)]


def test_flipped_table_is_left_alone_and_the_next_request_counts_into_the_other(file: CounterFile) -> None:
    worker = file.open_worker(5)
    assert file.flip(5) is None
    with worker:
        worker.count(key(), 1)
    assert file.flip(5) == 0
    with worker:
        worker.count(key(), 10)
    assert file.drain(5, 0) == [(key(), 1, 0)]
    assert file.drain(5, 1) == [(key(), 10, 0)]


def test_table_left_earlier_is_returned_again_until_it_is_cleared(file: CounterFile) -> None:
    worker = file.open_worker(0)
    for _ in range(2):
        with worker:
            worker.count(key(), 1)
        assert file.flip(0) == 0
    assert file.drain(0, 1) == [(key(), 1, 0)]
    file.clear(0, 0)
    assert file.flip(0) == 1


def test_worker_inside_a_request_keeps_its_table_until_it_is_done(file: CounterFile) -> None:
    worker = file.open_worker(0)
    with worker:
        worker.count(key(), 1)
        assert file.flip(0) == 0
        assert not file.quiet(0, 0)
        worker.count(key(), 1)
    assert file.quiet(0, 0)
    assert file.drain(0, 0) == [(key(), 2, 0)]
    with worker:
        assert not file.quiet(0, 1)
        assert file.quiet(0, 0)


def test_clear_empties_and_begins_a_generation(file: CounterFile) -> None:
    worker = file.open_worker(0)
    with worker:
        worker.count(key(), 1)
    with pytest.raises(ValueError, match="flip first"):
        file.clear(0, 0)
    file.flip(0)
    generation = file.generation(0, 0)
    file.clear(0, 0)
    assert file.drain(0, 0) == []
    assert file.generation(0, 0) == generation + 1
    assert file.generation(0, 1) == generation


def test_full_table_keeps_campaign_and_minute_and_loses_no_count(file: CounterFile) -> None:
    worker = file.open_worker(0)
    with worker:
        for creative in range(1, ROOM + 101):
            worker.count(
                key(kind=Kind.BID, exchange=3, campaign=creative % 5, creative=creative, minute=9, w=320), 1, 2
            )
    rows = file.drain(0, 0)
    assert sum(n for _, n, _ in rows) == ROOM + 100
    assert sum(amount for _, _, amount in rows) == 2 * (ROOM + 100)
    collapsed = {packed: n for packed, n, _ in rows if n > 1}
    assert collapsed == {key(kind=Kind.BID, exchange=3, campaign=campaign, minute=9): 20 for campaign in range(5)}
    assert file.overflowed(0, 0) == 100


def test_overfull_table_still_counts_by_exchange_and_then_by_kind(file: CounterFile) -> None:
    worker = file.open_worker(0)
    with worker:
        for campaign in range(1, 20_001):
            worker.count(key(exchange=campaign % 2 + 1, campaign=campaign, minute=9), 1)
        for minute in range(10, 2_010):
            worker.count(key(kind=Kind.LATENCY, minute=minute), 1)
    rows = {packed: n for packed, n, _ in file.drain(0, 0)}
    assert sum(n for packed, n in rows.items() if packed[0] == Kind.REQUEST) == 20_000
    assert sum(n for packed, n in rows.items() if packed[0] == Kind.LATENCY) == 2_000
    assert rows[key(exchange=1, minute=9)] > 1
    assert rows[key(kind=Kind.LATENCY)] > 1


def test_next_worker_of_a_row_goes_on_where_a_dead_one_stopped(file: CounterFile, tmp_path: Path) -> None:
    dead = file.open_worker(1)
    dead.__enter__()
    dead.count(key(), 1)
    file.flip(1)
    assert not file.quiet(1, 0)
    heir = CounterFile(tmp_path / "shm" / "counters").open_worker(1)
    assert file.quiet(1, 0)
    with heir:
        heir.count(key(), 1)
    assert file.drain(1, 0) == file.drain(1, 1) == [(key(), 1, 0)]


def test_rows_are_those_that_a_worker_has_had_and_cost_no_disk_before(file: CounterFile, tmp_path: Path) -> None:
    assert file.rows() == []
    file.open_worker(127)
    file.open_worker(2)
    assert file.rows() == [2, 127]
    assert (tmp_path / "shm" / "counters").stat().st_blocks * 512 < 100_000


def test_counting_needs_a_request_and_a_whole_key(file: CounterFile) -> None:
    worker = file.open_worker(0)
    with pytest.raises(ValueError, match="outside"):
        worker.count(key(), 1)
    with worker:
        for wrong in (key()[:-1], bytes(32)):
            with pytest.raises(ValueError, match="32 bytes"):
                worker.count(wrong, 1)
    with pytest.raises(IndexError):
        file.open_worker(128)
    with pytest.raises(IndexError):
        file.drain(0, 2)


def test_another_boot_begins_an_empty_file_whose_generations_never_match(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    before = CounterFile(path, boot=b"a" * 16)
    with before.open_worker(0) as worker:
        worker.count(key(), 1)
    assert CounterFile(path, boot=b"a" * 16).drain(0, 0) == [(key(), 1, 0)]
    after = CounterFile(path, boot=b"b" * 16)
    assert after.rows() == []
    assert abs(after.generation(0, 0) - before.generation(0, 0)) > 1_000_000


def test_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "counters").write_bytes(b"obcount9" + bytes(100))
    with pytest.raises(MappingError, match="remove it"):
        CounterFile(tmp_path / "counters")
