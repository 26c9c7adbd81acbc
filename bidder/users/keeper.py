"""Behind the requests: users that a host's workers did not know are asked for, and what the store says of them learned.

    workers -> ring in shared memory -> UserKeeper.turn(), in the supervisor -> the store -> caps, segments, marks
The supervisor asks, not the workers: it has no request to be late for. One question is under way at a time, of BATCH
users at most; while the store does not answer the ring drops the oldest, and requests go on with what the host knows.
A user that was last seen under the keys of the period before is carried over: segments into the profile of this
period, windows into the table under the keys that they began with.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from bidder._fast.acquaintances import Acquaintances
from bidder._fast.frequency import FrequencyTable
from bidder._fast.segments import SegmentTable
from bidder.ops.log import get
from bidder.settings import Users
from bidder.users.profile import Profile
from bidder.users.store import UserStore

BATCH = 256
PAUSE_S = 0.02
PAUSE_AFTER_ERROR_S = 1.0


class UserKeeper:
    """`store` None: no memcached is set, nobody is ever asked."""

    def __init__(
        self,
        table: FrequencyTable,
        segments: SegmentTable,
        store: UserStore | None,
        settings: Users,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._acquaintances = Acquaintances(table)
        self._segments = segments
        self._store = store
        self._settings = settings
        self._wall = wall
        self._log = get("users")
        self.counts: Counter[str] = Counter()  # asked, found, unanswered, carried

    async def run(self) -> None:
        """Until cancelled, or not at all without a store; an error of ours is said, and the rest goes on."""
        while self._store is not None:
            pause_s = PAUSE_S
            try:
                if await self.turn():
                    continue
            except Exception as error:
                self._log.exception("users are not asked for", exc=error)
                pause_s = PAUSE_AFTER_ERROR_S
            await asyncio.sleep(pause_s)

    async def turn(self) -> bool:
        """Ask for those who wait, once; False: nobody waits, or the store would not answer."""
        if self._store is None or not self._store.remote.free:
            return False
        wanted = dict(self._acquaintances.take(BATCH))
        if not wanted:
            return False
        self.counts["asked"] += len(wanted)
        found = await self._store.fetch({*wanted, *wanted.values()} - {0})
        if found is None:
            self.counts["unanswered"] += len(wanted)
            return False
        now_s = int(self._wall())
        for digest, before in wanted.items():
            await self._learn(digest, found.get(digest), found.get(before) if before else None, now_s)
        return True

    async def _learn(self, digest: int, profile: Profile | None, before: Profile | None, now_s: int) -> None:
        assert self._store is not None
        if before is not None:
            before.teach(self._table, now_s)
            before.prune(now_s)
            if before.segments or before.links:
                segments, links = before.segments, before.links
                carried = await self._store.change(digest, now_s, lambda new: new.join(segments, links, now_s))
                self.counts["carried"] += carried is not None
                profile = carried or profile
        if profile is not None:
            self.counts["found"] += 1
            profile.teach(self._table, now_s)
        self._segments.put(digest, {} if profile is None else profile.segments, now_s)
        self._acquaintances.met(digest, now_s, self._settings.fresh_s, self._settings.good_s)
