"""Both levels and the source behind them, for an event loop.

    peek(key)  -> what is here now, or None; never waits; asks behind the caller for what is missing or not fresh
    get(key)   -> this process -> memcached -> load(key), each asked once however many wait for it
    invalidate(key) -> gone here and in memcached; `announce(key)` tells the others, whose `heard(key)` drops it

What is no longer fresh is served while it is asked for anew, until it is no longer good. Of the hosts that find the
same entry no longer fresh, one loads it: it has a lease in memcached, that ends by itself. "There is none" is an
answer, too, and kept for `negative_s`. Times end up to a tenth early, by chance, so that what came together is
not asked for together. Only keys are announced, never values. Times: seconds.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from bidder.cache.entry import Entry, decode
from bidder.cache.local import Local
from bidder.cache.remote import Remote

LEASE_S = 5.0
JITTER = 0.1
MOST_BEHIND = 64  # refreshes that nobody waits for, at a time


class LoadError(Exception):
    """A source cannot answer now; what is good serves on."""


class Tiered:
    """Values are bytes. `load` gives them, None where there is none, and raises LoadError; no `load`: memcached does.

    `fresh_s` < `good_s`; of negative entries both are `negative_s`. `clock` is a wall clock: hosts share entries.
    """

    def __init__(
        self,
        local: Local,
        remote: Remote,
        load: Callable[[str], Awaitable[bytes | None]] | None,
        *,
        prefix: str,
        fresh_s: float,
        good_s: float,
        negative_s: float,
        announce: Callable[[str], object] = lambda key: None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._local = local
        self._remote = remote
        self._load = load
        self._prefix = prefix
        self._fresh_s, self._good_s, self._negative_s = fresh_s, good_s, negative_s
        self._announce = announce
        self._clock = clock
        self._chance = chance
        self._flights: dict[str, asyncio.Task[Entry | None]] = {}
        self._void: set[str] = set()  # keys invalidated while they are asked for
        self.counts: Counter[str] = Counter()  # hits, stale, misses, loads, failed, skipped

    def peek(self, key: str) -> Entry | None:
        """What is good, now; an entry without a value says that there is none."""
        entry = self._local.get(key, self._clock())
        if entry is None:
            self.counts["misses"] += 1
        elif entry.fresh_s > self._clock():
            self.counts["hits"] += 1
            return entry
        else:
            self.counts["stale"] += 1
        if key not in self._flights:
            if len(self._flights) >= MOST_BEHIND:
                self.counts["skipped"] += 1
            else:
                self._flight(key, entry)
        return entry

    async def get(self, key: str) -> Entry | None:
        """As `peek`, but what is not here is waited for; None: nobody can say."""
        entry = self.peek(key)
        if entry is not None:
            return entry
        flight = self._flights.get(key) or self._flight(key, None)
        return await asyncio.shield(flight)

    async def invalidate(self, key: str) -> None:
        """Whatever was known of it before is not served here any more, nor by who hears of it."""
        self.heard(key)
        await self._remote.delete(self._prefix + key)
        self.heard(key)
        self._announce(key)

    def heard(self, key: str) -> None:
        """Another process has invalidated this key."""
        self._local.drop(key)
        if key in self._flights:
            self._void.add(key)

    async def settled(self) -> None:
        """Until nothing is being asked for."""
        while self._flights:
            await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _flight(self, key: str, stale: Entry | None) -> "asyncio.Task[Entry | None]":
        task = asyncio.get_running_loop().create_task(self._ask(key, stale))
        self._flights[key] = task
        return task

    async def _ask(self, key: str, stale: Entry | None) -> Entry | None:
        try:
            entry = await self._shared(key)
            if entry is None or entry.fresh_s <= self._clock():
                entry = await self._loaded(key, entry or stale)
            if entry is not None and key not in self._void:
                self._local.put(key, entry)
        except LoadError:
            self.counts["failed"] += 1
            entry = stale
        finally:
            self._void.discard(key)
            del self._flights[key]
        return entry if entry is not None and entry.good_s > self._clock() else None

    async def _shared(self, key: str) -> Entry | None:
        found = await self._remote.get_many([self._prefix + key])
        if found is None:
            if self._load is None:
                raise LoadError("memcached does not answer")
            return None
        data = found.get(self._prefix + key)
        if data is None:
            return None if self._load is not None else self._entry(None)
        entry = decode(data)
        return entry if entry is not None and entry.good_s > self._clock() else None

    async def _loaded(self, key: str, stale: Entry | None) -> Entry | None:
        if self._load is None:
            return stale
        if stale is not None and await self._remote.add(f"{self._prefix}{key}!", b"1", LEASE_S) is False:
            return stale._replace(fresh_s=self._clock() + LEASE_S)  # another host is at it
        self.counts["loads"] += 1
        entry = self._entry(await self._load(key))
        if key not in self._void:
            await self._remote.set(self._prefix + key, entry.encode(), entry.good_s - self._clock())
        return entry

    def _entry(self, value: bytes | None) -> Entry:
        now_s = self._clock()
        early = 1 - JITTER * self._chance()
        if value is None:
            until_s = now_s + self._negative_s * early
            return Entry(None, until_s, until_s)
        return Entry(value, now_s + self._fresh_s * early, now_s + self._good_s * early)
