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
from collections.abc import Callable, Sequence
from pathlib import Path

from bidder.ops.packets import Door, reach

BATCH = 200  # descriptors of one packet; the kernel takes 253
WAITING = 16  # workers that go at the same time


def _door_path(state: Path, row: int) -> Path:
    return state / "run" / f"worker.{row}.sock"


class Taker:
    """The door of one worker, from here to `close`. `open(connection)`: serve it, it is ours."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, state: Path, row: int, open: Callable[[socket.socket], None]
    ) -> None:
        self._loop = loop
        self._open = open
        self._givers: set[socket.socket] = set()
        self._door = Door(_door_path(state, row), self._admit, WAITING)
        self._door.open(loop)

    def close(self) -> None:
        """Nobody finds it any more; what has come is taken."""
        self._door.close()
        for giver in list(self._givers):
            self._take(giver)
            self._forget(giver)

    def _admit(self, giver: socket.socket) -> None:
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
    with contextlib.suppress(OSError), reach(_door_path(state, row)) as peer:
        while left:
            batch = left[:BATCH]
            socket.send_fds(peer, [b"c"], [connection.fileno() for connection in batch])
            del left[:BATCH]
            for connection in batch:
                connection.close()
    return left
