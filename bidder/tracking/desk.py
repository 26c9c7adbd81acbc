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
from concurrent.futures import Future
from enum import Enum, auto
from typing import Any, NamedTuple

import msgspec

from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.events.stream import Stream, StreamError
from bidder.money.tokens import Keys, Opener, Sealer, Token, TokenClass, click_id, kid_of
from bidder.ops.log import Log
from bidder.settings import Exchange
from bidder.tracking.booked import Booked
from bidder.tracking.notice import Lives, Said, read_notice
from bidder.tracking.prices import PriceKeys

ACKNOWLEDGE_S = 5.0  # that a notice waits for the disk before the sender is told to try again
# Told with the token of the exchange; a conversion with a click id, and all else with the page's token.
NOTICE_KINDS = frozenset({NoticeKind.WIN, NoticeKind.BILL, NoticeKind.LOSS})
FLAGS = [(int(flag), str(flag.name).lower()) for flag in NoticeFlag if flag]
WRONG = ~int(NoticeFlag.LATE)  # plain ints: enums cost ten times as much
MOST_ERROR_CODE = 999  # VAST has three digits


class Verdict(Enum):
    """What became of a notice."""

    TAKEN = auto()  # durable, or known, or of a test
    FORGED = auto()
    UNAVAILABLE = auto()  # no keys, or the stream does not take it: the sender tries again


class Receipt(NamedTuple):
    """`token` is what a genuine one says; None unless the notice was taken."""

    verdict: Verdict
    token: Token | None = None


class Desk:
    """One a process; it takes nothing before `use` has given it keys."""

    def __init__(
        self,
        stream: Stream,
        exchanges: Mapping[str, Exchange],
        lives: Lives,
        log: Log,
        *,
        booked: Booked | None = None,
        renew: Callable[[], Keys | None] = lambda: None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.kids: tuple[int, ...] = ()  # of the keys that open, the sealing one first
        self._opener: Opener | None = None
        self._sealer: Sealer | None = None
        self.price_keys: Mapping[int, tuple[PriceKeys, ...]] = {}  # by key of the exchange
        self.settle: Callable[[NoticeKind, Token], None] = lambda kind, token: None  # the caps of its bid
        self.count: Callable[[Notice], None] = lambda notice: None  # one that was booked
        self.draining = False  # the process ends: no connection is kept
        self.closed = False  # nor anything taken that could not be answered any more
        self.underway = 0  # notices that came and are not answered yet
        self._stream = stream
        self._exchanges = {row.key: row for row in exchanges.values()}
        self._lives = lives
        self._renew = renew  # the keys of a file that has changed since they were used last
        self._log = log
        self._booked = Booked() if booked is None else booked
        self._wall_ms = wall_ms
        self._encode = msgspec.msgpack.Encoder().encode
        self._counts: Counter[str] = Counter()
        self._notices: Counter[tuple[NoticeKind, str]] = Counter()
        self._player_errors: Counter[int] = Counter()

    def use(self, keys: Keys) -> None:
        """From now on: all of them open, the first seals click ids."""
        self._opener, self._sealer = Opener(keys), Sealer(keys)
        self.kids = tuple(key.kid for key in keys)

    @property
    def ready(self) -> bool:
        """Can a notice be taken now?"""
        return self._opener is not None and self._stream.healthy

    async def receive(self, kind: NoticeKind, token_text: str, said: Said) -> Receipt:
        """Returns when the notice is durable, or as soon as it is clear that it will not be."""
        opener = self._opener_for(token_text)
        if opener is None or self.closed:
            self._counts["unavailable"] += 1
            return Receipt(Verdict.UNAVAILABLE)
        token, viewed = self._open(opener, kind, token_text)
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
        keys = self.price_keys.get(token.exchange, ())
        notice = read_notice(kind, token, exchange, said, self._wall_ms(), self._lives, keys, viewed)
        try:
            await _durable(self._stream.append(self._encode(notice)))
        except (StreamError, TimeoutError) as error:
            self._counts["unavailable"] += 1
            self._log.error("notice not taken", reason=str(error) or f"no answer of the disk in {ACKNOWLEDGE_S:g} s")
            return Receipt(Verdict.UNAVAILABLE)
        if not notice.flags & WRONG:
            self._booked.add(key)
            self._notices[kind, "booked"] += 1
            self.settle(kind, token)
            self.count(notice)
        if notice.flags:
            for flag, name in FLAGS:
                if notice.flags & flag:
                    self._notices[kind, name] += 1
        return Receipt(Verdict.TAKEN, token)

    def _opener_for(self, token_text: str) -> Opener | None:
        """A token of a key that we have not seen may be of one that was added a moment ago."""
        if kid_of(token_text) not in self.kids:
            keys = self._renew()
            if keys is not None:
                self.use(keys)
        return self._opener

    def _open(self, opener: Opener, kind: NoticeKind, text: str) -> tuple[Token | None, bool]:
        """What a genuine token of this kind says, and whether it is that of a page where a click id was due."""
        if kind in NOTICE_KINDS:
            return opener.open(text, TokenClass.NOTICE), False
        if kind is not NoticeKind.CONVERSION:
            return opener.open(text, TokenClass.PAGE), False
        token = opener.open(text, TokenClass.CLICK)
        if token is None and self._lives.view:
            return opener.open(text, TokenClass.PAGE), True
        return token, False

    def player_error(self, token_text: str, code_text: str | None) -> Verdict:
        """A player could not play: counted here by the code that it gives (VAST; 0: none), and nowhere else."""
        opener = self._opener_for(token_text)
        if opener is None:
            return Verdict.UNAVAILABLE
        token = opener.open(token_text, TokenClass.PAGE)
        if token is None:
            self._counts["forged"] += 1
            return Verdict.FORGED
        code = int(code_text) if code_text and code_text.isascii() and code_text.isdecimal() else 0
        if not token.test:
            self._player_errors[code if code <= MOST_ERROR_CODE else 0] += 1
        return Verdict.TAKEN

    def click_id(self, page: Token) -> str:
        """Of a click that was taken, for the advertiser."""
        assert self._sealer is not None
        return click_id(self._sealer, page)

    def statistics(self) -> dict[str, Any]:
        """Counts since the start: what was written by kind and flag, and what was not."""
        written: dict[str, dict[str, int]] = {}
        for (kind, outcome), n in sorted(self._notices.items()):
            written.setdefault(kind.name.lower(), {})[outcome] = n
        others = {name: self._counts[name] for name in ("duplicates", "forged", "test", "unavailable")}
        errors = {str(code): n for code, n in sorted(self._player_errors.items())}
        return {"notices": written, **others, "player_errors": errors, "underway": self.underway}


async def _durable(appended: "Future[int]") -> None:
    """Wait for the stream's word. As asyncio.timeout around wrap_future would, for a third of their time."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not waiting.done():
            waiting.set_result(None)

    def expire() -> None:
        if not waiting.done():
            waiting.set_exception(TimeoutError())

    appended.add_done_callback(lambda _: loop.call_soon_threadsafe(settle))
    timer = loop.call_later(ACKNOWLEDGE_S, expire)
    try:
        await waiting
    finally:
        timer.cancel()
    appended.result()
