"""What the reader promises, one promise a test; `tests/property` compares all of it with the slow reader."""

import json
from typing import Any

import pytest

from bidder._fast.request import Reader
from bidder.settings import Consent
from tests.consent_strings import agreed

OK, MALFORMED, INVALID = 0, 1, 2


def view_of(body: str | dict[str, Any], code: int = OK) -> dict[str, Any]:
    reader = Reader()
    text = body if isinstance(body, str) else json.dumps(body)
    assert reader.parse(text.encode()) == code
    return reader.view()


def request(**members: Any) -> dict[str, Any]:
    return {"id": "r", "imp": [{"id": "1"}], **members}


def imp_of(**members: Any) -> dict[str, Any]:
    imp: dict[str, Any] = view_of({"id": "r", "imp": [{"id": "1", **members}]})["imps"][0]
    return imp


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"null",
        b'"id"',
        b"{",
        b"{}}",
        b'{"id":1,}',
        b'{"id":01}',
        b'{"id":.5}',
        b'{"id":1.}',
        b'{"id":+1}',
        b'{"id":1e}',
        b'{"id":NaN}',
        b'{"id":-Infinity}',
        b'{"id":tru}',
        b'{"id":"a\nb"}',
        b'{"id":"\\x"}',
        b'{"id":"\\u12g4"}',
        b'{"id" 1}',
        b"{id:1}",
        b"{'id':1}",
        b'{"a":[1,]}',
        b'{"a":[1 2]}',
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xf4\x90\x80\x80"}',
        b'\xef\xbb\xbf{"id":"1"}',
        b"{}\x00",
        b'{"id":"1"}{',
        b'{"a":"unfinished',
        b'{"a":"\xe2\x82',
        b"{/**/}",
        b"\x00",
        b'{"id":"1\x00"}',
        b'{"a":1\x0b}',
    ],
)
def test_what_is_not_one_json_object_is_malformed(body: bytes) -> None:
    assert Reader().parse(body) == MALFORMED


def test_every_truncation_of_a_request_is_malformed() -> None:
    body = json.dumps(
        request(device={"os": "é", "lmt": 1, "geo": {"lat": -1.5e2}}, x=[True, None, {"a": "\n"}])
    ).encode()
    reader = Reader()
    assert [reader.parse(body[:n]) for n in range(len(body))] == [MALFORMED] * len(body)
    assert reader.parse(body) == OK


@pytest.mark.parametrize(("levels", "code"), [(63, OK), (64, MALFORMED), (100_000, MALFORMED)])
def test_sixty_four_containers_may_be_open_at_once(levels: int, code: int) -> None:
    body = b'{"id":"r","imp":[{"id":"1"}],"x":' + b"[" * levels + b"]" * levels + b"}"
    assert Reader().parse(body) == code


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"id":"r"}',
        '{"imp":[{"id":"1"}]}',
        '{"id":"r","imp":[{}]}',
        '{"id":"","imp":[{"id":"1"}]}',
        '{"id":"r","imp":{"id":"1"}}',
        '{"id":null,"imp":[{"id":"1"}]}',
        '{"id":"\\ud800","imp":[{"id":"1"}]}',
    ],
)
def test_a_request_without_id_or_without_an_imp_that_has_one_is_invalid(body: str) -> None:
    view_of(body, INVALID)


def test_ids_keep_their_bytes_on_the_wire_and_lose_their_escapes() -> None:
    view = view_of(r'{"id":"a\u0062\/\ud83d\ude00","imp":[{"id":"\"x\""}]}')
    assert (view["id"], view["id_raw"]) == ("ab/\U0001f600", r"a\u0062\/\ud83d\ude00")
    assert (view["imps"][0]["id"], view["imps"][0]["id_raw"]) == ('"x"', r"\"x\"")


def test_a_numeric_id_is_its_digits() -> None:
    view = view_of('{"id":12.50,"imp":[{"id":7}]}')
    assert (view["id"], view["id_raw"], view["imps"][0]["id_raw"]) == ("12.50", "12.50", "7")


def test_imps_that_share_an_id_are_marked_and_one_without_is_kept() -> None:
    view = view_of('{"id":"r","imp":[{"id":"a"},{"id":"\\u0061"},{},{"id":"b"}]}')
    assert [(imp["id"], imp["duplicate_id"]) for imp in view["imps"]] == [
        ("a", True),
        ("a", True),
        (None, False),
        ("b", False),
    ]


def test_imps_beyond_the_256th_are_dropped_but_must_be_json() -> None:
    imps = ",".join(f'{{"id":"{n}"}}' for n in range(300))
    assert len(view_of(f'{{"id":"r","imp":[{imps}]}}')["imps"]) == 256
    assert Reader().parse(f'{{"id":"r","imp":[{imps},]}}'.encode()) == MALFORMED


