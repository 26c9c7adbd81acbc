"""Accepting for a worker among workers: shares, pauses, exhaustion, and stopping without failing a request."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvloop
from tornado.web import Application

from bidder._fast.handler import PythonHandler
from bidder.listener import BidServer, Listener
from tests.http_wire import answers_in, post


class Worker:
    """A server with its listener on a socket of its own, or a shared one."""

    def __init__(self, sock: socket.socket, per_peer: int = 0, **options: Any) -> None:
        self.server = BidServer(PythonHandler(lambda exchange, body: (200, body)), Application([]), **options)
        self.share: int | None = None
        self.listener = Listener(
            asyncio.get_running_loop(), sock, self.server, share=lambda held: self.share, per_peer=per_peer
        )


@asynccontextmanager
async def listening(workers: int = 1, **options: Any) -> AsyncIterator[tuple[list[Worker], tuple[str, int]]]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        shared = [sock.dup() for _ in range(workers)]  # as processes have it: one queue, a descriptor each
        team = [Worker(each, **options) for each in shared]
        try:
            yield team, sock.getsockname()
        finally:
            for worker in team:
                worker.listener.close()
                await worker.server.drain(idle_grace_s=0, give_up_s=1)
            for each in shared:
                each.close()


async def until(condition: Callable[[], object]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(poll(), 5)


async def asked(address: tuple[str, int], data: bytes) -> bytes:
    """What one answer says to `data` on a connection of its own."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(data)
    received = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()
    return received


def on_uvloop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        uvloop.run(asyncio.wait_for(test(), 20))

    run.__name__ = test.__name__
    return run


