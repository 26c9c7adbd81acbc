"""Real sockets before a reactor whose loop is the test: a batch is what the test has let arrive before it turns."""

import gc
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from bidder._fast.http import BidProtocol, Connections
from bidder._fast.reactor import Reactor
from tests.conditions import wait_until
from tests.http_wire import Answer, answers_in

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets


class HandLoop:
    """What a reactor asks of its loop, written down."""

    def __init__(self) -> None:
        self.watched: dict[int, Callable[[], None]] = {}
        self.soon: list[Callable[[], None]] = []

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.watched[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.watched[fd]

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def run_soon(self) -> None:
        due, self.soon = self.soon, []
        for callback in due:
            callback()


class Peer:
    """The other end of one connection."""

    def __init__(self, hall: "Hall", sock: socket.socket, ours: socket.socket, protocol: BidProtocol) -> None:
        self.hall = hall
        self.sock = sock
        self.ours = ours
        self.protocol = protocol
        self.heard = b""
        self.ended = False

    def say(self, data: bytes) -> None:
        """Returns when it has arrived, as far as the sockets take it."""
        self.sock.setblocking(False)
        sent = 0
        while sent < len(data):
            try:
                sent += self.sock.send(data[sent:])
            except BlockingIOError:
                self.hall.turn()
        self.arrived()

    def arrived(self) -> None:
        """What was said or done last is for the reactor to see."""
        poll = select.poll()
        if self.ours.fileno() >= 0:
            poll.register(self.ours.fileno(), select.POLLIN)
            wait_until(lambda: poll.poll(0), 30, "the peer's bytes")

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)
        self.arrived()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()
        poll = select.poll()
        poll.register(self.ours.fileno(), select.POLLIN)
        wait_until(lambda: any(what & select.POLLERR for _, what in poll.poll(0)), 30, "the reset")

    def hear(self) -> None:
        """Whatever has come, without waiting."""
        self.sock.setblocking(False)
        while not self.ended:
            try:
                data = self.sock.recv(1 << 20)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            self.ended = not data
            self.heard += data

    def hears(self, enough: Callable[[bytes], bool]) -> bytes:
        """All it has heard, once that is enough; the reactor turns meanwhile."""

        def heard() -> bool:
            self.hall.turn()
            self.hear()
            return enough(self.heard)

        wait_until(heard, 30, "an answer")
        return self.heard

    def told(self, n: int) -> list[Answer]:
        """Its first `n` answers, of which none may be followed by anything yet."""

        def whole(data: bytes) -> bool:
            if data.count(b"HTTP/1.1 ") < n:
                return False
            try:
                return len(answers_in(data)) >= n
            except AssertionError:
                return False

        return answers_in(self.hears(whole)) if n else []

    def end(self) -> bytes:
        """All it has heard, when nothing more can come."""
        return self.hears(lambda heard: self.ended)


class Hall:
    """A reactor, and those who are connected to it over 127.0.0.1."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.loop = HandLoop()
        self.reactor = Reactor(self.loop, connections)  # type: ignore[arg-type]
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._peers: list[Peer] = []

    def close(self) -> None:
        """Everybody leaves."""
        self._listening.close()
        self.connections.abort()
        self.turn()
        for peer in self._peers:
            peer.sock.close()

    def enter(self, receive_bytes: int = 0) -> Peer:
        """One more peer; `receive_bytes`: how little its sockets take at once."""
        sock = socket.socket()
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.connect(self._listening.getsockname())
        ours, _ = self._listening.accept()
        if receive_bytes:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, receive_bytes)
        ours.setblocking(False)
        protocol = self.connections.protocol()
        self.reactor.open(ours, protocol)
        self._peers.append(Peer(self, sock, ours, protocol))
        return self._peers[-1]

    def enter_all(self, n: int, **options: Any) -> list[Peer]:
        return [self.enter(**options) for _ in range(n)]

    def turn(self) -> None:
        """As the loop would, once: what is to run soon, and a turn if the reactor is watched."""
        self.loop.run_soon()
        for callback in list(self.loop.watched.values()):
            callback()

    @property
    def quiet(self) -> bool:
        """The loop would sleep: nothing is ready."""
        poll = select.poll()
        for fd in self.loop.watched:
            poll.register(fd, select.POLLIN)
        return not poll.poll(0) and not self.loop.soon

    def waiting(self) -> int:
        """Bytes of answers that peers have not taken yet."""
        links = [each for each in gc.get_objects() if type(each).__name__ == "SocketLink"]
        return sum(link.get_write_buffer_size() for link in links)
