"""What systemd hears of a supervisor (docs/systemd.md): ready when its workers serve, alive only while they do.

Times: seconds; heartbeats: monotonic ms.
"""

import asyncio
import os
import time
from collections.abc import Callable

from bidder.ops.notify import notify
from bidder.workers import STABLE, WorkerPool

TELL_S = 1.0
FRESH_MS = 5_000  # a worker whose last heartbeat is older stands still


class Service:
    """`busy()`: a restart or reload is under way, which systemd has been told of; ready again when it has ended."""

    def __init__(self, pool: WorkerPool, busy: Callable[[], bool]) -> None:
        self._pool = pool
        self._busy = busy
        self._ready = False

    def tell(self, now_ms: int) -> None:
        """Once a second."""
        serving = self._serving(now_ms)
        if serving and self._ready == self._busy():
            self._ready = not self._busy()
            if self._ready:
                notify("READY=1", f"MAINPID={os.getpid()}", f"STATUS={serving} workers serve")
        if serving:
            notify("WATCHDOG=1")

    def _serving(self, now_ms: int) -> int:
        """How many workers do; 0 where one that accepts connections does not."""
        rows = [self._pool.on_board(post) for post in self._pool.posts(STABLE) if not post.on_trial]
        if any(row is None or now_ms - row.heartbeat_ms > FRESH_MS for row in rows):
            return 0
        return len(rows)

    def stopping(self) -> None:
        """The workers drain."""
        notify("STOPPING=1")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.tell(time.monotonic_ns() // 1_000_000)
            await asyncio.sleep(TELL_S)
