"""Spool: the durable stream on the disk of one host, in `<state>/spool`.

append -> queue -> writer thread: one write and one fdatasync for all that arrived during the last -> acknowledged
SpoolReader.read(position) -> notices up to `durable`, at least once; its reader keeps the position.
Files and recovery: `bidder/events/segments.py`. Units: bytes of the stream, monotonic seconds.
Promises: what is acknowledged survives crashes of processes and of the operating system; what cannot be
written is refused, cut back and never read. Appending never blocks, and the queue is bounded.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import msgspec

from bidder.events.schema import Notice
from bidder.events.segments import (
    DURABLE,
    HEADER,
    MAX_RECORD,
    SpoolError,
    ensure_id,
    read_durable,
    read_id,
    record,
    records,
    recover,
    segments,
    write_all,
)
from bidder.ops.durable import sync_directory

__all__ = ["Spool", "SpoolError", "SpoolReader"]

MAX_QUEUED = 8 * 1024 * 1024  # bytes that wait for the disk; beyond them appends are refused
SLOW_S = 2.0  # a write with its sync that takes longer makes the spool unhealthy
SEGMENT_S = 3_600.0  # a segment that was begun so long ago takes no more records: whole ones can be archived
PROBE_S = 1.0  # how often an unhealthy one tries the disk
PROBE = bytes(65_536)

Waiting = tuple[bytes, Future[int]]  # a record, or nothing (a flush), and who waits for it


class Spool:
    """The writing side. Opening it recovers what a crash left behind; SpoolError if another process writes it."""

    def __init__(
        self,
        directory: Path,
        segment_bytes: int = 64 * 1024 * 1024,
        segment_s: float = SEGMENT_S,
        *,
        sync: Callable[[int], None] = os.fdatasync,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._segment_s = segment_s
        self._sync = sync
        self._monotonic = monotonic
        self._files = contextlib.ExitStack()
        try:
            self._open()
        except BaseException as error:
            self._files.close()
            if isinstance(error, OSError):
                raise SpoolError(f"{directory}: {error.strerror}") from None
            raise
        self.refused = 0  # records that the disk did not take
        self.commits = 0  # syncs that made records durable
        self._segment = -1  # descriptor; opened by the first record
        self._segment_start = self._durable
        self._segment_began = 0.0
        self._queue: list[Waiting] = []
        self._queued = 0  # bytes that are not durable yet
        self._wake = threading.Condition()
        self._closing = False
        self._failure: str | None = None
        self._began: float | None = None  # of what the disk is doing now
        self._was_slow = False  # the last time
        self._probe()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._keep("lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolError(f"{self._directory}: another process writes this spool") from None
        self.id = ensure_id(self._directory)
        self._durable, self.torn_bytes, self.corrupt = recover(self._directory)
        self._durable_file = self._keep("durable")
        write_all(self._durable_file, DURABLE.pack(self._durable), 0)
        os.fsync(self._durable_file)
        sync_directory(self._directory)

    def _keep(self, name: str) -> int:
        """A file that stays open as long as the spool."""
        descriptor = os.open(self._directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._files.callback(os.close, descriptor)
        return descriptor

    @property
    def position(self) -> int:
        """The end of all that was appended, acknowledged or not."""
        with self._wake:
            return self._durable + self._queued

    @property
    def durable(self) -> int:
        """The end of what is synced."""
        return self._durable

    @property
    def healthy(self) -> bool:
        """False after a failed or slow write, until one (of a record or a probe) is quick and succeeds again."""
        return self._thread.is_alive() and not (self._stuck_s > SLOW_S or self._was_slow or self._failure)

    @property
    def failure(self) -> str | None:
        """What the disk said, while it refuses to take records, or that it says nothing."""
        stuck_s = self._stuck_s
        return f"{self._directory}: no answer for {stuck_s:.0f} s" if stuck_s > SLOW_S else self._failure

    @property
    def _stuck_s(self) -> float:
        """How long what the disk is doing now has taken."""
        began = self._began
        return 0.0 if began is None else self._monotonic() - began

    @property
    def reached(self) -> Mapping[str, int]:
        """Nothing more than `durable`: a spool has no shards."""
        return {}

    def append(self, payload: bytes) -> Future[int]:
        """Resolved with the position after the record when it is synced, or with SpoolError. Never blocks."""
        return self._submit(record(payload))

    def flush(self) -> Future[int]:
        """Resolved with `durable` when all that was appended before is synced or refused."""
        return self._submit(b"")

    def _submit(self, data: bytes) -> Future[int]:
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # what is on its way to the disk cannot be called back
        with self._wake:
            if self._closing:
                refusal = "the spool is closed"
            elif data and self._queued + len(data) > MAX_QUEUED:
                refusal = f"{self._queued} bytes already wait for the disk"
            else:
                self._queue.append((data, future))
                self._queued += len(data)
                self._wake.notify()
                return future
            self.refused += bool(data)
        future.set_exception(SpoolError(f"{self._directory}: {refusal}"))
        return future

    def close(self) -> None:
        """Sync what was appended, end the writer, let go of the spool."""
        with self._wake:
            if self._closing:
                return
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._drop_segment()
        self._files.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                sick = self._failure is not None or self._was_slow
                if not self._queue and not self._closing:
                    self._wake.wait(PROBE_S if sick else None)
                batch, self._queue = self._queue, []
                closing = self._closing
            if batch:
                self._commit(batch)
            elif closing:
                return
            elif sick:
                self._probe()

    def _commit(self, batch: list[Waiting]) -> None:
        """One write and one sync for the whole batch, then every answer."""
        data = b"".join([part for part, _ in batch])
        at = self._durable
        refusal = self._write(data) if data else None
        with self._wake:
            self._queued -= len(data)
            if refusal is None:
                self._durable += len(data)
                self.commits += bool(data)
            else:
                self.refused += sum(1 for part, _ in batch if part)
        for part, future in batch:
            if part and refusal is not None:
                future.set_exception(refusal)
            else:
                at += len(part)
                future.set_result(at if part else self._durable)

    def _write(self, data: bytes) -> SpoolError | None:
        """Put `data` behind what is durable, and let readers see it; what failed is cut back."""
        with self._timed():
            try:
                if self._segment >= 0 and self._is_full():
                    self._drop_segment()
                if self._segment < 0:
                    self._open_segment()
                write_all(self._segment, data, self._durable - self._segment_start)
                self._sync(self._segment)
                write_all(self._durable_file, DURABLE.pack(self._durable + len(data)), 0)
            except OSError as error:
                self._failure = f"{self._directory}: {error.strerror}"
                self._cut_back()
                return SpoolError(self._failure)
        self._failure = None
        return None

    def _is_full(self) -> bool:
        """Shall the next record begin another segment?"""
        too_long = self._durable - self._segment_start >= self._segment_bytes
        return too_long or self._monotonic() - self._segment_began >= self._segment_s

    def _open_segment(self) -> None:
        """A file of this name can only hold what was never acknowledged: it begins where that ends."""
        path = self._directory / f"{self._durable:016x}.seg"
        self._segment = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._segment_start = self._durable
        self._segment_began = self._monotonic()
        sync_directory(self._directory)

    def _drop_segment(self) -> None:
        if self._segment >= 0:
            os.close(self._segment)
            self._segment = -1

    def _cut_back(self) -> None:
        """After a failed sync the kernel may take lost pages for clean, so this file is not written any more."""
        if self._segment >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._segment, self._durable - self._segment_start)
            self._drop_segment()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Any step may hang: opening and writing as well as the sync."""
        self._began = began = self._monotonic()
        try:
            yield
        finally:
            self._was_slow = self._monotonic() - began > SLOW_S
            self._began = None

    def _probe(self) -> None:
        """Does the disk take records (again)? Nobody may be sending any while the spool is unhealthy."""
        path = self._directory / "probe"
        with self._timed():
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    write_all(descriptor, PROBE, 0)
                    self._sync(descriptor)
                finally:
                    os.close(descriptor)
                    path.unlink()
            except OSError as error:
                self._failure = f"{self._directory}: {error.strerror}"
            else:
                self._failure = None