def test_lists_grow_without_losing_an_entry() -> None:
    domains = [f"d{n}.example" for n in range(20_000)]
    deals = [{"id": f"d{n}", "wseat": ["s"]} for n in range(500)]
    formats = [{"w": n, "h": n} for n in range(1, 1000)]
    view = view_of(
        request(
            badv=domains, cur=["EUR"] * 50, imp=[{"id": "1", "pmp": {"deals": deals}, "banner": {"format": formats}}]
        )
    )
    assert view["badv"] == domains
    assert [deal["id"] for deal in view["imps"][0]["deals"]] == [f"d{n}" for n in range(500)]
    assert view["imps"][0]["sizes"] == [(n, n) for n in range(1, 1000)]
    assert len(view["cur"]) == 50


def test_the_last_of_a_repeated_key_holds_whole() -> None:
    view = view_of('{"id":"r","imp":[{"id":"1"}],"device":{"os":"a","geo":{"city":"b"}},"device":{"make":"c"}}')
    assert (view["os"], view["city"], view["make"]) == (None, None, "c")
    assert view_of('{"id":"r","imp":[{"id":"1"},{"id":"2"}],"imp":[{"id":"3"}]}')["imps"][0]["id"] == "3"


@pytest.mark.parametrize(
    ("cpm", "nano"),
    [
        ("1", 1_000_000),
        ("0.0000005", 1),
        ("0.00000049999999999999999999", 0),
        ("1.0000005", 1_000_001),
        ("0.1", 100_000),
        ('"2.40"', 2_400_000),
        ("1e-6", 1),
        ("-3", 0),
        ("1e300", 10**18),
        ("999999999999", 999999999999 * 10**6),
        ("123456789012.345678", 123456789012345678),
        ("true", 0),
        ("null", 0),
        ('"abc"', 0),
        ('"1 "', 0),
        ("[1]", 0),
    ],
)
def test_a_floor_is_read_from_its_decimals_and_rounded_half_up(cpm: str, nano: int) -> None:
    assert view_of(f'{{"id":"r","imp":[{{"id":"1","bidfloor":{cpm}}}]}}')["imps"][0]["floor"] == nano


def test_a_deal_without_floor_is_told_from_one_with_floor_zero() -> None:
    deals = imp_of(pmp={"private_auction": 1, "deals": [{"id": "a"}, {"id": "b", "bidfloor": 0}, {"bidfloor": 1}]})[
        "deals"
    ]
    assert [(deal["id"], deal["floor"]) for deal in deals] == [("a", -1), ("b", 0)]


def test_a_currency_that_cannot_be_read_is_not_taken_for_dollars() -> None:
    assert [imp_of(bidfloorcur=name)["floor_currency"] for name in ("eur", None, "EURO", "$")] == [
        "EUR",
        None,
        "?",
        "?",
    ]
    view = view_of(request(cur=["euros"]))
    assert (view["cur"], view["cur_named"]) == ([], True)


def test_banner_sizes_come_from_format_where_it_names_any() -> None:
    both = imp_of(banner={"w": 1, "h": 2, "format": [{"w": 300.0, "h": "250"}, {"w": 0, "h": 9}, None]})
    assert both["sizes"] == [(300, 250)]
    assert imp_of(banner={"w": 320, "h": 50, "format": [{"wratio": 4}]})["sizes"] == [(320, 50)]
    assert imp_of(banner={"w": 320})["sizes"] == []
    assert imp_of(banner=None, video={})["media"] == ["video"]


def test_codes_are_read_as_sets() -> None:
    imp = imp_of(banner={"battr": [1, "17", 63, 64, 0, -1, 3.0], "btype": [3, 4, 5], "api": [7, None]})
    assert (imp["battr"], imp["btype"], imp["api"]) == ([1, 3, 17, 63], [3, 4], [7])


def test_app_counts_before_site_and_an_empty_object_counts() -> None:
    view = view_of(request(site={"domain": "a.example", "cat": ["IAB1"]}, app={"bundle": "b", "publisher": {"id": 7}}))
    assert (view["inventory"], view["domain"], view["bundle"], view["cat"]) == ("app", None, "b", [])
    assert view["publisher"] == "7"
    assert view_of(request(site={}))["inventory"] == "site"
    assert view_of(request(site=[]))["inventory"] is None


@pytest.mark.parametrize(
    ("page", "host"),
    [
        ("http://www.a.example/x?y", "www.a.example"),
        ("https://u:p@a.example:8080#z", "a.example"),
        ("//a.example", "a.example"),
        ("a.example/x//y", "a.example"),
        ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
        ("http:///x", None),
        ("", None),
    ],
)
def test_the_domain_is_the_host_of_the_page_where_it_is_absent(page: str, host: str | None) -> None:
    assert view_of(request(site={"page": page}))["domain"] == host
    assert view_of(request(site={"page": page, "domain": "d.example"}))["domain"] == "d.example"


