"""What the controller tells a host, and looks at for it: what has changed, and never less than that."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from aggregator.migrate import migrate
from bidder.controller import leases, listing, store
from bidder.controller.leases import LeaseOffice
from bidder.money.units import NANO_PER_USD
from bidder.money.wire import Lease, LeaseState, LeaseSync
from bidder.settings import Money
from tests.unit.test_controller_leases import NOON, campaign

ZONES = ["UTC", "Asia/Kolkata", "America/New_York"]


@pytest.fixture
def dsn(database: str) -> str:
    migrate(database)
    return database


@pytest.fixture
def db(dsn: str) -> Iterator[Connection]:
    connection = psycopg2.connect(dsn)
    yield connection
    connection.close()


class Host:
    """One that hears as bidder.money.leases.LeaseKeeper does, and remembers what it was told."""

    def __init__(self, db: Connection, office: LeaseOffice, name: str = "host") -> None:
        self._db = db
        self._office = office
        self._name = name
        self.seen = ""
        self.known: dict[int, Lease] = {}
        self._named: set[int] = set()

    def ask(
        self, now: datetime = NOON, healthy: bool = True, ceilings: list[tuple[int, int]] | None = None
    ) -> LeaseState:
        question = LeaseSync(self._name, healthy, 0, [], ceilings or [], self.seen)
        state = self._office.sync(self._db, question, now)
        self.seen = state.seen
        if state.begins:
            self._named = set()
        self.known |= {lease.id: lease for lease in state.leases}
        self._named |= {lease.id for lease in state.leases}
        for lease, _ in state.ended:
            self.known.pop(lease, None)
        if state.ends:
            self.known = {id: lease for id, lease in self.known.items() if id in self._named}
        return state

    def hear_all(self, now: datetime = NOON, healthy: bool = True) -> LeaseState:
        while (state := self.ask(now, healthy)).more:
            pass
        return state


@pytest.fixture
def office() -> LeaseOffice:
    return LeaseOffice(Money())


@pytest.fixture
def host(db: Connection, office: LeaseOffice) -> Host:
    return Host(db, office)


def bill(db: Connection, lease: int, minute: int, spent: int, closed: int) -> None:
    with db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger.lease_minute AS m (lease, minute, spent_nano, closed_nano) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (lease, minute) DO UPDATE SET spent_nano = m.spent_nano + EXCLUDED.spent_nano,"
            " closed_nano = m.closed_nano + EXCLUDED.closed_nano",
            (lease, minute, spent, closed),
        )
        cursor.execute(
            "INSERT INTO ledger.campaign_day AS d (campaign, day, exchange, spent_nano)"
            " SELECT campaign, day, 1, %s FROM ledger.lease WHERE id = %s"
            " ON CONFLICT (campaign, day, exchange) DO UPDATE SET spent_nano = d.spent_nano + EXCLUDED.spent_nano",
            (spent, lease),
        )


def minute_of(now: datetime) -> int:
    return int(now.timestamp() // 60)


def test_only_leases_that_changed_are_named_again(db: Connection, host: Host) -> None:
    store.import_campaigns(db, [campaign(id=f"c-{n}") for n in range(5)])
    first = host.ask()
    assert (first.begins, first.ends, len(first.leases)) == (True, True, 5)
    assert host.ask().leases == []
    with db:
        bill(db, first.leases[2].id, minute_of(NOON), 7, 9)
    state = host.ask()
    assert (state.begins, state.ends) == (False, False)
    assert [(lease.id, lease.spent, lease.closed) for lease in state.leases] == [
        (first.leases[2].id, 7, [(minute_of(NOON), 9)])
    ]
    assert host.ask().leases == []
    store.set_budget(db, "c-4", {"hourly_usd": "3"})
    (changed,) = host.ask().leases
    assert (changed.amount, changed.even) == (3 * NANO_PER_USD, False)
    store.set_budget(db, "c-4", {"pacing": "even"})
    assert [lease.even for lease in host.ask().leases if lease.id == changed.id] == [True]


def test_a_transaction_that_commits_late_is_not_missed(dsn: str, db: Connection, host: Host) -> None:
    store.import_campaigns(db, [campaign(id="c-1"), campaign(id="c-2")])
    one, two = (lease.id for lease in host.hear_all().leases)
    late = psycopg2.connect(dsn)
    bill(late, one, minute_of(NOON), 1, 1)
    with db:
        bill(db, two, minute_of(NOON), 2, 2)
    host.ask()
    assert (host.known[one].spent, host.known[two].spent) == (0, 2)
    late.commit()
    late.close()
    host.ask()
    assert (host.known[one].spent, host.known[two].spent) == (1, 2)


def test_an_answer_that_got_lost_is_given_again(db: Connection, host: Host) -> None:
    store.import_campaigns(db, [campaign()])
    lease = host.hear_all().leases[0].id
    seen = host.seen
    with db:
        bill(db, lease, minute_of(NOON), 5, 5)
    assert [lease.spent for lease in host.ask().leases] == [5]
    host.seen = seen
    assert [lease.spent for lease in host.ask().leases] == [5]


def test_closed_leases_are_named_as_ended(db: Connection, host: Host) -> None:
    store.import_campaigns(db, [campaign()])
    lease = host.hear_all().leases[0]
    later = NOON + timedelta(minutes=71)
    assert host.ask(later).ended == [(lease.id, lease.campaign)]
    assert lease.id not in host.known


def test_on_another_connection_everything_is_told_anew(db: Connection, office: LeaseOffice, host: Host) -> None:
    store.import_campaigns(db, [campaign()])
    host.hear_all()
    assert not host.ask().begins
    office.forget()
    state = host.ask()
    assert (state.begins, state.ends, len(state.leases)) == (True, True, 1)


@pytest.mark.parametrize("seen", ["x", "x.1.", "..", "1.2.3.4.5", "\N{SUPERSCRIPT TWO}.\N{SUPERSCRIPT TWO}."])
def test_a_place_that_is_not_ours_begins_a_listing(db: Connection, host: Host, seen: str) -> None:
    host.seen = seen
    assert host.ask().begins


def test_many_leases_are_granted_and_listed_in_parts(
    db: Connection, host: Host, office: LeaseOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BATCH", 4)
    monkeypatch.setattr(listing, "PAGE", 3)
    revision = store.import_campaigns(db, [campaign(id=f"c-{n}") for n in range(10)]).revision
    first = host.ask()
    assert first.more
    assert first.revision < revision
    assert len(first.leases) == 3
    last = host.hear_all()
    assert last.revision == revision
    assert len(host.known) == 10
    for n in range(10):
        store.set_budget(db, f"c-{n}", {"hourly_usd": "3"})
    host.hear_all()
    assert {lease.amount for lease in host.known.values()} == {3 * NANO_PER_USD}
    late = NOON + timedelta(minutes=75)
    host.hear_all(late)
    assert len(host.known) == 10
    whole = office.sync(db, LeaseSync("host", True, 0, []), late)  # a host of before
    assert (whole.begins, whole.ends, whole.more, len(whole.leases)) == (True, True, False, 10)


def test_an_unhealthy_host_hears_of_a_budget_that_was_cut_and_gets_its_leases_later(db: Connection, host: Host) -> None:
    store.import_campaigns(db, [campaign()])
    host.hear_all()
    store.set_budget(db, "c-1", {"hourly_usd": "3"})
    store.import_campaigns(db, [campaign(id="c-2")])
    host.hear_all(healthy=False)
    assert [lease.amount for lease in host.known.values()] == [3 * NANO_PER_USD]
    host.hear_all()
    assert len(host.known) == 2


def test_a_lease_shorter_than_its_hour_goes_on_while_its_host_is_healthy(db: Connection) -> None:
    store.import_campaigns(db, [campaign()])
    host = Host(db, LeaseOffice(Money(take_for_s=60)))
    first = host.hear_all().leases[0]
    assert first.take_for_s == 60
    assert host.hear_all(NOON + timedelta(seconds=29)).leases == []
    (renewed,) = host.hear_all(NOON + timedelta(seconds=31)).leases
    assert (renewed.id, renewed.take_for_s, renewed.settle_for_s) == (first.id, 60, 1_860)
    assert host.hear_all(NOON + timedelta(seconds=90), healthy=False).leases == []
    assert host.hear_all(NOON + timedelta(seconds=95), healthy=False).leases == []
    over = host.ask(NOON + timedelta(seconds=96), healthy=False, ceilings=[(first.id, NANO_PER_USD)])
    assert [lease.amount for lease in over.leases] == [NANO_PER_USD]
    (again,) = host.hear_all(NOON + timedelta(seconds=97)).leases
    assert (again.id, again.amount, again.take_for_s) == (first.id, 10 * NANO_PER_USD, 60)
    for seconds in range(120, 40 * 60, 40):
        host.hear_all(NOON + timedelta(seconds=seconds))
    assert host.known[first.id].take_for_s <= 45


def test_nothing_closes_by_a_clock_that_was_set_before_what_is_out_has_come_back(db: Connection) -> None:
    store.import_campaigns(db, [campaign()])
    monotonic = 0.0
    host = Host(db, LeaseOffice(Money(), lambda: monotonic))
    lease = host.hear_all().leases[0].id
    monotonic = 20.0
    assert host.hear_all(NOON + timedelta(hours=2)).ended == []
    monotonic = 679.0
    host.hear_all(NOON + timedelta(hours=2, seconds=659))
    assert lease in host.known
    monotonic = 680.0
    host.hear_all(NOON + timedelta(hours=2, seconds=660))
    assert lease not in host.known


def test_a_lease_that_closed_before_its_hour_ended_has_a_follower(db: Connection) -> None:
    store.import_campaigns(db, [campaign()])
    host = Host(db, LeaseOffice(Money(take_for_s=60, settle_for_s=600)))
    first = host.hear_all().leases[0]
    later = NOON + timedelta(minutes=12)
    with db:
        bill(db, first.id, minute_of(NOON), 4 * NANO_PER_USD, 4 * NANO_PER_USD)
    state = host.hear_all(later)
    assert first.id not in host.known
    assert [(lease.amount, lease.spent) for lease in host.known.values()] == [(6 * NANO_PER_USD, 0)]
    assert state.revision == store.revision(db)


@pytest.mark.parametrize("seed", range(2))
def test_looking_at_what_changed_finds_all_that_is_due(
    db: Connection, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against an office that looks at every campaign, and a host that hears everything, after each step."""
    monkeypatch.setattr(leases, "BATCH", 7)
    monkeypatch.setattr(listing, "PAGE", 5)
    chance = random.Random(seed)
    office = LeaseOffice(Money())
    hosts = [Host(db, office, name) for name in ("one", "two")]
    now = NOON
    for _ in range(60):
        step, n = (
            chance.choice(["import", "edit", "status", "bill", "wait", "wait", "ceiling", "back"]),
            chance.random(),
        )
        id = f"c-{int(n * 12)}"
        if step == "import":
            budget = chance.choice(
                [{}, {"hourly_usd": "5"}, {"daily_usd": "50", "pacing": "even"}, {"total_usd": "40"}]
            )
            starts = now + timedelta(minutes=chance.randrange(-60, 120))
            flight = {"start": starts.isoformat(), "end": (starts + timedelta(minutes=240)).isoformat()}
            body = campaign(id=id, budget=budget | {"timezone": chance.choice(ZONES)})
            store.import_campaigns(db, [body | ({"flight": flight} if n < 0.5 else {})], confirm=True)
        elif step in ("edit", "status") and any(row["id"] == id for row in store.list_campaigns(db)):
            if step == "edit":
                store.set_budget(db, id, {"hourly_usd": str(chance.randrange(1, 20))}, confirm=True)
            else:
                store.set_status(db, id, chance.choice(["active", "active", "paused"]))
        elif step == "bill" and hosts[0].known:
            with db:
                bill(db, chance.choice(sorted(hosts[0].known)), minute_of(now), chance.randrange(NANO_PER_USD), 5)
        elif step == "wait":
            now += timedelta(seconds=chance.choice([0.5, 30, 600, 2400]))
        elif step == "back":
            now -= timedelta(seconds=chance.choice([1, 4000]) * (n < 0.2))
        elif step == "ceiling":
            over = [lease for lease in hosts[0].known.values() if lease.take_for_s <= 0]
            hosts[0].ask(now, ceilings=[(lease.id, lease.spent) for lease in over])
        for host in chance.sample(hosts, chance.choice([0, 1, 1, 2])):
            if host is hosts[1] and chance.random() < 0.3:
                host.hear_all(now, healthy=False)
                continue
            host.hear_all(now)
            whole = _whole(db, "one" if host is hosts[0] else "two", now)
            assert set(host.known) == set(whole)
            for id_, lease in whole.items():
                mine = host.known[id_]
                assert (mine.amount, mine.spent) == (lease.amount, lease.spent)
                assert set(lease.closed) <= set(mine.closed)


