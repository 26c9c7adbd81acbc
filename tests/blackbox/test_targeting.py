"""Targeting over HTTP: for every dimension, campaigns that are bid for exactly where their file says so.

All campaigns are imported once, each with a banner size of its own, so a request for that size finds it or nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.blackbox.bid_port import Asker, Json, Sizes, campaign, request
from tests.blackbox.targeting_cases import CASES, Case, Patch, device, geo, user
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

EXCHANGES = ("generic", "openx", "pubmatic", "xandr", "google")
ZONE = "Asia/Kolkata"  # nine and a half to five and a half hours from every zone that could be taken for it
SIZES = Sizes(3_000)


def hour_of_week(moment: datetime) -> int:
    return moment.weekday() * 24 + moment.hour


def hours_of_now(zone: str) -> list[int]:
    """This hour there, the one before and the one after: a test run may cross the full hour."""
    now = datetime.now(UTC)
    return [hour_of_week((now + timedelta(hours=n)).astimezone(ZoneInfo(zone))) for n in (-1, 0, 1)]


def hour_cases() -> list[Case]:
    here, there = hours_of_now("UTC"), hours_of_now(ZONE)
    assert not set(here) & set(there)
    zoned = {"budget": {"timezone": ZONE}}
    return [
        Case("hour of week", {"hour_of_week": here}, [{}], []),
        Case("other hours of week", {"hour_of_week": [n for n in range(168) if n not in here]}, [], [{}]),
        Case("hour of week in its zone", {"hour_of_week": there}, [{}], [], zoned),
        Case("hour of week in another zone", {"hour_of_week": here}, [], [{}], zoned),
        Case("no hour of week", {"hour_of_week": []}, [{}], []),
    ]


def age_cases() -> list[Case]:
    def aged(years: int) -> Patch:
        return user(yob=datetime.now(UTC).year - years)

    return [
        Case("age", {"age": {"min": 18, "max": 44}}, [aged(18), aged(44)], [aged(17), aged(45), {}]),
        Case("age from", {"age": {"min": 18}}, [aged(18), aged(90)], [aged(17), {}]),
        Case("age to", {"age": {"max": 44}}, [aged(3), aged(44)], [aged(45), {}]),
    ]


ALL = [*CASES, *hour_cases(), *age_cases()]


def of_case(case: Case) -> Json:
    return campaign(case.name, SIZES.of(case.name), targeting=case.targeting, **case.more)


def of_exchanges() -> list[Json]:
    return [
        campaign("on openx", SIZES.of("on openx"), targeting={"exchange": {"include": ["openx"]}}),
        campaign("not on openx", SIZES.of("not on openx"), targeting={"exchange": {"exclude": ["openx"]}}),
    ]


MULTIPLIERS: list[tuple[str, Json, str, Patch, str]] = [  # campaign, when, factor, request, CPM in the bid
    ("one holds", {"country": ["CAN"]}, "0.8", geo(country="CAN"), "1.6"),
    ("none holds", {"country": ["CAN"]}, "0.8", geo(country="USA"), "2"),
    ("without the field", {"country": ["CAN"]}, "0.8", {}, "2"),
    ("dearer", {"os": ["IOS"]}, "2.5", device(os="iOS"), "5"),
    ("two conditions hold", {"country": ["CAN"], "os": ["ios"]}, "0.5", device(os="iOS", geo={"country": "CAN"}), "1"),
    ("one of two holds", {"country": ["CAN"], "os": ["ios"]}, "0.5", device(os="iOS"), "2"),
    ("any of its values", {"country": ["USA", "CAN"]}, "1.25", geo(country="CAN"), "2.5"),
    ("to six decimals", {"country": ["CAN"]}, "0.333333", geo(country="CAN"), "0.666666"),
    ("by exchange", {"exchange": ["generic"]}, "3", {}, "6"),
]


def of_multipliers() -> list[Json]:
    single = [
        campaign(f"multiplier: {name}", SIZES.of(f"multiplier: {name}"), multipliers=[{"when": when, "factor": factor}])
        for name, when, factor, _, _ in MULTIPLIERS
    ]
    several = [
        {"when": {"country": ["CAN"]}, "factor": "0.8"},
        {"when": {"os": ["ios"]}, "factor": "1.5"},
        {"when": {"os": ["android"]}, "factor": "9"},
    ]
    return [*single, campaign("multipliers", SIZES.of("multipliers"), multipliers=several)]


@pytest.fixture(scope="module")
def asker(host: Host) -> Iterator[Asker]:
    """The host with all campaigns of this module; they are archived afterwards."""
    campaigns = [*map(of_case, ALL), *of_exchanges(), *of_multipliers()]
    host.campaigns(*campaigns)
    with Asker(host.base) as asker:
        yield asker
    host.campaigns(*(each | {"status": "archived"} for each in campaigns))


def sides(which: str) -> list[Any]:
    return [pytest.param(case, n, id=f"{case.name}-{n}") for case in ALL for n in range(len(getattr(case, which)))]


@pytest.mark.parametrize(("case", "n"), sides("accepted"))
def test_a_campaign_is_bid_for_where_its_targeting_accepts_the_request(asker: Asker, case: Case, n: int) -> None:
    asked = request(SIZES.of(case.name), case.accepted[n])
    assert asker.ask(asked).campaigns == [case.name], asked


@pytest.mark.parametrize(("case", "n"), sides("refused"))
def test_a_campaign_is_not_bid_for_where_its_targeting_does_not(asker: Asker, case: Case, n: int) -> None:
    asked = request(SIZES.of(case.name), case.refused[n])
    answer = asker.ask(asked)
    assert (answer.status, answer.campaigns) == (204, []), asked


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_exchange_targeting_reads_the_path(asker: Asker, exchange: str) -> None:
    on, off = (asker.ask(request(SIZES.of(name), {}), exchange).campaigns for name in ("on openx", "not on openx"))
    assert (on, off) == ((["on openx"], []) if exchange == "openx" else ([], ["not on openx"]))


@pytest.mark.parametrize(("name", "when", "factor", "patch", "cpm"), MULTIPLIERS, ids=[row[0] for row in MULTIPLIERS])
def test_a_multiplier_changes_the_price_where_all_of_its_conditions_hold(
    asker: Asker, name: str, when: Json, factor: str, patch: Patch, cpm: str
) -> None:
    answer = asker.ask(request(SIZES.of(f"multiplier: {name}"), patch))
    assert f'"price":{cpm},'.encode() in answer.body


def test_all_multipliers_that_apply_multiply(asker: Asker) -> None:
    def price(patch: Patch) -> float:
        (bid,) = asker.ask(request(SIZES.of("multipliers"), patch)).bids
        return float(bid["price"])

    assert price(device(os="iOS", geo={"country": "CAN"})) == 2.4
    assert price(device(os="iOS")) == 3
    assert price(device(os="android", geo={"country": "CAN"})) == 14.4
    assert price({}) == 2
