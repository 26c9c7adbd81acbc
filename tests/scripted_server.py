"""An HTTP server that keeps to a script, on a thread of its own: late, split, wrong or missing answers."""

import asyncio
import threading
from collections.abc import Callable

NO_BID = b"HTTP/1.1 204 No Content\r\n\r\n"
HEAD_END = b"\r\n\r\n"

Script = Callable[["Peer", int], None]  # what the server does at the nth request of a connection


class Peer(asyncio.Protocol):
    """One connection; takes requests apart and plays the script."""

    def __init__(self, server: "Scripted") -> None:
        self.server = server
        self.rest = b""
        self.seen = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.peers.append(self)

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while HEAD_END in self.rest and not self.transport.is_closing():
            head, _, rest = self.rest.partition(HEAD_END)
            length = int(head.rpartition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            self.server.bodies.append(rest[:length])
            self.rest = rest[length:]
            self.seen += 1
            self.server.script(self, self.seen)

    def in_pieces(self, answer: bytes, size: int) -> None:
        for at in range(0, len(answer), size):
            self.transport.write(answer[at : at + size])


class Scripted:
    """A server on a thread of its own."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.bodies: list[bytes] = []
        self.script: Script = lambda peer, n: peer.transport.write(NO_BID)
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.loop.create_server(lambda: Peer(self), "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.server.close()
        for peer in self.peers:
            peer.transport.abort()
        self.loop.run_until_complete(self.server.wait_closed())
        self.loop.run_until_complete(asyncio.sleep(0))  # the aborted ones close their sockets
        self.loop.close()
