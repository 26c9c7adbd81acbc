"""What visits and matches do to profiles: one user has our own id, and ids of exchanges that were matched with it.

    a visit: segment -> profile of our id -> profiles of the ids that it is linked with
    a match: our id <-> the exchange's id; what one was in, both are in
Everything goes to the store behind the answer, and is dropped and counted where that is busy. Ids are hashed here and
forgotten; nothing of them is logged or kept.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from bidder._fast.frequency import PERIOD_S
from bidder._fast.identity import Identity
from bidder.cache import Entry, Local
from bidder.settings import Users
from bidder.users.keys import identity_at
from bidder.users.profile import Profile
from bidder.users.store import UserStore

OF_IFA, OF_BUYERUID, OF_USER_ID = 1, 2, 3  # USER_* of _fast/request.pxd
MOST_UNDER_WAY = 256
REPEAT_S = 60
LATER = 1.1  # times what is left
RECENT_BYTES = 16_000_000


class People:
    """One a process. `keys`: of a period; `learn`: of a digest that this host should ask for soon."""

    def __init__(
        self,
        store: UserStore | None,
        keys: Callable[[int], bytes],
        settings: Users,
        *,
        learn: Callable[[int], object] = lambda digest: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keys = keys
        self._settings = settings
        self.learn = learn
        self._wall = wall
        self._period = -1
        self._identity = Identity()
        self._recent = Local(RECENT_BYTES)
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()  # visits, matches, dropped, failed

    def digest(self, origin: int, exchange: int, id: str) -> int:
        """Of a user, by the keys of this period."""
        now_s = self._wall()
        period = int(now_s) // PERIOD_S
        if period != self._period:
            self._identity, self._period = identity_at(self._keys, now_s), period
        return self._identity.digest(origin, exchange, id.encode("utf-8", "replace"))

    def visited(self, own_id: str, segment: str) -> None:
        """Our user was where this segment is set; a visit soon after another changes nothing and asks nobody."""
        digest = self.digest(OF_BUYERUID, 0, own_id)
        if self._lately(f"{digest:x} {segment}"):
            self.counts["repeats"] += 1
            return
        self._begin("visits", self._visit(digest, segment))

    def matched(self, own_id: str, exchange: int, uid: str) -> None:
        """Our user is `uid` at this exchange."""
        own, other = self.digest(OF_BUYERUID, 0, own_id), self.digest(OF_USER_ID, exchange, uid)
        self._begin("matches", self._match(own, other))

    def _lately(self, what: str) -> bool:
        """Was this so within the last REPEAT_S? From now on it is."""
        now_s = self._wall()
        if self._recent.get(what, now_s) is not None:
            return True
        self._recent.put(what, Entry(None, now_s + REPEAT_S, now_s + REPEAT_S))
        return False

    async def set_segment(self, digest: int, segment: str, ttl_s: int) -> bool:
        """False: the store did not take it."""
        return await self._join(digest, {segment: int(self._wall()) + ttl_s}, {}) is not None

    async def settled(self) -> None:
        """Until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _begin(self, what: str, work: "asyncio._CoroutineLike[None]") -> None:
        if self._store is None or len(self._tasks) >= MOST_UNDER_WAY:
            self.counts["dropped"] += 1
            work.close()
            return
        self.counts[what] += 1
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _visit(self, own: int, segment: str) -> None:
        added = {segment: int(self._wall()) + self._settings.segment_ttl_s}
        profile = await self._join(own, added, {})
        for link in () if profile is None else tuple(profile.links):
            await self._join(link, added, {})

    async def _match(self, own: int, other: int) -> None:
        ends_s = int(self._wall()) + self._settings.match_ttl_s
        mine = await self._join(own, {}, {other: ends_s})
        theirs = None if mine is None else await self._join(other, mine.segments, {own: ends_s})
        if theirs is not None and theirs.segments.keys() - (mine.segments if mine else {}).keys():
            await self._join(own, theirs.segments, {})

    async def _join(self, digest: int, segments: dict[str, int], links: dict[int, int]) -> Profile | None:
        """Segments and links of a profile, if they are new or would end much earlier: not each visit is written."""
        assert self._store is not None
        now_s = int(self._wall())
        for _ in range(20):  # a free connection, that is: not while the store rests
            if self._store.remote.free:
                break
            await asyncio.sleep(0.01)
        profile = await self._store.change(digest, now_s, lambda there: there.join(segments, links, now_s, by=LATER))
        if profile is None:
            self.counts["failed"] += 1
        else:
            self.learn(digest)
        return profile
