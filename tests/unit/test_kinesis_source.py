"""Kinesis, read: everything at least once, in the order of its shards, from the marks that stand in Postgres."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec
import pytest

from aggregator.ledger import Ledger
from aggregator.migrate import migrate
from aggregator.money import MoneyIntake
from aggregator.postgres import Link
from bidder.events import kinesis_source
from bidder.events.kinesis_source import LIST_S, PAUSE_S, KinesisSource
from bidder.events.parcel import EMPTY, pack
from bidder.events.schema import Notice, NoticeKind
from bidder.events.segments import record
from bidder.events.stream import Mark, Place, StreamError
from bidder.ops import log
from tests.aws_server import Aws
from tests.conditions import wait_until
from tests.unit.test_aggregator_money import bill

NAMES = (f"reader-{n}" for n in itertools.count())
KEYS = 2**128


def encoded(notice: Notice) -> bytes:
    return record(msgspec.msgpack.encode(notice))


class Reading:
    """A stream of this test's own, filled by hand, and who reads it with a clock that every read moves on."""

    def __init__(self, aws: Aws, shards: int = 1) -> None:
        self.name = next(NAMES)
        self.client = aws.client()
        aws.create(self.name, shards)
        self.now = 0.0
        self.source = self.open()
        self.marks: dict[str, Mark] = {}
        self.position = 0

    def open(self) -> KinesisSource:
        return KinesisSource(self.name, self.client, lambda: self.now)

    def put(self, *numbers: int, at: float = 0.0) -> int:
        """A parcel with these notices, to the shard that has this part of all keys; its sequence number."""
        data = pack([encoded(bill(n)) for n in numbers]) if numbers else EMPTY
        return self.put_raw(data, at)

    def put_raw(self, data: bytes, at: float = 0.0) -> int:
        key = str(int(at * KEYS))
        answer = self.client.put_record(StreamName=self.name, Data=data, PartitionKey="x", ExplicitHashKey=key)
        return int(answer["SequenceNumber"])

    def split(self, shard: int, at: float) -> None:
        self.client.split_shard(
            StreamName=self.name, ShardToSplit=f"shardId-{shard:012}", NewStartingHashKey=str(int(at * KEYS))
        )

    def merge(self, first: int, second: int) -> None:
        names = {"ShardToMerge": f"shardId-{first:012}", "AdjacentShardToMerge": f"shardId-{second:012}"}
        self.client.merge_shards(StreamName=self.name, **names)

    def take(self, most: int = 1_000) -> list[int]:
        """What one take gives, booked at once."""
        self.now += PAUSE_S
        portion = self.source.take(most)
        assert portion.after.position >= self.position + len(portion.notices)
        self.marks |= portion.after.marks
        self.position = portion.after.position
        self.complete_at = portion.complete_at
        return [number(notice) for notice in portion.notices]

    def resume(self, place: Place | None = None) -> None:
        """From `place`, or from what was booked last."""
        if place is not None:
            self.position, self.marks = place.position, dict(place.marks)
        self.source.resume(Place(self.position, dict(self.marks)))

    def take_all(self) -> list[int]:
        """Until nothing is missing, an hour of reads at most."""
        found = []
        for _ in range(200):
            found += self.take()
            if self.complete_at is not None:
                return found
        raise AssertionError(f"no end after {found}")


def number(notice: Notice) -> int:
    return int.from_bytes(notice.bid_id[4:], "big")


@pytest.fixture
def make(aws: Aws) -> Callable[..., Reading]:
    def make(shards: int = 1) -> Reading:
        return Reading(aws, shards)

    return make


def test_whole_records_are_taken_and_the_marks_stand_behind_them(make: Callable[..., Reading]) -> None:
    reading = make()
    ends = [reading.put(n, n + 1) for n in range(0, 10, 2)]
    assert reading.take(3) == [0, 1, 2, 3]
    assert reading.marks == {"shardId-000000000000": Mark(ends[1])}
    assert reading.complete_at is None
    assert reading.take() == [4, 5, 6, 7, 8, 9]
    assert reading.marks == {"shardId-000000000000": Mark(ends[-1])}
    assert reading.complete_at == PAUSE_S  # when it asked, not when it took
    assert reading.take_all() == []
    assert reading.complete_at == reading.now


