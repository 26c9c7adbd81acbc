"""The reference is right: every rule of targeting and of a banner with a request on each side of it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.reference.matcher import accepts, can_serve, price_cpm

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # a Monday
GEO = {"country": "CAN", "region": "QC", "city": "Île", "metro": "501", "zip": "H2X", "lat": 45.5, "lon": -73.6}
DEVICE = {
    "geo": GEO, "os": "iOS", "osv": "12.1", "devicetype": 4, "make": "Apple", "model": "iPhone", "carrier": "VZ",
    "connectiontype": 0, "language": "EN",
}  # fmt: skip
SITE = {"domain": "A.example", "publisher": {"id": "p"}, "cat": ["IAB9-30"]}
USER = {"id": "u", "gender": "F", "yob": 1996, "data": [{"segment": [{"id": "a"}, {"id": "b"}]}]}
IMP = {"id": "1", "banner": {"w": 300, "h": 250}, "pmp": {"deals": [{"id": "d-1"}]}}
REQUEST = {"id": "r", "imp": [IMP], "device": DEVICE, "site": SITE, "user": USER}


def targeted(targeting: dict[str, Any], request: dict[str, Any] = REQUEST, **campaign: Any) -> str | None:
    imp: dict[str, Any] = request["imp"][0]
    return accepts({"targeting": targeting, **campaign}, request, imp, "openx", NOW)


def with_(path: str, value: Any, document: dict[str, Any] = REQUEST) -> dict[str, Any]:
    """A copy of the request with one value changed; `imp` stands for the first of its imps."""
    head, _, rest = path.partition(".")
    if head == "imp":
        return {**document, "imp": [with_(rest, value, document["imp"][0])]}
    return {**document, head: with_(rest, value, document.get(head) or {}) if rest else value}


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("exchange", "openx", "google"),
        ("country", "CAN", "USA"),
        ("region", "CA-QC", "QC"),
        ("city", "ÎLE", "Ile"),
        ("metro", "501", "502"),
        ("zip", "H2X", "h2x"),
        ("os", "ios", "android"),
        ("device_type", 4, 5),
        ("make", "APPLE", "Samsung"),
        ("model", "iphone", "iphone 2"),
        ("carrier", "vz", "v"),
        ("connection_type", 0, 1),
        ("language", "en", "e"),
        ("inventory", "site", "app"),
        ("domain", "a.EXAMPLE", "example"),
        ("publisher", "p", "P"),
        ("cat", "IAB9", "IAB9-3"),
        ("deal", "d-1", "d-2"),
        ("gender", "F", "M"),
    ],
)
def test_lists_include_and_exclude_by_value(name: str, yes: Any, no: Any) -> None:
    assert targeted({name: {"include": [no, yes]}}) is None
    assert targeted({name: {"include": [no]}}) == name
    assert targeted({name: {"exclude": [no]}}) is None
    assert targeted({name: {"exclude": [yes]}}) == name
    assert targeted({name: {"include": [], "exclude": []}}) is None


@pytest.mark.parametrize("name", ["country", "region", "os", "device_type", "connection_type", "bundle", "cat", "deal"])
def test_an_include_needs_the_field_and_an_exclude_does_not(name: str) -> None:
    bare = {"id": "r", "imp": [{"id": "1", "banner": {}}]}
    value: Any = 0 if name == "connection_type" else 4 if name == "device_type" else "x"
    assert targeted({name: {"include": [value]}}, bare) == name
    assert targeted({name: {"exclude": [value]}}, bare) is None


def test_a_region_that_names_its_country_stays() -> None:
    assert targeted({"region": {"include": ["US-NY"]}}, with_("device.geo.region", "US-NY")) is None
    assert targeted({"region": {"include": ["CA-QC"]}}, with_("device.geo.country", "XXX")) == "region"


def test_categories_of_another_taxonomy_match_what_they_stand_for() -> None:
    games = with_("site", {"cat": ["693"], "cattax": 6})
    assert targeted({"cat": {"include": ["IAB9"]}}, games) is None
    assert targeted({"cat": {"exclude": ["IAB9-30"]}}, games) == "cat"
    products = with_("site", {"cat": ["693"], "cattax": 3})
    assert targeted({"cat": {"include": ["IAB9"]}}, products) == "cat"
    assert targeted({"cat": {"exclude": ["IAB9"]}}, products) is None


@pytest.mark.parametrize(
    ("bounds", "osv", "fits"),
    [
        ({"min": "12"}, "12.0", True), ({"min": "12.1"}, "12", False), ({"max": "12"}, "12.0.0", True),
        ({"max": "12"}, "12.0.1", False), ({"min": "9.10"}, "9.9", False), ({"min": "1"}, "12b", False),
        ({"max": "15"}, None, False), ({}, None, True), ({"min": "12", "max": "15"}, "13", True),
    ],
)  # fmt: skip
def test_versions_compare_as_dotted_numbers(bounds: dict[str, str], osv: str | None, fits: bool) -> None:
    assert (targeted({"osv": bounds}, with_("device.osv", osv)) is None) is fits


@pytest.mark.parametrize(
    ("bounds", "fits"), [({"min": 30, "max": 30}, True), ({"min": 31}, False), ({"max": 29}, False)]
)
def test_age_is_this_year_less_the_year_of_birth(bounds: dict[str, int], fits: bool) -> None:
    assert (targeted({"age": bounds}) is None) is fits
    assert targeted({"age": {"min": 0}}, with_("user.yob", None)) == "age"


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"any": ["b", "x"]}, True), ({"any": ["x"]}, False), ({"all": ["a", "b"]}, True), ({"all": ["a", "x"]}, False),
        ({"none": ["x"]}, True), ({"none": ["a"]}, False), ({"any": [], "all": [], "none": []}, True),
    ],
)  # fmt: skip
def test_segments_are_any_all_or_none(rule: dict[str, list[str]], fits: bool) -> None:
    assert (targeted({"segment": rule}) is None) is fits


def test_hours_are_those_of_the_campaigns_zone() -> None:
    assert targeted({"hour_of_week": [9]}) is None
    assert targeted({"hour_of_week": [10]}) == "hour_of_week"
    assert targeted({"hour_of_week": [4]}, budget={"timezone": "America/New_York"}) is None
    assert targeted({"hour_of_week": []}) is None


def test_a_radius_needs_a_point_within_one_of_its_circles() -> None:
    near, far = {"lat": 45.5, "lon": -73.7, "km": 8}, {"lat": 0, "lon": 0, "km": 5}
    assert targeted({"radius": [far, near]}) is None
    assert targeted({"radius": [{**near, "km": 7}]}) == "radius"  # 7.79 km away
    assert targeted({"radius": [near]}, with_("device.geo.lat", None)) == "radius"


def test_a_user_id_may_be_required_or_forbidden() -> None:
    nobody = with_("user", None)
    assert [targeted({"user_id": rule}) for rule in ("required", "forbidden", "any")] == [None, "user_id", None]
    assert [targeted({"user_id": rule}, nobody) for rule in ("required", "forbidden")] == ["user_id", None]
    assert targeted({"user_id": "required"}, with_("regs.coppa", 1)) == "user_id"


def test_all_multipliers_that_apply_multiply() -> None:
    campaign = {
        "bid": {"cpm_usd": "2.40"},
        "multipliers": [
            {"when": {"country": ["CAN"], "os": ["ios", "android"]}, "factor": "0.8"},
            {"when": {"country": ["CAN"], "os": ["android"]}, "factor": "9"},
            {"when": {"exchange": ["openx"]}, "factor": "1.5"},
            {"when": {"deal": ["d-1"]}, "factor": "2"},
        ],
    }
    assert price_cpm(campaign, REQUEST) == Decimal("1.92")
    assert price_cpm(campaign, REQUEST, "openx", IMP) == Decimal("5.76")


CREATIVE = {
    "id": "cr", "w": 300, "h": 250, "adm": '<img src="https://cdn.example/a.png">', "adomain": ["ads.acme.example"],
    "cat": ["IAB3-1"], "attr": [2], "api": [5], "bundle": "com.Acme",
}  # fmt: skip
CAMPAIGN = {"bid": {"cpm_usd": "2"}, "targeting": {"deal": {}}, "creatives": [CREATIVE]}
OPEN = with_("imp.banner", {"w": 300, "h": 250, "api": [5]})


def serves(
    request: dict[str, Any], creative: dict[str, Any] = CREATIVE, url: str = "https://t.example", **campaign: Any
) -> str | None:
    imp: dict[str, Any] = request["imp"][0]
    return can_serve({**CAMPAIGN, **campaign}, creative, request, imp, "openx", "outbid", NOW, url)


def test_a_plain_banner_may_serve() -> None:
    assert serves(OPEN) is None


@pytest.mark.parametrize(
    ("path", "stops", "lets", "why"),
    [
        ("wseat", ["other"], ["outbid"], "seat"),
        ("bseat", ["outbid"], ["other"], "seat"),
        ("cur", ["EUR"], ["EUR", "USD"], "currency"),
        ("cur", ["euros"], [], "currency"),
        ("imp.banner", None, {"api": [5]}, "format"),
        ("imp.id", None, 7, "id"),
        ("imp.banner.format", [{"w": 320, "h": 50}], [{"w": 320, "h": 50}, {"w": 300, "h": 250}], "size"),
        ("imp.banner", {"wmin": 301, "api": [5]}, {"wmin": 300, "hmax": 250, "api": [5]}, "size"),
        ("imp.banner.battr", [1, 2], [1, 3], "battr"),
        ("imp.banner.btype", [2], [1, 3, 4], "btype"),
        ("imp.banner.api", [6], [5, 6], "api"),
        ("bapp", ["COM.acme"], ["com.acme.b"], "bapp"),
        ("bcat", ["iab3"], ["IAB3-10", "IAB30"], "bcat"),
        ("badv", ["ACME.example"], ["me.example", "x.ads.acme.example"], "badv"),
        ("imp.bidfloor", 2.000001, 2, "floor"),
        ("imp.bidfloorcur", "EUR", "EUR", None),
        ("imp.pmp.private_auction", 1, 0, "deal"),
    ],
)
def test_a_rule_of_the_request_stops_what_it_names(path: str, stops: Any, lets: Any, why: str | None) -> None:
    assert serves(with_(path, stops, OPEN)) == why
    assert serves(with_(path, lets, OPEN)) is None


def test_a_floor_in_another_currency_cannot_be_met() -> None:
    assert serves(with_("imp.bidfloor", 0.01, with_("imp.bidfloorcur", "EUR", OPEN))) == "floor_currency"


def test_a_script_or_an_iframe_is_stopped_by_its_own_banner_type() -> None:
    script, iframe = {**CREATIVE, "adm": "<SCRIPT></SCRIPT>"}, {**CREATIVE, "adm": "<iframe>"}
    only3, only4 = with_("imp.banner.btype", [3], OPEN), with_("imp.banner.btype", [4], OPEN)
    assert [serves(r, c) for r in (only3, only4) for c in (script, iframe)] == ["btype", None, None, "btype"]


def test_a_secure_impression_needs_https_everywhere() -> None:
    secure = with_("imp.secure", 1, OPEN)
    assert serves(secure) is None
    assert serves(secure, url="http://127.0.0.1:8001") == "secure"
    assert serves(secure, {**CREATIVE, "adm": "<img src=HTTP%3A//a>"}) == "secure"
    assert serves(secure, {**CREATIVE, "adm": '<svg xmlns="http://www.w3.org/2000/svg"/>'}) is None


def test_flight_status_approval_and_type_belong_to_us() -> None:
    flight = {"start": "2026-03-02T09:30:00Z", "end": "2026-03-02T09:30:01Z"}
    assert serves(OPEN, flight=flight) is None
    assert serves(OPEN, flight={"end": flight["start"]}) == "flight"
    assert serves(OPEN, flight={"start": flight["end"]}) == "flight"
    assert serves(OPEN, status="paused") == "status"
    assert serves(OPEN, {**CREATIVE, "approval": {"openx": "pending"}}) == "approval"
    assert serves(OPEN, {**CREATIVE, "approval": {"google": "pending"}}) is None
    assert serves(OPEN, {**CREATIVE, "type": "video"}) == "format"


@pytest.mark.parametrize(
    ("deal", "why"),
    [
        ({"bidfloor": 1.5}, None),
        ({"bidfloor": 2.5}, "floor"),
        ({"bidfloor": 1, "bidfloorcur": "EUR"}, "floor_currency"),
        ({}, "floor"),
        ({"bidfloor": 1, "wseat": ["other"]}, "deal"),
        ({"bidfloor": 1, "wseat": ["outbid"]}, None),
        ({"bidfloor": 1, "wadomain": ["acme.example"]}, None),
        ({"bidfloor": 1, "wadomain": ["b.example"]}, "deal"),
    ],
)
def test_a_campaign_with_deals_bids_through_one_of_them_at_its_floor(deal: dict[str, Any], why: str | None) -> None:
    request = with_("imp.bidfloor", 3, with_("imp.pmp", {"private_auction": 1, "deals": [{"id": "d-1", **deal}]}, OPEN))
    assert serves(request, targeting={"deal": {"include": ["d-1"]}}) == why
    assert serves(request, targeting={"deal": {"include": ["d-2"]}}) == "deal"
