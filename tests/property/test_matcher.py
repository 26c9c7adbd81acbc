"""The compiled matcher finds exactly the campaigns, at exactly the prices, that the slow and obvious one finds."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from bidder.money.units import nano_from_cpm
from tests.books import EXCHANGES, bodies, book, campaign
from tests.reference import matcher as reference
from tests.reference.request import view_imp

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "campaigns.jsonl"
# Few values, so that campaigns and requests meet; with the pairs that differ only by case, parent or spelling.
VALUES: dict[str, list[Any]] = {
    "exchange": ["generic", "openx"],
    "country": ["USA", "CAN", "DEU"],
    "region": ["CA-QC", "US-NY", "DE-BE", "US-NY-1"],
    "city": ["New York", "NEW YORK", "Straße", "STRASSE", "Île"],
    "metro": ["501", "502"],
    "zip": ["10001", "10115", "h2x"],
    "os": ["ios", "iOS", "android"],
    "device_type": [1, 4, 5],
    "make": ["Apple", "apple", "samsung"],
    "model": ["iphone", "İ"],
    "carrier": ["vz", "ß"],
    "connection_type": [0, 2],
    "language": ["en", "EN", "de"],
    "inventory": ["site", "app", "dooh"],
    "bundle": ["com.a", "COM.A", "com.b"],
    "domain": ["a.example", "A.example", "b.example"],
    "publisher": ["p", "P"],
    "venue_type": ["3", "301", "30101", "outdoor", "outdoor.billboards", "Outdoor"],
    "dooh": ["panel-1", "Panel-1"],
    "cat": ["IAB9", "IAB9-30", "IAB9-3", "IAB25", "iab9"],
    "deal": ["d-1", "d-2", "D-1"],
    "gender": ["M", "F", "O"],
}
SEGMENTS = ["a", "b", "c", "A"]
ASKED = VALUES | {"segment": SEGMENTS}  # what multipliers may ask of
VERSIONS = ["9", "9.2", "9.10", "12.0.1", "12"]


def some(values: list[Any], least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3)


@st.composite
def targetings(draw: st.DrawFn) -> dict[str, Any]:
    targeting: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True)):
        targeting[name] = {"include": draw(some(VALUES[name])), "exclude": draw(some(VALUES[name]))}
    extra = draw(st.sampled_from(["", "", "radius", "osv", "hour_of_week", "segment", "age", "user_id"]))
    if extra == "radius":
        point = st.fixed_dictionaries(
            {"lat": st.sampled_from([0, 40.7, -90]), "lon": st.sampled_from([-74, 179.9]), "km": st.integers(1, 20_000)}
        )
        targeting[extra] = draw(st.lists(point, max_size=2))
    elif extra == "osv":
        least, most = sorted(draw(st.tuples(*[st.sampled_from(VERSIONS)] * 2)), key=lambda v: [*map(int, v.split("."))])
        targeting[extra] = draw(st.sampled_from([{"min": least}, {"max": most}, {"min": least, "max": most}]))
    elif extra == "hour_of_week":
        targeting[extra] = draw(st.lists(st.integers(0, 167), max_size=80))
    elif extra == "segment":
        targeting[extra] = {kind: draw(some(SEGMENTS)) for kind in ("any", "all", "none")}
    elif extra == "age":
        targeting[extra] = draw(st.sampled_from([{"min": 18}, {"max": 44}, {"min": 26, "max": 26}]))
    elif extra == "user_id":
        targeting[extra] = draw(st.sampled_from(["required", "forbidden", "any"]))
    return targeting


@st.composite
def campaigns(draw: st.DrawFn) -> list[dict[str, Any]]:
    whens = st.dictionaries(st.sampled_from(sorted(ASKED)), st.none(), max_size=2)
    found = []
    for number in range(draw(st.integers(1, 12))):
        multipliers = []
        for when in draw(st.lists(whens, max_size=3)):
            factor = draw(st.sampled_from(["0", "0.5", "0.333333", "1.5", "2", "1.000001"]))
            multipliers.append({"when": {name: draw(some(ASKED[name], 1)) for name in when}, "factor": factor})
        found.append(
            campaign(
                id=f"c-{number}",
                bid={"cpm_usd": draw(st.sampled_from(["0.000001", "0.000003", "1.25", "40"]))},
                budget={"timezone": draw(st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu"]))},
                targeting=draw(targetings()),
                multipliers=multipliers,
            )
        )
    return found


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    def maybe(values: list[Any]) -> Any:
        return draw(st.sampled_from([None, *values]))

    geo = {
        "country": maybe([*VALUES["country"], "can", "XXX", 7]),
        "region": maybe(["QC", "NY", "CA-QC", "US-NY-1", "NY-1", "Xx-1", ""]),
        "city": maybe([*VALUES["city"], "île"]),
        "metro": maybe(VALUES["metro"]),
        "zip": maybe([*VALUES["zip"], "H2X"]),
        "lat": maybe([0, 40.8, -89.5]),
        "lon": maybe([0, -74.1, -179.9]),
    }
    device = {
        "geo": draw(st.sampled_from([geo, None])),
        "os": maybe([*VALUES["os"], ""]),
        "osv": maybe([*VERSIONS, "9.2.0.0", "9.2b", "12.0.1.0.0.0.0.0.0.1", "", "."]),
        "make": maybe(VALUES["make"]),
        "model": maybe(["IPHONE", "i̇", "i"]),
        "carrier": maybe(["VZ", "SS", "ss"]),
        "language": maybe(VALUES["language"]),
        "devicetype": maybe([*VALUES["device_type"], "4"]),
        "connectiontype": maybe([*VALUES["connection_type"], 3]),
    }
    place = {
        "bundle": maybe(VALUES["bundle"]),
        "domain": maybe(VALUES["domain"]),
        "publisher": {"id": maybe(VALUES["publisher"])},
        "cat": draw(some([*VALUES["cat"], "IAB9-30-1", "680", "239", "244", "Rm3SiT", "1014"])),
        "pagecat": draw(some(VALUES["cat"])),
        "cattax": maybe([1, 2, 4, 7]),
        "id": maybe(VALUES["dooh"]),
        "venuetype": draw(some(["outdoor.billboards.roadside", "outdoors", 30101, "301", "3012", ".", ""])),
        "venuetypeid": maybe([30101, "outdoor.billboards"]),
    }
    user = {
        "id": maybe(["u"]),
        "gender": maybe(VALUES["gender"]),
        "yob": maybe([1982, 2000, 2008]),
        "data": [{"segment": [{"id": one} for one in draw(some(SEGMENTS))]}],
    }
    imp = {
        "id": "1",
        "banner": {"w": 300, "h": 250},
        "pmp": {"deals": [{"id": one} for one in draw(some(VALUES["deal"]))]},
    }
    return {
        "id": "r",
        "imp": [imp],
        "device": device,
        "user": draw(st.sampled_from([user, user, None])),
        "regs": {"coppa": maybe([1])},
        **draw(st.sampled_from([{}, {"site": place}, {"app": place}, {"dooh": place}, {"site": place, "app": place}])),
    }


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    campaigns(),
    st.lists(requests(), min_size=1, max_size=4),
    st.integers(1_767_225_600, 1_798_761_599),
    st.sampled_from(sorted(EXCHANGES)),
)
def test_matcher_agrees_with_the_reference(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[dict[str, Any]],
    asked: list[dict[str, Any]],
    now_s: int,
    exchange: str,
) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "matcher.bin"
    compiled = Matcher(book(path, found))
    stored = bodies(found)
    reader = Reader()
    now = datetime.fromtimestamp(now_s, UTC)
    for request in asked:
        assert reader.parse(json.dumps(request).encode()) == 0
        wanted = [
            key
            for key, body in enumerate(stored, 1)
            if reference.accepts(body, request, request["imp"][0], exchange, now) is None
        ]
        assert sorted(compiled.matches(reader, EXCHANGES[exchange], now_s, 0)) == wanted
        for key in wanted:
            exact = reference.price_cpm(stored[key - 1], request, exchange, request["imp"][0])
            assert compiled.price(key) == nano_from_cpm(str(exact))


def test_matcher_agrees_with_the_reference_on_real_requests(tmp_path: Path, corpus: list[bytes]) -> None:
    examples = [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()]
    compiled, found, reader = Matcher(book(tmp_path / "b.bin", examples)), bodies(examples), Reader()
    now_s, compared = 1_767_603_600, 0
    for body in corpus[::25]:
        if reader.parse(body) != 0:
            continue
        request = json.loads(body)
        for number, imp in enumerate(one for one in request["imp"] if isinstance(one, dict)):
            seen = view_imp(imp)
            wanted = [
                key
                for key, one in enumerate(found, 1)
                if reference.accepts(one, request, imp, "generic", datetime.fromtimestamp(now_s, UTC)) is None
                and "banner" in seen["media"]
                and (
                    not seen["sizes"]
                    or seen["ratios"]
                    or any((ad["w"], ad["h"]) in seen["sizes"] for ad in one["creatives"])
                )
            ]
            assert sorted(compiled.matches(reader, 1, now_s, number)) == wanted
            compared += len(wanted)
    assert compared > 1_000
