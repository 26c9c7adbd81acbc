"""Several hosts on one budget: office, keepers and purses together, on a clock that the test turns."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from psycopg2.extensions import connection as Connection

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


def out(db: Connection, hourly: bool = True) -> int:
    """What all leases may cost, or those of the hour with the most."""
    with db, db.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(nano), 0)::bigint FROM (SELECT sum(amount_nano) AS nano FROM ledger.lease"
            " GROUP BY CASE WHEN %s THEN hour END) AS h",
            (hourly,),
        )
        ((nano,),) = cursor.fetchall()
        return int(nano)


@pytest.mark.parametrize("count", [1, 4, 16])
def test_who_has_the_traffic_gets_the_money(db: Connection, tmp_path: Path, count: int) -> None:
    store.import_campaigns(db, [campaign(budget={"hourly_usd": "5"})])
    hosts = hosts_of(db, tmp_path, count)
    now, refused, bids, budget = 0.0, 0, 0, 5 * NANO_PER_USD
    while sum(host.taken for host in hosts) < budget * 90 // 100:
        for place, host in enumerate(hosts):
            if place < 2 or (place + int(2 * now)) % 4 == 0:
                host.sync(now)
        if now >= 5:
            refused += 40 - hosts[0].bid(40)
            bids += 40
            for host in hosts[1:2]:
                host.bid(10)
        now += 0.5
        assert now < 90, "somebody sits on money"
        assert sum(host.taken for host in hosts) <= out(db) <= budget
    assert refused <= bids // 50


def test_hosts_of_unlike_traffic_follow_one_even_plan_together(db: Connection, tmp_path: Path) -> None:
    store.import_campaigns(db, [campaign(budget={"hourly_usd": "6", "pacing": "even"})])
    hosts, chance = hosts_of(db, tmp_path, 4), random.Random(3)
    for now in range(300):
        for place, host in enumerate(hosts):
            host.sync(float(now))
            host.keeper.pace(float(now))
            throttle = host.purses.purse(host.purses.slot_of(1)).throttle
            host.bid(sum(chance.random() * 2**32 <= throttle for _ in range(4 if place else 12)))
    plan = 6 * NANO_PER_USD * (120 + 58 * 15) // 60 // 60  # two minutes ahead, then a line; a quarter is over
    minute = 6 * NANO_PER_USD // 60  # so much they hear late of each other
    assert plan - minute < sum(host.taken for host in hosts) < plan + 2 * minute


def test_a_dead_host_strands_no_more_than_its_lease(db: Connection, tmp_path: Path) -> None:
    store.import_campaigns(db, [campaign(budget={"hourly_usd": "1"})])
    living, dead = hosts_of(db, tmp_path, 2, LeaseOffice(Money(take_for_s=60, settle_for_s=60)))
    for step in range(20):
        living.sync(step / 2)
        dead.sync(step / 2)
    stranded = sum(dead.purses.half(dead.purses.slot_of(1), which).amount for which in (0, 1))
    assert 0 < stranded <= NANO_PER_USD // 8
    for step in range(20, 120):
        living.sync(step / 2)
        living.bid(20)
    assert 0 <= NANO_PER_USD - stranded - living.taken < PRICE
    for step in range(60, 160):  # its lease closes meanwhile
        living.sync(float(step))
        living.bid(20)
    assert living.taken == NANO_PER_USD


class Wire:
    """Questions of one host on their way: lost, late, twice, overtaken."""

    def __init__(self, host: Host, chance: random.Random) -> None:
        self.host = host
        self._chance = chance
        self._under_way: list[LeaseSync] = []
        self._newest: LeaseSync | None = None  # whose answer the host waits for

    def ask(self, now: float) -> None:
        """Whatever was asked before has timed out."""
        self.host.now = now
        self._newest = self.host.question()
        self._under_way.append(self._newest)

    def deliver(self, now: float) -> None:
        if not self._under_way:
            return
        question = self._chance.choice(self._under_way)
        state = self.host.answer(question, now)
        if self._chance.random() < 0.8:
            self._under_way.remove(question)
        if question is self._newest and self._chance.random() < 0.8:
            self._newest = None
            self.host.now = now
            self.host.keeper.apply(state, now, complete=question.healthy)
            self.host.keeper.tick(now)

    def kill(self, now: float) -> None:
        """The supervisor, while its questions are under way."""
        self.host.now = now
        self._newest = None
        self.host.start()


BUDGETS = [{"hourly_usd": "1"}, {"daily_usd": "1"}, {"total_usd": "1"}]


@pytest.mark.parametrize("seed", range(3))
def test_hosts_never_take_more_than_the_budget_whatever_the_wire_does(
    db: Connection, tmp_path: Path, seed: int
) -> None:
    chance, hourly = random.Random(seed), "hourly_usd" in BUDGETS[seed % 3]
    store.import_campaigns(db, [campaign(budget=BUDGETS[seed % 3])])
    office = LeaseOffice(Money(settle_for_s=7_200))
    wires = [Wire(host, chance) for host in hosts_of(db, tmp_path, 3, office)]
    now = 0.0 if seed % 2 else 2_900.0  # an hour ends at 3,000
    for _ in range(300):
        wire = chance.choice(wires)
        step = chance.choice(["ask", "ask", "deliver", "deliver", "deliver", "bid", "bid", "wait", "rare"])
        if step == "ask":
            wire.ask(now)
        elif step == "deliver":
            wire.deliver(now)
        elif step == "bid":
            wire.host.now = now
            wire.host.bid(chance.randrange(30))
        elif step == "wait":
            now += chance.choice([0.5, 0.5, 2.0, 40.0])
        elif chance.random() < 0.3:
            wire.kill(now)
        elif chance.random() < 0.2:
            office.forget()  # another controller
        assert out(db, hourly) <= NANO_PER_USD
        hours = 2 if hourly and now >= 3_000.0 else 1
        assert sum(wire.host.taken for wire in wires) <= hours * NANO_PER_USD
    for _ in range(50):  # and when it is calm again, all that is left can be had
        now += 0.5
        for wire in wires:
            wire.host.sync(now)
        wires[0].host.bid(40)
    assert sum(wire.host.taken for wire in wires) >= NANO_PER_USD * 9 // 10
