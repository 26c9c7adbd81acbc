"""Vitals: how a process is, measured on its own loop, for whoever looks, without asking it.

with Vitals(state, role, facts): -> each second one JSON object in `<state>/run/<role>.<pid>.vitals`, a page of memory
that its process maps, so that nothing is written on the loop. `read_all(state)` has those of every living process.
The file is locked for as long as its process lives, as presence is; a loop that hangs shows as an `at` that is old.
Costs an idle process 0.07 % of a core, a busy one less: its loop is awake anyway.
"""

import asyncio
import contextlib
import fcntl
import gc
import json
import mmap
import os
import platform
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from bidder.ops import log as logs
from bidder.ops.presence import lock_is_free

EVERY_S = 1.0
PROBE_S = 0.2  # how often the lag of the loop is measured
PAGE = 4_096  # bytes of the file: head, JSON
HEAD = struct.Struct("<II")  # bytes of the JSON, its CRC-32
DESCRIPTORS = Path("/proc/self/fd")
TRIES = 20  # of a reader that meets a writer

Facts = dict[str, Any]


class Pauses:
    """What garbage collections take of the loop's time. Times: seconds."""

    def __init__(self) -> None:
        self.collections = 0
        self.total_s = 0.0
        self.longest_s = 0.0  # since `take_longest`
        self._began = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """For gc.callbacks."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            took = time.perf_counter() - self._began
            self.collections += 1
            self.total_s += took
            self.longest_s = max(self.longest_s, took)

    def take_longest(self) -> float:
        """The longest since the last call."""
        longest, self.longest_s = self.longest_s, 0.0
        return longest


def open_files() -> int:
    """Descriptors of this process; the kernel counts them (6.2 and later), else we do."""
    return DESCRIPTORS.stat().st_size or len(os.listdir(DESCRIPTORS))  # noqa: PTH208 - names are not wanted


def resident_bytes(pid: int | str = "self") -> int:
    """Resident set of a process."""
    return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * mmap.PAGESIZE


def _file_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Vitals:
    """Of this process, for as long as the block runs, on the loop that runs then.

    `facts()`: what its role adds, a few numbers by name. `seat`: which of its role and arm it is.
    """

    def __init__(
        self, state: Path, role: str, facts: Callable[[], Facts] = dict, *, seat: int = 0, arm: int = 0
    ) -> None:
        self._path = state / "run" / f"{role}.{os.getpid()}.vitals"
        self._facts = facts
        self._constant: Facts = {
            "role": role, "pid": os.getpid(), "seat": seat, "arm": arm,
            "python": platform.python_version(), "started": round(time.time(), 3), "fd_limit": _file_limit(),
        }  # fmt: skip
        self._lags: list[float] = []
        self._pauses = Pauses()
        self._page: mmap.mmap | None = None
        self._descriptor = -1
        self._probe: asyncio.TimerHandle | None = None
        self.due = 0.0  # when the page is to be written again, by the loop's clock
        self._log = logs.get(role)

    def __enter__(self) -> Self:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)  # of a dead process with our pid, or of what we were before an exec
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.ftruncate(self._descriptor, PAGE)
        self._page = mmap.mmap(self._descriptor, PAGE)
        gc.callbacks.append(self._pauses)
        self.publish()
        loop = asyncio.get_running_loop()
        self.due = loop.time() + EVERY_S
        self._wait(loop)
        return self

    def __exit__(self, *error: object) -> None:
        if self._probe is not None:
            self._probe.cancel()
        gc.callbacks.remove(self._pauses)
        self._path.unlink(missing_ok=True)
        if self._page is not None:
            self._page.close()
            self._page = None
        os.close(self._descriptor)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._probe = loop.call_later(PROBE_S, self.look, loop, loop.time() + PROBE_S)

    def look(self, loop: asyncio.AbstractEventLoop, expected: float) -> None:
        """Called as soon as the loop comes to it, which was to be at `expected`."""
        now = loop.time()
        self._lags.append(max(0.0, now - expected))
        if now >= self.due:
            self.due = now + EVERY_S
            try:
                self.publish()
            except Exception as error:  # of a fact: the process goes on, and its vitals grow old
                self._log.exception("no vitals", exc=error)
        self._wait(loop)

    def now(self) -> Facts:
        """What the page will say."""
        lags = sorted(self._lags) or [0.0]
        self._lags.clear()
        return {
            **self._constant,
            "at": round(time.monotonic(), 3),
            "cpu_s": round(time.process_time(), 4),
            "rss_bytes": resident_bytes(),
            "fds": open_files(),
            "lag_p50_s": round(lags[len(lags) // 2], 6),
            "lag_max_s": round(lags[-1], 6),
            "gc_max_s": round(self._pauses.take_longest(), 6),
            "gc_s": round(self._pauses.total_s, 6),
            "gc_collections": self._pauses.collections,
            "log": logs.counts(),
            "facts": self._facts(),
        }

    def publish(self) -> None:
        """Now."""
        text = json.dumps(self.now(), separators=(",", ":")).encode()
        if self._page is not None and HEAD.size + len(text) <= PAGE:
            self._page[: HEAD.size + len(text)] = HEAD.pack(len(text), zlib.crc32(text)) + text


def _parse(page: bytes) -> Facts | None:
    if len(page) < HEAD.size:
        return None
    length, crc = HEAD.unpack_from(page)
    text = page[HEAD.size : HEAD.size + length]
    if zlib.crc32(text) != crc or not text:
        return None
    said: Facts = json.loads(text)
    return said


def _read(path: Path) -> Facts | None:
    """None where its process is dead (its file is removed), or just beginning."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if lock_is_free(descriptor) and os.pread(descriptor, 1, 0):  # an empty file is not locked yet
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return None
        for _ in range(TRIES):
            said = _parse(os.pread(descriptor, PAGE, 0))
            if said is not None:
                return said
        return None
    finally:
        os.close(descriptor)


def read_all(state: Path) -> list[Facts]:
    """What every living process of this host last said, by role and pid."""
    found = [_read(path) for path in (state / "run").glob("*.*.vitals")]
    return sorted((said for said in found if said is not None), key=lambda said: (said["role"], said["pid"]))
