"""Shades on their way from the controller's answer into the file that workers look into."""

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bidder._fast.purses import Purses
from bidder.money.leases import LeaseKeeper
from bidder.money.shading import STEPS, Shading, key_of
from bidder.money.sync import LeaseSyncer
from bidder.money.wire import LeaseState, LeaseSync, Shades
from tests.scripted_server import Scripted

BANNER, VIDEO = key_of(1, 1, 320, 50), key_of(1, 2, 640, 360)
VALUE = 4_000_000


def shades(version: str, **classes: int) -> Shades:
    named = {"banner": BANNER, "video": VIDEO}
    return Shades(version, [(named[name], struct.pack("<64H", *[share] * STEPS)) for name, share in classes.items()])


@pytest.fixture
def controller() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.stop()


def test_workers_shade_as_the_controller_said_last(tmp_path: Path, controller: Scripted) -> None:
    answers = [shades("one", banner=32_768, video=16_384), None, shades("two", video=8_192)]

    def answer(peer: object, n: int) -> None:
        body = msgspec.msgpack.encode(LeaseState([], False, 1, shades=answers.pop(0)))
        peer.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))  # type: ignore[attr-defined]

    controller.script = answer
    file = Shading(tmp_path / "shading", make=True)
    worker = Shading(tmp_path / "shading")
    bids = []

    async def ask() -> None:
        keeper = LeaseKeeper(Purses(tmp_path / "purses", 4), release_after_s=600)
        syncer = LeaseSyncer(keeper, "host", controller.url, 0.5, lambda: False, lambda: 1, file)
        for _ in range(3):
            await syncer._sync()
            bids.append((worker.shade(BANNER, VALUE), worker.shade(VIDEO, VALUE)))

    asyncio.run(ask())
    assert bids == [(VALUE // 2, VALUE // 4), (VALUE // 2, VALUE // 4), (VALUE, VALUE // 8)]
    asked = [msgspec.msgpack.decode(body, type=LeaseSync).shades for body in controller.bodies]
    assert asked == ["", "one", "one"]
