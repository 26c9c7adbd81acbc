"""The loop that books a stream: a real spool, a real database, a clock of the test's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aggregator import money as money_module
from aggregator.ledger import Batch, Ledger, StreamMoved
from aggregator.migrate import migrate
from aggregator.money import CHECK_EVERY_S, POLL_S, MoneyIntake
from aggregator.postgres import Link
from aggregator.sources import SpoolSource
from bidder.events.schema import Notice, NoticeKind
from bidder.events.spool import Spool, SpoolError, SpoolReader
from bidder.ops import log
from tests.conftest import Databases

MINUTE = 29_000_000


@pytest.fixture(scope="module")
def link(databases: Databases) -> Iterator[Link]:
    dsn = databases.create()
    migrate(dsn)
    made = Link(dsn, "test")
    yield made
    made.broken()
    databases.drop(dsn)


class Desk:
    """A spool with its intake, and time."""

    def __init__(self, directory: Path, link: Link) -> None:
        self.now = 0.0
        self.link = link
        self.directory = directory
        self.spool = Spool(directory)
        self.ledger = Ledger(link, {1: NoticeKind.BILL})
        self.intake = MoneyIntake(
            lambda: SpoolSource(SpoolReader(directory), lambda: self.now),
            self.ledger, link, log.get("test"), clock=lambda: self.now,
        )  # fmt: skip

    def put(self, first: int, count: int) -> None:
        """Bills of so many bids."""
        futures = [self.spool.append(msgspec.msgpack.encode(bill(first + n))) for n in range(count)]
        for future in futures:
            future.result(10)

    def stream(self) -> dict[str, Any]:
        with self.link.connection() as db, db.cursor() as cursor:
            cursor.execute("SELECT position, notices, checked_at FROM ops.stream WHERE stream = %s", (self.spool.id,))
            return dict(zip(("position", "notices", "checked_at"), cursor.fetchone() or (0, 0, None), strict=True))


@pytest.fixture
def desk(tmp_path: Path, link: Link) -> Iterator[Desk]:
    made = Desk(tmp_path / "spool", link)
    yield made
    made.spool.close()


def bill(number: int) -> Notice:
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {"kind": NoticeKind.BILL, "exchange": 1, "campaign": 1}
    bid_id = MINUTE.to_bytes(4, "big") + number.to_bytes(8, "big")
    return Notice(**(numbers | {"bid_id": bid_id, "price": 5, "lease": 1}))


def test_batches_are_bounded_and_only_the_last_one_says_that_all_is_booked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(money_module, "BATCH_NOTICES", 4)
    desk.put(100, 10)
    assert desk.intake.step() is True
    assert (desk.stream()["notices"], desk.stream()["checked_at"]) == (4, None)
    assert desk.intake.step() is True
    assert desk.intake.step() is False
    assert (desk.stream()["notices"], desk.stream()["position"]) == (10, desk.spool.durable)
    assert desk.stream()["checked_at"] is not None


def test_an_idle_stream_is_said_to_be_complete_twice_a_second(desk: Desk) -> None:
    desk.intake.step()
    first = desk.stream()["checked_at"]
    desk.now += CHECK_EVERY_S / 2
    desk.intake.step()
    assert desk.stream()["checked_at"] == first
    desk.now += CHECK_EVERY_S / 2
    desk.intake.step()
    assert desk.stream()["checked_at"] > first


def test_a_stream_that_another_process_books_is_read_from_where_that_one_stands(desk: Desk) -> None:
    desk.put(200, 2)
    desk.intake.step()
    desk.put(202, 1)
    here = desk.stream()["position"]
    other = Ledger(desk.link, {1: NoticeKind.BILL})
    other.commit(Batch(desk.spool.id, here, desk.spool.durable, [bill(202)]))
    desk.put(203, 1)
    assert desk.intake.attempt() > 0
    assert "no longer at" in desk.intake.health()["problem"]
    assert desk.intake.attempt() == POLL_S
    assert desk.stream()["notices"] == 4
    with pytest.raises(StreamMoved):
        other.commit(Batch(desk.spool.id, here, here + 1, [bill(204)]))


def test_a_stream_that_is_not_there_yet_is_waited_for(tmp_path: Path, link: Link) -> None:
    intake = MoneyIntake(lambda: SpoolSource(SpoolReader(tmp_path / "none")), Ledger(link, {}), link, log.get("test"))
    with pytest.raises(SpoolError):
        intake.step()
    assert intake.attempt() > 0
    assert intake.health()["stream"] is None


def test_an_exchange_that_nobody_knows_holds_the_stream(desk: Desk) -> None:
    numbers = {name: getattr(bill(400), name) for name in Notice.__struct_fields__}
    desk.spool.append(msgspec.msgpack.encode(Notice(**(numbers | {"exchange": 9})))).result(10)
    assert desk.intake.attempt() > 0
    assert desk.intake.health()["problem"] == "exchange 9 is not in config.exchange"
    assert desk.stream()["position"] == 0
