"""The audit trail: who did what on this host, kept until Postgres has it.

record() -> a line of <state>/audit.jsonl, durable -> bidder/ops/audit_sender.py -> ops.audit, once per (host, seq)

Any process of the host may record; the supervisor sends.
Recording never makes an act fail: what a full disk refuses is said in the log, whole. Times: wall clock ms.
"""

import errno
import getpass
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bidder.ops import log as logs
from bidder.ops.durable import locked, replace, sync_directory

FILE = "audit.jsonl"
SENT = "audit.sent"  # number of the newest record that Postgres has
LOCK = "audit.lock"
TRIM_ABOVE = 8 << 20  # bytes; then what was sent is given up, but for the newest
KEEP = 2 << 20  # bytes
BLOCK = 1 << 16  # bytes from the end, where the newest record is looked for; more where it is longer


class AuditRecord(msgspec.Struct, frozen=True):
    """One thing that was done. (host, seq) is unique; later records of a host have greater numbers, maybe with gaps."""

    host: str
    seq: int
    at_ms: int
    pid: int  # of the process that recorded it
    actor: str  # a user of the system, or the process that decided it by itself
    verb: str
    subject: str
    detail: dict[str, Any]


def actor() -> str:
    """Who runs this process: the user's name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return f"uid {os.getuid()}"


def _plain(value: object) -> Any:
    """What JSON and Postgres can hold of a value: no NUL, no half of a surrogate pair, no infinite number."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value).encode("utf-8", "replace").decode().replace("\0", "\ufffd")


class AuditTrail:
    """Of one state directory, whose file `host` names the host."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._path = state / FILE
        self._clock = clock
        self._log = logs.get("audit")

    def record(self, actor: str, verb: str, subject: str, **detail: object) -> None:
        """Durable when this returns; costs an fsync."""
        fields = _plain({"actor": actor, "verb": verb, "subject": subject, "detail": detail})
        try:
            with locked(self._state / LOCK):
                self._append(fields)
        except OSError as error:
            self._log.error("an audit record could not be kept", error=error.strerror, record=fields)

    def read(self, after: int = 0) -> list[AuditRecord]:
        """Records with greater numbers, oldest first; lines that somebody damaged are passed over."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]  # the last one has no end yet, or is empty
        except FileNotFoundError:
            return []
        return [record for line in lines if (record := _parse(line)) is not None and record.seq > after]

    @property
    def sent(self) -> int:
        """The newest record that Postgres has; 0: none is known to be there."""
        try:
            return int((self._state / SENT).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0  # all are sent again, and stored once all the same

    def acknowledge(self, seq: int) -> None:
        """Postgres has all records up to this one; the file is trimmed where it has grown large."""
        replace(self._state / SENT, f"{seq}\n".encode(), 0o600)
        if self._path.stat().st_size > TRIM_ABOVE:
            with locked(self._state / LOCK):
                self._trim(seq)

    def changed(self) -> tuple[int, int]:
        """Differs when there is something new."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return stat.st_ino, stat.st_size

    def _append(self, fields: dict[str, Any]) -> None:
        host = (self._state / "host").read_text(encoding="ascii").strip()
        made = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end, newest = _tail(descriptor)
            now = self._clock()
            # Where all files were removed numbers go on above those that there can have been: none is used twice.
            seq = (max(newest, self.sent) or int(now)) + 1
            record = AuditRecord(host=host, seq=seq, at_ms=int(now * 1000), pid=os.getpid(), **fields)
            line = msgspec.json.encode(record) + b"\n"
            os.ftruncate(descriptor, end)  # what a crash left half written was not recorded
            if os.pwrite(descriptor, line, end) < len(line):
                os.ftruncate(descriptor, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if made:
            sync_directory(self._state)

    def _trim(self, sent: int) -> None:
        data = self._path.read_bytes()
        lines = data.splitlines(keepends=True)
        kept = len(data)
        first = 0
        while first < len(lines) - 1 and kept > KEEP:
            record = _parse(lines[first])
            if record is not None and record.seq > sent:
                break
            kept -= len(lines[first])
            first += 1
        replace(self._path, b"".join(lines[first:]), 0o600)


def _parse(line: bytes) -> AuditRecord | None:
    try:
        return msgspec.json.decode(line, type=AuditRecord)
    except msgspec.DecodeError:
        return None


def _tail(descriptor: int) -> tuple[int, int]:
    """Where the last whole line ends, and the number of the last record; 0 where there is none."""
    size = os.fstat(descriptor).st_size
    block = BLOCK
    while True:
        start = max(0, size - block)
        data = os.pread(descriptor, size - start, start)
        whole = data.rfind(b"\n") + 1
        for line in reversed(data[:whole].split(b"\n")):
            record = _parse(line)
            if record is not None:
                return start + whole, record.seq
        if start == 0:
            return whole, 0
        block *= 4
