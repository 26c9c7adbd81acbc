"""Whatever happens to those who answer for an arm, each request gets one answer and counts once."""

import asyncio
import json
import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.answerer import Answerer
from bidder.canary.answering import Answering, door_path
from bidder.events.schema import Fallback, Kind
from bidder.ops import log as logs
from tests.doors import (
    CHEAP,
    DEAR,
    Host,
    Scripted,
    asked,
    bid_of,
    counted,
    fallbacks,
    host,
    parts,
    reply,
    run,
    said,
    wide_world,
)
from tests.http_wire import post
from tests.worlds import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return wide_world(tmp_path_factory.mktemp("relay"))


BROKEN: dict[str, Callable[[bytes], bytes | None]] = {
    "an error": lambda packet: reply(packet, status=500),
    "no such exchange": lambda packet: reply(packet, status=404),
    "no counters": reply,
    "two no-bids": lambda packet: reply(packet, counts=counted(packet, n=2)),
    "a cap": lambda packet: reply(packet, counts=counted(packet, kind=Kind.CAP)),
    "another exchange's": lambda packet: reply(packet, counts=counted(packet, exchange=9)),
    "of yesterday": lambda packet: reply(packet, counts=counted(packet, minute=7)),
    "more counters than there are": lambda packet: reply(packet, counts=counted(packet))[:-1],
    "a no-bid with a body": lambda packet: reply(packet, b"{}", counts=counted(packet)),
    "no JSON": said(b'{"id":"r-1"'),
    "no UTF-8": said(b'{"id":"r-1","x":"\xff"}'),
    "another request's": said({**CHEAP, "id": "r-2"}),
    "no price": said({"id": "r-1", "seatbid": [{"bid": [{"impid": "1"}]}]}),
    "no imp": said({"id": "r-1", "seatbid": [{"bid": [{"price": 1}]}]}),
    "no bids, nor why": said({"id": "r-1", "seatbid": []}),
    "a currency without a rate": said({**CHEAP, "cur": "XAU"}),
    "bids that are not counted": lambda packet: reply(packet, json.dumps(CHEAP).encode(), 200, counted(packet)),
    "no answer at all": lambda packet: b"xxxxxxxxxxxxxxxxxxx",
    "half a head": lambda packet: b"oba1",
    "nothing": lambda packet: b"\0",
}


@pytest.mark.parametrize("way", BROKEN)
def test_an_answer_that_cannot_be_is_decided_here_and_counted_as_broken(world: World, way: str) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, BROKEN[way])
            it.slice(5)
            (answer,) = await it.ask(asked())
            assert bid_of(answer)["cid"] == "c-1"
            rows = it.rows()
            assert {row.arm for row in rows} == {1}
            assert Counter((row.kind, row.reason if row.kind == Kind.FALLBACK else 0) for row in rows) == {
                (Kind.REQUEST, 0): 1,
                (Kind.BID, 0): 1,
                (Kind.LATENCY, 0): 1,
                (Kind.FALLBACK, Fallback.BROKEN): 1,
            }

    run(main())


@pytest.mark.parametrize(("counted_usd", "fallback"), [(2.4, 0), (2.399999, 1), (2.400001, 1), (0.24, 1)])
def test_a_bid_is_sent_only_where_it_asks_for_what_it_is_counted_with(
    world: World, counted_usd: float, fallback: int
) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, said(CHEAP, amount=round(counted_usd * 1_000_000)))
            it.slice(5)
            (answer,) = await it.ask(asked())
            assert bid_of(answer)["price"] == (2.5 if fallback else 2.4)
            assert fallbacks(it) == ({Fallback.BROKEN: 1} if fallback else {})

    run(main())


def test_an_answer_that_bids_more_than_any_campaign_may_is_not_sent(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, said(DEAR))
            it.slice(5)
            (answer,) = await it.ask(asked())
            assert bid_of(answer)["price"] == 2.5
            assert fallbacks(it) == {Fallback.PRICE: 1}

    run(main())


