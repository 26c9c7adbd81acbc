"""A host of one process for tests of arms: a listening worker, and doors behind which the test itself may stand.

The worker is a real one as far as its decision, its sockets and its counters go; who answers for an arm is `Answering`
with an `Answerer` of its own over the same shared memory, a scripted door, or another process.
"""

import asyncio
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from tornado.web import Application

from bidder._fast.answerer import Answerer
from bidder._fast.clock import Clock
from bidder._fast.frequency import FrequencyTable
from bidder._fast.sender import Sender
from bidder.canary.answering import Answering, call_at, door_path
from bidder.events.outbox import KEY
from bidder.events.schema import Fallback, Kind, Row
from bidder.listener import BidServer
from bidder.money.tokens import BidIds, Sealer
from bidder.openrtb.rows import exchange_rows
from bidder.ops import log as logs
from tests.http_wire import Answer, answers_in, post
from tests.worlds import KEYS, World, campaign, imp, request

ASK = struct.Struct("<4sIIBBHQq")
REPLY = struct.Struct("<4sIHH")
PATIENT_NS = 100_000_000_000  # nothing is shed because the machine is slow
LONG_US = 900_000  # for answers that come: longer than any of them takes
Script = Callable[[bytes], list[bytes]]  # what a door says to a packet


def parts(world: World, **changes: Any) -> dict[str, Any]:
    """Of one more decision over the world's shared memory, with a clock that goes."""
    return {
        "purses": world.purses,
        "frequency": FrequencyTable(world.directory / "frequency"),
        "board": world.board,
        "sealer": Sealer(KEYS),
        "bid_ids": BidIds(),
        "clock": Clock(),
        "rows": exchange_rows(world.exchanges, world.public_url, state=world.directory),
        "seed": 3,
    } | changes


