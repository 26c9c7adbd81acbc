"""Sockets between the processes of a host: addresses of any length, and doors that take packets.

with Place(path) as place: sock.bind(place.address)          # also connect()
door = Door(path, admit, backlog); door.open(loop); door.hide(); door.close()
reach(path) -> a connected socket                            # SOCK_SEQPACKET, as of a Door

Addresses of Unix sockets end at 107 bytes and state directories do not, so all go through
/proc/self/fd/<directory>/<name>. Packets keep their bounds, and come whole or not at all.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from bidder.ops.descriptors import RETRY_S, ExhaustedError, accept

PACKETS = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC

log = logging.getLogger("bidder.doors")


class Place:
    """Where a socket is, or is to be, as long as this is open. OSError where its directory cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.address = f"/proc/self/fd/{self.directory}/{path.name}"

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.directory)


def reach(path: Path) -> socket.socket:
    """Connected to the door at `path`, not blocking. OSError: nobody is there, it is full, or we have none left."""
    peer = socket.socket(socket.AF_UNIX, PACKETS)
    try:
        with Place(path) as place:
            peer.connect(place.address)
    except OSError:
        peer.close()
        raise
    return peer


class Door:
    """A place to which other processes bring packets. Built, then `open`, then `hide` or `close`."""

    def __init__(self, path: Path, admit: Callable[[socket.socket], None], backlog: int) -> None:
        """`admit`: takes over who has come, who does not block. `backlog`: of those that come at the same time."""
        self._path = path
        self._admit = admit
        self._backlog = backlog
        self._inode = 0
        self._listener: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._exhausted = False

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever comes is let in from now on. Whatever an earlier process left in this place is replaced."""
        self._loop = loop
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, PACKETS)
        with Place(draft) as place:
            listener.bind(place.address)
        draft.chmod(0o600)
        listener.listen(self._backlog)
        draft.rename(self._path)
        self._inode = self._path.stat().st_ino
        self._listener = listener
        loop.add_reader(listener, self._accept)

    def hide(self) -> None:
        """Nobody finds it any more; who has found it is let in still."""
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else it is our successor's
                self._path.unlink()

    def close(self) -> None:
        """Let in who has come, and nobody after that."""
        self.hide()
        if self._listener is None:
            return
        self._accept()
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._listener = None

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            while came := accept(self._listener):
                if self._exhausted:
                    self._exhausted = False
                    log.warning("a door takes again who comes")
                came[0].setblocking(False)
                self._admit(came[0])
        except ExhaustedError as error:
            self._wait_for_a_descriptor(error)

    def _wait_for_a_descriptor(self, error: OSError) -> None:
        assert self._listener is not None
        if not self._exhausted:
            self._exhausted = True
            log.error("a door cannot take who comes, and tries again and again", exc_info=error)
        self._loop.remove_reader(self._listener)
        self._retry = self._loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        assert self._listener is not None
        self._loop.add_reader(self._listener, self._accept)