@on_uvloop
async def test_listener_accepts_only_between_resume_and_pause() -> None:
    async with listening() as ([worker], address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(post(b"1"))
        assert not worker.listener.accepting
        assert worker.server.connections == 0
        worker.listener.resume()
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n1"), 5)).startswith(b"HTTP/1.1 200 OK\r\n")
        worker.listener.pause()
        writer.write(post(b"2"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n2"), 5), "connections go on"
        late = await asyncio.open_connection(*address)
        late[1].write(post(b"3"))
        await asyncio.sleep(0)
        assert worker.server.connections == 1
        writer.close()
        late[1].close()


@on_uvloop
async def test_accepted_socket_does_not_wait_to_fill_packets() -> None:
    async with listening() as ([worker], address):
        worker.listener.resume()
        made: list[socket.socket] = []
        opened = worker.server.open

        def noted(connection: socket.socket) -> None:
            made.append(connection)
            opened(connection)

        worker.server.open = noted  # type: ignore[method-assign]
        await asked(address, post())
        assert made[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@on_uvloop
async def test_workers_on_one_socket_take_their_shares_and_no_more() -> None:
    async with listening(workers=2) as (team, address):
        clients = [await asyncio.open_connection(*address) for _ in range(10)]
        for worker in team:
            worker.share = 4
            worker.listener.resume()
        await until(lambda: [worker.server.connections for worker in team] == [4, 4])
        await until(lambda: not any(worker.listener.accepting for worker in team))
        team[0].share = 6
        await until(lambda: [worker.server.connections for worker in team] == [6, 4])
        for _, writer in clients:
            writer.close()


@on_uvloop
async def test_worker_whose_connections_ended_accepts_again() -> None:
    async with listening() as ([worker], address):
        worker.share = 1
        worker.listener.resume()
        for _ in range(3):
            assert await asked(address, post())


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """The next file descriptor that is asked for is refused."""
    lowest = os.dup(0)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_exhausted_descriptors_pause_accepting_without_spinning_and_it_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with listening() as ([worker], address):
            with socket.socket() as client:
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                with no_more_descriptors():
                    worker.listener.resume()
                    await loop.sock_connect(client, address)
                    await loop.sock_sendall(client, post(b"patient"))
                    await until(lambda: not worker.listener.accepting)
                    # The reserve was given back: the process itself can still open something.
                    os.close(os.open(os.devnull, os.O_RDONLY))
                answer = await asyncio.wait_for(loop.sock_recv(client, 1_000), 5)
                assert answer.endswith(b"patient")

    uvloop.run(test())
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["cannot accept", "accepting again"]


@on_uvloop
async def test_drain_ends_busy_connections_politely_and_idle_ones_after_the_grace() -> None:
    async with listening() as ([worker], address):
        worker.listener.resume()
        busy_reader, busy = await asyncio.open_connection(*address)
        idle_reader, idle = await asyncio.open_connection(*address)
        await until(lambda: worker.server.connections == 2)
        worker.listener.close()
        draining = asyncio.ensure_future(worker.server.drain(idle_grace_s=0.3))
        await asyncio.sleep(0)
        busy.write(post(b"1") + post(b"2"))
        answers = answers_in(await asyncio.wait_for(busy_reader.read(), 5))
        assert [answer.fields.get("connection") for answer in answers] == [None, "close"]
        assert await asyncio.wait_for(idle_reader.read(), 5) == b""
        assert await draining == 0
        busy.close()
        idle.close()


@on_uvloop
async def test_drain_waits_for_a_request_that_has_begun() -> None:
    async with listening() as ([worker], address):
        worker.listener.resume()
        reader, writer = await asyncio.open_connection(*address)
        request = post(b"hello")
        writer.write(request[:-3])
        await until(lambda: worker.server.connections == 1)
        worker.listener.close()
        draining = asyncio.ensure_future(worker.server.drain())
        await asyncio.sleep(0)
        writer.write(request[-3:])
        (answer,) = answers_in(await asyncio.wait_for(reader.read(), 5))
        assert (answer.body, answer.fields["connection"]) == (b"hello", "close")
        assert await draining == 0
        writer.close()


@on_uvloop
async def test_timeouts_are_swept_while_there_are_connections() -> None:
    async with listening(header_s=0.1, idle_s=0.2) as ([worker], address):
        worker.listener.resume()
        idle_reader, idle = await asyncio.open_connection(*address)
        slow_reader, slow = await asyncio.open_connection(*address)
        slow.write(b"POST /bid/")
        assert b" 408 " in await asyncio.wait_for(slow_reader.read(), 5)
        assert await asyncio.wait_for(idle_reader.read(), 5) == b""
        assert worker.server.refused == 1
        idle.close()
        slow.close()
        await until(lambda: worker.server.connections == 0)


@on_uvloop
async def test_close_idle_closes_at_once() -> None:
    async with listening() as ([worker], address):
        worker.listener.resume()
        reader, writer = await asyncio.open_connection(*address)
        await until(lambda: worker.server.connections == 1)
        assert worker.server.close_idle() == 1
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@on_uvloop
async def test_peer_with_too_many_connections_gets_no_more_until_one_ends() -> None:
    async with listening(per_peer=2) as ([worker], address):
        worker.listener.resume()
        clients = [await asyncio.open_connection(*address) for _ in range(2)]
        await until(lambda: worker.server.connections == 2)
        reader, writer = await asyncio.open_connection(*address)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert (worker.server.connections, worker.listener.turned_away) == (2, 1)
        clients[0][1].close()
        await until(lambda: worker.server.connections == 1)
        assert await asked(address, post())
        clients[1][1].close()


@on_uvloop
async def test_answers_larger_than_the_socket_takes_arrive_whole_and_in_order() -> None:
    async with listening(max_body_bytes=2_000_000) as ([worker], address):
        worker.listener.resume()
        bodies = [bytes([65 + i]) * 1_500_000 for i in range(6)]
        reader, writer = await asyncio.open_connection(*address, limit=2**26)
        writer.write(b"".join(post(body) for body in bodies))
        for body in bodies:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert b"Content-Length: 1500000\r\n" in head
            assert await asyncio.wait_for(reader.readexactly(len(body)), 5) == body
        writer.close()