def test_all_categories_of_the_place_are_one_list() -> None:
    site = {"pagecat": ["IAB3"], "cat": ["IAB1"], "sectioncat": ["IAB2", 5], "cattax": 6}
    view = view_of(request(site=site, cattax=2))
    assert (view["cat"], view["cattax"]) == (["IAB1", "IAB2", "5", "IAB3"], 6)


PERSON: dict[str, Any] = {
    "user": {
        "id": "u",
        "gender": "F",
        "yob": 1980,
        "data": [{"segment": [{"id": "s-1"}, {"id": 2}]}, {"segment": [{"id": "s-3"}]}],
    },
    "device": {
        "ifa": "1-2",
        "geo": {
            "country": "usa",
            "region": "NY",
            "city": "Albany",
            "metro": "532",
            "zip": 12207,
            "lat": 42.65,
            "lon": "-73.75",
        },
    },
}


def test_a_person_is_seen_where_nothing_forbids_it() -> None:
    view = view_of(request(**PERSON))
    assert view["may"] == ["bid", "personalise", "identify", "sync", "log", "locate", "pinpoint"]
    assert view["has_user_id"]
    assert (view["gender"], view["yob"], view["segments"], view["ifa"]) == ("F", 1980, ["s-1", "2", "s-3"], "1-2")
    assert (view["lat"], view["lon"], view["has_point"], view["zip"]) == (42.65, -73.75, True, "12207")


@pytest.mark.parametrize(
    "law",
    [
        {"regs": {"gdpr": 1}},
        {"regs": {"ext": {"gdpr": 1}}},
        {"regs": {"gdpr": 0, "ext": {"gdpr": "1"}}},
        {"regs": {"us_privacy": "1YYN"}},
        {"regs": {"ext": {"us_privacy": "1-Y-"}}},
        {"regs": {"coppa": 1}},
        {"regs": {"gdpr": True}, "user": {**PERSON["user"], "consent": ""}},
        {"device": {**PERSON["device"], "lmt": 1}},
        {"device": {**PERSON["device"], "dnt": "1"}},
    ],
)
def test_nothing_of_a_person_is_left_where_the_law_or_the_user_forbids_it(law: dict[str, Any]) -> None:
    view = view_of(request(**{**PERSON, **law}))
    assert not {"personalise", "identify", "sync", "pinpoint"} & set(view["may"])
    assert (view["has_user_id"], view["ifa"], view["gender"], view["yob"], view["segments"]) == (
        False,
        None,
        None,
        0,
        [],
    )
    assert (view["has_point"], view["lat"], view["lon"], view["zip"]) == (False, 0.0, 0.0, None)
    assert (view["country"], view["region"]) == ("USA", "NY")
    assert (view["city"], view["metro"]) == (("Albany", "532") if "locate" in view["may"] else (None, None))
    assert ("locate" in view["may"]) is (law.get("regs", {}).get("coppa") != 1)


@pytest.mark.parametrize("place", ["user", "ext"])
def test_consent_lets_a_person_be_seen_under_gdpr_from_either_place(place: str) -> None:
    given = {"consent": agreed(30)}
    user = {**PERSON["user"], **(given if place == "user" else {"ext": given})}
    body = json.dumps(request(**(PERSON | {"user": user}), regs={"gdpr": 1})).encode()
    for us, seen in ((Consent(vendor_id=30), True), (Consent(vendor_id=31), False), (None, False)):
        reader = Reader(us)
        assert reader.parse(body) == OK
        view = reader.view()
        assert (view["has_user_id"], view["yob"], view["has_point"]) == (
            (True, 1980, True) if seen else (False, 0, False)
        )


@pytest.mark.parametrize(
    ("who", "known"),
    [
        ({"user": {"buyeruid": "b"}}, True),
        ({"user": {"eids": [{"source": "s"}]}}, True),
        ({"user": {"eids": []}}, False),
        ({"user": {"ext": {"eids": [{}]}}}, True),
        ({"device": {"ifa": "00000000-0000-0000-0000-000000000000"}}, False),
        ({"device": {"ifa": "a"}}, True),
        ({"user": {"id": ""}}, False),
        ({}, False),
    ],
)
def test_a_user_is_known_by_an_id_of_any_kind_but_not_by_zeros(who: dict[str, Any], known: bool) -> None:
    assert view_of(request(**who))["has_user_id"] is known


def test_nothing_of_one_request_shows_in_the_next() -> None:
    reader = Reader()
    full = request(
        **PERSON, site={"domain": "a"}, tmax=5, at=1, test=1, cur=["USD"], wseat=["s"], bcat=["c"], regs={"gdpr": 1}
    )
    bare = json.dumps(request()).encode()
    reader.parse(bare)
    before = reader.view()
    assert reader.parse(json.dumps(full).encode()) == OK
    assert reader.parse(bare) == OK
    assert reader.view() == before
