"""Connections that are passed on: a worker that goes gives those between two requests to one that stays.

    Taker(loop, state, row, open): a door at <state>/run/worker.<row>.sock, where connections come in
    pass_on(state, row, connections) -> those that were not taken

A connection stays open all the while, so a request that is on its way is answered by the next owner: no exchange is
told to come again, and none can send into a connection that is just being closed.
Packets: a byte, and up to BATCH descriptors.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

BATCH = 200  # descriptors of one packet; the kernel takes 253
WAITING = 16  # workers that go at the same time


@contextlib.contextmanager
def _address(state: Path, row: int) -> Iterator[str]:
    """Of the door of that row; addresses of Unix sockets end at 107 bytes, and state directories do not."""
    room = os.open(state / "run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{room}/worker.{row}.sock"
    finally:
        os.close(room)


class Taker:
    """The door of one worker, from here to `close`. `open(connection)`: serve it, it is ours."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, state: Path, row: int, open: Callable[[socket.socket], None]
    ) -> None:
        self._loop = loop
        self._path = state / "run" / f"worker.{row}.sock"
        self._open = open
        self._givers: set[socket.socket] = set()
        self._path.unlink(missing_ok=True)  # of the last worker of this row, which is gone
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.setblocking(False)
        with _address(state, row) as address:
            self._door.bind(address)
        self._door.listen(WAITING)
        loop.add_reader(self._door, self._admit)

    def close(self) -> None:
        """Nobody finds it any more; what has come is taken."""
        self._path.unlink(missing_ok=True)
        self._admit()
        self._loop.remove_reader(self._door)
        self._door.close()
        for giver in list(self._givers):
            self._take(giver)
            self._forget(giver)

    def _admit(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                giver, _ = self._door.accept()
                giver.setblocking(False)
                self._givers.add(giver)
                self._loop.add_reader(giver, self._take, giver)

    def _take(self, giver: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    said, descriptors, _, _ = socket.recv_fds(giver, 1, BATCH)
                except ConnectionError:
                    said, descriptors = b"", []
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, False)
                    connection = socket.socket(fileno=descriptor)
                    connection.setblocking(False)
                    self._open(connection)
                if not said:
                    self._forget(giver)
                    return

    def _forget(self, giver: socket.socket) -> None:
        if giver in self._givers:
            self._givers.discard(giver)
            self._loop.remove_reader(giver)
            giver.close()


def pass_on(state: Path, row: int, connections: Sequence[socket.socket]) -> list[socket.socket]:
    """Give these to the worker in that row; what it took is closed here, which nobody on the other end notices.

    Returns those that it did not take: it is not there, or has no room now. Never waits.
    """
    left = list(connections)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer, contextlib.suppress(OSError):
        peer.setblocking(False)
        with _address(state, row) as address:
            peer.connect(address)
        while left:
            batch = left[:BATCH]
            socket.send_fds(peer, [b"c"], [connection.fileno() for connection in batch])
            del left[:BATCH]
            for connection in batch:
                connection.close()
    return left