class SpoolReader:
    """The reading side; any number of processes, also while the tracker writes or is away."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._decoder = msgspec.msgpack.Decoder(Notice)
        self.id = read_id(directory)

    @property
    def durable(self) -> int:
        """Where reading ends for now."""
        return read_durable(self._directory)

    def read(self, position: int, max_bytes: int) -> tuple[list[tuple[int, Notice]], int]:
        """Durable notices from `position` on, each with the position after it, and where to read next.

        SpoolError names the place of a record that is not as it was written, and of bytes that are gone; also
        where another stream has taken the place of this one.
        """
        if read_id(self._directory) != self.id:
            raise SpoolError(f"{self._directory}: no longer the stream {self.id}; open it again")
        durable = self.durable
        if position >= durable:
            return [], position
        listed = segments(self._directory)
        here = next((s for s in listed if s.start <= position < min(s.end, durable)), None)
        if here is None:
            raise SpoolError(f"{self._directory}: no segment holds position {position}; durable is {durable}")
        available = min(here.end, durable) - position
        with here.path.open("rb", buffering=0) as file:
            wanted = min(available, max(max_bytes, HEADER.size + MAX_RECORD))
            block = os.pread(file.fileno(), wanted, position - here.start)
        read = []
        at = 0
        for at, payload in records(block):
            try:
                read.append((position + at, self._decoder.decode(payload)))
            except msgspec.MsgspecError as error:
                raise SpoolError(f"{here.path}: the record before byte {position - here.start + at}: {error}") from None
            if at >= max_bytes:
                break
        if not read:
            raise SpoolError(
                f"{here.path}: no sound record at byte {position - here.start} (position {position}), which was "
                "acknowledged; restore the segment from a copy"
            )
        return read, position + at

    def trim(self, before: int, older_than_s: float = 0.0) -> int:
        """Remove whole segments that end at or before `before`, last written so long ago; returns their bytes."""
        removed = 0
        for segment in segments(self._directory)[:-1]:
            if segment.end > before or time.time() - segment.path.stat().st_mtime < older_than_s:
                break
            segment.path.unlink()
            removed += segment.end - segment.start
        if removed:
            sync_directory(self._directory)
        return removed
