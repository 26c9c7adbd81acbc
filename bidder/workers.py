"""The workers of a supervisor: started, watched, brought back, drained.

A worker is `outbid worker` on one row of the board, with the listening socket that the
supervisor owns; it dies with the supervisor. A row is used again only by the next worker
of that row, which goes on with the counters that the last one left.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from bidder.embedded.child import spawn
from bidder.ops import log as logs
from bidder.ops.seat import Seat

WATCH_S = 0.02  # while a worker is missing
ALL_THERE_S = 1.0  # while all of them live: a death is signalled
DRAIN_S = 6.0


class WorkerPool:
    """`count` workers on one socket. Times: monotonic seconds."""

    def __init__(self, state: Path, count: int, listening_fd: int) -> None:
        self._state = state
        self._fd = listening_fd
        log = logs.get("supervisor")
        self._changed = asyncio.Event()
        self._seats = [Seat("worker", partial(self._start, row), log, row=row) for row in range(count)]

    @property
    def rows(self) -> range:
        """The rows of the board that this pool uses."""
        return range(len(self._seats))

    def pids(self) -> list[int]:
        """Of the workers that live."""
        return [seat.pid for seat in self._seats if seat.pid is not None]

    async def run(self) -> None:
        """Bring back whoever dies, until cancelled. On the main thread: it listens to SIGCHLD."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._changed.set)
        try:
            while True:
                self._changed.clear()
                now = time.monotonic()
                for seat in self._seats:
                    seat.look_after(now)
                missing = any(seat.wanted and seat.pid is None for seat in self._seats)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WATCH_S if missing else ALL_THERE_S):
                        await self._changed.wait()
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)

    def _start(self, row: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "bidder", "worker", "--row", str(row), "--fd", str(self._fd)]
        return spawn(
            [*command, "--state", str(self._state)],
            cwd=Path.cwd(),
            log=None,
            environ=os.environ,
            account=None,
            on_orphaned=signal.SIGKILL,
            pass_fds=(self._fd,),
        )

    def start(self) -> None:
        """Workers are wanted (again)."""
        for seat in self._seats:
            seat.want_again()
        self._changed.set()

    async def stop(self) -> None:
        """Drain every worker: requests that have begun are answered, connections closed; then they are gone."""
        for seat in self._seats:
            seat.ask_to_go()
        deadline = time.monotonic() + DRAIN_S
        while self.pids() and time.monotonic() < deadline:
            await asyncio.sleep(WATCH_S)
        for seat in self._seats:
            seat.kill()
