"""The supervisor of a host without controller: the real one's socket, shared memory, workers and windows of counters.

    python -m tests.bench.keeper STATE WORKERS

Missing, next to bidder/supervisor.py: leases, pacing, the keeper of the book, the tracker's health, verbs. What those
cost on a whole host is not in the figures of such a host.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

from bidder._fast.board import Board
from bidder._fast.counters import CounterFile
from bidder._fast.frequency import FrequencyTable
from bidder._fast.segments import SegmentTable
from bidder._fast.shading import Shading
from bidder.builds import running
from bidder.campaigns import snapshot
from bidder.cli.context import role_settings
from bidder.events.bus import Publisher
from bidder.events.outbox import Outbox
from bidder.ops.listening import listening
from bidder.settings import Users
from bidder.supervisor import WINDOW_S
from bidder.workers import STABLE, WorkerPool


async def keep(state: Path, count: int) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = role_settings(state, None)
    socket = listening(settings.bidder.listen, "bench")
    board = Board(state / "shm" / "board")
    board.book_revision = snapshot.current_generation(state) or 0
    frequency = FrequencyTable(state / "shm" / "frequency", Users().capped, now_s=int(time.time()))
    SegmentTable(state / "shm" / "segments", Users().segmented)
    Shading(state / "shm" / "shading", make=True)
    counters = CounterFile(state / "shm" / "counters")
    outbox = Outbox(state, "bench/bidder", settings.bus.keep_windows)
    publisher = Publisher(settings.bidder.bus_listen, outbox)
    workers = WorkerPool(state, board, socket.fileno())
    workers.grow(STABLE, running(), count)

    async def every_second() -> None:
        while True:
            due = time.monotonic() + WINDOW_S
            publisher.publish(outbox.close_window(counters, workers.rows, int(time.time() * 1000)))
            frequency.rotate(int(time.time()))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    jobs = [asyncio.ensure_future(job) for job in (workers.run(), every_second(), publisher.run(), stop.wait())]
    try:
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            job.result()
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await workers.stop()
        publisher.close()
        socket.close()


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1]), int(sys.argv[2])))