def test_reading_goes_on_behind_the_marks_and_again_from_them_after_a_failure(make: Callable[..., Reading]) -> None:
    reading = make()
    for n in range(6):
        reading.put(n)
    assert reading.take(2) == [0, 1]
    place = Place(reading.position, dict(reading.marks))
    assert reading.take(2) == [2, 3]
    reading.resume(place)  # it was not booked
    assert reading.take_all() == [2, 3, 4, 5]
    reading.source = reading.open()  # another process
    reading.resume(place)
    assert reading.take_all() == [2, 3, 4, 5]


def test_parents_are_read_and_booked_to_their_end_before_their_children(make: Callable[..., Reading]) -> None:
    reading = make()
    reading.put(1)
    reading.put(2)
    reading.split(0, 0.5)
    reading.put(3, at=0.1)
    reading.put(4, at=0.9)
    reading.merge(1, 2)
    reading.put(5)
    assert reading.take(1) == [1]
    assert reading.complete_at is None
    assert reading.take() == [2]
    assert reading.marks["shardId-000000000000"].ended
    assert sorted(reading.take_all()) == [3, 4, 5]
    assert [mark.ended for _, mark in sorted(reading.marks.items())] == [True, True, True, False]
    reading.split(3, 0.25)
    reading.put(6, at=0.2)
    reading.put(7, at=0.3)
    reading.source = reading.open()  # what has ended is known from the marks
    reading.resume()
    assert sorted(reading.take_all()) == [6, 7]


def test_nothing_is_complete_while_a_child_waits_for_its_parent(make: Callable[..., Reading]) -> None:
    reading = make(2)
    reading.merge(0, 1)
    reading.put(1)
    found, complete = [], None
    while complete is None:
        found += reading.take()
        complete = reading.complete_at
    assert found == [1]


def test_expired_iterators_are_made_again_and_throttled_shards_wait(make: Callable[..., Reading], aws: Aws) -> None:
    reading = make()
    reading.put(1)
    assert reading.take() == [1]
    reading.put(2)
    aws.faults("GetRecords", "expired", "throttle")
    assert reading.take() == []
    assert reading.complete_at is None
    assert reading.take() == []
    asked = aws.calls("GetRecords")
    assert reading.take() == []
    assert aws.calls("GetRecords") == asked
    reading.now += kinesis_source.THROTTLED_S
    assert reading.take() == [2]
    aws.faults("GetShardIterator", "throttle")
    reading.resume()
    assert reading.take() == []
    reading.put(3)
    assert reading.take_all() == [3]


@pytest.mark.parametrize("fault", ["500", "reset", "lost", "denied"])
@pytest.mark.parametrize("operation", ["GetRecords", "ListShards", "GetShardIterator"])
def test_whatever_else_fails_is_said_and_read_again(
    make: Callable[..., Reading], aws: Aws, operation: str, fault: str
) -> None:
    reading = make()
    reading.put(1)
    aws.faults(operation, fault)
    with pytest.raises(StreamError, match=reading.source.id):
        reading.take()
    reading.resume()
    assert reading.take_all() == [1]


def test_what_is_no_parcel_of_ours_stops_the_stream_by_its_place(make: Callable[..., Reading]) -> None:
    reading = make()
    reading.put(1)
    foreign = reading.put_raw(b'{"hello": "world, how are you"}')
    reading.put(2)
    assert reading.take(1) == [1]
    for _ in range(2):
        with pytest.raises(StreamError, match=f"shardId-000000000000: record {foreign}: no parcel"):
            reading.take()
        reading.resume()
    reading.resume(Place(reading.position, {"shardId-000000000000": Mark(foreign)}))  # as an operator would
    assert reading.take_all() == [2]


def test_shards_that_went_unread_are_said_once_and_then_passed(make: Callable[..., Reading]) -> None:
    reading = make()
    reading.put(1)
    gone = {"shardId-000000000099": Mark(77)}
    reading.resume(Place(5, gone))
    with pytest.raises(StreamError, match=r"retention is over .* shardId-000000000099 after 77"):
        reading.take()
    reading.resume(Place(5, gone))
    assert reading.take() == [1]
    assert reading.marks["shardId-000000000099"] == Mark(77, ended=True)


