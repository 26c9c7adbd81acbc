"""What a build before this one has left can be read; what one after it will add is passed over."""

import gzip
import json
import os
from pathlib import Path

import msgspec
import pytest

from aggregator.fold import fold
from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.counters import CounterFile
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder._fast.shading import Shading, key_of
from bidder.events.outbox import _parse
from bidder.events.schema import Deltas, Row
from bidder.events.segments import DURABLE
from bidder.events.spool import SpoolReader
from bidder.money.tokens import Key, Opener, TokenClass
from tests.samples.__main__ import BOOT, DELTAS, DOCUMENTS, HERE, MESSAGES, NOTICE, NOW_S, ROW, SECRET, TOKEN
from tests.samples.__main__ import write as write_samples


def unpacked(name: str, place: Path) -> Path:
    """A sample as the file that it was."""
    path = place / name
    path.write_bytes(gzip.decompress((HERE / f"{name}.gz").read_bytes()))
    return path


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_a_build_before_says_what_it_said(name: str) -> None:
    data = (HERE / f"{name}.msgpack").read_bytes()
    assert msgspec.msgpack.decode(data, type=type(MESSAGES[name])) == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_of_a_build_after_may_have_more_fields_at_its_end(name: str) -> None:
    message = MESSAGES[name]
    longer = [*msgspec.to_builtins(message, builtin_types=(bytes,)), "a field of later", {"and": 1}]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(longer), type=type(message)) == message


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_read_and_may_have_more_fields(name: str) -> None:
    said = json.loads((HERE / f"{name}.json").read_text()) | {"of_later": [1]}
    assert msgspec.json.decode(json.dumps(said), type=type(DOCUMENTS[name])) == DOCUMENTS[name]


def test_counters_of_a_kind_that_comes_later_pass_and_are_told() -> None:
    later = msgspec.structs.replace(ROW, kind=200)
    folded = fold([msgspec.structs.replace(DELTAS, rows=[later, ROW])])
    assert (folded.unknown, len(folded.traffic)) == (1, 1)
    row = msgspec.msgpack.encode([*msgspec.to_builtins(ROW), 0])
    assert msgspec.msgpack.decode(row, type=Row) == ROW


def test_tokens_open_as_what_was_sealed() -> None:
    opener = Opener((Key(1, SECRET),))
    for name, text in json.loads((HERE / "tokens.json").read_text()).items():
        assert opener.open(text, TokenClass[name]) == TOKEN


def test_a_segment_of_the_spool_has_its_notice(tmp_path: Path) -> None:
    segment = unpacked("segment", tmp_path).rename(tmp_path / f"{0:016x}.seg")
    (tmp_path / "id").write_text("00112233aabbccdd\n")
    (tmp_path / "durable").write_bytes(DURABLE.pack(segment.stat().st_size))
    found, _ = SpoolReader(tmp_path).read(0, 1 << 20)
    assert [notice for _, notice in found] == [NOTICE]


def test_a_message_of_the_outbox_has_its_counters(tmp_path: Path) -> None:
    parsed = _parse(unpacked("outbox-message", tmp_path).read_bytes())
    assert parsed is not None
    assert parsed[0] == [(0, 0, parsed[0][0][2])]
    assert msgspec.msgpack.decode(parsed[1], type=Deltas).rows == [ROW]


def test_a_book_serves_its_campaign(tmp_path: Path) -> None:
    book = Book.open(unpacked("book", tmp_path))
    assert (book.revision, book.campaign_count, book.campaign_id(1)) == (3 << 20, 1, "c-1")


def test_shared_memory_is_what_it_was(tmp_path: Path) -> None:
    board = Board(unpacked("board", tmp_path))
    assert (board.book_revision, board.exchange_off(2), board.exchange_off(1)) == (3 << 20, True, False)
    assert [(row.row, row.pid, row.ready, row.connections) for row in board.rows()] == [(1, 42, True, 6)]
    purses = Purses(unpacked("purses", tmp_path), private=True)
    assert (purses.slot_of(4), purses.left(0, 0), purses.half(0, 0).lease) == (0, 10**9, 8)
    assert FrequencyTable(unpacked("frequency", tmp_path)).counted(99, NOW_S) == 1
    assert SegmentTable(unpacked("segments", tmp_path)).names(99, NOW_S) == ["shoes"]
    shading = Shading(unpacked("shading", tmp_path))
    assert shading.shade(key_of(1, 1, 300, 250), 1_000_000) in range(500_000, 1_000_001)


def test_counters_are_those_of_the_worker_that_had_the_row(tmp_path: Path) -> None:
    fresh = CounterFile(tmp_path / "fresh", boot=BOOT)
    del fresh
    path = unpacked("counters", tmp_path)
    os.truncate(path, (tmp_path / "fresh").stat().st_size)
    made = path.stat().st_ino
    file = CounterFile(path, boot=BOOT)
    assert path.stat().st_ino == made, "it was not made anew"
    assert file.rows() == [0]


def test_every_sample_is_one_that_is_written(tmp_path: Path) -> None:
    write_samples(tmp_path / "again")
    kept = {path.name for path in HERE.iterdir() if path.suffix in (".gz", ".json", ".msgpack")}
    assert {path.name for path in (tmp_path / "again").iterdir()} == kept
