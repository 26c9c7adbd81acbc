"""The spool acknowledges what is synced, refuses what cannot be, and is loud about what it lost."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import msgspec
import pytest

from bidder.events.schema import Notice
from bidder.events.segments import HEADER, MAX_RECORD, read_durable, segments
from bidder.events.spool import MAX_QUEUED, SLOW_S, Spool, SpoolError, SpoolReader
from tests.conditions import wait_until


def payload(n: int) -> bytes:
    bid_id = n.to_bytes(12, "big")
    return msgspec.msgpack.encode(Notice(2, 0, bid_id, n, *([0] * 16)))


def numbers(reader: SpoolReader, position: int = 0, max_bytes: int = 1 << 20) -> list[int]:
    """What the notices from `position` to the end say, read in steps."""
    found: list[int] = []
    while True:
        notices, following = reader.read(position, max_bytes)
        if not notices:
            assert following == position
            return found
        assert following == notices[-1][0] > position
        found += [notice.received_ms for _, notice in notices]
        position = following


class Disk:
    """fdatasync that can be held back, or refuse."""

    def __init__(self) -> None:
        self.syncs = 0
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.error: OSError | None = None

    def sync(self, descriptor: int) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        self.syncs += 1
        if self.error is not None:
            raise self.error
        os.fdatasync(descriptor)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.error = None
    disk.gate.set()


def test_what_is_acknowledged_can_be_read_in_order_with_its_positions(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    futures = [spool.append(payload(n)) for n in range(100)]
    acknowledged = [future.result(5) for future in futures]
    assert acknowledged == sorted(set(acknowledged))
    reader = SpoolReader(tmp_path / "spool")
    assert reader.id == spool.id
    notices, following = reader.read(0, 1 << 20)
    assert [position for position, _ in notices] == acknowledged
    assert [notice.received_ms for _, notice in notices] == list(range(100))
    assert following == spool.durable == spool.position == reader.durable
    assert numbers(reader, acknowledged[41], max_bytes=1) == list(range(42, 100))
    spool.close()


def test_all_that_arrives_during_a_sync_shares_the_next_one(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, sync=disk.sync)
    disk.entered.clear()
    disk.gate.clear()
    first = spool.append(payload(0))
    assert disk.entered.wait(5)
    before = disk.syncs
    rest = [spool.append(payload(n)) for n in range(1, 500)]
    assert not first.done()
    assert not any(future.done() for future in rest)
    assert SpoolReader(tmp_path).read(0, 1 << 20) == ([], 0)
    disk.gate.set()
    for future in rest:
        future.result(5)
    assert disk.syncs == before + 2
    spool.close()


def test_flush_waits_for_all_that_was_appended_before(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, sync=disk.sync)
    disk.gate.clear()
    spool.append(payload(0))
    flushed = spool.flush()
    assert spool.position > spool.durable == 0
    disk.gate.set()
    assert flushed.result(5) == spool.durable == spool.position
    assert spool.flush().result(5) == spool.durable
    spool.close()


def test_a_failed_sync_refuses_all_that_it_covered_and_the_next_success_heals(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, sync=disk.sync)
    kept = spool.append(payload(1)).result(5)
    disk.error = OSError(5, "Input/output error")
    refused = [spool.append(payload(n)) for n in (2, 3)]
    for future in refused:
        with pytest.raises(SpoolError, match="Input/output error"):
            future.result(5)
    assert not spool.healthy
    assert spool.failure is not None
    assert spool.refused == 2
    assert spool.durable == spool.position == kept
    assert sum(path.stat().st_size for path in tmp_path.glob("*.seg")) == kept
    disk.error = None
    assert spool.append(payload(4)).result(5) > kept
    assert spool.healthy
    assert numbers(SpoolReader(tmp_path)) == [1, 4]
    spool.close()


def test_an_unhealthy_spool_finds_out_by_itself_that_the_disk_is_back(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, sync=disk.sync)
    disk.error = OSError(28, "No space left on device")
    with pytest.raises(SpoolError, match="No space left"):
        spool.append(payload(1)).result(5)
    assert not spool.healthy
    disk.error = None
    wait_until(lambda: spool.healthy)
    spool.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".seg") == ["durable", "id", "lock"]


def test_a_sync_that_hangs_makes_the_spool_unhealthy_while_it_lasts(tmp_path: Path, disk: Disk) -> None:
    now = [100.0]
    spool = Spool(tmp_path, sync=disk.sync, monotonic=lambda: now[0])
    disk.entered.clear()
    disk.gate.clear()
    future = spool.append(payload(1))
    assert disk.entered.wait(5)
    assert spool.healthy
    now[0] += SLOW_S + 1
    assert not spool.healthy
    disk.gate.set()
    future.result(5)
    spool.append(payload(2)).result(5)
    assert spool.healthy
    spool.close()


def test_appends_beyond_what_may_wait_are_refused_at_once(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path, sync=disk.sync)
    disk.gate.clear()
    waiting: list[Future[int]] = []
    big = bytes(MAX_RECORD)
    for _ in range(MAX_QUEUED // MAX_RECORD + 1):
        waiting.append(spool.append(big))
    with pytest.raises(SpoolError, match="already wait for the disk"):
        waiting[-1].result(0)
    assert waiting.pop().done()
    disk.gate.set()
    assert sum(future.exception(10) is not None for future in waiting) + 1 == spool.refused
    assert sum(future.exception(10) is None for future in waiting) == MAX_QUEUED // (MAX_RECORD + HEADER.size)
    spool.close()


@pytest.mark.parametrize("size", [0, MAX_RECORD + 1])
def test_a_record_of_an_impossible_size_is_a_bug_of_the_caller(tmp_path: Path, size: int) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(ValueError, match=f"a record of {size} bytes"):
        spool.append(bytes(size))
    spool.close()


def test_a_second_writer_is_turned_away_and_a_closed_spool_refuses(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SpoolError, match="another process writes this spool"):
        Spool(tmp_path)
    spool.close()
    with pytest.raises(SpoolError, match="the spool is closed"):
        spool.append(payload(1)).result(5)
    Spool(tmp_path).close()


def test_the_stream_goes_on_across_segments_and_restarts_under_one_name(tmp_path: Path) -> None:
    names = set()
    for start in range(0, 60, 20):
        spool = Spool(tmp_path, segment_bytes=300)
        names.add(spool.id)
        assert spool.torn_bytes == 0
        for n in range(start, start + 20):
            spool.append(payload(n)).result(5)
        spool.close()
    assert len(names) == 1
    assert len(segments(tmp_path)) > 6
    assert numbers(SpoolReader(tmp_path), max_bytes=150) == list(range(60))


def test_trim_removes_only_whole_segments_before_the_position(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=300)
    positions = [spool.append(payload(n)).result(5) for n in range(40)]
    reader = SpoolReader(tmp_path)
    assert reader.trim(positions[20], older_than_s=3_600) == 0
    assert 0 < reader.trim(positions[20]) <= positions[20]
    assert numbers(reader, positions[20]) == list(range(21, 40))
    with pytest.raises(SpoolError, match="no segment holds position 0"):
        reader.read(0, 100)
    reader.trim(spool.durable)
    assert len(segments(tmp_path)) == 1
    spool.append(payload(40)).result(5)
    spool.close()
    spool = Spool(tmp_path, segment_bytes=300)
    spool.append(payload(41)).result(5)
    assert numbers(reader, positions[-1]) == [40, 41]
    spool.close()


def write_and_leave(directory: Path, count: int) -> Path:
    """A spool of one segment; its file."""
    spool = Spool(directory)
    for n in range(count):
        spool.append(payload(n)).result(5)
    spool.close()
    return segments(directory)[0].path


@pytest.mark.parametrize(
    "tail", [b"\x01", HEADER.pack(50, 0) + b"x" * 20, HEADER.pack(4, 1) + b"abcd", bytes(4_096), b"\xff" * 99]
)
def test_a_torn_tail_is_cut_and_its_length_told(tmp_path: Path, tail: bytes) -> None:
    last = write_and_leave(tmp_path, 5)
    with last.open("ab") as file:
        file.write(tail)
    spool = Spool(tmp_path)
    assert (spool.torn_bytes, spool.corrupt) == (len(tail), None)
    spool.append(payload(5)).result(5)
    spool.close()
    assert numbers(SpoolReader(tmp_path)) == list(range(6))


def test_whole_records_behind_an_old_durable_mark_are_kept(tmp_path: Path) -> None:
    write_and_leave(tmp_path, 5)
    end = read_durable(tmp_path)
    (tmp_path / "durable").write_bytes((0).to_bytes(8, "little"))
    spool = Spool(tmp_path)
    assert (spool.durable, spool.torn_bytes) == (end, 0)
    spool.close()


def test_a_rotten_record_is_never_cut_and_readers_name_its_place(tmp_path: Path) -> None:
    last = write_and_leave(tmp_path, 5)
    size = last.stat().st_size
    with last.open("rb+") as file:
        file.seek(2 * (size // 5) + HEADER.size)
        file.write(b"\x00\x00\x00")
    spool = Spool(tmp_path)
    assert spool.corrupt is not None
    assert f"position {2 * (size // 5)}" in spool.corrupt
    assert (spool.torn_bytes, last.stat().st_size) == (0, size)
    spool.append(payload(5)).result(5)
    reader = SpoolReader(tmp_path)
    notices, following = reader.read(0, 1 << 20)
    assert [notice.received_ms for _, notice in notices] == [0, 1]
    with pytest.raises(SpoolError, match=rf"no sound record at byte {following} \(position {following}\)"):
        reader.read(following, 1 << 20)
    assert numbers(reader, size) == [5]
    spool.close()


def test_a_spool_that_lost_acknowledged_bytes_does_not_start(tmp_path: Path) -> None:
    last = write_and_leave(tmp_path, 5)
    os.truncate(last, last.stat().st_size - 10)
    with pytest.raises(SpoolError, match="acknowledged bytes are missing"):
        Spool(tmp_path)


def test_a_hole_between_segments_and_a_lost_name_are_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=100)
    for n in range(10):
        spool.append(payload(n)).result(5)
    spool.close()
    first = segments(tmp_path)[0].path
    os.truncate(first, first.stat().st_size - 1)
    with pytest.raises(SpoolError, match=f"{first.name}: 1 bytes are missing"):
        SpoolReader(tmp_path).read(0, 1)
    (tmp_path / "id").unlink()
    with pytest.raises(SpoolError, match="no spool there"):
        SpoolReader(tmp_path)


def test_a_reader_notices_that_another_stream_took_the_place_of_its_own(tmp_path: Path) -> None:
    write_and_leave(tmp_path / "spool", 3)
    reader = SpoolReader(tmp_path / "spool")
    (tmp_path / "spool").rename(tmp_path / "away")
    write_and_leave(tmp_path / "spool", 1)
    with pytest.raises(SpoolError, match=f"no longer the stream {reader.id}"):
        reader.read(reader.durable, 100)


def test_refused_bytes_that_could_not_be_cut_off_are_not_read(tmp_path: Path) -> None:
    first = write_and_leave(tmp_path, 3)
    spool = Spool(tmp_path)
    spool.append(payload(3)).result(5)
    with first.open("ab") as file:
        file.write(HEADER.pack(3, 7) + b"abc")
    assert numbers(SpoolReader(tmp_path)) == [0, 1, 2, 3]
    spool.close()
    Spool(tmp_path).close()
