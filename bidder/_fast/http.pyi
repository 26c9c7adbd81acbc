"""HTTP/1.1 listener, compiled: `/bid/{exchange}` to a handler, every other request to a route.

`tests/` and the workers drive it through `bidder.listener.BidServer`.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol as Shape

from bidder._fast.backlog import Backlog
from bidder._fast.handler import BidHandler

class _Guest(Shape):
    """Whoever answers one request that is not a bid; the connection tells it what it must know."""

    def connection_lost(self) -> None:
        """The client is gone; nothing more can be written."""
    def resume_writing(self) -> None:
        """The client has read what was written: `writable` again."""

_Route = Callable[[BidProtocol, bytes, bytes, int, bytes, bytes, bool], _Guest]
"""`route(connection, method, target, minor, fields, body, keep_alive)`: a whole request, HTTP/1.minor.

`fields` are the lines between request line and empty line, checked, each ended by CRLF. The route answers
with `connection.send()` and, once, `connection.finish()`; meanwhile nothing that follows is looked at.
It must not call `finish()` before it has returned.
"""

class Connections:
    """All connections of one worker. Not thread-safe: one loop."""

    draining: bool
    """From now on the last answer on every connection says `Connection: close`, and the connection ends with it."""

    def __init__(
        self,
        handler: BidHandler,
        route: _Route,
        *,
        on_empty: Callable[[], object] | None = None,
        max_body_bytes: int = 262_144,
        header_s: float = 10.0,
        body_s: float = 2.0,
        body_total_s: float = 10.0,
        idle_s: float = 160.0,
    ) -> None:
        """`max_body_bytes` also holds for what gzip unpacks to; `body_s` is without progress, `body_total_s` in all.
        ValueError: a limit is not positive."""
    @property
    def count(self) -> int:
        """Connections that are open."""
    @property
    def unread(self) -> int:
        """Connections that are not read for a while, because others earn more (`bidder._fast.favour`)."""
    def held_by(self, host: str) -> int:
        """Connections of this peer address."""
    @property
    def refused(self) -> int:
        """Requests answered without being read to the end: framing, size, time."""
    @property
    def max_body_bytes(self) -> int: ...
    def protocol(self) -> BidProtocol:
        """A new connection, for `Reactor.open`."""
    def sweep(self, now: float) -> None:
        """Look for phases that took too long. To be called regularly, `now` > 0 from any monotonic clock (s).

        A limit is kept to within two intervals of sweeping, never cut short. A head or body that does
        not come gets 408; idle connections are closed.
        """
    def close_idle(self) -> int:
        """Close every connection that is between two requests; how many."""
    def release_idle(self) -> list[socket.socket]:
        """The sockets of connections that are between two requests, of which nothing has been read: open, and ours no
        more. With a reactor, and between its turns."""
    def abort(self) -> int:
        """Drop every connection at once, answered or not; how many."""

class BidProtocol(Backlog):
    """One connection, as the loop and a route see it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def get_buffer(self, sizehint: int) -> bytearray:
        """Writable memory (an object with the buffer interface) for one read; valid until `buffer_updated`."""
    def buffer_updated(self, nbytes: int) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def finish(self, close: bool) -> None:
        """Of a route: the answer is complete; go on with the next request, or end the connection."""
    @property
    def closing(self) -> bool:
        """The answer that is written now must say `Connection: close`."""
