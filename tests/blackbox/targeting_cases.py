"""Every dimension of targeting as docs/campaigns.md has it: what a campaign says, what then reaches it, what does not.

Plain data. A request is a patch of a plain one (tests/blackbox/bid_port.py), which has no site, app, user, geo, osv
or deal: the empty patch stands for a request without the field.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.consent_strings import agreed

Json = dict[str, Any]
Patch = dict[str, Any]

WITHOUT: Patch = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One campaign and its requests."""

    name: str
    targeting: Json
    accepted: list[Patch]
    refused: list[Patch]
    more: Json = field(default_factory=dict)  # other keys of the campaign


def geo(**fields: Any) -> Patch:
    return {"device": {"geo": fields}}


def device(**fields: Any) -> Patch:
    return {"device": fields}


def user(**fields: Any) -> Patch:
    return {"user": fields}


def site(**fields: Any) -> Patch:
    return {"site": fields}


def app(**fields: Any) -> Patch:
    return {"app": fields}


def deals(*names: str) -> Patch:
    return {"imp": {"pmp": {"deals": [{"id": name} for name in names]}}}


def segments(*names: str) -> Patch:
    return user(data=[{"segment": [{"id": name}]} for name in names])


def regs(patch: Patch, **fields: Any) -> Patch:
    """The same request under a law."""
    return patch | {"regs": fields}


# dimension, a value that is listed, what has it, what has another
LISTED: list[tuple[str, Any, list[Patch], list[Patch]]] = [
    ("country", "CAN", [geo(country="CAN")], [geo(country="USA"), geo(country="MEX", region="CAN")]),
    (
        "region",
        "CA-QC",
        [geo(country="CAN", region="QC"), geo(country="CAN", region="CA-QC")],
        [geo(country="USA", region="QC"), geo(country="CAN", region="ON"), geo(country="CAN"), geo(region="QC")],
    ),
    ("city", "São Paulo", [geo(city="São Paulo"), geo(city="SÃO PAULO")], [geo(city="Sao Paulo"), geo(city="Paulo")]),
    ("metro", "501", [geo(metro="501"), geo(metro=501)], [geo(metro="5"), geo(metro="5010")]),
    ("zip", "10001", [geo(zip="10001")], [geo(zip="10002"), geo(zip="1000")]),
    ("os", "android", [device(os="Android"), device(os="ANDROID")], [device(os="iOS")]),
    ("device_type", 4, [device(devicetype=4)], [device(devicetype=5)]),
    ("make", "Samsung", [device(make="SAMSUNG")], [device(make="Apple")]),
    ("model", "iPhone14,5", [device(model="iphone14,5")], [device(model="iPhone14")]),
    ("carrier", "T-Mobile", [device(carrier="t-mobile")], [device(carrier="Orange")]),
    ("connection_type", 2, [device(connectiontype=2)], [device(connectiontype=0), device(connectiontype=6)]),
    ("language", "en", [device(language="en"), device(language="EN")], [device(language="fr")]),
    ("inventory", "app", [app(name="A")], [site(name="S"), {"dooh": {"name": "D"}}]),
    ("bundle", "com.good.App", [app(bundle="com.good.app")], [app(bundle="com.good"), site(domain="com.good.app")]),
    (
        "domain",
        "News.example",
        [site(domain="news.EXAMPLE"), site(page="https://news.example:8080/a/b?c=other.example")],
        [site(domain="other.example", page="https://news.example/"), site(page="https://other.example/news.example")],
    ),
    (
        "publisher",
        "pub-7",
        [site(publisher={"id": "pub-7"}), app(publisher={"id": "pub-7"})],
        [site(publisher={"id": "pub-8"}), site(publisher={"name": "pub-7"})],
    ),
    (
        "cat",
        "IAB9",
        [site(cat=["IAB9"]), app(cat=["IAB1", "IAB9-30"]), site(sectioncat=["IAB9-3"]), site(pagecat=["IAB9-3"])],
        [site(cat=["IAB1", "IAB90"]), app(cat=["IAB19-9"]), site(name="IAB9")],
    ),
    ("deal", "d-conformance-7", [deals("d-conformance-7"), deals("x", "d-conformance-7")], [deals("d-8")]),
    ("gender", "F", [user(gender="F")], [user(gender="M"), user(gender="O")]),
]


def both_ways() -> list[Case]:
    """An include needs the field; an exclude accepts requests without it; empty lists accept all."""
    found = []
    for name, value, having, others in LISTED:
        found.append(Case(f"{name} included", {name: {"include": [value]}}, having, [*others, WITHOUT]))
        found.append(Case(f"{name} excluded", {name: {"exclude": [value]}}, [*others, WITHOUT], having))
        found.append(Case(f"{name} empty", {name: {"include": [], "exclude": []}}, [*having, *others, WITHOUT], []))
    return found


