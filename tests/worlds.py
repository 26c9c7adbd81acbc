"""A small world to bid in: a compiled book, purses, board and counters in files, and a decision over them.

Everything is the real part; only the clock stands still and randomness has a seed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.book import Book
from bidder._fast.clock import HandClock
from bidder._fast.counters import CounterFile
from bidder._fast.decision import Decider
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder._fast.segments import SegmentTable
from bidder.campaigns.arms import ArmRange
from bidder.campaigns.compile import compile_book
from bidder.campaigns.model import read_lines
from bidder.campaigns.rates import Rates
from bidder.campaigns.record import CampaignRecord
from bidder.events.outbox import KEY
from bidder.events.schema import Kind, Row
from bidder.money.tokens import BidIds, Key, Opener, Sealer
from bidder.openrtb.lint import lint
from bidder.openrtb.profile import profile_of
from bidder.openrtb.rows import exchange_rows
from bidder.settings import Consent, Exchange
from bidder.users.keys import keys_of
from tests.lint_cases.objections import objections

NOW_S = 1_790_000_000  # in September 2026
MINUTE = NOW_S // 60
PUBLIC_URL = "https://t.example"
EXCHANGES = {
    "openx": Exchange(key=2, seat="outbid"),
    "pubmatic": Exchange(key=3, seat='our "seat"'),
    "closed": Exchange(key=9, enabled=False),
}
SECRET = bytes(range(32))  # of users
KEYS = (Key(1, bytes(range(32))),)
DOLLAR = 1_000_000_000
ALWAYS = 2**32 - 1
FOR_GOOD = 2_000_000_000  # seconds: a bid that is counted stays counted


def user_keys(period: int) -> bytes:
    """By which every world knows its users: two worlds that are asked the same say the same."""
    return keys_of(SECRET, period)


def banner(**changes: Any) -> dict[str, Any]:
    base = {
        "id": "cr-1",
        "w": 320,
        "h": 50,
        "adm": '<a href="{click_url}">ad</a>',
        "landing_url": "https://acme.example/",
        "adomain": ["acme.example"],
        "cat": ["IAB3"],
    }
    return base | changes


def campaign(name: str = "c-1", cpm: str = "2.5", **changes: Any) -> dict[str, Any]:
    return {"id": name, "advertiser": "acme", "bid": {"cpm_usd": cpm}, "creatives": [banner()]} | changes


def request(imps: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    return {"id": "r-1", "imp": [imp()] if imps is None else imps} | changes


def imp(name: str = "1", **changes: Any) -> dict[str, Any]:
    return {"id": name, "banner": {"format": [{"w": 320, "h": 50}]}} | changes


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    rows: list[Row] = field(default_factory=list)  # what was counted for it

    @property
    def bids(self) -> list[dict[str, Any]]:
        if self.status != 200:
            return []
        return [bid for seatbid in json.loads(self.body)["seatbid"] for bid in seatbid["bid"]]

    def counted(self, kind: Kind) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    @property
    def reason(self) -> int | None:
        """Counted for a request without a bid."""
        rows = self.counted(Kind.NOBID)
        return rows[0].reason if rows else None


class World:
    """Campaigns that may spend $1 each, unless a test says otherwise, and one decision over them."""

    def __init__(
        self,
        directory: Path,
        campaigns: Iterable[dict[str, Any]],
        *,
        seed: int = 1,
        public_url: str = PUBLIC_URL,
        book: bool = True,
        bid_ids: BidIds | None = None,
        purses: int = 64,
        exchanges: Mapping[str, Exchange] = EXCHANGES,
        rates: Rates | None = None,
        consent: Consent | None = None,
        holds: tuple[int, ...] = (FOR_GOOD,) * 4,
        first_touch: int = 0,
        segments: SegmentTable | None = None,
        arms: Sequence[ArmRange] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.public_url = public_url
        self.exchanges = exchanges
        self.rates = rates
        self.consent = consent
        self.holds = holds
        self.first_touch = first_touch
        self.segments = segments
        self.arms = arms
        self.purses = Purses(directory / "purses", purses)
        self.board = Board(directory / "board")
        self.frequency = FrequencyTable(directory / "frequency", 4096, now_s=NOW_S, keys=user_keys)
        self.counter_file = CounterFile(directory / "counters")
        self.clock = HandClock(NOW_S * 1_000_000_000)
        self.opener = Opener(KEYS)
        self.keys: dict[str, int] = {}
        self.creatives: dict[str, int] = {}
        self.advertisers: dict[str, int] = {}
        self.revision = 0
        self.decider = self.worker(0, seed, bid_ids or BidIds())
        self.book: Book | None = None
        if book:
            written = list(campaigns)
            self.publish(written)
            for body in written:
                self.fund(body["id"], DOLLAR)

    def worker(self, row: int, seed: int, bid_ids: BidIds) -> Decider:
        """A decision of its own over the same shared memory, without a book yet."""
        frequency = FrequencyTable(self.directory / "frequency")
        frequency.holds = self.holds
        frequency.first_touch = self.first_touch
        return Decider(
            purses=self.purses,
            frequency=frequency,
            board=self.board,
            counters=self.counter_file.open_worker(row),
            sealer=Sealer(KEYS),
            bid_ids=bid_ids,
            clock=self.clock,
            rows=exchange_rows(self.exchanges, self.public_url, state=self.directory),
            seed=seed,
            consent=self.consent,
            segments=self.segments,
        )

    def publish(self, campaigns: Iterable[dict[str, Any]]) -> None:
        """A new book of these, served at once."""
        self.revision += 1
        text = "\n".join(json.dumps(body) for body in campaigns)
        records = [self._record(c.body) for c in read_lines(text, list(self.exchanges))]
        path = self.directory / f"book-{self.revision}.bin"
        compile_book(
            records,
            revision=self.revision,
            exchanges={name: exchange.key for name, exchange in self.exchanges.items()},
            public_url=self.public_url,
            purse_of=self.purses.slot_of,
            path=path,
            rates=self.rates,
            arms=self.arms,
        )
        self.book = Book.open(path)
        self.decider.set_book(self.book)

    def _record(self, body: dict[str, Any]) -> CampaignRecord:
        key = self.keys.setdefault(body["id"], 100 + len(self.keys))
        creatives = {}
        for creative in body["creatives"]:
            name = f"{body['id']}/{creative['id']}"
            creatives[creative["id"]] = self.creatives.setdefault(name, 1_000 + len(self.creatives))
        deals = body["targeting"].get("deal", {}).get("include", [])
        return CampaignRecord(
            key=key,
            advertiser=self.advertisers.setdefault(body["advertiser"], 1 + len(self.advertisers)),
            creatives=creatives,
            deals={deal: 10_000 + sum(deal.encode()) for deal in deals},
            inventory={
                bundle: 20_000 + n for n, bundle in enumerate(body["targeting"].get("bundle", {}).get("include", []))
            },
            active=True,
            body=body,
        )

    def fund(self, name: str, nano: int) -> None:
        """The purse of this campaign gets a new lease on so much."""
        slot = self.purses.slot_of(self.keys[name])
        self.purses.close_half(slot, 0)
        self.purses.grant(slot, 0, 7_000 + self.keys[name], nano)
        self.purses.open_half(slot, 0)

    def pace(self, name: str, throttle: int = ALWAYS, multiplier: int = 65_536) -> None:
        self.purses.set_pacing(self.purses.slot_of(self.keys[name]), throttle, multiplier)

    def switch_off(self, name: str) -> None:
        self.purses.set_off(self.purses.slot_of(self.keys[name]), True)

    def left(self, name: str) -> int:
        return self.purses.left(self.purses.slot_of(self.keys[name]), 0)

    def bytes_of(self, body: Mapping[str, Any] | bytes) -> bytes:
        return body if isinstance(body, bytes) else json.dumps(body).encode()

    def seed_next(self) -> int:
        """With which another decision is where this one will be at its next request."""
        return self.decider.seed

    def ask(self, body: Mapping[str, Any] | bytes, exchange: str = "openx") -> Answer:
        """The answer, which nobody could object to, and what was counted for it."""
        raw = self.bytes_of(body)
        status, answered = self.decider.answer(exchange.encode(), raw)
        if status != 404:
            wrong = objections(
                lint(
                    raw,
                    answered,
                    status=status,
                    profile=profile_of(exchange, self.exchanges[exchange]),
                    rates=self.book.rates_at(self.clock.wall // 1_000_000_000) if self.book is not None else {},
                )
            )
            assert not wrong, (wrong, raw, answered)
        return Answer(status, answered, self.drain())

    def drain(self) -> list[Row]:
        table = self.counter_file.flip(0)
        if table is None:
            return []
        drained = self.counter_file.drain(0, table)
        self.counter_file.clear(0, table)
        return [Row(*(*KEY.unpack(key), n, amount)) for key, n, amount in drained]
