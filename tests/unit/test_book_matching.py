"""The matcher, dimension by dimension: a request that the campaign accepts, and one that it does not."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from tests.books import book, campaign, creative

MONDAY_9_UTC = 1_767_603_600  # 2026-01-05T09:00:00Z


def request(**changes: Any) -> dict[str, Any]:
    return {"id": "r-1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]} | changes


def device(**fields: Any) -> dict[str, Any]:
    return request(device=fields)


def geo(**fields: Any) -> dict[str, Any]:
    return device(geo=fields)


def user(**fields: Any) -> dict[str, Any]:
    return request(user=fields)


def segments(*ids: str) -> dict[str, Any]:
    return user(data=[{"segment": [{"id": one} for one in ids]}])


def deals(*ids: str) -> dict[str, Any]:
    return request(imp=[{"id": "1", "banner": {"w": 300, "h": 250}, "pmp": {"deals": [{"id": one} for one in ids]}}])


def banner(**fields: Any) -> dict[str, Any]:
    return request(imp=[{"id": "1", "banner": fields}])


def ask(matcher: Matcher, document: Mapping[str, Any], now_s: int = MONDAY_9_UTC, exchange: int = 1) -> list[int]:
    reader = Reader()
    assert reader.parse(json.dumps(document).encode()) == 0
    return matcher.matches(reader, exchange, now_s, 0)


CASES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, request(), True),
    ({"country": {"include": ["USA", "CAN"]}}, geo(country="CAN"), True),
    ({"country": {"include": ["USA"]}}, geo(country="CAN"), False),
    ({"country": {"include": ["USA"]}}, request(), False),
    ({"country": {"exclude": ["USA"]}}, geo(country="USA"), False),
    ({"country": {"exclude": ["USA"]}}, request(), True),
    ({"region": {"include": ["CA-QC"]}}, geo(country="CAN", region="QC"), True),
    ({"region": {"include": ["CA-QC"]}}, geo(region="CA-QC"), True),
    ({"region": {"include": ["CA-QC"]}}, geo(country="USA", region="QC"), False),
    ({"region": {"include": ["CA-QC"]}}, geo(region="QC"), False),
    ({"region": {"exclude": ["CA-QC"]}}, geo(country="CAN", region="QC"), False),
    ({"city": {"include": ["Montréal"]}}, geo(city="MONTRÉAL"), True),
    ({"city": {"include": ["Straße"]}}, geo(city="STRASSE"), True),
    ({"city": {"include": ["Boston"]}}, geo(city="boston "), False),
    ({"metro": {"include": ["501"]}}, geo(metro="501"), True),
    ({"zip": {"include": ["10001"]}}, geo(zip="10002"), False),
    ({"os": {"include": ["android"]}}, device(os="Android"), True),
    ({"os": {"include": ["android"]}}, device(os="iOS"), False),
    ({"make": {"exclude": ["apple"]}}, device(make="Apple"), False),
    ({"model": {"include": ["iPhone"]}}, device(model="IPHONE"), True),
    ({"carrier": {"include": ["verizon"]}}, device(carrier="Verizon"), True),
    ({"language": {"include": ["EN"]}}, device(language="en"), True),
    ({"device_type": {"include": [4, 5]}}, device(devicetype=5), True),
    ({"device_type": {"include": [4, 5]}}, device(devicetype=1), False),
    ({"connection_type": {"include": [0]}}, device(connectiontype=0), True),
    ({"connection_type": {"include": [0]}}, device(), False),
    ({"inventory": {"include": ["app"]}}, request(app={}), True),
    ({"inventory": {"include": ["app"]}}, request(site={}), False),
    ({"bundle": {"exclude": ["com.bad.app"]}}, request(app={"bundle": "COM.bad.app"}), False),
    ({"domain": {"include": ["news.example"]}}, request(site={"domain": "News.Example"}), True),
    ({"domain": {"include": ["news.example"]}}, request(site={"page": "https://news.example/a"}), True),
    ({"publisher": {"include": ["p-1"]}}, request(site={"publisher": {"id": "p-1"}}), True),
    ({"publisher": {"include": ["p-1"]}}, request(site={"publisher": {"id": "P-1"}}), False),
    ({"venue_type": {"include": ["301"]}}, request(dooh={"venuetype": [30101]}), True),
    ({"venue_type": {"include": ["30101"]}}, request(dooh={"venuetype": ["301"]}), False),
    ({"venue_type": {"exclude": ["outdoor"]}}, request(dooh={"venuetype": ["outdoor.billboards"]}), False),
    ({"venue_type": {"include": ["outdoor"]}}, request(dooh={"venuetype": ["outdoors.signs"]}), False),
    ({"dooh": {"include": ["panel-1"]}}, request(dooh={"id": "panel-1"}), True),
    ({"dooh": {"include": ["panel-1"]}}, request(site={"id": "panel-1"}), False),
    ({"domain": {"include": ["panels.example"]}}, request(dooh={"domain": "Panels.example"}), True),
    ({"cat": {"include": ["IAB9"]}}, request(site={"cat": ["IAB9-30"]}), True),
    ({"cat": {"include": ["IAB9-30"]}}, request(site={"cat": ["IAB9"]}), False),
    ({"cat": {"include": ["IAB2"]}}, request(site={"cat": ["IAB25"]}), False),
    ({"cat": {"exclude": ["IAB25"]}}, request(site={"cat": ["IAB1"], "pagecat": ["IAB25-3"]}), False),
    ({"cat": {"exclude": ["IAB25"]}}, request(site={"cat": ["1014"], "cattax": 7}), True),
    ({"cat": {"exclude": ["IAB2"]}}, request(site={"cat": ["32"], "cattax": 7}), False),
    ({"gender": {"include": ["F"]}}, user(gender="F"), True),
    ({"gender": {"include": ["F"]}}, user(gender="M"), False),
    ({"user_id": "required"}, user(id="u"), True),
    ({"user_id": "required"}, request(), False),
    ({"user_id": "forbidden"}, user(id="u"), False),
    ({"user_id": "forbidden"}, request(), True),
    ({"deal": {"include": ["d-7"]}}, deals("d-1", "d-7"), True),
    ({"deal": {"include": ["d-7"]}}, deals("d-1"), False),
    ({"deal": {"exclude": ["d-7"]}}, deals("d-7"), False),
    ({"segment": {"any": ["a", "b"]}}, segments("x", "b"), True),
    ({"segment": {"any": ["a", "b"]}}, segments("x"), False),
    ({"segment": {"all": ["a", "b"]}}, segments("b", "a", "x"), True),
    ({"segment": {"all": ["a", "b"]}}, segments("a"), False),
    ({"segment": {"all": ["a"], "any": ["b", "c"]}}, segments("a"), False),
    ({"segment": {"none": ["a"]}}, segments("a"), False),
    ({"segment": {"none": ["a"]}}, request(), True),
    ({"age": {"min": 36, "max": 36}}, user(yob=1990), True),
    ({"age": {"max": 35}}, user(yob=1990), False),
    ({"age": {"min": 0}}, request(), False),
    ({"osv": {"min": "12", "max": "15"}}, device(osv="12"), True),
    ({"osv": {"min": "12", "max": "15"}}, device(osv="15.0.0"), True),
    ({"osv": {"min": "12", "max": "15"}}, device(osv="15.0.1"), False),
    ({"osv": {"min": "9.2"}}, device(osv="9.10"), True),
    ({"osv": {"max": "15"}}, device(osv="15.0.0.0.0.0.0.0.1"), False),
    ({"osv": {"max": "15"}}, device(osv="99999999999999999999"), False),
    ({"osv": {"min": "1"}}, device(osv="12-beta"), False),
    ({"osv": {"min": "0"}}, device(), False),
    ({"radius": [{"lat": 0, "lon": 0, "km": 1}, {"lat": 40.7, "lon": -74, "km": 25}]}, geo(lat=40.8, lon=-74.1), True),
    ({"radius": [{"lat": 40.7, "lon": -74, "km": 5}]}, geo(lat=40.8, lon=-74.1), False),
    ({"radius": [{"lat": 0, "lon": 179.9, "km": 30}]}, geo(lat=0, lon=-179.9), True),
    ({"radius": [{"lat": 40.7, "lon": -74, "km": 25}]}, request(), False),
    ({"hour_of_week": [9]}, request(), True),
    ({"hour_of_week": [8, 10]}, request(), False),
    ({"exchange": {"include": ["generic"]}}, request(), True),
    ({"exchange": {"include": ["openx"]}}, request(), False),
]  # fmt: skip


@pytest.mark.parametrize(("targeting", "document", "accepts"), CASES)
def test_targeting_reads_a_request_as_documented(
    tmp_path: Path, targeting: dict[str, Any], document: dict[str, Any], accepts: bool
) -> None:
    matcher = Matcher(book(tmp_path / "b.bin", [campaign(targeting=targeting)]))
    assert ask(matcher, document) == ([1] if accepts else [])


@pytest.mark.parametrize(
    ("document", "accepts"),
    [
        (banner(w=300, h=250), True),
        (banner(w=320, h=50), False),
        (banner(w=320, h=50, format=[{"w": 728, "h": 90}, {"w": 300, "h": 250}]), True),
        (banner(wmin=100, wmax=200, hmin=1, hmax=1), True),  # the auction compares ranges with each creative
        (banner(), True),
        (request(imp=[{"id": "1", "video": {"mimes": ["video/mp4"]}}]), False),
        (request(imp=[{"id": "1"}]), False),
    ],
)
def test_imp_needs_a_format_and_a_size_of_the_creatives(
    tmp_path: Path, document: dict[str, Any], accepts: bool
) -> None:
    matcher = Matcher(book(tmp_path / "b.bin", [campaign()]))
    assert ask(matcher, document) == ([1] if accepts else [])


@pytest.mark.parametrize(
    ("document", "near"),
    [
        (deals("d-1"), 0),
        (deals("d-2"), 1),
        (request(imp=[{"id": "1", "video": {"mimes": []}, "pmp": {"deals": [{"id": "d-1"}]}}]), 2),
        (request(imp=[{"id": "1", "banner": {"w": 1, "h": 1}, "pmp": {"deals": [{"id": "d-1"}]}}]), 4),
        (deals("d-2") | {"device": {"os": "ios"}}, 0),
    ],
)
def test_imp_that_was_nearly_accepted_tells_why_it_was_not(tmp_path: Path, document: dict[str, Any], near: int) -> None:
    aims = {"deal": {"include": ["d-1"]}, "os": {"exclude": ["ios"]}}
    matcher = Matcher(book(tmp_path / "b.bin", [campaign(targeting=aims)]))
    assert bool(ask(matcher, document)) == (near == 0 and "device" not in document)
    assert matcher.near == near


def test_campaigns_come_by_descending_highest_price_here_then_key(tmp_path: Path) -> None:
    doubled = [{"when": {"os": ["ios"]}, "factor": "2"}, {"when": {"os": ["ios"]}, "factor": "0.1"}]
    campaigns = [
        campaign(id="a", bid={"cpm_usd": "1"}),
        campaign(id="b", bid={"cpm_usd": "3"}),
        campaign(id="c", bid={"cpm_usd": "1.6"}, multipliers=doubled),
        campaign(id="d", bid={"cpm_usd": "1"}),
    ]
    matcher = Matcher(book(tmp_path / "b.bin", campaigns))
    assert ask(matcher, request()) == [2, 3, 1, 4]


def test_campaign_comes_by_its_raised_price_only_where_that_is_raised(tmp_path: Path) -> None:
    campaigns = [
        campaign(id="a", bid={"cpm_usd": "1.6"}, multipliers=[{"when": {"os": ["ios"]}, "factor": "2"}]),
        campaign(id="b", bid={"cpm_usd": "3"}),
        campaign(id="c", bid={"cpm_usd": "1"}),
    ]
    matcher = Matcher(book(tmp_path / "b.bin", campaigns))
    assert ask(matcher, device(os="iOS")) == [1, 2, 3]
    assert matcher.price(1) == 3_200_000
    assert ask(matcher, device(os="Android")) == [2, 1, 3]
    assert matcher.price(1) == 1_600_000


def test_multipliers_that_apply_multiply_and_round_half_up_once(tmp_path: Path) -> None:
    multipliers = [
        {"when": {"country": ["CAN", "USA"], "os": ["ios"]}, "factor": "0.5"},
        {"when": {"cat": ["IAB9"]}, "factor": "0.333333"},
        {"when": {"deal": ["d-1"]}, "factor": "3"},
        {"when": {"bundle": ["com.other"]}, "factor": "100"},
    ]
    matcher = Matcher(book(tmp_path / "b.bin", [campaign(bid={"cpm_usd": "0.000005"}, multipliers=multipliers)]))
    assert ask(matcher, geo(country="CAN")) == [1]
    assert matcher.price(1) == 5
    assert ask(matcher, device(os="iOS", geo={"country": "CAN"})) == [1]
    assert matcher.price(1) == 3  # 2.5
    assert ask(matcher, device(os="iOS", geo={"country": "CAN"}) | {"site": {"cat": ["IAB9-1"]}}) == [1]
    assert matcher.price(1) == 1  # 0.83
    assert ask(matcher, deals("d-1")) == [1]
    assert matcher.price(1) == 15


def test_sixteen_multipliers_are_exact(tmp_path: Path) -> None:
    multipliers = [{"when": {}, "factor": "99.999999"}] * 8 + [{"when": {}, "factor": "0.010001"}] * 8
    matcher = Matcher(book(tmp_path / "b.bin", [campaign(bid={"cpm_usd": "999.999999"}, multipliers=multipliers)]))
    ask(matcher, request())
    exact = 999_999_999 * 99_999_999**8 * 10_001**8 * 2 + 10**96
    assert matcher.price(1) == min(exact // (2 * 10**96), 10**9)


def test_no_multiplier_takes_a_price_above_a_thousand_dollars(tmp_path: Path) -> None:
    matcher = Matcher(book(tmp_path / "b.bin", [campaign(multipliers=[{"when": {}, "factor": "100"}] * 9)]))
    ask(matcher, request())
    assert matcher.price(1) == 10**9


def test_hours_follow_summer_time_of_the_campaigns_zone(tmp_path: Path) -> None:
    zone = "America/New_York"
    one = campaign(budget={"timezone": zone}, targeting={"hour_of_week": [6 * 24 + 3]})
    matcher = Matcher(book(tmp_path / "b.bin", [one]))
    spring = datetime(2026, 3, 8, 3, 0, tzinfo=ZoneInfo(zone))  # a Sunday; 02:00 to 03:00 does not exist
    at = int(spring.timestamp())
    assert ask(matcher, request(), now_s=at - 1) == []
    assert ask(matcher, request(), now_s=at) == [1]
    assert ask(matcher, request(), now_s=at + 3599) == [1]
    assert ask(matcher, request(), now_s=at + 3600) == []
    assert ask(matcher, request(), now_s=at) == [1], "a clock that is set back is followed too"


def test_nothing_of_a_request_is_left_for_the_next(tmp_path: Path) -> None:
    aimed = campaign(
        targeting={"segment": {"all": ["a", "b"]}}, multipliers=[{"when": {"deal": ["d-1"]}, "factor": "2"}]
    )
    matcher = Matcher(book(tmp_path / "b.bin", [aimed]))
    assert ask(matcher, segments("a", "b")) == [1]
    assert ask(matcher, segments("b")) == []
    assert ask(matcher, segments("a")) == []


def test_deal_of_one_imp_does_not_count_for_another(tmp_path: Path) -> None:
    matcher = Matcher(book(tmp_path / "b.bin", [campaign(targeting={"deal": {"include": ["d-1"]}})]))
    first = deals("d-1")["imp"][0]
    reader = Reader()
    body = json.dumps(request(imp=[first, {"id": "2", "banner": {"w": 300, "h": 250}}, first | {"id": "3"}])).encode()
    assert reader.parse(body) == 0
    assert [matcher.matches(reader, 1, MONDAY_9_UTC, n) for n in range(3)] == [[1], [], [1]]
    with pytest.raises(ValueError, match="imp 3: the request has 3"):
        matcher.matches(reader, 1, MONDAY_9_UTC, 3)


@pytest.mark.parametrize("count", [511, 512, 513, 5_000])
def test_books_of_any_size_find_the_same_campaigns(tmp_path: Path, count: int) -> None:
    """Around the edges of blocks, with postings of every density."""
    campaigns = [
        campaign(
            id=f"c-{n}",
            targeting={
                "zip": {"include": [str(n % 700)]} if n % 3 else {},
                "os": {"include": ["ios"]} if n % 2 else {"exclude": ["android"]},
                "metro": {"exclude": [str(n)]},
            },
            creatives=[creative(adm="{pixel}")],
        )
        for n in range(count)
    ]
    matcher = Matcher(book(tmp_path / "b.bin", campaigns))
    for zip_, system, metro in [("1", "ios", "1"), ("500", "android", "7"), ("9999", "ios", "510"), ("8", "x", "1207")]:
        wanted = [
            n + 1
            for n in range(count)
            if (n % 3 == 0 or n % 700 == int(zip_))
            and (system == "ios" if n % 2 else system != "android")
            and n != int(metro)
        ]
        assert ask(matcher, device(os=system, geo={"zip": zip_, "metro": metro})) == wanted
