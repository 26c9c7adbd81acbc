"""Doors of a host's processes: any length of path, whoever was there before, and out of descriptors for a while."""

import asyncio
import socket
from pathlib import Path

import pytest

from bidder.ops.packets import Door, reach
from tests.unit.test_listener import no_more_descriptors, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    room = tmp_path / ("long" * 30)
    room.mkdir()
    return room / "arm-1.0.sock"


def bring(path: Path, packet: bytes) -> None:
    with reach(path) as peer:
        peer.send(packet)


def test_who_comes_is_let_in_and_packets_keep_their_bounds(path: Path) -> None:
    async def scenario() -> None:
        guests: list[socket.socket] = []
        door = Door(path, guests.append, backlog=4)
        door.open(asyncio.get_running_loop())
        assert path.stat().st_mode & 0o777 == 0o600
        with reach(path) as peer:
            peer.send(b"one")
            peer.send(b"two")
            await until(lambda: guests)
            assert [guests[0].recv(100), guests[0].recv(100)] == [b"one", b"two"]
            with pytest.raises(BlockingIOError):
                guests[0].recv(100)
        guests[0].close()
        door.close()
        assert not list(path.parent.iterdir())
        with pytest.raises(FileNotFoundError):
            reach(path)

    asyncio.run(scenario())


def test_who_came_before_a_door_is_closed_is_let_in(path: Path) -> None:
    async def scenario() -> None:
        guests: list[socket.socket] = []
        door = Door(path, guests.append, backlog=4)
        door.open(asyncio.get_running_loop())
        bring(path, b"late")
        door.close()
        assert [guest.recv(100) for guest in guests] == [b"late"]
        guests[0].close()

    asyncio.run(scenario())


def test_a_door_replaces_a_dead_one_and_leaves_its_successor_alone(path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        first, second = (Door(path, socket.socket.close, backlog=4) for _ in range(2))
        first.open(loop)
        second.open(loop)
        first.close()
        assert path.exists()
        second.close()
        assert not path.exists()

    asyncio.run(scenario())


def test_a_door_without_descriptors_waits_for_some_and_does_not_spin(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        guests: list[socket.socket] = []
        door = Door(path, guests.append, backlog=4)
        door.open(loop)
        with reach(path) as peer:
            peer.send(b"patient")
            with no_more_descriptors():
                await until(lambda: caplog.records)
                for _ in range(10):  # turns of the loop, in which it would complain each time
                    await asyncio.sleep(0)
                assert not guests
            await until(lambda: guests)
            assert guests[0].recv(100) == b"patient"
        guests[0].close()
        door.close()

    asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a door cannot take who comes, and tries again and again", "a door takes again who comes"]