def test_what_is_late_is_decided_here_and_its_answer_dropped(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            build = it.build()
            late: list[bytes] = []
            Scripted(it, 5, lambda packet: late.append(build(packet) or b""), build)
            it.slice(5, wait_us=20_000)
            (answer,) = await it.ask(asked("r-1"))
            assert json.loads(answer.body)["id"] == "r-1"
            rows = it.rows()
            assert [(row.reason, row.arm) for row in rows if row.kind == Kind.FALLBACK] == [(Fallback.LATE, 1)]
            assert min(row.reason for row in rows if row.kind == Kind.LATENCY) >= 15  # 2**15 us is more than 20 ms
            assert Counter(row.kind for row in rows)[Kind.REQUEST] == 1
            (answer,) = await it.ask(asked("r-2"))
            assert json.loads(answer.body)["id"] == "r-2"
            assert not fallbacks(it)

    run(main())


def test_an_answer_that_nobody_waits_for_any_more_is_dropped(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            build = it.build()
            first: list[bytes] = []

            def two(packet: bytes) -> bytes | None:
                if not first:
                    first.append(build(packet) or b"")
                    return None
                door._send(next(iter(door._callers)), first[0])
                return build(packet)

            door = it.door(5, two)
            it.slice(5, wait_us=20_000)
            await it.ask(asked("r-1"))
            it.rows()
            it.slice(5)
            (answer,) = await it.ask(asked("r-2"))
            assert json.loads(answer.body)["id"] == "r-2"
            assert it.sender.relay.dropped == 1
            assert it.totals()[Kind.REQUEST, 1] == 1

    run(main())


def test_whatever_a_door_says_each_request_gets_its_answer_and_counts_once(world: World) -> None:
    draw = random.Random(11)
    build: Callable[[bytes], bytes | None]

    def garbage(packet: bytes) -> bytes | None:
        text = bytearray(build(packet) or b"")
        way = draw.randrange(5)
        if way == 0:
            return bytes(text)
        if way == 1:
            return draw.randbytes(draw.randrange(1, 200))
        if way == 2:
            return bytes(text[: draw.randrange(1, len(text))])
        if way == 3:
            return reply(packet, draw.randbytes(40), draw.randrange(600), draw.randbytes(48 * draw.randrange(4)))
        for _ in range(draw.randrange(1, 9)):
            text[draw.randrange(8, len(text))] = draw.randrange(256)  # behind magic and number
        return bytes(text)

    async def main() -> None:
        nonlocal build
        async with host(world) as it:
            build = it.build()
            for row in range(8):
                it.door(row, garbage)
            it.slice(*range(8))
            for n in range(400):
                (answer,) = await it.ask(asked(f"r-{n}"))
                assert (answer.status, json.loads(answer.body)["id"]) == (200, f"r-{n}")
            totals = it.totals()
            assert totals[Kind.REQUEST, 1] == totals[Kind.LATENCY, 1] == totals[Kind.BID, 1] == 400
            assert {arm for _, arm in totals} == {1}

    run(main())


def answer_until_killed(world: World, run_directory: Path, row: int) -> None:
    """The whole life of another process."""

    async def live() -> None:
        answerer = Answerer(**parts(world))
        assert world.book is not None
        answerer.set_book(world.book)
        door = Answering(door_path(run_directory, 1, row), partial(answerer.reply, arm=1), 262_144, logs.get("worker"))
        door.open(asyncio.get_running_loop())
        await asyncio.Event().wait()

    asyncio.run(live())


def test_killing_those_who_answer_under_load_loses_no_request_and_doubles_none(world: World) -> None:
    fork = multiprocessing.get_context("fork")

    async def steady(it: Host, name: str, batches: int) -> int:
        client = it.connect()
        for batch in range(batches):
            names = [f"{name}-{batch}-{n}" for n in range(8)]
            client.say(b"".join(post(json.dumps(asked(each)).encode()) for each in names))
            answers = await client.hear(len(names))
            assert [json.loads(answer.body)["id"] for answer in answers] == names
        return batches * 8

    async def kill(it: Host, victims: list[Any], done: asyncio.Event) -> int:
        killed = 0
        while not done.is_set():
            for row, victim in enumerate(victims):
                while it.sender.relay.out == 0 and not done.is_set():
                    await asyncio.sleep(0)
                victim.kill()
                victim.join()
                killed += 1
                victims[row] = fork.Process(target=answer_until_killed, args=(world, it.run, row))
                victims[row].start()
                await asyncio.sleep(0.1)
        return killed

    async def main() -> None:
        async with host(world) as it:
            victims = [fork.Process(target=answer_until_killed, args=(world, it.run, row)) for row in range(2)]
            for victim in victims:
                victim.start()
            done = asyncio.Event()
            try:
                async with asyncio.timeout(10):
                    while not all(door_path(it.run, 1, row).exists() for row in range(2)):
                        await asyncio.sleep(0.005)
                it.slice(0, 1)
                killing = asyncio.create_task(kill(it, victims, done))
                sent = sum(await asyncio.gather(*[steady(it, f"c{n}", 40) for n in range(6)]))
                done.set()
                killed = await killing
            finally:
                for victim in victims:
                    victim.kill()
                    victim.join()
            rows = it.rows()
            totals: Counter[tuple[Kind, int]] = Counter()
            for row in rows:
                totals[Kind(row.kind), row.arm] += row.n
            assert killed >= 2
            assert totals[Kind.REQUEST, 1] == totals[Kind.BID, 1] == totals[Kind.LATENCY, 1] == sent
            assert 0 < totals[Kind.FALLBACK, 1] < sent  # some died with requests, some answered
            assert {row.reason for row in rows if row.kind == Kind.FALLBACK} <= {Fallback.GONE, Fallback.LATE}

    run(main())


def test_a_door_that_closes_gives_back_what_it_was_asked(world: World) -> None:
    async def main() -> None:
        async with host(world) as it:
            door: Answering

            def leave(packet: bytes) -> bytes | None:
                for caller in list(door._callers):
                    door._leave(caller)
                raise BlockingIOError

            door = it.door(5, leave)
            it.slice(5)
            answers = await it.ask(asked("a"), asked("b"))
            assert [json.loads(answer.body)["id"] for answer in answers] == ["a", "b"]
            found = fallbacks(it)
            assert found == {Fallback.GONE: 2}

    run(main())
