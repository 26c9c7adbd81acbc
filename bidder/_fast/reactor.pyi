"""Manual of the reactor: sockets on an epoll of their own, which the loop watches as one descriptor."""

import asyncio
import socket

from bidder._fast.http import BidProtocol, Connections

class Reactor:
    """One a worker and loop. It watches while there is a connection, so it needs no closing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: Connections) -> None: ...
    def open(self, sock: socket.socket, protocol: BidProtocol) -> None:
        """Serve this connected, non-blocking socket with a new protocol of `connections`; the socket is ours now."""
    def turn(self) -> None:
        """Read, answer and send until nothing is ready, a few batches at most. The loop calls it."""
