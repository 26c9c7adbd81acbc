"""Both levels over a real memcached: nobody waits who must not, and every key is asked for once."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from bidder.cache import Entry, LoadError, Local, Remote, Tiered

NUMBERS = itertools.count(1)


class World:
    """A clock, a source, and as many processes on one memcached as a test wants."""

    def __init__(self, address: str) -> None:
        self.now_s = 1_000_000.0
        self.source: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.broken = False
        self.gate: asyncio.Event | None = None
        self.announced: list[str] = []
        self.prefix = f"t{next(NUMBERS)}:"
        self.address = address
        self.remotes: list[Remote] = []

    async def load(self, key: str) -> bytes | None:
        self.asked[key] += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.broken:
            raise LoadError("away")
        return self.source.get(key)

    def process(self, load: Callable[[str], Awaitable[bytes | None]] | None, **changes: Any) -> Tiered:
        remote = Remote([changes.pop("address", self.address)], connections=8)
        self.remotes.append(remote)
        return Tiered(
            Local(100_000), remote, load, prefix=self.prefix, fresh_s=10, good_s=100, negative_s=5,
            announce=self.announced.append, clock=lambda: self.now_s, chance=lambda: 0.0, **changes,
        )  # fmt: skip


@pytest.fixture
def world(memcached: str) -> Iterator[World]:
    world = World(memcached)
    yield world
    for remote in world.remotes:
        remote.close()


def value(entry: Entry | None) -> bytes | None:
    assert entry is not None
    return entry.value


async def all_of(cache: Tiered, key: str, n: int) -> list[bytes | None]:
    return [value(entry) for entry in await asyncio.gather(*(cache.get(key) for _ in range(n)))]


def test_a_thousand_who_ask_at_once_cause_one_load(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        world.source["a"] = b"1"
        world.gate = asyncio.Event()
        asking = asyncio.ensure_future(all_of(cache, "a", 1_000))
        while not world.asked["a"]:
            await asyncio.sleep(0)
        world.gate.set()
        assert set(await asking) == {b"1"}
        assert world.asked["a"] == 1

    asyncio.run(story())


def test_peek_never_waits_and_asks_behind_the_caller(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        world.source["a"] = b"1"
        assert cache.peek("a") is None
        await cache.settled()
        assert value(cache.peek("a")) == b"1"
        assert world.asked["a"] == 1

    asyncio.run(story())


def test_what_is_not_fresh_is_served_while_it_is_asked_for_anew(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        world.source["a"] = b"1"
        await cache.get("a")
        world.source["a"] = b"2"
        world.now_s += 9
        assert value(cache.peek("a")) == b"1"
        world.now_s += 2
        assert value(await cache.get("a")) == b"1"
        await cache.settled()
        assert value(cache.peek("a")) == b"2"

    asyncio.run(story())


def test_a_source_that_is_away_leaves_what_is_good_and_no_longer(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        world.source["a"] = b"1"
        await cache.get("a")
        world.broken = True
        world.now_s += 50
        assert value(await cache.get("a")) == b"1"
        await cache.settled()
        assert value(cache.peek("a")) == b"1"
        world.now_s += 51
        assert await cache.get("a") is None
        assert cache.counts["failed"] > 0

    asyncio.run(story())


def test_that_there_is_none_is_remembered_for_a_while(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        assert value(await cache.get("a")) is None
        assert value(await cache.get("a")) is None
        assert world.asked["a"] == 1
        world.source["a"] = b"1"
        world.now_s += 6
        assert value(await cache.get("a")) == b"1"

    asyncio.run(story())


def test_another_process_finds_in_memcached_what_one_has_loaded(world: World) -> None:
    async def story() -> None:
        first, second = world.process(world.load), world.process(world.load)
        world.source["a"] = b"1"
        await first.get("a")
        assert value(await second.get("a")) == b"1"
        assert world.asked["a"] == 1

    asyncio.run(story())


def test_of_the_processes_that_find_an_entry_stale_one_loads_it(world: World) -> None:
    async def story() -> None:
        several = [world.process(world.load) for _ in range(4)]
        world.source["a"] = b"1"
        for cache in several:
            await cache.get("a")
        world.source["a"] = b"2"
        world.now_s += 11
        assert [value(cache.peek("a")) for cache in several] == [b"1"] * 4
        for cache in several:
            await cache.settled()
        assert world.asked["a"] == 2

    asyncio.run(story())


def test_what_is_invalidated_is_served_by_nobody_who_heard_of_it(world: World) -> None:
    async def story() -> None:
        first, second = world.process(world.load), world.process(world.load)
        world.source["a"] = b"1"
        await first.get("a")
        await second.get("a")
        world.source["a"] = b"2"
        await first.invalidate("a")
        assert world.announced == ["a"]
        second.heard("a")
        assert value(await second.get("a")) == b"2"
        assert value(await first.get("a")) == b"2"

    asyncio.run(story())


def test_what_was_being_loaded_when_it_was_invalidated_is_not_kept(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        world.source["a"] = b"1"
        world.gate = asyncio.Event()
        cache.peek("a")
        while not world.asked["a"]:
            await asyncio.sleep(0)
        invalidating = asyncio.ensure_future(cache.invalidate("a"))
        await invalidating
        world.gate.set()
        await cache.settled()
        world.source["a"] = b"2"
        assert value(await cache.get("a")) == b"2"

    asyncio.run(story())


def test_a_dead_memcached_leaves_source_and_first_level(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load, address="127.0.0.1:1")
        world.source["a"] = b"1"
        assert value(await cache.get("a")) == b"1"
        assert value(cache.peek("a")) == b"1"
        assert world.asked["a"] == 1

    asyncio.run(story())


def test_memcached_alone_can_be_the_source(world: World) -> None:
    async def story() -> None:
        cache = world.process(None)
        assert value(await cache.get("a")) is None
        dead = world.process(None, address="127.0.0.1:1")
        assert await dead.get("a") is None

    asyncio.run(story())


def test_refreshes_that_nobody_waits_for_are_limited_and_counted(world: World) -> None:
    async def story() -> None:
        cache = world.process(world.load)
        for n in range(100):
            cache.peek(str(n))
        assert cache.counts["skipped"] == 100 - 64
        await cache.settled()

    asyncio.run(story())


def test_times_end_early_by_chance_so_that_not_all_is_asked_for_together(memcached: str) -> None:
    world = World(memcached)
    chances = itertools.cycle([0.0, 0.5, 1.0])

    async def story() -> list[float]:
        remote = Remote([memcached])
        cache = Tiered(
            Local(100_000), remote, world.load, prefix=world.prefix, fresh_s=10, good_s=100, negative_s=5,
            clock=lambda: world.now_s, chance=lambda: next(chances),
        )  # fmt: skip
        found = []
        for key in "abc":
            world.source[key] = b"1"
            entry = await cache.get(key)
            assert entry is not None
            found.append(entry.fresh_s - world.now_s)
        remote.close()
        return found

    assert asyncio.run(story()) == pytest.approx([10.0, 9.5, 9.0])
