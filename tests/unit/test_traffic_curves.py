"""Traffic curves: learned from rollups, and what they make of even budgets."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from bidder.controller import curves, store
from bidder.controller.budget import BudgetHour, amount_of
from bidder.controller.curves import FLAT, HOUR, WEEK, Curve, Curves, curve, hour_of_week, learn
from bidder.controller.leases import LeaseOffice
from bidder.money.units import NANO_PER_USD
from bidder.money.wire import LeaseSync
from bidder.settings import Money
from tests.unit import test_controller_leases

MONDAY = datetime(2026, 3, 9, tzinfo=UTC)
USA, CAN = 1, 2

weeks = st.lists(st.integers(100, 9_000), min_size=WEEK, max_size=WEEK).map(lambda weights: Curve(tuple(weights)))


budget = partial(test_controller_leases.budget, even=True)


@given(
    weeks,
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]),
    st.sampled_from([datetime(2026, 3, 8, 12, tzinfo=UTC), datetime(2026, 11, 1, 12, tzinfo=UTC), MONDAY]),
)
def test_hours_of_a_day_share_its_budget_by_their_weights_whatever_their_number(
    traffic: Curve, zone: str, about: datetime
) -> None:
    """Days of 23, 24 and 25 hours: all of the budget is planned, and each hour in proportion."""
    hour = BudgetHour.at(about, zone)
    while BudgetHour.at(hour.start - HOUR, zone).day == hour.day:
        hour = BudgetHour.at(hour.start - HOUR, zone)
    day, spent, parts = hour.day, 0, []
    while hour.day == day:
        part = amount_of(budget(daily=10**9, committed_day=spent), hour, 0, traffic, planned=True)
        parts.append((part, traffic.of(hour.start)))
        spent += part
        hour = BudgetHour.at(hour.end, zone)
    assert spent == 10**9
    total = sum(weight for _, weight in parts)
    for part, weight in parts:
        assert part == pytest.approx(10**9 * weight / total, rel=1e-5)


def test_a_total_is_spread_over_the_traffic_until_its_flight_ends() -> None:
    traffic = Curve(tuple(3_000 if hour % 24 == 12 else 500 for hour in range(WEEK)))
    noon = BudgetHour.at(MONDAY + 12 * HOUR, "UTC")
    end = noon.start + timedelta(weeks=3)
    given = budget(total=10**9, flight_end=end)
    assert amount_of(given, noon, 0, traffic, planned=True) == pytest.approx(
        10**9 * 3_000 / (3 * traffic.until(MONDAY, WEEK)), rel=1e-6
    )


@given(weeks, st.integers(0, 600), st.integers(0, 400))
def test_weights_until_then_are_those_of_its_hours(traffic: Curve, ahead: int, hours: int) -> None:
    start = MONDAY + ahead * HOUR
    assert traffic.until(start, hours) == sum(traffic.of(start + n * HOUR) for n in range(max(1, hours)))


def test_an_hour_off_the_whole_hour_is_a_mixture() -> None:
    traffic = Curve(tuple(1_000 if hour == 0 else 2_000 for hour in range(WEEK)))
    assert traffic.of(MONDAY) == 1_000
    assert traffic.of(MONDAY + timedelta(minutes=15)) == 1_250
    assert traffic.of(MONDAY - timedelta(minutes=30)) == 1_500


def test_tilt_says_which_end_of_an_hour_is_livelier() -> None:
    rising = Curve(tuple(1_000 + 100 * hour for hour in range(WEEK)))
    assert -0.1 < rising.tilt(MONDAY + 10 * HOUR) < 0
    falling = Curve(tuple(90_000 - 500 * hour for hour in range(WEEK)))
    assert 0 < falling.tilt(MONDAY + 10 * HOUR) < 0.1
    assert FLAT.tilt(MONDAY) == 0
    assert Curve(tuple(100_000 if hour == 5 else 100 for hour in range(WEEK))).tilt(MONDAY + 6 * HOUR) == 0.5


def test_less_than_a_day_teaches_nothing() -> None:
    assert curve(dict.fromkeys(range(23), 10.0), range(23)) is FLAT
    assert curve({}, range(WEEK)) is FLAT


def test_a_weekday_not_seen_yet_is_as_the_others() -> None:
    learned = curve({hour: 100.0 if hour % 24 < 12 else 300.0 for hour in range(24)}, range(24))
    assert learned.weights[0] == learned.weights[24 * 3] < learned.weights[12] == learned.weights[24 * 3 + 12]
    assert sum(learned.weights) == pytest.approx(1_000 * WEEK, rel=0.001)
    weekend = curve({hour: 100.0 if hour < 120 else 700.0 for hour in range(WEEK)}, range(WEEK))
    assert weekend.weights[121] > 4 * weekend.weights[1]


def test_no_hour_is_planned_to_have_nothing() -> None:
    assert min(curve({5: 1_000.0}, range(WEEK)).weights) == curves.LEAST


def traffic(db: Connection, hour: datetime, rows: list[tuple[int, int, int, int]]) -> None:
    """(country, campaign, requests, bids) of one hour."""
    day = hour.replace(hour=0)
    with db, db.cursor() as cursor:
        ask = ("rollup.traffic_minute", f"traffic_minute_{day:%Y%m%d}", str(day), str(day + timedelta(days=1)))
        cursor.execute("SELECT ops.ensure_partition(%s, %s, %s, %s)", ask)
        for country, campaign, requests, bids in rows:
            cursor.execute(
                "INSERT INTO rollup.traffic_minute (minute, exchange, arm, reason, format, os, country, w, h, campaign,"
                " creative, deal, inventory, requests, bids) VALUES (%s,1,0,0,1,0,%s,0,0,%s,0,0,0,%s,%s)",
                (hour + timedelta(minutes=7), country, campaign, requests, bids),
            )


def two_days(db: Connection) -> None:
    """Americans come by day, Canadians by night; campaign 7 bids on Americans, 8 on Canadians."""
    for ahead in range(48):
        hour = MONDAY + ahead * HOUR
        by_day = 8 <= hour.hour < 20
        traffic(db, hour, [(USA, 0, 900 if by_day else 100, 0), (CAN, 0, 100 if by_day else 900, 0)])
        traffic(db, hour, [(USA, 7, 0, 10), (CAN, 8, 0, 1 if by_day else 30)])


def learn_all(db: Connection, now: datetime) -> int:
    hours = 0
    while learn(db, now):
        hours += 1
    return hours


def test_every_hour_that_is_over_is_learned_from_once(db: Connection) -> None:
    assert not learn(db, MONDAY)
    two_days(db)
    assert learn_all(db, MONDAY + 3 * HOUR + timedelta(minutes=4)) == 2
    assert learn_all(db, MONDAY + 3 * HOUR + timedelta(minutes=5)) == 1
    assert learn_all(db, MONDAY + 3 * HOUR + timedelta(minutes=59)) == 0
    with db, db.cursor() as cursor:
        cursor.execute("SELECT sum(requests) FROM rollup.traffic_curve")
        assert cursor.fetchone() == (3_000,)


def test_a_campaigns_curve_is_that_of_the_places_where_it_bids(db: Connection) -> None:
    two_days(db)
    learn_all(db, MONDAY + 49 * HOUR)
    with db, db.cursor() as cursor:
        found = Curves().of(cursor, [7, 8, 9])
    noon, night = hour_of_week(MONDAY + 84 * HOUR), hour_of_week(MONDAY + 74 * HOUR)
    assert found[7].weights[noon] > 5 * found[7].weights[night]
    assert found[8].weights[night] > 5 * found[8].weights[noon]
    assert found[9].weights[noon] == pytest.approx(found[9].weights[night], rel=0.01)


def test_a_campaigns_own_pacing_does_not_teach_it_when_traffic_comes(db: Connection) -> None:
    for ahead in range(24):
        hour = MONDAY + ahead * HOUR
        traffic(db, hour, [(USA, 0, 500, 0), (USA, 7, 0, 200 if hour.hour == 3 else 1)])
    learn_all(db, MONDAY + 25 * HOUR)
    with db, db.cursor() as cursor:
        assert len(set(Curves().of(cursor, [7])[7].weights)) == 1


def test_each_week_counts_as_much_as_all_before_it(db: Connection) -> None:
    for week in range(3):
        for ahead in range(24):
            requests = 800 if week < 2 else (0 if ahead == 5 else 400)
            if requests:
                traffic(db, MONDAY + timedelta(weeks=week) + ahead * HOUR, [(USA, 0, requests, 0)])
            learn_all(db, MONDAY + timedelta(weeks=week) + (ahead + 2) * HOUR)
    with db, db.cursor() as cursor:
        cursor.execute("SELECT hour_of_week, requests FROM rollup.traffic_curve")
        learned = dict(cursor.fetchall())
    assert (learned[4], learned[5]) == (600, 400)


def test_without_a_day_learned_every_curve_is_flat(db: Connection) -> None:
    traffic(db, MONDAY, [(USA, 0, 500, 0), (USA, 7, 0, 3)])
    learn_all(db, MONDAY + 3 * HOUR)
    with db, db.cursor() as cursor:
        assert Curves().of(cursor, [7]) == {7: FLAT}


def test_leases_of_even_campaigns_follow_the_curve(db: Connection) -> None:
    two_days(db)
    learn_all(db, MONDAY + 49 * HOUR)
    body = {
        "id": "c-1", "advertiser": "acme", "status": "active", "bid": {"cpm_usd": "1"},
        "creatives": [
            {"id": "cr-1", "type": "banner", "w": 1, "h": 1, "adm": "x", "landing_url": "https://a.example/"}
        ],
    }  # fmt: skip
    asap = {**body, "id": "c-2", "budget": {"daily_usd": "100", "pacing": "asap"}}
    store.import_campaigns(db, [{**body, "budget": {"daily_usd": "100", "pacing": "even"}}, asap])
    with db, db.cursor() as cursor:
        cursor.execute("SELECT id, key FROM config.campaign")
        keys = dict(cursor.fetchall())
        cursor.execute("INSERT INTO rollup.campaign_reach VALUES (%s, 1, %s, 1)", (keys["c-1"], USA))
    office = LeaseOffice(Money())
    states = {}
    for hour in (3, 7, 12):
        now = MONDAY + timedelta(days=3) + hour * HOUR
        state = office.sync(db, LeaseSync(host=f"host {hour}", healthy=True, revision=0, held=[]), now)
        states[hour] = {lease.campaign: lease for lease in state.leases}
        with db, db.cursor() as cursor:
            cursor.execute("DELETE FROM ledger.lease")
    night, morning, noon = (states[hour][keys["c-1"]] for hour in (3, 7, 12))
    assert night.amount < 0.6 * 100 * NANO_PER_USD / 21
    assert noon.amount > 1.3 * 100 * NANO_PER_USD / 12
    assert morning.tilt < -0.2
    assert noon.tilt == 0
    assert states[3][keys["c-2"]].amount == 100 * NANO_PER_USD


def test_an_office_hears_of_what_was_learned_since(db: Connection) -> None:
    office = LeaseOffice(Money())
    with db, db.cursor() as cursor:
        assert office._curves.of(cursor, [7]) == {7: FLAT}
    two_days(db)
    learn_all(db, MONDAY + 49 * HOUR)
    office.learned()
    with db, db.cursor() as cursor:
        assert office._curves.of(cursor, [7])[7] is not FLAT
