"""Kinesis, written: acknowledged means accepted, failures are repeated and bounded, repeats are the worst."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.events import kinesis
from bidder.events.kinesis import MAX_QUEUED, SLOW_S, KinesisStream
from bidder.events.parcel import EMPTY, ParcelError, pack, unpack
from bidder.events.schema import Notice
from bidder.events.segments import MAX_RECORD, record
from bidder.events.stream import StreamError
from tests.aws_server import Aws
from tests.conditions import wait_until

NAMES = (f"writer-{n}" for n in itertools.count())


def payload(n: int, size: int = 0) -> bytes:
    """Of at least `size` bytes that do not compress away."""
    notice = msgspec.msgpack.encode(Notice(2, 0, n.to_bytes(12, "big"), n, *([0] * 16)))
    return notice + n.to_bytes(2, "big") * ((size - len(notice)) // 2) if size else notice


class Writer:
    """A stream of this test's own with its writer, and a clock."""

    def __init__(self, aws: Aws, shards: int = 1, there: bool = True) -> None:
        self.name = next(NAMES)
        self.aws = aws
        self.now = 100.0
        if there:
            aws.create(self.name, shards)
        self.stream = KinesisStream(self.name, aws.client(), monotonic=lambda: self.now)
        if there:
            wait_until(lambda: self.stream.healthy, what="the stream")

    def records(self) -> list[bytes]:
        """What lies in all shards, as it was put."""
        client = self.aws.client()
        found = []
        for shard in client.list_shards(StreamName=self.name)["Shards"]:
            iterator = client.get_shard_iterator(
                StreamName=self.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            found += [one["Data"] for one in client.get_records(ShardIterator=iterator)["Records"]]
        return found

    def numbers(self) -> list[int]:
        """Of all notices in the stream, repeats too."""
        return sorted(
            msgspec.msgpack.decode(body, type=Notice).received_ms for data in self.records() for body in unpack(data)
        )

    def hold(self) -> Callable[[], None]:
        """Whatever is appended from now on waits for the call that this returns, and then goes out together."""
        entered, gate = threading.Event(), threading.Event()
        put = self.stream._client.put_records

        def held(**asked: Any) -> Any:
            entered.set()
            assert gate.wait(20)
            return put(**asked)

        self.stream._client.put_records = held
        self.stream.append(payload(0))
        assert entered.wait(10)
        self.stream._client.put_records = put
        return gate.set


@pytest.fixture
def make(aws: Aws) -> Iterator[Callable[..., Writer]]:
    made: list[Writer] = []

    def make(**options: Any) -> Writer:
        made.append(Writer(aws, **options))
        return made[-1]

    yield make
    aws.heal()
    for writer in made:
        writer.now += 100
        writer.stream.close()


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=30), st.data())
def test_a_parcel_gives_back_what_was_packed_and_refuses_any_damage(payloads: list[bytes], data: st.DataObject) -> None:
    parcel = pack([record(payload) for payload in payloads])
    assert unpack(parcel) == payloads
    damaged = bytearray(parcel)
    place = data.draw(st.integers(0, len(parcel) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        said = unpack(bytes(damaged))
    except ParcelError:
        said = payloads  # some bits of heads say nothing; what is never given is anything else
    assert said == payloads
    with pytest.raises(ParcelError):
        unpack(parcel[: data.draw(st.integers(0, len(parcel) - 1))])
    assert unpack(EMPTY) == []


def test_what_arrives_during_a_call_travels_in_one_record_and_is_acknowledged_with_it(
    make: Callable[..., Writer],
) -> None:
    writer = make()
    release = writer.hold()
    futures = [writer.stream.append(payload(n)) for n in range(1, 500)]
    assert not any(future.done() for future in futures)
    assert writer.stream.position == 500
    release()
    assert {future.result(10) for future in futures} == {500}
    assert len(writer.records()) == 2
    assert writer.numbers() == list(range(500))
    assert writer.stream.durable == writer.stream.position == 500


def test_of_a_call_that_failed_in_part_only_the_rest_is_sent_again(make: Callable[..., Writer], aws: Aws) -> None:
    writer = make()
    aws.faults("PutRecords", "ok", "partial", "down")
    release = writer.hold()
    futures = [writer.stream.append(payload(n, MAX_RECORD)) for n in range(1, 13)]  # three a record of Kinesis
    release()
    assert futures[3].result(10)
    wait_until(lambda: writer.stream.failure is not None)
    assert [future.done() for future in futures] == [False] * 3 + [True] * 3 + [False] * 3 + [True] * 3
    aws.heal()
    for future in futures:
        future.result(20)
    assert len(writer.records()) == 5  # one before, four parcels, each once
    assert writer.stream.failure is None


def test_throttles_errors_and_cut_connections_are_waited_out(make: Callable[..., Writer], aws: Aws) -> None:
    writer = make(shards=2)
    for start, fault in enumerate(("throttle", "500", "reset", "partial", "denied")):
        aws.faults("PutRecords", fault, fault)
        before = aws.calls("PutRecords")
        assert writer.stream.append(payload(start)).result(20) == start + 1
        assert aws.calls("PutRecords") == before + 3
    assert writer.numbers() == [0, 1, 2, 3, 4]


def test_an_answer_that_got_lost_makes_a_repeat_and_no_loss(make: Callable[..., Writer], aws: Aws) -> None:
    writer = make()
    aws.faults("PutRecords", "lost")
    writer.stream.append(payload(7)).result(20)
    assert writer.numbers() == [7, 7]


def test_one_that_says_nothing_is_unhealthy_and_says_so(make: Callable[..., Writer]) -> None:
    writer = make()
    release = writer.hold()
    assert writer.stream.healthy
    assert writer.stream.failure is None
    writer.now += SLOW_S + 0.1
    assert not writer.stream.healthy
    assert "no answer for 2 s" in str(writer.stream.failure)
    release()
    wait_until(lambda: writer.stream.healthy)
    assert writer.stream.failure is None


def test_an_outage_makes_it_unhealthy_bounds_what_waits_and_ends_by_itself(
    make: Callable[..., Writer], aws: Aws
) -> None:
    writer = make()
    aws.faults("PutRecords", "down")
    waiting: list[Future[int]] = [writer.stream.append(payload(1))]
    wait_until(lambda: writer.stream.failure is not None)
    assert writer.stream.healthy  # it may be over in a moment
    writer.now += SLOW_S + 0.1
    assert not writer.stream.healthy
    assert "ServiceUnavailable" in str(writer.stream.failure)
    big = payload(2, MAX_RECORD)
    while not waiting[-1].done():
        waiting.append(writer.stream.append(big))
    with pytest.raises(StreamError, match=r"already wait: kinesis/.*ServiceUnavailable"):
        waiting.pop().result(0)
    assert len(waiting) - 1 == MAX_QUEUED // len(record(big))
    assert writer.stream.refused == 1
    aws.heal()
    for future in waiting:
        future.result(30)
    wait_until(lambda: writer.stream.healthy)
    assert writer.stream.durable == len(waiting)


def test_pauses_grow_and_are_drawn_at_random(make: Callable[..., Writer], aws: Aws) -> None:
    drawn: list[float] = []

    class Chance:
        def getrandbits(self, bits: int) -> int:
            return len(drawn)

        def uniform(self, low: float, high: float) -> float:
            drawn.append(high)
            return 0.0

    writer = make()
    writer.stream._chance = Chance()  # type: ignore[assignment]
    aws.faults("PutRecords", *["throttle"] * 8)
    writer.stream.append(payload(1)).result(20)
    first, longest = kinesis.FIRST_PAUSE_S, kinesis.LONGEST_PAUSE_S
    assert drawn == [min(longest, first * 2**n) for n in range(8)]


def test_a_stream_that_is_not_there_yet_is_waited_for_and_what_came_meanwhile_is_kept(
    make: Callable[..., Writer], aws: Aws
) -> None:
    writer = make(there=False)
    early = writer.stream.append(payload(1))
    wait_until(lambda: "ResourceNotFound" in str(writer.stream.failure))
    assert not writer.stream.healthy
    aws.create(writer.name)
    assert early.result(20) == 1
    wait_until(lambda: writer.stream.healthy)


def test_closing_in_an_outage_refuses_what_waits_and_later_appends(make: Callable[..., Writer], aws: Aws) -> None:
    writer = make()
    aws.faults("PutRecords", "down")
    waiting = [writer.stream.append(payload(n)) for n in range(3)]
    flushed = writer.stream.flush()
    wait_until(lambda: writer.stream.failure is not None)
    ended = threading.Thread(target=writer.stream.close)
    ended.start()
    wait_until(writer.stream._closing.is_set)
    writer.now += kinesis.CLOSE_S + 0.1
    ended.join(20)
    for future in (*waiting, flushed):
        with pytest.raises(StreamError, match="closed before it was accepted"):
            future.result(0)
    with pytest.raises(StreamError, match="the stream is closed"):
        writer.stream.append(payload(4)).result(0)


def test_a_flush_leaves_a_fence_in_every_open_shard(make: Callable[..., Writer], aws: Aws) -> None:
    writer = make(shards=3)
    writer.stream.append(payload(1))
    aws.faults("PutRecords", "ok", "partial")
    assert writer.stream.flush().result(20) == 1
    client = aws.client()
    assert sorted(writer.stream.reached) == [f"shardId-{n:012}" for n in range(3)]
    client.merge_shards(
        StreamName=writer.name, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
    )
    before = max(writer.stream.reached.values())
    writer.stream.flush().result(20)
    assert sorted(writer.stream.reached) == ["shardId-000000000002", "shardId-000000000003"]
    assert min(writer.stream.reached.values()) > before
    assert writer.numbers() == [1]
