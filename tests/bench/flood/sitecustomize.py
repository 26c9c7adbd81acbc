"""Workers that log errors without end, for `scripts/bench log`: Python runs this as it starts, where it is on the path.

While the file that BENCH_FLOOD names exists, so many errors a second as it says, from the loop that answers requests.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

TICK_S = 0.001
LOOK_S = 0.1


async def _flood(order: Path) -> None:
    from bidder.ops.log import get

    log = get("worker")
    loop = asyncio.get_running_loop()
    rate, owed, look_at, before = 0, 0.0, 0.0, loop.time()
    while True:
        await asyncio.sleep(TICK_S)
        now = loop.time()
        if now >= look_at:
            look_at = now + LOOK_S
            rate = int(order.read_text(encoding="ascii") or 0) if order.exists() else 0
        owed += rate * min(now - before, 10 * TICK_S)
        before = now
        for n in range(int(owed)):
            log.error("cannot reach the store", peer=n, text="connection refused")
        owed -= int(owed)


if "worker" in sys.orig_argv and "BENCH_FLOOD" in os.environ:
    import uvloop

    run = uvloop.run

    def flooded(main: Coroutine[Any, Any, None]) -> None:
        """As uvloop.run, with the flood beside it."""

        async def both() -> None:
            flood = asyncio.ensure_future(_flood(Path(os.environ["BENCH_FLOOD"])))
            try:
                await main
            finally:
                flood.cancel()

        run(both())

    uvloop.run = flooded
