"""Exchanges that never stop: closed-loop clients on kept-alive connections; they count, and try nothing twice.

async with steady(port, body) as load: ...; load.answers, load.failures
A connection that ends with an answer that says `Connection: close` has ended well; any other end of one is a failure,
and so is an answer that is neither 200 nor 204.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator


class Load:
    """What became of the requests."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.reconnects = 0
        self.ended = asyncio.Event()

    @property
    def answered(self) -> int:
        return self.answers.total()

    async def until(self, answers: int) -> None:
        """So many more."""
        wanted = self.answered + answers
        while self.answered < wanted and not self.failures:
            await asyncio.sleep(0.005)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status, and whether the connection goes on."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = head.lower().split(b"\r\n")
    lengths = [int(line.partition(b":")[2]) for line in fields if line.startswith(b"content-length:")]
    if lengths:
        await reader.readexactly(lengths[0])
    return int(head.split(b" ", 2)[1]), b"connection: close" not in fields


async def _exchange(load: Load, port: int, request: bytes, pause_s: float) -> None:
    while not load.ended.is_set():
        step = "connect"
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            goes_on = True
            while goes_on and not load.ended.is_set():
                step = "send"
                writer.write(request)
                await writer.drain()
                step = "read"
                status, goes_on = await _answer(reader)
                load.answers[status] += 1
                if status not in (200, 204):
                    load.failures.append(f"status {status}")
                if pause_s and goes_on:
                    await asyncio.sleep(pause_s)  # and then it does not look whether the connection has ended
            writer.close()
            load.reconnects += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            load.failures.append(f"{step}: {error!r}")


@contextlib.asynccontextmanager
async def steady(
    port: int, body: bytes, *, clients: int = 8, pause_s: float = 0.0, path: str = "/bid/generic"
) -> AsyncIterator[Load]:
    """`pause_s`: between an answer and the next request of a client."""
    load = Load()
    head = f"POST {path} HTTP/1.1\r\nHost: bid\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    jobs = [asyncio.ensure_future(_exchange(load, port, head.encode() + body, pause_s)) for _ in range(clients)]
    try:
        yield load
    finally:
        load.ended.set()
        await asyncio.wait(jobs, timeout=5)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