def reply(packet: bytes, body: bytes = b"", status: int = 204, counts: bytes = b"", **changes: Any) -> bytes:
    """An answer to a packet, as a build might write it."""
    number = ASK.unpack_from(packet)[1]
    head = {"magic": b"oba1", "number": number, "status": status, "counts": len(counts) // 48} | changes
    return REPLY.pack(*head.values()) + counts + body


def counted(
    packet: bytes, *, kind: Kind = Kind.NOBID, reason: int = 9, n: int = 1, amount: int = 0, **changes: int
) -> bytes:
    """Counters of a request without a bid: REQUEST, and one of `kind`."""
    exchange, minute = ASK.unpack_from(packet)[3], int(time.time()) // 60
    row = {"kind": Kind.REQUEST, "exchange": exchange, "arm": 1, "reason": 0, "format": 0, "os": 0, "country": 0}
    row |= {"w": 0, "h": 0, "campaign": 0, "creative": 0, "deal": 0, "inventory": 0, "minute": minute}
    entries = [(row, 1, 0), (row | {"kind": kind, "reason": reason} | changes, n, amount)]
    return b"".join(KEY.pack(*key.values()) + struct.pack("<qq", times, nano) for key, times, nano in entries)


class Host:
    """`arm` 1 has all requests from the start; `ask` and `rows` are what an exchange and the supervisor see."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.run = world.directory / "run"
        self.run.mkdir(exist_ok=True)
        counters = world.counter_file.open_worker(1)
        self.sender = Sender(call_at=partial(call_at, self.run), counters=counters, **parts(world))
        assert world.book is not None
        self.sender.set_book(world.book)
        for exchange in world.exchanges.values():
            self.sender.admission.set_budget(exchange.key, PATIENT_NS)
        self.server = BidServer(self.sender, Application([]))
        self.doors: list[Answering] = []
        self.clients: list[Client] = []

    def slice(self, *rows: int, wait_us: int = LONG_US, **changes: Any) -> None:
        """All requests are arm 1's, and these rows have doors."""
        self.world.board.set_arm(
            1,
            **{"begin": 0, "end": 10_000, "doors": rows, "wait_us": wait_us, "shadow": False, "exchange": 0} | changes,
        )

    def door(self, row: int, answer: Callable[[bytes], bytes | None]) -> Answering:
        door = Answering(door_path(self.run, 1, row), answer, 262_144, logs.get("worker"))
        door.open(asyncio.get_running_loop())
        self.doors.append(door)
        return door

    def build(self, **changes: Any) -> Callable[[bytes], bytes | None]:
        """Another build's decision."""
        answerer = Answerer(**parts(self.world, **changes))
        assert self.world.book is not None
        answerer.set_book(self.world.book)
        return partial(answerer.reply, arm=1)

    def rows(self, groups: bool = False) -> list[Row]:
        """What was counted since the last call; with `groups`, those of users instead."""
        found = []
        for row in self.world.counter_file.rows():
            table = self.world.counter_file.flip(row)
            if table is not None:
                drained = self.world.counter_file.drain(row, table)
                self.world.counter_file.clear(row, table)
                found += [Row(*(*KEY.unpack(key), n, amount)) for key, n, amount in drained]
        return [row for row in found if (row.kind == Kind.GROUP) == groups]

    def totals(self) -> Counter[tuple[Kind, int]]:
        """By kind and arm; reasons of latency aside."""
        found: Counter[tuple[Kind, int]] = Counter()
        for row in self.rows():
            found[Kind(row.kind), row.arm] += row.n
        return found

    def connect(self) -> "Client":
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        ours.setblocking(False)
        self.server.open(theirs)
        self.clients.append(Client(ours))
        return self.clients[-1]

    async def ask(self, *bodies: dict[str, Any], fields: tuple[str, ...] = ()) -> list[Answer]:
        """Pipelined on one connection."""
        client = self.connect()
        client.say(b"".join(post(json.dumps(body).encode(), *fields) for body in bodies))
        answers = await client.hear(len(bodies))
        client.sock.close()
        return answers


class Client:
    """An exchange's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = b""

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    async def hear(self, n: int) -> list[Answer]:
        """So many answers, or all until the end of the connection."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while self.heard.count(b"HTTP/1.1 ") < n or not whole(self.heard):
                more = await loop.sock_recv(self.sock, 1 << 16)
                if not more:
                    break
                self.heard += more
        heard, self.heard = self.heard, b""
        return answers_in(heard)


def whole(data: bytes) -> bool:
    try:
        answers_in(data)
    except AssertionError:
        return False
    return True


@asynccontextmanager
async def host(world: World) -> AsyncIterator[Host]:
    """Serving until the end of the block; then nothing is out, and no arm has a slice."""
    it = Host(world)
    it.rows()
    it.sender.relay.begin(asyncio.get_running_loop())
    try:
        yield it
    finally:
        for arm in (1, 2):
            world.board.set_arm(arm, begin=0, end=0, doors=(), shadow=False)
        await it.server.drain(idle_grace_s=0, give_up_s=2)
        it.sender.relay.end_all()
        for client in it.clients:
            client.sock.close()
        for door in it.doors:
            await door.drain(0, 1)


def asked(name: str = "r-1", **changes: Any) -> dict[str, Any]:
    return request(id=name) | changes


def wide_world(directory: Path) -> World:
    """Two campaigns that may spend as much as they like: c-1 bids more than c-2."""
    made = World(directory, [campaign(), campaign("c-2", "1.5")])
    for name in ("c-1", "c-2"):
        made.fund(name, 10**15)
    return made


NOTHING = [imp(banner={"format": [{"w": 1, "h": 1}]})]  # no creative has that size
DEAR = {"id": "r-1", "cur": "USD", "seatbid": [{"bid": [{"id": "1", "impid": "1", "price": 2.6, "cid": "c-1"}]}]}
CHEAP = {"id": "r-1", "seatbid": [{"bid": [{"id": "1", "impid": "1", "price": 2.4, "cid": "c-1"}]}]}


class Scripted:
    """A door that says to each packet what the test wants, and keeps the packets."""

    def __init__(self, host: Host, row: int, *says: Callable[[bytes], bytes | None]) -> None:
        self.packets: list[bytes] = []
        self._says = list(says)
        self.door = host.door(row, self._answer)

    def _answer(self, packet: bytes) -> bytes | None:
        self.packets.append(packet)
        say = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        return say(packet)


def run(main: Coroutine[Any, Any, None]) -> None:
    uvloop.run(main)


def bid_of(answer: Answer) -> dict[str, Any]:
    bid: dict[str, Any] = json.loads(answer.body)["seatbid"][0]["bid"][0]
    return bid


def fallbacks(host: Host) -> Counter[Fallback]:
    return Counter({Fallback(row.reason): row.n for row in host.rows() if row.kind == Kind.FALLBACK})


def said(body: dict[str, Any] | bytes, amount: int = 0, **changes: Any) -> Callable[[bytes], bytes]:
    """An answer with a bid that is counted with this amount, nano-USD."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()

    def say(packet: bytes) -> bytes:
        counts = counted(packet, kind=Kind.BID, reason=0, campaign=100, amount=amount)
        return reply(packet, text, 200, counts, **changes)

    return say
