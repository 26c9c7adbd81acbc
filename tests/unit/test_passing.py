"""Connections of a worker that goes: those between two requests become another one's; clients notice nothing."""

import asyncio
import socket
from pathlib import Path

import pytest
from tornado.web import Application

from bidder._fast.handler import PythonHandler
from bidder.listener import BidServer
from bidder.passing import BATCH, Taker, pass_on
from tests.http_wire import post
from tests.unit.test_listener import until


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / ("long" * 30)
    (state / "run").mkdir(parents=True)
    return state


def server(name: bytes) -> BidServer:
    """Answers every request with its name."""
    return BidServer(PythonHandler(lambda exchange, body: (200, name)), Application([]))


async def connected(owner: BidServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    owner.open(theirs)
    return await asyncio.open_connection(sock=ours)


async def ask(client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    client[1].write(post(b"1"))
    head = await asyncio.wait_for(client[0].readuntil(b"\r\n\r\n"), 5)
    assert b"close" not in head
    return await client[0].readexactly(1)


def test_an_idle_connection_goes_on_with_its_next_owner_also_where_a_request_is_on_its_way(state: Path) -> None:
    async def scenario() -> None:
        goes, stays = server(b"a"), server(b"b")
        taker = Taker(asyncio.get_running_loop(), state, 3, stays.open)
        clients = [await connected(goes) for _ in range(2)]
        assert [await ask(client) for client in clients] == [b"a", b"a"]
        idle = goes.release_idle()
        assert (len(idle), goes.connections) == (2, 0)
        clients[0][1].write(post(b"1"))  # nobody reads now
        assert pass_on(state, 3, idle) == []
        await until(lambda: stays.connections == 2)
        assert (await clients[0][0].readuntil(b"\r\n\r\nb"))[:15] == b"HTTP/1.1 200 OK"
        assert [await ask(client) for client in clients] == [b"b", b"b"]
        taker.close()
        for client in clients:
            client[1].close()
        await stays.drain(idle_grace_s=0, give_up_s=1)

    asyncio.run(scenario())


def test_a_connection_in_the_middle_of_a_request_stays(state: Path) -> None:
    async def scenario() -> None:
        goes = server(b"a")
        reader, writer = await connected(goes)
        whole = post(b"1")
        writer.write(whole[:10])

        def has_been_read() -> bool:
            idle = goes.release_idle()
            for connection in idle:
                goes.open(connection)
            return not idle

        await until(has_been_read)
        writer.write(whole[10:])
        assert (await reader.readuntil(b"\r\n\r\na"))[:15] == b"HTTP/1.1 200 OK"
        writer.close()
        await goes.drain(idle_grace_s=0, give_up_s=1)

    asyncio.run(scenario())


def test_what_nobody_takes_is_still_ours(state: Path) -> None:
    async def scenario() -> None:
        goes = server(b"a")
        client = await connected(goes)
        left = pass_on(state, 3, goes.release_idle())
        assert len(left) == 1
        goes.open(left[0])
        assert await ask(client) == b"a"
        client[1].close()
        await goes.drain(idle_grace_s=0, give_up_s=1)

    asyncio.run(scenario())


def test_more_connections_than_a_packet_holds_are_all_taken_before_the_door_is_shut(state: Path) -> None:
    async def scenario() -> None:
        taken: list[socket.socket] = []
        taker = Taker(asyncio.get_running_loop(), state, 3, taken.append)
        pairs = [socket.socketpair() for _ in range(BATCH + 5)]
        assert pass_on(state, 3, [theirs for _, theirs in pairs]) == []
        taker.close()  # it had no time to look
        assert len(taken) == BATCH + 5
        for (ours, _), theirs in zip(pairs, taken, strict=True):
            ours.sendall(b"x")
            assert theirs.recv(1) == b"x"
            ours.close()
            theirs.close()
        assert not list((state / "run").iterdir())

    asyncio.run(scenario())
