"""The desk: takes one notice, and says so only when it cannot be lost any more.

token -> open -> (test: done) -> (booked before: done) -> read -> stream, fsynced -> taken
A repeat within a process is answered from memory; beyond that the aggregator counts the first of each
(bid, kind). A flagged notice is written, books nothing and never enters that memory.
Times: wall clock, ms. Never logs what a peer sent.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

import msgspec

from bidder.events.schema import NoticeFlag, NoticeKind
from bidder.events.stream import Stream, StreamError
from bidder.money.tokens import Opener, Token, TokenClass
from bidder.ops.log import Log
from bidder.settings import Exchange
from bidder.tracking.notice import read_notice
from bidder.tracking.prices import PriceKeys

ACKNOWLEDGE_S = 5.0  # that a notice waits for the disk before the sender is told to try again
REMEMBERED = 100_000  # booked notices a generation; about 10 MB
PAGE_KINDS = (NoticeKind.IMPRESSION, NoticeKind.CLICK)


class Verdict(Enum):
    """What became of a notice."""

    TAKEN = auto()  # durable, or known, or of a test
    FORGED = auto()
    UNAVAILABLE = auto()  # no keys, or the stream does not take it: the sender tries again


class Receipt(NamedTuple):
    """`token` is what a genuine one says; None unless the notice was taken."""

    verdict: Verdict
    token: Token | None = None


class Booked:
    """Notices that are in the stream: the newest `capacity` at least, twice as many at most."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._young or key in self._old

    def add(self, key: bytes) -> None:
        """The older generation goes when the younger is full."""
        self._young.add(key)
        if len(self._young) >= self._capacity:
            self._young, self._old = set(), self._young


class Desk:
    """One a process; `opener` is None until there are keys."""

    def __init__(
        self,
        stream: Stream,
        exchanges: Mapping[str, Exchange],
        release_after_s: int,
        token_ttl_s: int,
        log: Log,
        *,
        booked: Booked | None = None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.opener: Opener | None = None
        self.price_keys: Mapping[int, tuple[PriceKeys, ...]] = {}  # by key of the exchange
        self.settle: Callable[[NoticeKind, Token], None] = lambda kind, token: None  # the caps of its bid
        self.draining = False  # the process ends: no connection is kept
        self.underway = 0  # notices that came and are not answered yet
        self._stream = stream
        self._exchanges = {row.key: row for row in exchanges.values()}
        self._late_ms = release_after_s * 1_000
        self._ttl_ms = token_ttl_s * 1_000
        self._log = log
        self._booked = Booked() if booked is None else booked
        self._wall_ms = wall_ms
        self._encode = msgspec.msgpack.Encoder().encode
        self._counts: Counter[str] = Counter()
        self._notices: Counter[tuple[NoticeKind, str]] = Counter()

    @property
    def ready(self) -> bool:
        """Can a notice be taken now?"""
        return self.opener is not None and self._stream.healthy

    async def receive(
        self, kind: NoticeKind, token_text: str, price_text: str | None, reason_text: str | None
    ) -> Receipt:
        """Returns when the notice is durable, or as soon as it is clear that it will not be."""
        if self.opener is None:
            self._counts["unavailable"] += 1
            return Receipt(Verdict.UNAVAILABLE)
        token_class = TokenClass.PAGE if kind in PAGE_KINDS else TokenClass.NOTICE
        token = self.opener.open(token_text, token_class)
        if token is None:
            self._counts["forged"] += 1
            return Receipt(Verdict.FORGED)
        if token.test:
            self._counts["test"] += 1
            return Receipt(Verdict.TAKEN, token)
        key = token.bid_id + bytes((kind,))
        if key in self._booked:
            self._counts["duplicates"] += 1
            return Receipt(Verdict.TAKEN, token)
        exchange = self._exchanges.get(token.exchange)
        if exchange is None:
            self._log.error("notice of an exchange that the settings do not have", exchange=token.exchange)
        notice = read_notice(
            kind,
            token,
            exchange,
            price_text,
            reason_text,
            self._wall_ms(),
            self._late_ms,
            self._ttl_ms,
            self.price_keys.get(token.exchange, ()),
        )
        try:
            async with asyncio.timeout(ACKNOWLEDGE_S):
                await asyncio.wrap_future(self._stream.append(self._encode(notice)))
        except (StreamError, TimeoutError) as error:
            self._counts["unavailable"] += 1
            self._log.error("notice not taken", reason=str(error) or f"no answer of the disk in {ACKNOWLEDGE_S:g} s")
            return Receipt(Verdict.UNAVAILABLE)
        if notice.flags & ~NoticeFlag.LATE == 0:
            self._booked.add(key)
            self._notices[kind, "booked"] += 1
            self.settle(kind, token)
        for flag in NoticeFlag:
            if notice.flags & flag:
                self._notices[kind, str(flag.name).lower()] += 1
        return Receipt(Verdict.TAKEN, token)

    def statistics(self) -> dict[str, Any]:
        """Counts since the start: what was written by kind and flag, and what was not."""
        written: dict[str, dict[str, int]] = {}
        for (kind, outcome), n in sorted(self._notices.items()):
            written.setdefault(kind.name.lower(), {})[outcome] = n
        others = {name: self._counts[name] for name in ("duplicates", "forged", "test", "unavailable")}
        return {"notices": written, **others, "underway": self.underway}