NEW_YORK = [{"lat": 40.7, "lon": -74.0, "km": 25}, {"lat": 0.0, "lon": 179.9, "km": 30}]
OTHERS = [
    Case(
        "radius",
        {"radius": NEW_YORK},
        [geo(lat=40.7128, lon=-74.006), geo(lat=40.92, lon=-74.0), geo(lat=0.0, lon=-179.9)],
        [geo(lat=40.93, lon=-74.0), geo(lat=40.7, lon=74.0), geo(lat=40.7), WITHOUT],
    ),
    Case(
        "osv between",
        {"osv": {"min": "12.2", "max": "15"}},
        [device(osv="12.2"), device(osv="12.10"), device(osv="13"), device(osv="15"), device(osv="15.0.0")],
        [device(osv="12.1.9"), device(osv="12"), device(osv="15.0.1"), device(osv="9"), device(osv="x"), WITHOUT],
    ),
    Case("osv from", {"osv": {"min": "9"}}, [device(osv="10.1"), device(osv="9")], [device(osv="8.9"), WITHOUT]),
    Case("osv to", {"osv": {"max": "9.5"}}, [device(osv="9.05"), device(osv="9.5")], [device(osv="9.10"), WITHOUT]),
    Case(
        "segment any", {"segment": {"any": ["a", "b"]}}, [segments("b"), segments("x", "a")], [segments("c"), WITHOUT]
    ),
    Case(
        "segment all",
        {"segment": {"all": ["a", "b"]}},
        [segments("b", "a"), segments("a", "x", "b")],
        [segments("a"), segments("b"), WITHOUT],
    ),
    Case("segment none", {"segment": {"none": ["z"]}}, [segments("a"), WITHOUT], [segments("z"), segments("a", "z")]),
    Case(
        "segment any, all and none",
        {"segment": {"any": ["a", "b"], "all": ["c"], "none": ["z"]}},
        [segments("a", "c"), segments("c", "b")],
        [segments("c"), segments("a"), segments("a", "c", "z")],
    ),
    Case(
        "user id required",
        {"user_id": "required"},
        [user(id="u"), user(buyeruid="u"), device(ifa="8d1c3a52-0000-4000-8000-000000000001")],
        [WITHOUT, device(ifa="00000000-0000-0000-0000-000000000000"), user(gender="F")],
    ),
    Case(
        "user id forbidden",
        {"user_id": "forbidden"},
        [WITHOUT, device(ifa="00000000-0000-0000-0000-000000000000"), regs(user(id="u"), coppa=1)],
        [user(id="u"), user(buyeruid="u"), device(ifa="8d1c3a52-0000-4000-8000-000000000001")],
    ),
    Case("user id any", {"user_id": "any"}, [WITHOUT, user(id="u")], []),
    Case(
        "every country but one, on phones",
        {"country": {"exclude": ["USA"]}, "device_type": {"include": [4]}, "os": {"include": ["ios", "android"]}},
        [device(devicetype=4, os="iOS"), device(devicetype=4, os="Android", geo={"country": "CAN"})],
        [device(devicetype=4, os="iOS", geo={"country": "USA"}), device(devicetype=4), device(os="iOS")],
    ),
    Case("nothing at all", {}, [WITHOUT, {"test": 1}, geo(country="USA") | user(gender="F")], []),
]

VENDOR = 30  # of the host that these are asked of
NOBODY = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"  # a TC string that grants nothing
BOTH = user(id="u", gender="F")
LAW = [
    Case(
        f"the law of {name}",
        {"gender": {"include": ["F"]}},
        [BOTH, *allowed],
        forbidden,
    )
    for name, allowed, forbidden in (
        ("coppa", [regs(BOTH, coppa=0)], [regs(BOTH, coppa=1)]),
        ("lmt and dnt", [BOTH | device(lmt=0, dnt=0)], [BOTH | device(lmt=1), BOTH | device(dnt=1)]),
        (
            "gdpr",
            [regs(user(id="u", gender="F", consent=agreed(VENDOR)), gdpr=1), regs(BOTH, gdpr=0)],
            [
                regs(BOTH, gdpr=1),
                regs(BOTH, ext={"gdpr": 1}),
                regs(user(id="u", gender="F", consent=NOBODY), gdpr=1),
                regs(user(id="u", gender="F", consent=agreed(VENDOR + 1)), gdpr=1),
                BOTH | geo(country="FRA"),
            ],
        ),
        (
            "a us state",
            [regs(BOTH, us_privacy="1YNN")],
            [regs(BOTH, us_privacy="1YYN"), regs(BOTH, ext={"us_privacy": "1NYN"})],
        ),
    )
]
CASES = [*both_ways(), *OTHERS, *LAW]
