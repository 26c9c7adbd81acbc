"""Log: one JSON object a line to stderr, from every process, and never in anyone's way.

log.info("book swapped", revision=7) -> bounded queue -> writer thread -> stderr
A full queue drops the record before anything is formatted; the first ten records of a kind
(level, message, place of the exception) per ten seconds are written, the rest only counted.
Both counts are logged as soon as they can be.
Never blocks the caller, never raises, never holds the values of an exception: only its
type, its errno and the lines that it came through.
"""

import atexit
import contextlib
import json
import logging
import math
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Hashable
from pathlib import PurePath
from typing import Any

CAPACITY = 2_048  # records that wait for the writer
FIRST = 10  # records of one kind and interval that are written
INTERVAL_S = 10.0
KINDS = 512  # told apart within one interval; those beyond share one count
FRAMES = 12  # of a traceback, the innermost
CAUSES = 4  # exceptions of a chain
TEXT = 500  # characters of one value
FLUSH_S = 1.0  # that the end of a process waits for its last lines
STDERR = 2

Record = dict[str, Any]


def _write_stderr(line: bytes) -> None:
    """All of `line`, also where someone made stderr non-blocking; what cannot be written is given up."""
    while line:
        try:
            line = line[os.write(STDERR, line) :]
        except BlockingIOError:
            select.select([], [STDERR], [], FLUSH_S)
        except OSError:
            return


def _value(value: object) -> object:
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _value(item) for key, item in value.items()}
    return str(value)[:TEXT]


def first_line(error: Exception) -> str:
    """What it says, for a log or a terminal, without what psycopg2 adds to it; its name, if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def describe(error: BaseException) -> Record:
    """Type, errno and the lines that an exception came through; none of its values."""
    described: Record = {"error": type(error).__name__}
    if isinstance(error, OSError) and error.errno is not None:
        described["errno"] = error.errno
    frames = []
    trace = error.__traceback__
    while trace is not None:
        path = PurePath(trace.tb_frame.f_code.co_filename)
        frames.append(f"{'/'.join(path.parts[-3:])}:{trace.tb_lineno}")
        trace = trace.tb_next
    described["at"] = frames[-FRAMES:]
    causes: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < CAUSES:
        causes.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    if causes:
        described["causes"] = causes
    return described


class Sink:
    """The bounded queue and its writer thread; a process has one, tests make their own."""

    def __init__(
        self,
        write: Callable[[bytes], None] = _write_stderr,
        capacity: int = CAPACITY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._capacity = capacity
        self._monotonic = monotonic
        self._reset()

    def _reset(self) -> None:
        """As new: at the start, and in a forked child, where the writer thread is not."""
        self._lock = threading.RLock()  # a record may come from a destructor that runs inside of `put`
        self._queue: queue.SimpleQueue[Record | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self._kinds: dict[tuple[str, str, str, Hashable], int] = {}
        self._interval_ends = 0.0

    def put(self, role: str, level: str, msg: str, kind: Hashable, fields: Record) -> bool:
        """False if the record was dropped or suppressed; then it is counted."""
        with self._lock:
            if self._monotonic() >= self._interval_ends:
                self._close_interval(role)
            full_kind = (role, level, msg, kind)
            if full_kind not in self._kinds and len(self._kinds) >= KINDS:
                full_kind = (role, "warning", "other messages", None)
            seen = self._kinds.get(full_kind, 0)
            self._kinds[full_kind] = seen + 1
            if seen >= FIRST:
                return False
            if self._queue.qsize() >= self._capacity:
                self._dropped += 1
                return False
            self._enqueue(role, level, msg, fields)
            return True

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until all that was put before is written, counts included; False if that takes too long."""
        with self._lock:
            if self._thread is None:
                return True
            self._close_interval("log")
            written = threading.Event()
            self._queue.put(written)
        return written.wait(timeout_s)

    def _enqueue(self, role: str, level: str, msg: str, fields: Record) -> None:
        record: Record = {"ts": round(time.time(), 3), "level": level, "role": role, "pid": os.getpid(), "msg": msg}
        # A supervisor speaks of other processes: log.error("role died", role="worker", pid=7) -> of_role, of_pid.
        self._queue.put(record | {f"of_{name}" if name in record else name: v for name, v in fields.items()})
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()

    def _close_interval(self, role: str) -> None:
        """Say what the interval that ends now kept back, and begin the next."""
        kinds, self._kinds = self._kinds, {}
        self._interval_ends = self._monotonic() + INTERVAL_S
        if self._dropped and self._queue.qsize() < self._capacity:
            self._enqueue(role, "warning", "log records dropped", {"dropped": self._dropped})
            self._dropped = 0
        for (of, level, msg, _), seen in kinds.items():
            if seen > FIRST and self._queue.qsize() < self._capacity + KINDS:
                self._enqueue(of, level, msg, {"suppressed": seen - FIRST})

    def _wait_s(self) -> float | None:
        """Until when something is owed that no further record may bring out."""
        with self._lock:
            if not self._dropped and not self._kinds:
                return None
            return max(0.01, self._interval_ends - self._monotonic())

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=self._wait_s())
            except queue.Empty:
                with self._lock:
                    if self._monotonic() >= self._interval_ends:
                        self._close_interval("log")
                continue
            if isinstance(item, threading.Event):
                item.set()
                continue
            # A log line is worth less than the process: whatever goes wrong with one, the next is written.
            with contextlib.suppress(Exception):
                line = json.dumps({name: _value(value) for name, value in item.items()}, separators=(",", ":"))
                self._write(line.encode() + b"\n")


