"""The outbox: closed windows of counters, kept for whoever missed them.

close_window(): flip every worker's tables -> drain -> merge by key -> store one message -> clear the tables.
`<state>/outbox/<epoch>-<seq>.msg`, numbers as 16 hex digits: a head, the tables that it came from, `Deltas`.

Promise: a supervisor killed at any point neither loses nor doubles a count. A message appears whole (rename);
the generations of the tables that it holds are stored with it; tables that still have those generations
when the next supervisor starts were published already, and are cleared instead of drained.
A crash of the operating system may take the last windows, and their seqs, with it: a new boot begins a new epoch.
"""

import contextlib
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bidder._fast.counters import CounterFile
from bidder._fast.mapping import boot_id
from bidder.events.schema import Deltas, Row

TRACKER_ROW = 127  # of the counters: the last one, which no worker has
KEY = struct.Struct("<6B3H5I")  # a counter's key: the fields of `Row` up to `minute`
HEAD = struct.Struct("<4sII")  # magic, CRC-32 of what follows, bytes of the list of tables
MAGIC = b"obx1"
MAX_BYTES = 256 * 1024 * 1024
WAIT_S = 0.05  # for workers that are in the middle of a request, all together
PAUSE_S = 0.000_1


class OutboxError(Exception):
    """The outbox on disk cannot be used; the message says where and what to do."""


