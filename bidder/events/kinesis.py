"""Kinesis: the durable stream of many hosts, kept by a service that survives the loss of one.

append -> queue -> writer thread: all that arrived during the last call goes as one -> PutRecords -> acknowledged
Notices travel packed (`bidder/events/parcel.py`); each is acknowledged when its record was accepted, no sooner.
Of a call that failed in part only what failed is sent again, after a pause with jitter, before anything newer and to
another shard (a new random key), for as long as it takes: nothing that was taken in is given up while the process
lives. What may wait is bounded; beyond it appends are refused. An answer that got lost makes repeats: readers count
the first.
A flush also puts an empty parcel into every open shard: who has read those has read all that any host sent before.
Units: bytes, monotonic seconds; positions count notices of this process.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from bidder.events.aws import AWS_ERRORS, line, shards
from bidder.events.parcel import EMPTY, pack
from bidder.events.segments import record
from bidder.events.stream import StreamError

MAX_QUEUED = 8 * 1024 * 1024  # bytes not accepted yet
PARCEL_BYTES = 256 * 1024  # of one record before compression; Kinesis takes 1 MiB
CALL_RECORDS = 500
CALL_BYTES = 4 * 1024 * 1024  # of one call; Kinesis takes 5 MiB
SLOW_S = 2.0  # a call, with all its repeats, that takes longer makes the stream unhealthy
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
CLOSE_S = 5.0  # that what waits may take at the end

Waiting = tuple[bytes, Future[int]]  # a record, or nothing (a flush), and who waits for it


class Parcel(NamedTuple):
    """One record of Kinesis and who waits for it."""

    data: bytes
    waiting: list[Future[int]]
    size: int  # of its records before they were packed


class KinesisStream:
    """The writing side; any number of processes on one stream."""

    def __init__(
        self,
        name: str,
        client: Any,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self.id = f"kinesis/{name}"
        self.refused = 0  # appends for which there was no room
        self.commits = 0  # calls that made notices durable
        self._name = name
        self._client = client
        self._monotonic = monotonic
        self._chance = chance or random.Random()
        self._queue: list[Waiting] = []
        self._queued = 0  # bytes not accepted yet
        self._accepted = 0
        self._waiting = 0  # notices not accepted yet
        self._reached: Mapping[str, int] = {}
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._close_by = 0.0
        self._began: float | None = monotonic()  # of what is being done now
        self._why: str | None = f"{self.id}: not reached yet"
        self._found = False  # the stream was there
        self._thread = threading.Thread(target=self._run, name="kinesis", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """Notices that were taken in, acknowledged or not."""
        with self._wake:
            return self._accepted + self._waiting

    @property
    def durable(self) -> int:
        """Notices that Kinesis has accepted."""
        return self._accepted

    @property
    def healthy(self) -> bool:
        """False before the stream was first reached, and while what is to be written has waited too long."""
        return self._thread.is_alive() and self._found and not self._stuck_s > SLOW_S

    @property
    def failure(self) -> str | None:
        """What Kinesis said last, while it does not take all, or that it says nothing."""
        stuck_s = self._stuck_s
        return self._why or (f"{self.id}: no answer for {stuck_s:.0f} s" if stuck_s > SLOW_S else None)

    @property
    def _stuck_s(self) -> float:
        """How long what is being done now has taken, with all its repeats."""
        began = self._began
        return 0.0 if began is None else self._monotonic() - began

    @property
    def reached(self) -> Mapping[str, int]:
        """Open shard -> sequence number that the last flush left there."""
        return self._reached

    def append(self, payload: bytes) -> Future[int]:
        """Resolved with `durable` when Kinesis has accepted it, or with StreamError. Never blocks."""
        return self._submit(record(payload))

    def flush(self) -> Future[int]:
        """Resolved with `durable` when all that was appended before is accepted, and `reached` covers it."""
        return self._submit(b"")

    def close(self) -> None:
        """Give what waits a last chance, refuse the rest, end the writer."""
        with self._wake:
            if not self._closing.is_set():
                self._close_by = self._monotonic() + CLOSE_S
                self._closing.set()
            self._wake.notify()
        self._thread.join()

    def _submit(self, data: bytes) -> Future[int]:
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # what is on its way cannot be called back
        with self._wake:
            if self._closing.is_set():
                refusal = "the stream is closed"
            elif data and self._queued + len(data) > MAX_QUEUED:
                refusal = f"{self._queued} bytes already wait: {self._why or 'it is slow'}"
            else:
                self._queue.append((data, future))
                self._queued += len(data)
                self._waiting += bool(data)
                self._wake.notify()
                return future
            self.refused += bool(data)
        future.set_exception(StreamError(f"{self.id}: {refusal}"))
        return future

    def _run(self) -> None:
        if not self._attempt(self._look):
            self._refuse(self._next())
            return
        self._found = True
        while True:
            with self._wake:
                while not self._queue and not self._closing.is_set():
                    self._wake.wait()
            batch = self._next()
            if not batch:
                return
            self._deliver(batch)

    def _next(self) -> list[Waiting]:
        """As much as fits into one call, oldest first."""
        with self._wake:
            room, count = CALL_BYTES, 0
            for data, _ in self._queue:
                room -= len(data)
                if room < 0:
                    break
                count += 1
            batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    def _look(self) -> str | None:
        """Is the stream there?"""
        said = self._client.describe_stream_summary(StreamName=self._name)["StreamDescriptionSummary"]
        status = said["StreamStatus"]
        return None if status in ("ACTIVE", "UPDATING") else f"the stream is {status}"

    def _deliver(self, batch: list[Waiting]) -> None:
        """Until all is accepted, or the process ends."""
        parcels = _packed(batch)

        def put() -> str | None:
            nonlocal parcels
            parcels, why = self._put(parcels)
            return why

        flushes = [future for data, future in batch if not data]
        if (not parcels or self._attempt(put)) and (not flushes or self._attempt(self._fence)):
            for future in flushes:
                future.set_result(self._accepted)
        else:
            self._refuse([(data, future) for data, future in batch if not future.done()])

    def _attempt(self, step: Callable[[], str | None]) -> bool:
        """Try until `step` has nothing to complain about; False: the process ends first."""
        self._began = self._monotonic()
        pause = FIRST_PAUSE_S
        while True:
            try:
                why = step()
            except AWS_ERRORS as error:
                why = line(error)
            if why is None:
                self._began = self._why = None
                return True
            self._why = f"{self.id}: {why}"
            self._closing.wait(self._chance.uniform(0.0, pause))
            if self._closing.is_set():
                if self._monotonic() > self._close_by:
                    return False
                time.sleep(FIRST_PAUSE_S)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _put(self, parcels: list[Parcel]) -> tuple[list[Parcel], str | None]:
        """One call; what was not accepted, and why."""
        answer = self._client.put_records(
            StreamName=self._name,
            Records=[
                {"Data": parcel.data, "PartitionKey": f"{self._chance.getrandbits(64):016x}"} for parcel in parcels
            ],
        )
        self.commits += 1
        left, why = [], None
        for parcel, result in zip(parcels, answer["Records"], strict=True):
            refusal = _refusal(result)
            if refusal is None:
                self._accept(parcel)
            else:
                left.append(parcel)
                why = refusal
        return left, why

    def _accept(self, parcel: Parcel) -> None:
        with self._wake:
            self._accepted += len(parcel.waiting)
            self._waiting -= len(parcel.waiting)
            self._queued -= parcel.size
        for future in parcel.waiting:
            future.set_result(self._accepted)

    def _fence(self) -> str | None:
        """An empty parcel into every open shard."""
        begins = {
            shard["ShardId"]: shard["HashKeyRange"]["StartingHashKey"]
            for shard in shards(self._client, self._name)
            if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
        }
        reached: dict[str, int] = {}
        hash_keys = list(begins.values())
        for first in range(0, len(hash_keys), CALL_RECORDS):
            keys = hash_keys[first : first + CALL_RECORDS]
            answer = self._client.put_records(
                StreamName=self._name,
                Records=[{"Data": EMPTY, "PartitionKey": "fence", "ExplicitHashKey": key} for key in keys],
            )
            for result in answer["Records"]:
                if refusal := _refusal(result):
                    return refusal
                reached[result["ShardId"]] = int(result["SequenceNumber"])
        if reached.keys() != begins.keys():
            return "its shards are being split or merged"
        self._reached = reached
        return None

    def _refuse(self, batch: list[Waiting]) -> None:
        """Nobody was told that these are durable, and nobody will be."""
        with self._wake:
            batch, self._queue = batch + self._queue, []
            self._queued = self._waiting = 0
        refusal = StreamError(f"{self.id}: closed before it was accepted: {self._why}")
        for _, future in batch:
            future.set_exception(refusal)


def _refusal(result: Mapping[str, Any]) -> str | None:
    """Why PutRecords did not take this one of its records."""
    return f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}"[:200] if result.get("ErrorCode") else None


def _packed(batch: list[Waiting]) -> list[Parcel]:
    """Parcels of at most PARCEL_BYTES, in order."""
    parcels: list[Parcel] = []
    parts: list[bytes] = []
    waiting: list[Future[int]] = []
    size = 0
    for data, future in batch:
        if size and size + len(data) > PARCEL_BYTES:
            parcels.append(Parcel(pack(parts), waiting, size))
            parts, waiting, size = [], [], 0
        if data:
            parts.append(data)
            waiting.append(future)
            size += len(data)
    if size:
        parcels.append(Parcel(pack(parts), waiting, size))
    return parcels
