"""The bus: counters from each host to whoever wants them, over zmq.

Publisher (one a host, XPUB) -> [DELTAS_TOPIC, Deltas] -> Subscribers (XSUB). Supervisors also tell each other
switches: [SWITCHES_TOPIC, flips] (bidder/ops/switches.py). A subscriber that sees a gap
in `seq` asks upstream: 0x02 + `Resend`; the publisher sends what its outbox has, on the topic that was asked for.
Nothing waits: what a slow subscriber has no room for, zmq drops for that subscriber alone, which sees the gap and asks.
Frames that cannot be read are counted and passed over: a broken peer harms nobody else.
"""

import asyncio
import contextlib
from collections.abc import Collection, Iterable

import msgspec
import zmq
import zmq.asyncio

from bidder.events.outbox import Outbox
from bidder.events.schema import DELTAS_TOPIC, Deltas, Resend

ASK = b"\x02"
HIGH_WATER = 1_000  # messages queued for one subscriber
MAX_TOPIC = 64
RESENDS = 32  # asked for and not begun yet; more are dropped, and asked again
BURST = 32  # messages of a resend that go out together
BURST_PAUSE_S = 0.01


class BusError(Exception):
    """The bus cannot listen; the message says where and why."""


def _endpoint(address: str) -> str:
    return address if "://" in address else f"tcp://{address}"


def _send_now(socket: zmq.asyncio.Socket, frames: list[bytes]) -> None:
    """Neither XPUB nor XSUB ever blocks; NOBLOCK makes pyzmq send before it returns."""
    sent = socket.send_multipart(frames, flags=zmq.NOBLOCK)
    assert isinstance(sent, asyncio.Future)
    with contextlib.suppress(zmq.Again):
        sent.result()


class Publisher:
    """The host's end of the bus. Built inside a running loop; `run()` serves resends until it is cancelled."""

    def __init__(self, listen: str, outbox: Outbox) -> None:
        """`listen`: host:port, or any endpoint of zmq. BusError if it is taken."""
        self.unheard = 0  # messages that nobody was subscribed to when they went out
        self.resends_dropped = 0
        self.unreadable = 0
        self._outbox = outbox
        self._subscriptions: dict[bytes, int] = {}
        self._wanted: asyncio.Queue[Resend] = asyncio.Queue(RESENDS)
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(_endpoint(listen))
        except zmq.ZMQError as error:
            self.close()
            raise BusError(f"bus: cannot listen on {listen}: {zmq.strerror(error.errno or 0)}") from None
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).removeprefix("tcp://")

    def publish(self, deltas: Deltas) -> bool:
        """Hand it to every subscriber that has room; False if there was none. Never waits."""
        heard = any(count and DELTAS_TOPIC.startswith(topic) for topic, count in self._subscriptions.items())
        self.send(DELTAS_TOPIC, msgspec.msgpack.encode(deltas))
        self.unheard += not heard
        return heard

    async def run(self) -> None:
        """Answer what comes upstream, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._resend())

    def close(self) -> None:
        """At once; what is still queued is in the outbox."""
        self._context.destroy(linger=0)

    def send(self, topic: bytes, message: bytes) -> None:
        """To every subscriber of this topic that has room. Never waits."""
        _send_now(self._socket, [topic, message])

    async def _listen(self) -> None:
        while True:
            frames = await self._socket.recv_multipart()
            frame = frames[0]
            if frame[:1] == b"\x01":
                self._subscriptions[frame[1:]] = self._subscriptions.get(frame[1:], 0) + 1
            elif frame[:1] == b"\x00":
                self._subscriptions[frame[1:]] = max(0, self._subscriptions.get(frame[1:], 0) - 1)
                if not self._subscriptions[frame[1:]]:
                    del self._subscriptions[frame[1:]]
            elif frame[:1] == ASK:
                self._ask(frame[1:])
            else:
                self.unreadable += 1

    def _ask(self, body: bytes) -> None:
        try:
            resend = msgspec.msgpack.decode(body, type=Resend)
        except msgspec.DecodeError:
            self.unreadable += 1
            return
        if resend.producer != self._outbox.producer:
            return  # of another host: who asks is connected to several
        if not 0 < len(resend.topic) <= MAX_TOPIC:
            self.unreadable += 1
            return
        try:
            self._wanted.put_nowait(resend)
        except asyncio.QueueFull:
            self.resends_dropped += 1

    async def _resend(self) -> None:
        while True:
            wanted = await self._wanted.get()
            for i, message in enumerate(self._outbox.messages(wanted.epoch, wanted.first, wanted.last), 1):
                self.send(wanted.topic, message)
                if i % BURST == 0:
                    await asyncio.sleep(BURST_PAUSE_S)


class Subscriber:
    """The other end: several hosts' messages in one place; connections come back by themselves.

    Built inside a running loop. `topics`: `DELTAS_TOPIC`, and one of its own for what it asks to have again.
    """

    def __init__(self, addresses: Iterable[str], topics: Collection[bytes]) -> None:
        self.unreadable = 0
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.XSUB)
        self._socket.setsockopt(zmq.RCVHWM, HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1_000)
        for address in addresses:
            self._socket.connect(_endpoint(address))
        for topic in topics:
            self._send(b"\x01" + topic)

    async def receive(self) -> tuple[bytes, Deltas]:
        """The next message that can be read, and the topic it came on.

        Always have one of these waiting: zmq subscribes anew at a host that came back only while somebody receives.
        """
        while True:
            topic, message = await self.message()
            try:
                return topic, msgspec.msgpack.decode(message, type=Deltas)
            except msgspec.DecodeError:
                self.unreadable += 1

    async def message(self) -> tuple[bytes, bytes]:
        """The next message, whatever it holds, and the topic it came on."""
        while True:
            frames = await self._socket.recv_multipart()
            if len(frames) == 2:
                return frames[0], frames[1]
            self.unreadable += 1

    def ask(self, resend: Resend) -> None:
        """To every host that is connected now; the one that it names answers on `resend.topic`. It may get lost."""
        self._send(ASK + msgspec.msgpack.encode(resend))

    def close(self) -> None:
        """At once."""
        self._context.destroy(linger=0)

    def _send(self, frame: bytes) -> None:
        _send_now(self._socket, [frame])
