"""Kinesis, read: all shards of a stream by one process, each from its mark.

ListShards -> GetRecords per shard -> parcels read ahead -> take() -> notices, and the marks that stand behind them
A shard that a split or merge closed is read to its end, and that is booked, before its children begin. Expired
iterators are made again from the last record; throttled shards wait. What is no parcel of ours stops the stream, by
its place. What Kinesis forgot before we read it is said once, by its place, before anything goes on.
Units: monotonic seconds.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bidder.events.aws import AWS_ERRORS, code, line, shards
from bidder.events.parcel import ParcelError, unpack
from bidder.events.schema import Notice
from bidder.events.stream import Mark, Place, Portion, StreamError

LIST_S = 30.0  # how old our list of shards may be; it is also made anew when a shard ends
PAUSE_S = 0.25  # between two reads of a shard; Kinesis allows five a second
THROTTLED_S = 1.0
RECORDS = 1_000  # of one read; Kinesis itself stops at 10 MB
THROTTLES = ("ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException")


@dataclass(slots=True)
class _Shard:
    """One shard that is being read."""

    id: str
    parents: tuple[str, ...]
    fetched: int  # sequence number of the last record that was read
    iterator: str | None = None
    ahead: deque[tuple[int, bytes]] = field(default_factory=deque)  # read, not taken yet
    due: float = 0.0
    tip_at: float | None = None  # when we asked and heard that there was nothing more; None: there may be
    drained: bool = False  # closed, and nothing is left to be read


class KinesisSource:
    """The reading side, for one reader at a time."""

    shared = True

    def __init__(self, name: str, client: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.id = f"kinesis/{name}"
        self._name = name
        self._client = client
        self._clock = clock
        self._decoder = msgspec.msgpack.Decoder(Notice)
        self._said_lost: set[str] = set()
        self.resume(Place())

    def resume(self, place: Place) -> None:
        """Go on from here; what was read ahead is forgotten."""
        self._position = place.position
        self._marks = dict(place.marks)
        self._lost: list[str] = []
        self._shards: dict[str, _Shard] = {}
        self._listed_at: float | None = None

    def take(self, most: int) -> Portion:
        """The next notices: whole records, so perhaps more than `most`. StreamError where Kinesis does not answer."""
        try:
            if self._listed_at is None or self._clock() - self._listed_at > LIST_S:
                self._list()
            self._fetch()
        except AWS_ERRORS as error:
            raise StreamError(f"{self.id}: {line(error)}") from None
        notices: list[Notice] = []
        moved = {name: Mark(self._marks[name].sequence, ended=True) for name in self._lost}
        for shard in list(self._shards.values()):
            if shard.ahead and len(notices) < most:
                self._shards[shard.id] = self._shards.pop(shard.id)  # the others come first the next time
            while shard.ahead and len(notices) < most:
                sequence, data = shard.ahead.popleft()
                notices += self._unpack(shard, sequence, data)
                moved[shard.id] = Mark(sequence)
            if shard.drained and not shard.ahead:
                moved[shard.id] = Mark(shard.fetched, ended=True)
        self._marks |= moved
        for ended in [name for name, mark in moved.items() if mark.ended]:
            self._shards.pop(ended, None)
            self._listed_at = None  # it has children, or had
        self._position += len(notices) + len(moved)
        return Portion(notices, Place(self._position, moved), self._complete_at())

    def _complete_at(self) -> float | None:
        if self._listed_at is None or not self._shards:
            return None
        tips = [shard.tip_at for shard in self._shards.values() if not shard.ahead]
        if len(tips) < len(self._shards) or None in tips:
            return None
        return min(tip for tip in tips if tip is not None)

    def _unpack(self, shard: _Shard, sequence: int, data: bytes) -> list[Notice]:
        try:
            return [self._decoder.decode(payload) for payload in unpack(data)]
        except (ParcelError, msgspec.MsgspecError) as error:
            place = f"{self.id}/{shard.id}: record {sequence}"
            raise StreamError(f"{place}: {error}; docs/stream.md tells how to pass over it") from None

    def _list(self) -> None:
        """Begin with shards that are new to us; those that are gone had been read, or are too old to be."""
        asked_at = self._clock()
        listed = {shard["ShardId"]: shard for shard in shards(self._client, self._name)}
        for name, said in listed.items():
            mark = self._marks.get(name, Mark())
            if mark.ended or name in self._shards:
                continue
            parents = [said[key] for key in ("ParentShardId", "AdjacentParentShardId") if said.get(key)]
            begins = int(said["SequenceNumberRange"]["StartingSequenceNumber"])
            # A mark before the shard's first number is of a stream that had this name before.
            fetched = mark.sequence if mark.sequence >= begins else 0
            self._shards[name] = _Shard(name, tuple(parent for parent in parents if parent in listed), fetched)
        for name in self._shards.keys() - listed.keys():
            del self._shards[name]
        self._lost = sorted(name for name, mark in self._marks.items() if not mark.ended and name not in listed)
        unsaid = [name for name in self._lost if name not in self._said_lost]
        if unsaid:
            self._said_lost |= set(unsaid)
            places = ", ".join(f"{name} after {self._marks[name].sequence}" for name in unsaid)
            raise StreamError(f"{self.id}: its retention is over for shards that were not read to their end: {places}")
        self._listed_at = asked_at

    def _fetch(self) -> None:
        """Read what is due of each shard whose parents have ended."""
        for shard in self._shards.values():
            ready = all(self._marks.get(parent, Mark()).ended for parent in shard.parents)
            if ready and not shard.ahead and not shard.drained and self._clock() >= shard.due:
                self._read(shard)

    def _read(self, shard: _Shard) -> None:
        asked_at = self._clock()
        shard.due = asked_at + PAUSE_S
        shard.tip_at = None
        try:
            iterator = shard.iterator or self._iterator(shard)
            answer = self._client.get_records(ShardIterator=iterator, Limit=RECORDS)
        except AWS_ERRORS as error:
            shard.iterator = None
            if code(error) in THROTTLES:
                shard.due = asked_at + THROTTLED_S
            elif code(error) != "ExpiredIteratorException":
                raise
            return
        for record in answer["Records"]:
            shard.fetched = int(record["SequenceNumber"])
            shard.ahead.append((shard.fetched, record["Data"]))
        shard.iterator = answer.get("NextShardIterator")
        shard.drained = shard.iterator is None
        if not answer.get("MillisBehindLatest") and not shard.drained:
            shard.tip_at = asked_at

    def _iterator(self, shard: _Shard) -> str:
        if shard.fetched:
            kind = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(shard.fetched)}
        else:
            kind = {"ShardIteratorType": "TRIM_HORIZON"}
        return str(self._client.get_shard_iterator(StreamName=self._name, ShardId=shard.id, **kind)["ShardIterator"])
