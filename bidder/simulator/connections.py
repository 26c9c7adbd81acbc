"""A small HTTP/1.1 client for many short requests: keep-alive connections, one request on each at a time.

Pool.send(payload, done) -> a free connection, or the queue -> done(Answer | Failure)
A connection that is free serves the oldest in the queue; while there is a queue more are opened, up to `most`.
Nothing is sent twice: who wants another try sends again. Times: seconds of the loop's clock.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, cast

SWEEP_S = 0.5
MAX_HEAD_BYTES = 65_536


class Answer(NamedTuple):
    """`head` is the status line and the fields, `body` is whole."""

    status: int
    head: bytes
    body: bytes


class Failure(Enum):
    """Why there is no answer."""

    CONNECT = "connect"  # nobody listens
    CLOSED = "closed"  # the connection ended before the answer did
    TIMEOUT = "timeout"
    GARBLED = "garbled"  # what came is not HTTP/1.1
    BACKLOG = "backlog"  # the queue is full; never sent


Done = Callable[[Answer | Failure], None]


class _Call(NamedTuple):
    payload: bytes
    done: Done


def field_of(head: bytes, name: bytes) -> bytes | None:
    """The value of a header field; `name` in lower case."""
    lower = head.lower()
    at = lower.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = lower.find(b"\r\n", start)
    return head[start : len(head) if end < 0 else end].strip()


def _chunks(data: bytes, at: int) -> bytes | None:
    """A chunked body that ends with `data`; None while more must come. ValueError where it is none."""
    parts: list[bytes] = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end].partition(b";")[0], 16)
        at = end + 2 + size + 2
        if size == 0:
            trailers = data.find(b"\r\n", end + 2)
            if trailers < 0:
                return None
            if trailers != end + 2 or len(data) != trailers + 2:
                raise ValueError("trailers are not read")
            return b"".join(parts)
        if len(data) < at:
            return None
        parts.append(data[end + 2 : at - 2])


def answer_in(data: bytes) -> tuple[Answer, bool] | None:
    """The answer that `data` is, and whether its connection stays; None while more must come.

    ValueError where it is no answer, or more than one.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MAX_HEAD_BYTES:
            raise ValueError("a head without end")
        return None
    if not data.startswith(b"HTTP/1."):
        raise ValueError("not HTTP/1")
    head = data[:end]
    status = int(data[9:12])
    if status < 200:
        raise ValueError("an interim answer that nobody asked for")
    keep = (field_of(head, b"connection") or b"").lower() != b"close" and data[7:8] == b"1"
    start = end + 4
    if status in (204, 304):
        length = 0
    elif (named := field_of(head, b"content-length")) is not None:
        length = int(named)
    elif (field_of(head, b"transfer-encoding") or b"").lower() == b"chunked":
        body = _chunks(data, start)
        return None if body is None else (Answer(status, head, body), keep)
    else:
        raise ValueError("a body without a length")
    if len(data) < start + length:
        return None
    if len(data) > start + length:
        raise ValueError("more than one answer")
    return Answer(status, head, data[start:]), keep


class _Connection(asyncio.Protocol):
    """One keep-alive connection; `call` is what it waits for."""

    __slots__ = ("_buffer", "_pool", "_transport", "call", "ended_by_us", "expires")

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.call: _Call | None = None
        self.expires = 0.0  # when `call` has waited too long; a wait in the queue does not count
        self.ended_by_us = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def send(self, call: _Call, expires: float) -> None:
        assert self._transport is not None
        self.call, self.expires = call, expires
        self._transport.write(call.payload)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        try:
            found = answer_in(data)
        except ValueError:
            self.end(Failure.GARBLED)
            return
        if found is None:
            self._buffer = data
            return
        self._buffer = b""
        call, self.call = self.call, None
        answer, keep = found
        if call is None:
            self.end(Failure.GARBLED)
            return
        if keep:
            self._pool.released(self)
        call.done(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.lost(self)
        self._fail(Failure.CLOSED)

    def end(self, failure: Failure) -> None:
        """Close it from our side."""
        self.ended_by_us = True
        if self._transport is not None:
            self._transport.abort()
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        call, self.call = self.call, None
        if call is not None:
            call.done(failure)


class Pool:
    """Connections to one address. `size` are opened at once, `most` is the bound, `backlog` that of the queue."""

    def __init__(self, host: str, port: int, *, size: int, most: int, backlog: int, timeout_s: float) -> None:
        self.closed_by_peer = 0
        self._address = (host, port)
        self._size, self._most, self._backlog = size, max(size, most), backlog
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._all: set[_Connection] = set()
        self._free: deque[_Connection] = deque()  # the longest unused first, so that load spreads over servers
        self._queue: deque[_Call] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._closing = False
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    @property
    def underway(self) -> int:
        """Requests without an answer yet."""
        return len(self._queue) + sum(connection.call is not None for connection in self._all)

    async def open(self) -> None:
        """The first connections; OSError where nobody listens."""
        for _ in range(self._size):
            await self._connect()

    def send(self, payload: bytes, done: Done) -> None:
        """Now, or when a connection is free. `done` is called exactly once, possibly before this returns."""
        call = _Call(payload, done)
        if self._free:
            self._free.popleft().send(call, self._loop.time() + self._timeout_s)
        elif len(self._queue) >= self._backlog:
            done(Failure.BACKLOG)
        else:
            self._queue.append(call)
            self._open_more()

    def released(self, connection: _Connection) -> None:
        """It can serve the next."""
        if self._queue:
            connection.send(self._queue.popleft(), self._loop.time() + self._timeout_s)
        else:
            self._free.append(connection)

    def lost(self, connection: _Connection) -> None:
        """It has ended."""
        self._all.discard(connection)
        with contextlib.suppress(ValueError):
            self._free.remove(connection)
        if not (self._closing or connection.ended_by_us):
            self.closed_by_peer += 1
        if self._queue:
            self._open_more()

    async def close(self) -> None:
        """End all; requests without an answer fail."""
        self._closing = True
        self._sweeper.cancel()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        self._fail_queue(Failure.CLOSED)
        for connection in list(self._all):
            connection.end(Failure.CLOSED)
        while self._all:
            await asyncio.sleep(0)  # until the loop has told every connection

    def _open_more(self) -> None:
        if self._closing or len(self._all) + len(self._opening) >= self._most or len(self._opening) >= len(self._queue):
            return
        task = self._loop.create_task(self._open_one())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_one(self) -> None:
        try:
            await self._connect()
        except OSError:
            if not self._all:  # otherwise those that are open go on
                self._fail_queue(Failure.CONNECT)

    async def _connect(self) -> None:
        _, connection = await self._loop.create_connection(lambda: _Connection(self), *self._address)
        self._all.add(connection)
        self.released(connection)

    def _fail_queue(self, failure: Failure) -> None:
        calls, self._queue = self._queue, deque()
        for call in calls:
            call.done(failure)

    def _sweep(self) -> None:
        """What waits too long has failed."""
        now = self._loop.time()
        for connection in list(self._all):
            if connection.call is not None and connection.expires < now:
                connection.end(Failure.TIMEOUT)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
