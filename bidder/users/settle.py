"""What notices make of caps: an impression confirms what its bid counted, a loss gives it back.

    a notice that is durable -> Settlement.notice() -> the host's table, at once -> the store, behind the answer
The first of impression, bill and what players report of a start confirms (where an exchange is paid by the win, the
win); a loss gives back only where nothing was told of the bid before. Both are remembered for the newest bids alone, so
a loss of a bid that is older than what is remembered gives nothing back: its hold ends by itself. Impressions become
known to other hosts through the store; what cannot be written there in time is dropped and counted, and other hosts may
then show as many more.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from bidder._fast.caps import Settler
from bidder.events.schema import CapEvent, NoticeKind
from bidder.money.tokens import Token
from bidder.ops.followed import Followed
from bidder.settings import Settings
from bidder.users.profile import Profile
from bidder.users.store import UserStore
from bidder.users.tables import caps_table

CONFIRM = frozenset({NoticeKind.IMPRESSION, NoticeKind.BILL, NoticeKind.VIEWABLE, NoticeKind.START})
REMEMBERED = 200_000  # bids a generation; some 20 MB
WAITING = 10_000  # impressions that wait for the store
AT_ONCE = 2  # changes under way: no more than the store's connections
PAUSE_S = 0.05
EARLY = 1_000  # notices that wait for the book of their campaign


class Told:
    """Of which bids something was told: of all that were made since `since_s`, and of some before. Unix seconds."""

    def __init__(self, now_s: int, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._young: dict[bytes, bool] = {}
        self._old: dict[bytes, bool] = {}
        self._young_since_s = self.since_s = now_s

    def add(self, bid_id: bytes, shown: bool, now_s: int) -> tuple[bool, bool]:
        """Was it told of before, and had it been shown?"""
        before = self._young.get(bid_id)
        if before is None:
            before = self._old.get(bid_id)
        self._young[bid_id] = shown or bool(before)
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
            self.since_s, self._young_since_s = self._young_since_s, now_s
        return before is not None, bool(before)


class Settlement:
    """One a tracker. Without a table (no bidder has run here) and without a store it does nothing."""

    def __init__(
        self,
        state: Path,
        settings: Settings,
        store: UserStore | None,
        *,
        wall: Callable[[], float] = time.time,
        told: Told | None = None,
        count: Callable[[Token, CapEvent], object] = lambda token, event: None,
    ) -> None:
        self._store = store
        self._by_win = {row.key for row in settings.exchanges.values() if row.spend_on == "win"}
        self._wall = wall
        self._count = count
        self._told = Told(int(wall())) if told is None else told
        self._settler = Followed(state / "shm" / "frequency", lambda: Settler(caps_table(state, settings)))
        self._book: object = None
        self._waiting: deque[tuple[int, list[tuple[int, int]], int]] = deque()
        self._early: list[tuple[NoticeKind, Token]] = []  # of campaigns that are newer than our book
        self.counts: Counter[str] = Counter()  # shown, beyond, given_back, dropped, stored

    def refresh(self, book: object) -> None:
        """The table that the bidder of this host has now, and the rules of the newest book."""
        if self._settler.refresh():
            self._book = None
        settler = self._settler.now
        if settler is not None and book is not None and book is not self._book:
            settler.set_book(book)  # type: ignore[arg-type]
            self._book = book
            early, self._early = self._early, []
            for kind, token in early:
                if settler.knows(token.campaign):
                    self.notice(kind, token)

    def notice(self, kind: NoticeKind, token: Token) -> None:
        """A notice that will not be lost any more, of a bid that is no test."""
        shown = kind in CONFIRM or (kind is NoticeKind.WIN and token.exchange in self._by_win)
        settler = self._settler.now
        if not token.user or settler is None or not (shown or kind is NoticeKind.LOSS):
            return
        if not settler.knows(token.campaign):
            if len(self._early) < EARLY:
                self._early.append((kind, token))
            return
        now_s = int(self._wall())
        known, was_shown = self._told.add(token.bid_id, shown, now_s)
        subject = (token.user, token.user_stamp, token.minute, token.format, token.campaign, token.creative, now_s)
        if not shown:
            if not known and made_s(token) >= self._told.since_s and settler.release(*subject):
                self._note(token, CapEvent.GIVEN_BACK)
            return
        if was_shown:
            return
        rules = settler.confirm(*subject)
        if not rules:
            return
        self._note(token, CapEvent.SHOWN)
        if any(beyond for _, _, beyond in rules):
            self._note(token, CapEvent.BEYOND)
        if self._store is not None:
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                self.counts["dropped"] += 1
            self._waiting.append((token.user, [(key, per_s) for key, per_s, _ in rules], now_s))

    def _note(self, token: Token, event: CapEvent) -> None:
        self.counts[event.name.lower()] += 1
        self._count(token, event)

    async def run(self) -> None:
        """Into the store, until cancelled."""
        async with asyncio.TaskGroup() as writers:  # one that fails ends the others, too
            for _ in range(AT_ONCE):
                writers.create_task(self._write())

    async def _write(self) -> None:
        while True:
            if self._store is None or not self._waiting or not self._store.remote.free:
                await asyncio.sleep(PAUSE_S)
                continue
            user, windows, shown_s = self._waiting.popleft()
            profile = await self._store.change(user, shown_s, lambda p: _shown(p, windows, shown_s))  # noqa: B023
            if profile is None:
                self._waiting.append((user, windows, shown_s))
                await asyncio.sleep(PAUSE_S)
                continue
            self.counts["stored"] += 1
            if self._settler.now is not None:  # what other hosts have counted meanwhile is known here, too
                profile.teach(self._settler.now, int(self._wall()))

    async def settled(self) -> None:
        """Until everything told so far is in the store. For tests and the end of the process."""
        while self._waiting:
            await asyncio.sleep(PAUSE_S / 10)

    def statistics(self) -> dict[str, int]:
        """Counts since the start."""
        return dict(self.counts) | {"waiting": len(self._waiting)}


def made_s(token: Token) -> int:
    """When its bid was made, unix seconds."""
    return token.minute * 60 + (token.user_stamp >> 2)


def _shown(profile: Profile, windows: list[tuple[int, int]], now_s: int) -> bool:
    for key, per_s in windows:
        profile.shown(key, now_s, per_s)
    return True
