"""Log: one JSON object a line to stderr, from every process, and never in anyone's way.

log.info("book swapped", revision=7) -> bounded queue -> writer thread -> stderr, or a file (logfile.py)
A full queue drops the record before anything is formatted; the first ten records of a kind
(level, message, place of the exception) per ten seconds are written, the rest only counted.
Both counts are logged as soon as they can be, and are numbers of `counts`.
What a process says as it dies (`fatal`) has slots of its own, and is written before all that waits.
Never blocks the caller, never raises, never holds the values of an exception: only its
type, its errno and the lines that it came through.
"""

import atexit
import contextlib
import itertools
import json
import logging
import math
import os
import queue
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from pathlib import PurePath
from types import TracebackType
from typing import Any

CAPACITY = 2_048  # records that wait for the writer
FATAL_SLOTS = 32  # that nothing else takes
FIRST = 10  # records of one kind and interval that are written
INTERVAL_S = 10.0
KINDS = 512  # told apart within one interval; those beyond share one count
FRAMES = 12  # of a traceback, the innermost
CAUSES = 4  # exceptions of a chain
TEXT = 500  # characters of one value
ITEMS = 100  # of a list or dict
DEPTH = 4  # of lists and dicts in each other
FLUSH_S = 1.0  # that the end of a process waits for its last lines
STDERR = 2

Record = dict[str, Any]


def write_all(descriptor: int, line: bytes) -> None:
    """All of `line`, also where someone made the descriptor non-blocking; what cannot be written is given up."""
    while line:
        try:
            line = line[os.write(descriptor, line) :]
        except BlockingIOError:
            select.select([], [descriptor], [], FLUSH_S)
        except OSError:
            return


def _write_stderr(line: bytes) -> None:
    write_all(STDERR, line)


def _value(value: object, depth: int = DEPTH) -> object:
    """As JSON, no larger than a record may be, and no longer the caller's: it may change before it is written."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_value(item, depth - 1) for item in itertools.islice(value, ITEMS)]
    if depth and isinstance(value, dict):
        return {str(key)[:TEXT]: _value(item, depth - 1) for key, item in itertools.islice(value.items(), ITEMS)}
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
    if isinstance(error, BaseExceptionGroup):
        described["of"] = [describe(inner) for inner in error.exceptions[:CAUSES]]
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
        self._queue: queue.SimpleQueue[Record | threading.Event | None] = queue.SimpleQueue()
        self._fatal: deque[Record] = deque()
        self._thread: threading.Thread | None = None
        self._unsaid = 0  # records that were dropped, and no line has said so yet
        self._kinds: dict[tuple[str, str, str, Hashable], int] = {}
        self._interval_ends = 0.0
        self._written = self._dropped = self._suppressed = 0

    def write_to(self, write: Callable[[bytes], None]) -> None:
        """From the next line on."""
        self._write = write

    def counts(self) -> dict[str, int]:
        """Records since the process began: written, dropped by a full queue, suppressed as repeats; and waiting now."""
        waiting = self._queue.qsize() + len(self._fatal)
        return {
            "written": self._written, "dropped": self._dropped, "suppressed": self._suppressed, "waiting": waiting,
        }  # fmt: skip

    def put(self, role: str, level: str, msg: str, kind: Hashable, fields: Record) -> bool:
        """False if the record was dropped or suppressed; then it is counted."""
        with self._lock:
            if self._monotonic() >= self._interval_ends:
                self._close_interval(role)
            if level == "fatal":
                return self._take(len(self._fatal) < FATAL_SLOTS, role, level, msg, fields)
            full_kind = (role, level, msg, kind)
            if full_kind not in self._kinds and len(self._kinds) >= KINDS:
                full_kind = (role, "warning", "other messages", None)
            seen = self._kinds.get(full_kind, 0)
            self._kinds[full_kind] = seen + 1
            if seen >= FIRST:
                self._suppressed += 1
                return False
            return self._take(self._queue.qsize() < self._capacity, role, level, msg, fields)

    def _take(self, has_room: bool, role: str, level: str, msg: str, fields: Record) -> bool:
        if has_room:
            self._enqueue(role, level, msg, fields)
        else:
            self._dropped += 1
            self._unsaid += 1
        return has_room

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
        record |= {f"of_{name}" if name in record else name: _value(value) for name, value in fields.items()}
        if level == "fatal":
            self._fatal.append(record)
            self._queue.put(None)  # wakes the writer
        else:
            self._queue.put(record)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()

    def _close_interval(self, role: str) -> None:
        """Say what the interval that ends now kept back, and begin the next."""
        kinds, self._kinds = self._kinds, {}
        self._interval_ends = self._monotonic() + INTERVAL_S
        if self._unsaid and self._queue.qsize() < self._capacity:
            self._enqueue(role, "warning", "log records dropped", {"dropped": self._unsaid})
            self._unsaid = 0
        for (of, level, msg, _), seen in kinds.items():
            if seen > FIRST and self._queue.qsize() < self._capacity + KINDS:
                self._enqueue(of, level, msg, {"suppressed": seen - FIRST})

    def _wait_s(self) -> float | None:
        """Until when something is owed that no further record may bring out."""
        with self._lock:
            if not self._unsaid and not self._kinds:
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
            while self._fatal:
                self._write_record(self._fatal.popleft())
            if isinstance(item, threading.Event):
                item.set()
            elif item is not None:
                self._write_record(item)

    def _write_record(self, record: Record) -> None:
        # A log line is worth less than the process: whatever goes wrong with one, the next is written.
        with contextlib.suppress(Exception):
            self._write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
            self._written += 1


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

    def fatal(self, msg: str, *, exc: BaseException | None = None, **fields: object) -> None:
        """The last words of a process: why it cannot begin, or go on. Kept where the queue is full, written first."""
        described = describe(exc) if exc is not None else {}
        self._sink.put(self.role, "fatal", msg, None, described | fields)

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
        if record.name == "asyncio":  # its loops put the callback with its arguments into the text
            template = template.partition(" callback ")[0]
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


def counts() -> dict[str, int]:
    """Of this process, as `Sink.counts` has them."""
    return _SINK.counts()


def write_to(write: Callable[[bytes], None]) -> None:
    """Another place for the lines of this process than stderr."""
    _SINK.write_to(write)


def keep_last_words(role: str) -> None:
    """What nobody catches becomes a `fatal` line without its values, not a traceback with them."""
    log = Log(role, _SINK)

    def of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.fatal("ended by an exception", exc=error)

    def of_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.exception("a thread ended by an exception", exc=args.exc_value)

    sys.excepthook, threading.excepthook = of_process, of_thread


os.register_at_fork(after_in_child=_SINK._reset)
atexit.register(flush)
