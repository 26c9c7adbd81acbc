"""Several hosts on one budget: office, keepers and purses together, on a clock that the test turns."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from aggregator.migrate import migrate
from bidder._fast.purses import Purses
from bidder.controller import store
from bidder.controller.leases import LeaseOffice
from bidder.money.leases import LeaseKeeper
from bidder.money.units import NANO_PER_USD
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money
from tests.unit.test_controller_leases import campaign

START = datetime(2026, 3, 10, 12, 10, tzinfo=UTC)
PRICE = NANO_PER_USD // 1000


@pytest.fixture
def db(database: str) -> Iterator[Connection]:
    migrate(database)
    connection = psycopg2.connect(database)
    yield connection
    connection.close()


class Host:
    """One bidder host; `seconds` since START are its monotonic clock."""

    def __init__(self, db: Connection, office: LeaseOffice, place: Path, name: str) -> None:
        self._db = db
        self._office = office
        self._place = place
        self.name = name
        self.now = 0.0
        self.taken = 0
        place.mkdir(exist_ok=True)
        self.start()

    def start(self) -> None:
        """Also after a kill -9: purses lie in a file."""
        self.purses = Purses(self._place / "purses", 4)
        self.keeper = LeaseKeeper(self.purses, release_after_s=600, clock=lambda: START.timestamp() + self.now)

    def question(self) -> LeaseSync:
        keeper = self.keeper
        return LeaseSync(
            self.name, keeper.surveyed, 0, [], keeper.ceilings(self.now), keeper.seen, keeper.wants(self.now)
        )

    def answer(self, question: LeaseSync, now: float) -> LeaseState:
        """Over the wire and back."""
        asked = msgspec.msgpack.decode(msgspec.msgpack.encode(question), type=LeaseSync)
        state = self._office.sync(self._db, asked, START + timedelta(seconds=now))
        return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=LeaseState)

    def sync(self, now: float) -> None:
        self.now = now
        question = self.question()
        self.keeper.apply(self.answer(question, now), now, complete=question.healthy)
        self.keeper.tick(now)

    def bid(self, bids: int) -> int:
        """How many of so many bids found their money."""
        slot, minute = self.purses.slot_of(1), int((START.timestamp() + self.now) // 60)
        got = sum(self.purses.take(slot, PRICE, minute) is not None for _ in range(bids))
        self.taken += got * PRICE
        return got


def hosts_of(db: Connection, place: Path, count: int, office: LeaseOffice | None = None) -> list[Host]:
    office = office or LeaseOffice(Money())
    return [Host(db, office, place / f"host{n}", f"host{n}") for n in range(count)]


def amounts(db: Connection) -> list[int]:
    with db, db.cursor() as cursor:
        cursor.execute("SELECT amount_nano FROM ledger.lease ORDER BY host, id")
        return [amount for (amount,) in cursor.fetchall()]


@pytest.mark.parametrize("count", [1, 4, 16])
def test_who_has_the_traffic_gets_the_money(db: Connection, tmp_path: Path, count: int) -> None:
    store.import_campaigns(db, [campaign(budget={"hourly_usd": "10"})])
    hosts = hosts_of(db, tmp_path, count)
    now, refused, bids = 0.0, 0, 0
    budget = 10 * NANO_PER_USD
    while sum(host.taken for host in hosts) < budget * 97 // 100 and now < 300:
        for host in hosts:
            host.sync(now)
        if now >= 5:
            refused += 20 - hosts[0].bid(20)
            bids += 20
            for host in hosts[1:2]:
                host.bid(5)
        now += 0.5
        assert sum(host.taken for host in hosts) <= sum(amounts(db)) <= budget
    print(now, refused, bids, amounts(db))
    assert sum(host.taken for host in hosts) >= budget * 97 // 100
    assert refused <= bids // 50
