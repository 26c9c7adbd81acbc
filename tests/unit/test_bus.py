"""The bus: what is published arrives, what was missed can be asked for, nobody waits for anybody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from pathlib import Path

import pytest
import zmq

from bidder._fast.counters import CounterFile
from bidder.events.bus import BusError, Publisher, Subscriber
from bidder.events.outbox import Outbox
from bidder.events.schema import DELTAS_TOPIC, Deltas, Resend
from tests.unit.test_counters import key

AGAIN = b"again.me"


def in_loop(test: Callable[[Path], Coroutine[None, None, None]]) -> Callable[[Path], None]:
    @wraps(test)
    def run(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(test(tmp_path), 20))

    return run


class Host:
    """One host's outbox and publisher; `next()` closes a window of one count and publishes it."""

    def __init__(self, state: Path, listen: str = "127.0.0.1:0", name: str = "h") -> None:
        self.file = CounterFile(state / name / "counters")
        self.worker = self.file.open_worker(0)
        self.outbox = Outbox(state / name, name, 100)
        self.publisher = Publisher(listen, self.outbox)
        self.n = 0

    def next(self) -> tuple[Deltas, bool]:
        self.n += 1
        with self.worker:
            self.worker.count(key(minute=self.n), self.n)
        deltas = self.outbox.close_window(self.file, [0], 1_000 * self.n)
        return deltas, self.publisher.publish(deltas)


@contextlib.asynccontextmanager
async def running(*hosts: Host) -> AsyncIterator[Subscriber]:
    tasks = [asyncio.create_task(host.publisher.run()) for host in hosts]
    subscriber = Subscriber([host.publisher.address for host in hosts], [DELTAS_TOPIC, AGAIN])
    try:
        yield subscriber
    finally:
        subscriber.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for host in hosts:
            host.publisher.close()


async def heard(host: Host) -> Deltas:
    """Publish windows until somebody is subscribed; the first window that was heard."""
    while True:
        deltas, anyone = host.next()
        if anyone:
            return deltas
        await asyncio.sleep(0.005)


async def receive(subscriber: Subscriber, wanted: Deltas, topic: bytes = DELTAS_TOPIC) -> None:
    while await subscriber.receive() != (topic, wanted):
        pass


@in_loop
async def test_subscriber_gets_what_is_published(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.next()[1] is False
    assert host.publisher.unheard == 1
    async with running(host) as subscriber:
        await receive(subscriber, await heard(host))
        deltas, anyone = host.next()
        assert anyone
        assert await subscriber.receive() == (DELTAS_TOPIC, deltas)


@in_loop
async def test_missed_windows_come_again_on_the_topic_that_was_asked_for(tmp_path: Path) -> None:
    host = Host(tmp_path)
    missed = [host.next()[0] for _ in range(50)]
    async with running(host) as subscriber:
        last = await heard(host)
        await receive(subscriber, last)
        subscriber.ask(Resend(AGAIN, "h", host.outbox.epoch, 2, 50))
        assert [await subscriber.receive() for _ in range(49)] == [(AGAIN, deltas) for deltas in missed[1:]]


@in_loop
async def test_only_the_producer_that_is_asked_answers(tmp_path: Path) -> None:
    first, second = Host(tmp_path, name="a"), Host(tmp_path, name="b")
    async with running(first, second) as subscriber:
        await receive(subscriber, await heard(first))
        latest = await heard(second)
        await receive(subscriber, latest)
        subscriber.ask(Resend(AGAIN, "b", second.outbox.epoch, latest.seq, latest.seq))
        await receive(subscriber, latest, AGAIN)


@in_loop
async def test_subscriber_comes_back_to_a_restarted_host(tmp_path: Path) -> None:
    host = Host(tmp_path)
    async with running(host) as subscriber:
        await receive(subscriber, await heard(host))
        address = host.publisher.address
        host.publisher.close()
        again = Host(tmp_path, address)
        task = asyncio.create_task(again.publisher.run())
        # zmq reconnects on its own, but subscribes anew only while somebody receives.
        next_window = asyncio.create_task(subscriber.receive())
        await heard(again)
        assert (await next_window)[1].epoch == again.outbox.epoch
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        again.publisher.close()


@in_loop
async def test_unreadable_frames_are_counted_and_passed_over(tmp_path: Path) -> None:
    host = Host(tmp_path)
    async with running(host) as subscriber:
        await receive(subscriber, await heard(host))
        subscriber._send(b"\x02not msgpack of ours")
        subscriber._send(b"\x03?")
        subscriber.ask(Resend(b"", "h", host.outbox.epoch, 1, 1))
        subscriber.ask(Resend(AGAIN, "h", host.outbox.epoch, 1, 1))
        assert (await subscriber.receive())[0] == AGAIN
        assert host.publisher.unreadable == 3
        host.publisher.send(DELTAS_TOPIC, b"\xff")
        deltas, _ = host.next()
        assert await subscriber.receive() == (DELTAS_TOPIC, deltas)
        assert subscriber.unreadable == 1


@in_loop
async def test_subscriber_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    host = Host(tmp_path)
    context = zmq.Context()
    lazy = context.socket(zmq.SUB)
    lazy.setsockopt(zmq.RCVHWM, 1)
    lazy.setsockopt(zmq.SUBSCRIBE, b"")
    lazy.connect(f"tcp://{host.publisher.address}")
    try:
        async with running(host) as subscriber:
            latest = await heard(host)
            await receive(subscriber, latest)
            for _ in range(1_500):
                host.publisher.publish(latest)
                assert await subscriber.receive() == (DELTAS_TOPIC, latest)
    finally:
        context.destroy(linger=0)


@in_loop
async def test_taken_address_is_named(tmp_path: Path) -> None:
    host = Host(tmp_path)
    with pytest.raises(BusError, match=f"cannot listen on {host.publisher.address}: Address already in use"):
        Host(tmp_path, host.publisher.address, "other")
    host.publisher.close()