def _whole(db: Connection, host: str, now: datetime) -> dict[int, Lease]:
    """What an office that has looked at nothing yet tells; AssertionError where it finds something to do."""
    with db, db.cursor() as cursor:
        cursor.execute("SELECT max(id), max(changed) FROM ledger.lease")
        before = cursor.fetchone()
    state = LeaseOffice(Money()).sync(db, LeaseSync(host, True, 0, []), now)
    with db, db.cursor() as cursor:
        cursor.execute("SELECT max(id), max(changed) FROM ledger.lease")
        assert cursor.fetchone() == before, "something was due that was not looked at"
    return {lease.id: lease for lease in state.leases}


def test_who_is_older_is_understood_on_the_wire() -> None:
    class OldSync(msgspec.Struct, array_like=True):
        host: str
        healthy: bool
        revision: int
        held: list[int]
        ceilings: list[tuple[int, int]] = []

    class OldState(msgspec.Struct, array_like=True):
        leases: list[Lease]
        stale: bool
        revision: int

    pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode
    assert unpack(pack(OldSync("h", True, 1, [7])), type=LeaseSync).seen is None
    assert unpack(pack(LeaseSync("h", True, 1, [], [], "")), type=OldSync).host == "h"
    told = unpack(pack(OldState([], False, 3)), type=LeaseState)
    assert (told.begins, told.ends, told.more, told.ended) == (True, True, False, [])
    assert unpack(pack(LeaseState([], False, 3, [(1, 2)], False, False, True, "x")), type=OldState).revision == 3
