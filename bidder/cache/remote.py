"""The second level: memcached through a few threads, for callers on an event loop that must not wait.

    get_many() | change() | ... -> a free connection -> its thread, pymemcache -> the answer, or None
There is no queue: with every connection busy the answer is None at once, and after a failure for REST_S. So a store
that is slow or dead costs its callers nothing but the answers. Keys: ASCII without blanks, at most 250 characters.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheError

REST_S = 1.0
CHANGES = 8  # attempts at one change, where others change the same key
RELATIVE_S = 30 * 86_400  # a longer time to live is a date to memcached
Value = TypeVar("Value")


class Remote:
    """`servers`: host:port; keys are spread over them. `connections` to each, one a thread, `timeout_s` a question."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        connections: int = 2,
        timeout_s: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._servers = list(servers)
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._wall = wall
        self._free = connections
        self._rest_until = 0.0
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="memcached")
        self._local = threading.local()
        self._clients: list[HashClient] = []  # of all threads, to be closed
        self.counts: Counter[str] = Counter()  # answered, busy, resting, failed

    @property
    def free(self) -> bool:
        """Would a question be asked now?"""
        return self._free > 0 and self._monotonic() >= self._rest_until

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes] | None:
        """Those that are there; None: no answer."""
        wanted = list(keys)

        def ask(client: HashClient) -> dict[str, bytes]:
            found: dict[str, bytes] = client.get_many(wanted)
            return found

        return await self._do(ask)

    async def set(self, key: str, value: bytes, ttl_s: float) -> bool:
        """False: not stored, as far as we know."""
        return bool(await self._do(lambda client: client.set(key, value, expire=self._expiry(ttl_s), noreply=False)))

    async def add(self, key: str, value: bytes, ttl_s: float) -> bool | None:
        """True: it was not there, and is now. None: no answer."""
        return await self._do(lambda client: bool(client.add(key, value, expire=self._expiry(ttl_s), noreply=False)))

    async def delete(self, key: str) -> bool:
        """False: no answer."""
        return await self._do(lambda client: client.delete(key, noreply=False)) is not None

    async def change(self, key: str, how: Callable[[bytes | None], tuple[bytes | None, float]]) -> bytes | None:
        """What is stored becomes `how(it)`: new bytes and their time to live; None leaves it. None: no answer.

        `how` runs in a thread, and again where another host was faster; so it must not keep anything.
        """

        def work(client: HashClient) -> bytes | None:
            for _ in range(CHANGES):
                there, mark = client.gets(key, default=None, cas_default=None)
                value, ttl_s = how(there)
                if value is None:
                    return b"" if there is None else bytes(there)
                if mark is None:
                    done = client.add(key, value, expire=self._expiry(ttl_s), noreply=False)
                else:
                    done = client.cas(key, value, mark, expire=self._expiry(ttl_s), noreply=False)
                if done:
                    return value
            raise MemcacheError("others changed it each time")

        return await self._do(work)

    def close(self) -> None:
        """Waits for what is under way."""
        self._threads.shutdown()
        for client in self._clients:
            client.close()

    def _expiry(self, ttl_s: float) -> int:
        seconds = max(1, int(ttl_s))
        return seconds if seconds <= RELATIVE_S else int(self._wall()) + seconds

    async def _do(self, work: Callable[[HashClient], Value]) -> Value | None:
        if self._monotonic() < self._rest_until:
            self.counts["resting"] += 1
            return None
        if self._free == 0:
            self.counts["busy"] += 1
            return None
        self._free -= 1
        try:
            answer = await asyncio.wrap_future(self._threads.submit(self._with_client, work))
        except (MemcacheError, OSError):
            self.counts["failed"] += 1
            self._rest_until = self._monotonic() + REST_S
            return None
        finally:
            self._free += 1
        self.counts["answered"] += 1
        return answer

    def _with_client(self, work: Callable[[HashClient], Value]) -> Value:
        client: HashClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = HashClient(
                self._servers,
                connect_timeout=self._timeout_s,
                timeout=self._timeout_s,
                no_delay=True,
                retry_attempts=0,
                dead_timeout=REST_S,
            )
            self._clients.append(client)
        try:
            return work(client)
        except (MemcacheError, OSError):
            client.close()
            self._clients.remove(client)
            self._local.client = None
            raise