class Log:
    """What a process says, under its role."""

    def __init__(self, role: str, sink: Sink) -> None:
        self.role = role
        self._sink = sink

    def info(self, msg: str, **fields: object) -> None:
        """Something happened that an operator may want to know. `msg` is constant; what varies is a field."""
        self._sink.put(self.role, "info", msg, None, fields)

    def warning(self, msg: str, **fields: object) -> None:
        """Something is wrong, and the process copes."""
        self._sink.put(self.role, "warning", msg, None, fields)

    def error(self, msg: str, **fields: object) -> None:
        """Something is wrong that someone must look at."""
        self._sink.put(self.role, "error", msg, None, fields)

    def exception(self, msg: str, *, exc: BaseException | None = None, **fields: object) -> None:
        """An error with the exception behind it (`exc`, or the one being handled): type and lines, not its values."""
        exc = exc or sys.exc_info()[1]
        if exc is None:
            return self.error(msg, **fields)
        described = describe(exc)
        place = described["at"][-1] if described["at"] else ""
        self._sink.put(self.role, "error", msg, (described["error"], place), described | fields)
        return None


class _Stdlib(logging.Handler):
    """What Tornado and asyncio say, as the template of the message: its arguments hold URLs and addresses."""

    role = "process"

    def emit(self, record: logging.LogRecord) -> None:
        template = str(record.msg).partition("\n")[0][:TEXT]
        error = record.exc_info[1] if record.exc_info else None
        described = describe(error) if error is not None else {}
        level = "error" if record.levelno >= logging.ERROR else "warning"
        _SINK.put(self.role, level, template, described.get("error"), {"logger": record.name} | described)


_SINK = Sink()
_STDLIB = _Stdlib(logging.WARNING)


def get(role: str) -> Log:
    """The log of this process. Tornado's, asyncio's and our loggers are routed into it; access lines are off (URLs)."""
    _STDLIB.role = role
    for name in ("tornado", "asyncio", "bidder"):
        logging.getLogger(name).addHandler(_STDLIB)
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL + 1)
    return Log(role, _SINK)


def flush(timeout_s: float = FLUSH_S) -> bool:
    """Wait until everything is on stderr. Runs by itself at the end of a process, but not before `os._exit`."""
    return _SINK.flush(timeout_s)


os.register_at_fork(after_in_child=_SINK._reset)
atexit.register(flush)
