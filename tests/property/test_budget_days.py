"""Days of 23 and 25 hours, zones off the whole hour, and where Postgres posts a bid: the same days everywhere."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.controller.budget import Budget, BudgetHour, amount_of
from tests.conftest import Databases
from tests.reference.days import MINUTE, day_of, end_of_day, start_of_day

HALF_AN_HOUR_OF_SUMMER = "Australia/Lord_Howe"
ZONES = (
    *("UTC", "Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham", HALF_AN_HOUR_OF_SUMMER, "America/St_Johns"),
    *("America/New_York", "Europe/Madrid", "Pacific/Kiritimati", "Pacific/Pago_Pago"),
    *("Africa/Cairo", "America/Santiago", "Asia/Beirut", "America/Havana"),  # at midnight
)
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = {
    zone: [
        hour
        for hour in (YEAR + timedelta(hours=n) for n in range(365 * 24))
        if hour.astimezone(ZoneInfo(zone)).utcoffset()
        != (hour + timedelta(hours=1)).astimezone(ZoneInfo(zone)).utcoffset()
    ]
    for zone in ZONES
}


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, str]:
    """A minute in a zone, most often within a day of where its clocks change."""
    zone = draw(st.sampled_from(ZONES))
    near = draw(st.sampled_from(CHANGES[zone] or [YEAR + timedelta(days=100)]))
    return near + draw(st.integers(-26 * 60, 26 * 60)) * MINUTE, zone


@settings(deadline=None)
@given(moments())
def test_a_budget_hour_holds_its_moment_and_lies_in_one_day(at: tuple[datetime, str]) -> None:
    moment, zone = at
    hour = BudgetHour.at(moment, zone)
    assert hour.start <= moment < hour.end
    assert hour.day == day_of(moment, zone)
    assert hour.end - hour.start == timedelta(hours=1)
    if zone != HALF_AN_HOUR_OF_SUMMER:
        assert {day_of(hour.start + n * MINUTE, zone) for n in range(60)} == {hour.day}
        assert BudgetHour.at(hour.start, zone) == BudgetHour.at(hour.end - MINUTE, zone) == hour


@settings(deadline=None)
@given(moments())
def test_the_hours_that_are_left_are_those_until_midnight(at: tuple[datetime, str]) -> None:
    moment, zone = at
    hour = BudgetHour.at(moment, zone)
    left = (end_of_day(moment, zone) - hour.start) / timedelta(hours=1)
    assert hour.left_in_day >= 1
    assert abs(hour.left_in_day - left) <= (0.5 if zone == HALF_AN_HOUR_OF_SUMMER else 0)


@settings(deadline=None)
@given(moments(), st.integers(1, 10**13), st.booleans())
def test_a_day_spends_its_budget_to_the_last_nano_dollar_and_no_more(
    at: tuple[datetime, str], daily: int, even: bool
) -> None:
    """Each hour of the day spends what is planned for it; and whatever it took, no more than the day has."""
    moment, zone = at
    begins, ends = start_of_day(moment, zone), end_of_day(moment, zone)
    spent, hours, at_hour = 0, [], begins
    while at_hour < ends:
        hour = BudgetHour.at(at_hour, zone)
        assert hour.day == day_of(moment, zone)
        budget = Budget(
            total=None, daily=daily, hourly=None, even=even, flight_end=None,
            committed_total=spent, committed_day=spent, committed_hour=0,
        )  # fmt: skip
        hours.append(amount_of(budget, hour, 0, planned=True))
        assert hours[-1] <= amount_of(budget, hour, 0) <= daily - spent
        spent += hours[-1]
        at_hour = hour.end
    assert spent == daily
    length = round((ends - begins) / timedelta(hours=1), 1)
    assert 22.5 <= length <= 25.5
    if even and zone != HALF_AN_HOUR_OF_SUMMER:
        assert len(hours) == length
        assert max(hours) - min(hours) <= 1


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    made = databases.create()
    yield made
    databases.drop(made)


def test_postgres_posts_to_the_same_days_as_leases_are_granted_for(dsn: str) -> None:
    asked = [
        (change + n * 10 * MINUTE, zone)
        for zone, changes in CHANGES.items()
        for change in changes or [YEAR]
        for n in range(-150, 150)
    ]
    with closing(psycopg2.connect(dsn)) as db, db, db.cursor() as cursor:
        cursor.execute(
            "SELECT (at AT TIME ZONE zone)::date FROM unnest(%s::timestamptz[], %s::text[]) AS a (at, zone)",
            ([moment for moment, _ in asked], [zone for _, zone in asked]),
        )
        assert [day for (day,) in cursor.fetchall()] == [day_of(moment, zone) for moment, zone in asked]
