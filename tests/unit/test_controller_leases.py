"""What a lease may cost, and in which budget hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from bidder.controller import store
from bidder.controller.budget import Budget, BudgetHour, amount_of
from bidder.controller.leases import LeaseOffice
from bidder.money.units import NANO_PER_USD
from bidder.money.wire import LeaseState, LeaseSync
from bidder.settings import Money

NOON = datetime(2026, 3, 10, 12, 20, tzinfo=UTC)


def budget(**changes: object) -> Budget:
    values = {
        "total": None, "daily": None, "hourly": None, "even": False, "flight_end": None,
        "committed_total": 0, "committed_day": 0, "committed_hour": 0,
    }  # fmt: skip
    return Budget(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "timezone", "start", "day", "hours_left"),
    [
        (NOON, "UTC", "2026-03-10T12:00", "2026-03-10", 12),
        (NOON, "Asia/Kolkata", "2026-03-10T11:30", "2026-03-10", 7),
        (datetime(2026, 3, 8, 5, 30, tzinfo=UTC), "America/New_York", "2026-03-08T05:00", "2026-03-08", 23),
        (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), "America/New_York", "2026-11-01T04:00", "2026-11-01", 25),
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "America/New_York", "2026-11-01T06:00", "2026-11-01", 23),
    ],
)
def test_budget_hours_follow_the_campaigns_zone_through_clock_changes(
    now: datetime, timezone: str, start: str, day: str, hours_left: int
) -> None:
    hour = BudgetHour.at(now, timezone)
    assert hour.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert str(hour.day) == day
    assert hour.left_in_day == hours_left


def test_the_tightest_limit_decides_what_a_lease_may_cost() -> None:
    hour = BudgetHour.at(NOON, "UTC")
    assert amount_of(budget(total=100, daily=50, hourly=20), hour, 7) == 20
    assert amount_of(budget(total=100, daily=50, hourly=20, committed_hour=15), hour, 7) == 5
    assert amount_of(budget(total=100, daily=50, committed_day=48), hour, 7) == 2
    assert amount_of(budget(total=100, committed_total=130), hour, 7) == 0


def test_an_even_daily_budget_is_spread_over_the_hours_that_are_left() -> None:
    hour = BudgetHour.at(NOON, "UTC")
    assert amount_of(budget(daily=1200, even=True), hour, 7, planned=True) == 100
    assert amount_of(budget(daily=1200, even=True, committed_day=600), hour, 7, planned=True) == 50


def test_an_even_hour_may_reserve_a_quarter_more_than_it_plans_but_never_more_than_a_budget_has() -> None:
    hour, last = BudgetHour.at(NOON, "UTC"), BudgetHour.at(NOON + timedelta(hours=11), "UTC")
    assert amount_of(budget(daily=1200, even=True), hour, 7) == 125
    assert amount_of(budget(daily=1200, even=True, committed_day=60, committed_hour=60), hour, 7) == 65
    assert amount_of(budget(daily=1200, even=True, hourly=110), hour, 7) == 110
    assert amount_of(budget(daily=1200, even=True, total=1000, committed_total=990), hour, 7) == 10
    assert amount_of(budget(daily=1200, even=True, committed_day=1100), last, 7) == 100


def test_a_campaign_without_any_budget_gets_the_setting() -> None:
    assert amount_of(budget(), BudgetHour.at(NOON, "UTC"), 7) == 7


def campaign(**changes: object) -> dict[str, object]:
    body: dict[str, object] = {
        "id": "c-1",
        "advertiser": "acme",
        "status": "active",
        "bid": {"cpm_usd": "1"},
        "budget": {"hourly_usd": "10"},
        "targeting": {"deal": {"include": ["d-7"]}, "domain": {"exclude": ["Bad.Example"]}},
        "creatives": [
            {"id": "cr-1", "type": "banner", "w": 1, "h": 1, "adm": "x", "landing_url": "https://a.example/"}
        ],
    }
    return body | changes


@pytest.fixture
def office() -> LeaseOffice:
    return LeaseOffice(Money())


def book(cursor: Any, lease: int, usd: int) -> None:
    """As an aggregator does."""
    cursor.execute("INSERT INTO ledger.lease_minute VALUES (%s, 1, %s, 0)", (lease, usd * NANO_PER_USD))
    cursor.execute(
        "INSERT INTO ledger.campaign_day (campaign, day, exchange, spent_nano)"
        " SELECT campaign, day, 1, %s FROM ledger.lease WHERE id = %s",
        (usd * NANO_PER_USD, lease),
    )


def sync(db: Connection, office: LeaseOffice, now: datetime, host: str = "host", healthy: bool = True) -> LeaseState:
    return office.sync(db, LeaseSync(host=host, healthy=healthy, revision=0, held=[]), now)


def test_a_host_gets_one_lease_a_campaign_and_hour(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    first = sync(db, office, NOON)
    again = sync(db, office, NOON + timedelta(seconds=1))
    assert [lease.amount for lease in first.leases] == [10 * NANO_PER_USD]
    assert [lease.id for lease in again.leases] == [first.leases[0].id]
    assert first.leases[0].take_for_s == pytest.approx(40 * 60)


def test_the_next_hours_lease_is_granted_shortly_before_it_begins(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    state = sync(db, office, NOON.replace(minute=59, second=50))
    assert [round(lease.begins_in_s) for lease in sorted(state.leases, key=lambda lease: lease.id)] == [-3590, 10]


def test_two_hosts_share_one_hourly_budget(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    assert sync(db, office, NOON, "one").leases[0].amount == 10 * NANO_PER_USD
    assert sync(db, office, NOON, "two").leases[0].amount == 0


def test_a_changed_budget_changes_the_lease_but_never_below_what_is_spent(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    lease = sync(db, office, NOON).leases[0]
    store.set_budget(db, "c-1", {"hourly_usd": "20"})
    assert sync(db, office, NOON).leases[0].amount == 20 * NANO_PER_USD
    with db, db.cursor() as cursor:
        book(cursor, lease.id, 7)
    store.set_budget(db, "c-1", {"hourly_usd": "5"})
    state = sync(db, office, NOON)
    assert (state.leases[0].amount, state.leases[0].spent) == (7 * NANO_PER_USD, 7 * NANO_PER_USD)


def test_a_cut_budget_is_free_when_the_host_has_said_what_it_does_not_need(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    state = office.sync(db, LeaseSync("host", True, 0, [], [], "", []), NOON)
    lease = state.leases[0]
    store.set_budget(db, "c-1", {"hourly_usd": "5"})
    state = office.sync(db, LeaseSync("host", True, 0, [], [], state.seen, []), NOON)
    assert (state.leases[0].amount, state.leases[0].limit) == (10 * NANO_PER_USD, 5 * NANO_PER_USD)
    assert sync(db, office, NOON, "two").leases[0].amount == 0
    said = [(lease.id, 7 * NANO_PER_USD, 7 * NANO_PER_USD)]
    state = office.sync(db, LeaseSync("host", True, 0, [], [], state.seen, said), NOON)
    assert (state.leases[0].amount, state.leases[0].limit) == (7 * NANO_PER_USD, 5 * NANO_PER_USD)
    said = [(lease.id, 5 * NANO_PER_USD, 5 * NANO_PER_USD)]
    office.sync(db, LeaseSync("host", True, 0, [], [], "an old one", said), NOON)
    state = office.sync(db, LeaseSync("host", True, 0, [], [], state.seen, said), NOON)  # the answer before got lost
    assert not state.heard
    state = office.sync(db, LeaseSync("host", True, 0, [], [], state.seen, said), NOON)
    assert [lease.amount for lease in state.leases] == [5 * NANO_PER_USD]
    store.set_budget(db, "c-1", {"hourly_usd": "30"})
    state = office.sync(db, LeaseSync("host", True, 0, [], [], state.seen, []), NOON + timedelta(seconds=40))
    assert [(lease.amount, lease.limit) for lease in state.leases] == [(30 * NANO_PER_USD, -1)]


def test_an_unhealthy_host_is_granted_nothing_new(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    assert sync(db, office, NOON, healthy=False).leases == []


def test_what_a_closed_lease_did_not_spend_is_free_again(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign(budget={"daily_usd": "10"})])
    lease = sync(db, office, NOON).leases[0]
    with db, db.cursor() as cursor:
        book(cursor, lease.id, 4)
    later = NOON + timedelta(hours=2)
    assert [held.amount for held in sync(db, office, later).leases] == [6 * NANO_PER_USD]


def test_the_next_hour_gets_what_the_last_one_cannot_cost_any_more(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign(budget={"daily_usd": "10"})])
    lease = sync(db, office, NOON).leases[0]
    ahead = sync(db, office, NOON.replace(minute=59, second=50)).leases
    assert sorted(held.amount for held in ahead) == [0, 10 * NANO_PER_USD]
    ceiling = (lease.id, 3 * NANO_PER_USD)
    later = LeaseSync(host="host", healthy=True, revision=0, held=[], ceilings=[ceiling])
    for _ in range(2):  # said twice, it means the same
        state = office.sync(db, later, NOON + timedelta(minutes=41))
        assert sorted(held.amount for held in state.leases) == [3 * NANO_PER_USD, 7 * NANO_PER_USD]


def test_a_lease_that_still_takes_keeps_its_amount_whatever_a_host_says(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    lease = sync(db, office, NOON).leases[0]
    early = LeaseSync(host="host", healthy=True, revision=0, held=[], ceilings=[(lease.id, 0)])
    assert office.sync(db, early, NOON).leases[0].amount == 10 * NANO_PER_USD


def test_a_paused_campaign_gets_no_lease(db: Connection, office: LeaseOffice) -> None:
    store.import_campaigns(db, [campaign()])
    store.set_status(db, "c-1", "paused")
    assert sync(db, office, NOON).leases == []


def test_a_budget_that_rises_a_hundred_times_needs_confirmation(db: Connection) -> None:
    store.import_campaigns(db, [campaign()])
    with pytest.raises(store.StoreError, match="hourly budget would rise 100 times"):
        store.set_budget(db, "c-1", {"hourly_usd": "1000"})
    store.set_budget(db, "c-1", {"hourly_usd": "1000"}, confirm=True)


def test_records_carry_the_keys_of_everything_that_counters_name(db: Connection) -> None:
    change = store.import_campaigns(db, [campaign(), campaign(id="c-2", status="paused")])
    assert (change.created, change.updated) == (2, 0)
    revision, records, arms = store.read_records(db, NOON)
    assert revision == change.revision
    assert ([record.active for record in records], arms) == ([True, False], [])
    assert list(records[0].deals) == ["d-7"]
    assert list(records[0].inventory) == ["bad.example"]
    assert list(records[0].creatives) == ["cr-1"]
    assert store.import_campaigns(db, [campaign()]).updated == 1
