"""A shadow's answer is compared with the one that was sent; it takes nothing, counts nothing, nobody hears it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from bidder.events.schema import Kind, Shadow
from tests.doors import (
    DEAR,
    NOTHING,
    REPLY,
    Scripted,
    asked,
    host,
    reply,
    run,
    said,
    wide_world,
)
from tests.worlds import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return wide_world(tmp_path_factory.mktemp("relay"))


@pytest.mark.parametrize(
    ("body", "answer", "how"),
    [
        (asked(), None, Shadow.SAME),
        (asked(imp=NOTHING), None, Shadow.SAME),
        (
            asked(),
            said({"id": "r-1", "seatbid": [{"bid": [{"impid": "1", "price": 2.4, "cid": "c-1"}]}]}),
            Shadow.PRICE,
        ),
        (
            asked(),
            said({"id": "r-1", "seatbid": [{"bid": [{"impid": "1", "price": 1.5, "cid": "c-2"}]}]}),
            Shadow.CAMPAIGN,
        ),
        (asked(imp=NOTHING), said({"id": "r-1", "seatbid": [{"bid": [{"impid": "1", "price": 1}]}]}), Shadow.BID),
        (asked(), reply, Shadow.NO_BID),
        (asked(), said(DEAR), Shadow.INVALID),
        (asked(), lambda packet: b"no packet", Shadow.INVALID),
        (asked(), lambda packet: None, Shadow.NONE),
    ],
)
def test_a_shadow_is_compared_with_what_was_sent_and_takes_and_counts_nothing(
    world: World, body: dict[str, Any], answer: Callable[[bytes], bytes | None] | None, how: Shadow
) -> None:
    async def main() -> None:
        async with host(world) as it:
            uncounted = answer

            def say(packet: bytes) -> bytes | None:
                text = uncounted(packet) if uncounted is not None else None
                if text is None or not text.startswith(b"oba1"):
                    return text
                head = REPLY.unpack_from(text)
                return REPLY.pack(*head[:3], 0) + text[REPLY.size + 48 * head[3] :]

            door = Scripted(it, 5, it.build() if answer is None else say)
            it.slice(5, shadow=True, wait_us=50_000)
            before = world.left("c-1")
            (sent,) = await it.ask(body)
            took = before - world.left("c-1")
            async with asyncio.timeout(5):
                while it.sender.relay.out or not door.packets:
                    await asyncio.sleep(0.001)
            assert sent.status == (204 if body["imp"] == NOTHING else 200)
            assert door.packets[0][13] == 1
            assert before - world.left("c-1") == took
            rows = it.rows()
            assert [Shadow(row.reason) for row in rows if row.kind == Kind.SHADOW] == [how]
            assert Counter(row.kind for row in rows)[Kind.REQUEST] == 1
            assert {row.arm for row in rows} == {1}

    run(main())


@pytest.mark.parametrize("throttle", [1 << 30, 3 << 30])
def test_a_shadow_of_the_same_build_draws_what_was_drawn_here(world: World, throttle: int) -> None:
    async def main() -> None:
        async with host(world) as it:
            it.door(5, it.build(seed=99))
            it.slice(5, shadow=True)
            for name in ("c-1", "c-2"):
                world.pace(name, throttle)
            try:
                answers = await it.ask(*[asked(f"r-{n}") for n in range(200)])
                async with asyncio.timeout(5):
                    while it.sender.relay.out:
                        await asyncio.sleep(0.001)
            finally:
                for name in ("c-1", "c-2"):
                    world.pace(name)
            assert len({answer.status for answer in answers}) == 2
            assert {Shadow(row.reason): row.n for row in it.rows() if row.kind == Kind.SHADOW} == {Shadow.SAME: 200}

    run(main())
