"""The reactor under uvloop, as a worker has it: with Tornado beside it, through a drain, asleep in between."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from tornado.web import Application, RequestHandler

from bidder._fast.handler import PythonHandler
from bidder._fast.http import Connections
from bidder._fast.reactor import Reactor
from bidder.listener import BidServer, Listener
from tests.http_wire import answers_in, no_route, post

WAIT_S = 30


class Slowly(RequestHandler):
    """Answers when the loop has been round a few times."""

    async def get(self, name: str) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.write(name)


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[tuple[BidServer, tuple[str, int]]]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as sock:
        server = BidServer(PythonHandler(lambda exchange, body: (200, body)), application)
        listener = Listener(asyncio.get_running_loop(), sock, server)
        listener.resume()
        try:
            yield server, sock.getsockname()
        finally:
            listener.close()
            await server.drain(idle_grace_s=0, give_up_s=5)


async def heard(reader: asyncio.StreamReader, answers: int) -> list[bytes]:
    """The bodies of the next answers."""
    found = []
    for _ in range(answers):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        found.append(await asyncio.wait_for(reader.readexactly(length), WAIT_S))
    return found


def run(test: Callable[[], Any]) -> None:
    uvloop.run(asyncio.wait_for(test(), 4 * WAIT_S))


def test_tornado_answers_between_bids_of_one_read_in_their_order() -> None:
    async def test() -> None:
        async with serving(Application([("/slow/(.*)", Slowly)])) as (_, address):
            peers = [await asyncio.open_connection(*address) for _ in range(20)]
            for n, (_, writer) in enumerate(peers):
                slow = b"GET /slow/t%d HTTP/1.1\r\nHost: a\r\n\r\n" % n
                writer.write(post(b"a%d" % n) + slow + post(b"b%d" % n) + slow + post(b"c%d" % n))
            for n, (reader, writer) in enumerate(peers):
                assert await heard(reader, 5) == [b"%c%d" % (kind, n) for kind in b"atbtc"]
                writer.close()

    run(test)


def test_a_drain_answers_what_has_begun_on_every_connection_and_ends_them_all() -> None:
    async def test() -> None:
        async with serving(Application([])) as (server, address):
            peers = [await asyncio.open_connection(*address) for _ in range(100)]
            for n, (_, writer) in enumerate(peers):
                writer.write(post(b"%d" % n)[: None if n % 2 else -1])
            for reader, _ in peers[1::2]:
                assert await heard(reader, 1)
            while server.connections < 100:
                await asyncio.sleep(0)
            draining = asyncio.ensure_future(server.drain(idle_grace_s=0, give_up_s=WAIT_S))
            await asyncio.sleep(0)
            for n, (_, writer) in enumerate(peers[::2]):
                writer.write((b"%d" % (2 * n))[-1:])
            for n, (reader, _) in enumerate(peers):
                ended = await asyncio.wait_for(reader.read(), WAIT_S)
                found = [(answer.body, answer.fields.get("connection")) for answer in answers_in(ended)]
                assert found == ([] if n % 2 else [(b"%d" % n, "close")])
            assert (await draining, server.connections) == (0, 0)
            for _, writer in peers:
                writer.close()

    run(test)


class Counted:
    """A loop that counts what it calls for the reactor."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.calls = self.watched = 0

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        def counted() -> None:
            self.calls += 1
            callback()

        self.watched += 1
        self.loop.add_reader(fd, counted)

    def remove_reader(self, fd: int) -> None:
        self.watched -= 1
        self.loop.remove_reader(fd)

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.loop.call_soon(callback)


def test_the_loop_is_woken_for_what_comes_and_sleeps_otherwise() -> None:
    async def test() -> None:
        loop = Counted(asyncio.get_running_loop())
        connections = Connections(PythonHandler(lambda exchange, body: (200, body)), no_route)
        reactor = Reactor(loop, connections)  # type: ignore[arg-type]
        for _ in range(2):
            loop.calls = 0
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            reactor.open(ours, connections.protocol())
            reader, writer = await asyncio.open_connection(sock=theirs)
            for n in range(20):
                writer.write(post(b"%d" % n))
                assert await heard(reader, 1) == [b"%d" % n]
                for _ in range(50):  # rounds of the loop, in each of which it would be called if anything was ready
                    await asyncio.sleep(0)
            assert (loop.calls, loop.watched) == (20, 1)
            writer.close()
            while connections.count:
                await asyncio.sleep(0)
            calls = loop.calls
            for _ in range(50):
                await asyncio.sleep(0)
            assert (loop.calls, loop.watched) == (calls, 0)

    run(test)