def test_a_mark_of_a_stream_that_had_this_name_before_hides_nothing(make: Callable[..., Reading]) -> None:
    reading = make()
    reading.put(1)
    reading.resume(Place(9, {"shardId-000000000000": Mark(12)}))
    assert reading.take_all() == [1]


def test_a_busy_shard_does_not_keep_the_others_waiting(make: Callable[..., Reading]) -> None:
    reading = make(2)
    for n in range(10):
        reading.put(n, at=0.1)
    reading.put(99, at=0.9)
    first, second = reading.take(4), reading.take(4)
    assert 99 in first + second


def test_shards_of_a_list_that_grew_old_are_found(make: Callable[..., Reading]) -> None:
    reading = make()
    assert reading.take_all() == []
    reading.split(0, 0.5)
    reading.put(1, at=0.7)
    reading.now += LIST_S
    assert reading.take_all() == [1]


def test_whatever_fails_in_any_order_all_is_read_from_the_marks(make: Callable[..., Reading], aws: Aws) -> None:
    chance = random.Random(5)
    reading = make(2)
    shards, sent = 2, 0
    found: Counter[int] = Counter()
    for step in range(60):
        for _ in range(chance.randrange(4)):
            reading.put(sent, sent + 1, at=chance.random())
            sent += 2
        if step % 20 == 10:
            open_ = [s["ShardId"] for s in reading.client.list_shards(StreamName=reading.name)["Shards"]
                     if "EndingSequenceNumber" not in s["SequenceNumberRange"]]  # fmt: skip
            reading.split(int(open_[0][-4:]), 0.1 + 0.1 * step / 60)
            shards += 1
        aws.faults("GetRecords", *chance.choices(["ok", "expired", "throttle", "500", "reset", "lost"], k=2))
        try:
            found.update(reading.take(chance.randrange(1, 8)))
        except StreamError:
            reading.resume()
    aws.heal()
    reading.now += 10
    found.update(reading.take_all())
    assert found == Counter(range(sent))  # booked with their marks, so each once


@pytest.fixture
def link(database: str) -> Iterator[Link]:
    migrate(database)
    made = Link(database, "test")
    yield made
    made.broken()


def spend(link: Link) -> tuple[int, int]:
    with link.connection() as db, db.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(bills), 0)::int, coalesce(sum(spend_nano), 0)::int FROM rollup.notice_minute"
        )
        found = cursor.fetchone()
        assert found is not None
        return found


def test_one_aggregator_books_and_another_takes_over_where_it_stood(
    make: Callable[..., Reading], link: Link, database: str
) -> None:
    reading = make(2)
    other = Link(database, "other")

    def intake(through: Link) -> MoneyIntake:
        ledger = Ledger(through, {1: NoticeKind.BILL})
        return MoneyIntake(reading.open, ledger, through, log.get("test"), clock=lambda: reading.now)

    def work(on: MoneyIntake, rounds: int = 6) -> None:
        for _ in range(rounds):
            reading.now += 1
            on.attempt()

    first, second = intake(link), intake(other)
    for n in range(10):
        reading.put(n, n, n + 1, at=n / 10)  # with repeats, within and across shards
    work(first)
    assert spend(link) == (11, 55)
    work(second)
    assert second.health()["standby"]
    assert second.health()["problem"] is None
    reading.put(50)
    work(second)
    assert spend(link) == (11, 55)
    link.broken()  # as when its process dies

    def took_over() -> bool:
        work(second, 1)
        return not second.health()["standby"]

    wait_until(took_over)
    work(second)
    assert spend(other) == (12, 60)
    with other.connection() as db, db.cursor() as cursor:
        cursor.execute("SELECT count(*), bool_and(checked_at IS NOT NULL), sum(notices)::int FROM ops.stream")
        assert cursor.fetchone() == (1, True, 31)
        cursor.execute("SELECT shard, sequence FROM ops.shard ORDER BY 1")
        marks: Mapping[str, int] = {shard: int(sequence) for shard, sequence in cursor.fetchall()}
    assert marks["shardId-000000000000"] == reading.put(51) - 1
    work(first)
    assert first.health()["standby"]
    other.broken()