class _Tables(msgspec.Struct, array_like=True, frozen=True):
    """(row, table, generation) of everything that a message counts."""

    consumed: list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class _Stored:
    seq: int
    path: Path
    bytes: int


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Outbox:
    """Owned by the one supervisor of a state directory. `seq` is that of the newest message; 0: none yet."""

    def __init__(
        self,
        state: Path,
        producer: str,
        keep: int,
        *,
        boot: bytes | None = None,
        at_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        """`keep`: messages kept. `at_step`: called between any two steps of `close_window`; fault tests die there."""
        self.producer = producer
        self.overflowed = 0  # additions that lost details of their key, since start
        self.busy = 0  # tables that waited for the next window, as their worker stood in the middle of a request
        self._directory = state / "outbox"
        self._keep = keep
        self._at_step = at_step
        self._directory.mkdir(parents=True, exist_ok=True)
        self.epoch = self._read_epoch(boot_id() if boot is None else boot)
        self._stored = self._find()
        self._bytes = sum(message.bytes for message in self._stored)
        self.seq = max((message.seq for message in self._stored if self._is_ours(message)), default=0)
        self._recovered = False

    @property
    def windows(self) -> int:
        """That are kept."""
        return len(self._stored)

    def close_window(self, counters: CounterFile, workers: Collection[int], now_ms: int) -> Deltas:
        """Everything counted since the last window, as one stored message (without rows where nothing was).

        `workers`: rows that may have a living worker; those of others are drained without waiting for them.
        OutboxError if it cannot be stored: the counts stay where they are, for the next window.
        """
        if not self._recovered:
            self._recover(counters)
        tables = self._flip(counters, workers)
        self._at_step("flipped")
        sums: dict[bytes, list[int]] = {}
        consumed = []
        for row, table in tables:
            for key, n, amount in counters.drain(row, table):
                if key in sums:
                    sums[key][0] += n
                    sums[key][1] += amount
                else:
                    sums[key] = [n, amount]
            self.overflowed += counters.overflowed(row, table)
            consumed.append((row, table, counters.generation(row, table)))
        rows = [Row(*(*KEY.unpack(key), n, amount)) for key, (n, amount) in sums.items()]
        deltas = Deltas(self.producer, self.epoch, self.seq + 1, now_ms, rows)
        self._store(deltas, consumed)
        self._clear(counters, consumed)
        self._prune()
        return deltas

    def messages(self, epoch: int, first: int, last: int) -> Iterator[bytes]:
        """Stored messages of those seqs, oldest first, as they go over the wire (msgpack of `Deltas`)."""
        prefix = f"{epoch:016x}-"
        for stored in [m for m in self._stored if first <= m.seq <= last and m.path.name.startswith(prefix)]:
            with contextlib.suppress(FileNotFoundError):  # pruned since
                parsed = _parse(stored.path.read_bytes())
                if parsed is not None:
                    yield parsed[1]

    def _flip(self, counters: CounterFile, workers: Collection[int]) -> list[tuple[int, int]]:
        """Tables that nobody counts into any more. One that a worker stays in waits for the next window."""
        left = [(row, table) for row in counters.rows() if (table := counters.flip(row)) is not None]
        deadline = time.monotonic() + WAIT_S
        ready = []
        for row, table in left:
            while not (quiet := counters.quiet(row, table) or row not in workers or not _lives(counters.pid(row))):
                if time.monotonic() >= deadline:
                    break
                time.sleep(PAUSE_S)
            if quiet:
                ready.append((row, table))
            else:
                self.busy += 1
        return ready

    def _store(self, deltas: Deltas, consumed: list[tuple[int, int, int]]) -> None:
        tables = msgspec.msgpack.encode(_Tables(consumed))
        body = tables + msgspec.msgpack.encode(deltas)
        data = HEAD.pack(MAGIC, zlib.crc32(body), len(tables)) + body
        path = self._directory / f"{deltas.epoch:016x}-{deltas.seq:016x}.msg"
        draft = path.with_suffix(".new")
        try:
            draft.write_bytes(data)
            self._at_step("written")
            draft.rename(path)
        except OSError as error:
            raise OutboxError(f"{path}: cannot be stored: {error.strerror}; its counts stay in shared memory") from None
        self.seq = deltas.seq
        self._stored.append(_Stored(deltas.seq, path, len(data)))
        self._bytes += len(data)
        self._at_step("stored")

    def _clear(self, counters: CounterFile, consumed: list[tuple[int, int, int]]) -> None:
        for row, table, generation in consumed:
            if counters.generation(row, table) == generation:
                counters.clear(row, table)
            self._at_step("cleared")

    def _recover(self, counters: CounterFile) -> None:
        """Clear what the newest message counts already."""
        newest = next((message for message in reversed(self._stored) if self._is_ours(message)), None)
        if newest is not None:
            parsed = _parse(newest.path.read_bytes())
            if parsed is None:
                raise OutboxError(f"{newest.path}: damaged; move it away, its counts will be sent again")
            self._clear(counters, parsed[0])
        self._recovered = True

    def _prune(self) -> None:
        while len(self._stored) > self._keep or (self._bytes > MAX_BYTES and len(self._stored) > 1):
            oldest = self._stored.pop(0)
            oldest.path.unlink(missing_ok=True)
            self._bytes -= oldest.bytes

    def _read_epoch(self, boot: bytes) -> int:
        path = self._directory / "epoch"
        try:
            epoch, known = path.read_text(encoding="ascii").split()
            if known == boot.hex():
                return int(epoch, 16)
        except FileNotFoundError:
            pass
        except (ValueError, UnicodeDecodeError):
            raise OutboxError(f"{path}: not `epoch boot`; remove it, a new epoch will begin") from None
        fresh = secrets.randbits(62) + 1
        draft = path.with_suffix(".new")
        draft.write_text(f"{fresh:016x} {boot.hex()}\n", encoding="ascii")
        draft.rename(path)
        return fresh

    def _find(self) -> list[_Stored]:
        """What earlier supervisors stored, in the order in which it was stored; drafts are removed."""
        for draft in self._directory.glob("*.new"):
            draft.unlink()
        found = []
        for path in self._directory.glob("*-*.msg"):
            stat = path.stat()
            found.append((stat.st_mtime_ns, _Stored(int(path.stem.split("-")[1], 16), path, stat.st_size)))
        return [stored for _, stored in sorted(found, key=lambda item: (item[0], item[1].seq))]

    def _is_ours(self, message: _Stored) -> bool:
        return message.path.name.startswith(f"{self.epoch:016x}-")


def _parse(data: bytes) -> tuple[list[tuple[int, int, int]], bytes] | None:
    """The tables and the message of a stored file; None if it is damaged."""
    if len(data) < HEAD.size:
        return None
    magic, crc, split = HEAD.unpack_from(data)
    body = data[HEAD.size :]
    if magic != MAGIC or zlib.crc32(body) != crc:
        return None
    return msgspec.msgpack.decode(body[:split], type=_Tables).consumed, body[split:]
