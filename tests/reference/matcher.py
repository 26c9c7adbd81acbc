"""The slow, obvious truth of targeting and of what stops a banner: one campaign, one imp, rule after rule.

Campaigns are in the import format (`examples/campaigns.jsonl`, or the normalised body);
requests and imps are what json.loads makes of the wire. None means yes, a name is the
first rule that says no. Purses, pacing and frequency are not looked at.
"""

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from bidder._fast.taxonomy import codes_of_ours
from bidder.openrtb.codes import ALPHA2
from tests.reference.request import View, view, view_imp

Json = dict[str, Any]

EARTH_KM = 6371.0088  # mean radius
EXACT = Context(prec=400)


def present(value: Any) -> set[Any]:
    return set() if value is None else {value}


def folded(value: str | None) -> set[Any]:
    return present(value and value.casefold())


def region(request: View) -> set[Any]:
    """`CA-QC` as it is, `QC` with the country's alpha-2 before it."""
    name, country = request["region"], ALPHA2.get(request["country"] or "")
    if name is None or re.match("[A-Z]{2}-.", name, re.DOTALL):
        return present(name)
    return present(country and f"{country}-{name}")


def categories(request: View) -> set[Any]:
    """Those of the request with everything above them, as a listed category covers its children."""
    ours = [code for cat in request["cat"] for code in codes_of_ours(request["cattax"], cat)]
    parts = [cat.split("-") for cat in ours]
    return {"-".join(part[:n]) for part in parts for n in range(1, len(part) + 1)}


def venues(request: View) -> set[Any]:
    """Those of the request with everything above them: `1.2.3` or `10203` are in `1.2` and `102`."""
    found: set[str] = set()
    for venue in request["venue_type"]:
        parts = venue.split(".")
        digits = venue.isascii() and venue.isdecimal()
        found |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)} if not digits else set()
        found |= {venue[:n] for n in range(len(venue), 0, -2)} if digits else set()
    return found


# What a request has in each dimension that takes include and exclude lists.
OF_REQUEST: dict[str, Callable[[View], set[Any]]] = {
    "country": lambda r: present(r["country"]),
    "region": region,
    "city": lambda r: folded(r["city"]),
    "metro": lambda r: present(r["metro"]),
    "zip": lambda r: present(r["zip"]),
    "os": lambda r: folded(r["os"]),
    "device_type": lambda r: present(r["device_type"] or None),
    "make": lambda r: folded(r["make"]),
    "model": lambda r: folded(r["model"]),
    "carrier": lambda r: folded(r["carrier"]),
    "connection_type": lambda r: {r["connection_type"]} - {-1},
    "language": lambda r: folded(r["language"]),
    "inventory": lambda r: present(r["inventory"]),
    "bundle": lambda r: folded(r["bundle"]),
    "domain": lambda r: folded(r["domain"]),
    "publisher": lambda r: present(r["publisher"]),
    "venue_type": venues,
    "dooh": lambda r: present(r["dooh"]),
    "cat": categories,
    "gender": lambda r: present(r["gender"]),
}
FOLDED = {"city", "os", "make", "model", "carrier", "language", "bundle", "domain"}


def listed(name: str, values: Iterable[Any], found: set[Any]) -> bool:
    """Is one of the values that the campaign lists among those that the request has?"""
    return any((value.casefold() if name in FOLDED else value) in found for value in values)


def has(name: str, request: View, imp: Json | None, exchange: str | None) -> set[Any]:
    if name == "exchange":
        return present(exchange)
    if name == "deal":
        return set() if imp is None else {deal["id"] for deal in view_imp(imp)["deals"]}
    if name == "segment":
        return set(request["segments"])
    return OF_REQUEST[name](request)


def accepts(campaign: Json, request: Json, imp: Json, exchange: str, now: datetime) -> str | None:
    """Does the targeting accept this imp?"""
    targeting, seen = campaign.get("targeting", {}), view(request)
    for name in ("exchange", *OF_REQUEST, "deal"):
        lists = targeting.get(name, {})
        found = has(name, seen, imp, exchange)
        if lists.get("include") and not listed(name, lists["include"], found):
            return name
        if listed(name, lists.get("exclude") or [], found):
            return name
    zone = ZoneInfo(campaign.get("budget", {}).get("timezone", "UTC"))
    rules = {
        "radius": not targeting.get("radius") or any(within(circle, seen) for circle in targeting["radius"]),
        "osv": version_fits(targeting.get("osv", {}), seen["osv"]),
        "hour_of_week": hour_fits(targeting.get("hour_of_week"), now.astimezone(zone)),
        "segment": segments_fit(targeting.get("segment", {}), set(seen["segments"])),
        "age": age_fits(targeting.get("age", {}), seen["yob"], now),
        "user_id": {"required": seen["has_user_id"], "forbidden": not seen["has_user_id"]}.get(
            targeting.get("user_id", "any"), True
        ),
    }
    return next((name for name, holds in rules.items() if not holds), None)


def within(circle: Json, request: View) -> bool:
    """On a sphere, by haversine."""
    if not request["has_point"]:
        return False
    here, there = math.radians(request["lat"]), math.radians(circle["lat"])
    across = math.radians(circle["lon"] - request["lon"])
    a = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
    return bool(2 * EARTH_KM * math.asin(min(1.0, math.sqrt(a))) <= circle["km"])


def version(text: str | None) -> list[int] | None:
    """`12.0.1` as numbers without trailing zeros; None for what is no version."""
    if text is None or not re.fullmatch(r"[0-9]+(\.[0-9]+)*", text):
        return None
    parts = [int(part) for part in text.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return parts


def version_fits(bounds: Json, osv: str | None) -> bool:
    least, most = version(bounds.get("min")), version(bounds.get("max"))
    if least is None and most is None:
        return True
    own = version(osv)
    return own is not None and (least is None or least <= own) and (most is None or own <= most)


def hour_fits(hours: list[int] | None, local: datetime) -> bool:
    return not hours or local.weekday() * 24 + local.hour in hours


def segments_fit(rule: Json, own: set[str]) -> bool:
    wanted = rule.get("any") or []
    return (
        (not wanted or bool(own & set(wanted)))
        and own >= set(rule.get("all") or [])
        and not own & set(rule.get("none") or [])
    )


def age_fits(bounds: Json, yob: int, now: datetime) -> bool:
    if "min" not in bounds and "max" not in bounds:
        return True
    age = now.astimezone(UTC).year - yob
    return yob != 0 and bounds.get("min", age) <= age <= bounds.get("max", age)


def price_cpm(campaign: Json, request: Json, exchange: str | None = None, imp: Json | None = None) -> Decimal:
    """The bid with every multiplier that applies, not rounded; one that asks for what is not given here does not."""
    price, seen = Decimal(campaign["bid"]["cpm_usd"]), view(request)
    for multiplier in campaign.get("multipliers", []):
        when = multiplier["when"]
        if all(listed(name, values, has(name, seen, imp, exchange)) for name, values in when.items()):
            price = EXACT.multiply(price, Decimal(multiplier["factor"]))
    return price


def can_serve(
    campaign: Json,
    creative: Json,
    request: Json,
    imp: Json,
    exchange: str,
    seat: str,
    now: datetime,
    public_url: str = "http://127.0.0.1:8001",
) -> str | None:
    """May this creative answer this imp, by all that is not targeting? `public_url`: where our notices would go."""
    seen = view(request)
    own = view_imp(imp)
    nano = int(EXACT.scaleb(price_cpm(campaign, request, exchange, imp), 6).to_integral_value(ROUND_HALF_UP))
    why = request_rule(seen, own, seat) or campaign_rule(campaign, now)
    return (
        why or creative_rule(creative, seen, own, exchange, public_url) or way_rule(campaign, creative, own, seat, nano)
    )


def request_rule(request: View, imp: View, seat: str) -> str | None:
    if request["id"] is None or imp["id"] is None or [i["id"] for i in request["imps"]].count(imp["id"]) > 1:
        return "id"
    if (request["wseat"] and seat not in request["wseat"]) or seat in request["bseat"]:
        return "seat"
    if request["cur_named"] and "USD" not in request["cur"]:
        return "currency"
    if imp["quantity"] > 1_000_000:
        return "quantity"
    return None if "banner" in imp["media"] else "format"


def campaign_rule(campaign: Json, now: datetime) -> str | None:
    flight = campaign.get("flight", {})
    if campaign.get("status", "active") != "active":
        return "status"
    if "start" in flight and now < datetime.fromisoformat(flight["start"]):
        return "flight"
    if "end" in flight and now >= datetime.fromisoformat(flight["end"]):
        return "flight"
    return None


def creative_rule(creative: Json, request: View, imp: View, exchange: str, public_url: str) -> str | None:
    if creative.get("type", "banner") != "banner":
        return "format"
    adm, domains = creative["adm"].lower(), creative.get("adomain", [])
    blocked = set(imp["btype"])
    rules = {
        "size": size_fits(creative["w"], creative["h"], imp),
        "battr": not set(creative.get("attr", [])) & set(imp["battr"]),
        # Our markup is XHTML (2), and a script (3) or iframe (4) ad by what it holds.
        "btype": not (2 in blocked or (3 in blocked and "<script" in adm) or (4 in blocked and "<iframe" in adm)),
        "expdir": not imp["expdir"] or set(creative.get("expdir", [])) <= set(imp["expdir"]),
        "api": set(creative.get("api", [])) <= set(imp["api"]),
        "secure": not imp["secure"] or (public_url.startswith("https:") and not insecure(adm)),
        "approval": creative.get("approval", {}).get(exchange, "approved") == "approved",
        "bapp": (creative.get("bundle") or "").lower() not in [app.lower() for app in request["bapp"]],
        "wlang": all(speaks(creative.get("language"), request[key]) for key in ("wlang", "wlangb")),
        "acat": not request["acat"]
        or (bool(creative.get("cat")) and all(any(covers(e, cat) for e in request["acat"]) for cat in creative["cat"])),
        "bcat": not any(covers(entry, cat) for entry in request["bcat"] for cat in creative.get("cat", [])),
        "badv": not request["badv"] or (bool(domains) and not below_any(domains, request["badv"])),
    }
    return next((name for name, holds in rules.items() if not holds), None)


def size_fits(w: int, h: int, imp: View) -> bool:
    """One of the sizes or ratios named; where there is none, within the ranges, as far as there are any."""
    if imp["sizes"] or imp["ratios"]:
        return (w, h) in imp["sizes"] or any(
            w >= least and h == math.floor(Fraction(w * high, wide) + Fraction(1, 2))
            for wide, high, least in imp["ratios"]
        )
    return (imp["wmin"] or w) <= w <= (imp["wmax"] or w) and (imp["hmin"] or h) <= h <= (imp["hmax"] or h)


def insecure(adm: str) -> bool:
    """Does markup name something over plain http? XML namespaces load nothing."""
    return bool(
        re.search("http(:|%3a)", re.sub(r"""\bxmlns(:[\w.-]+)?\s*=\s*(\\?["']).*?\2""", "", adm, flags=re.DOTALL))
    )


def speaks(language: str | None, wanted: list[str]) -> bool:
    """Is it among them, as `en` or with a region?"""
    return not language or not wanted or language.lower() in [name.lower().split("-")[0] for name in wanted]


def covers(entry: str, cat: str) -> bool:
    """`IAB25` covers `IAB25` and `IAB25-3`, without case."""
    return f"{cat}-".lower().startswith(f"{entry}-".lower())


def below_any(domains: list[str], entries: list[str]) -> bool:
    """Is a domain one of the entries or below it, without case?"""
    return any(f".{domain}".lower().endswith(f".{entry}".lower()) for domain in domains for entry in entries)


def way_rule(campaign: Json, creative: Json, imp: View, seat: str, nano: int) -> str | None:
    """Open, or through a deal: a campaign that includes deals bids only through those, any other only without."""
    wanted = campaign.get("targeting", {}).get("deal", {}).get("include") or []
    if not wanted:
        return "deal" if imp["private_auction"] else floor_rule(nano, imp["floor"], imp["floor_currency"])
    failed = "deal"
    for deal in (deal for deal in imp["deals"] if deal["id"] in wanted):
        own = deal if deal["floor"] > 0 else imp  # a deal's currency is its own, also where it names none
        if deal["wseat"] and seat not in deal["wseat"]:
            continue
        if deal["wadomain"] and not below_any(creative.get("adomain", []), deal["wadomain"]):
            continue
        why = floor_rule(nano, own["floor"], own["floor_currency"])
        if why is None:
            return None
        failed = why
    return failed


def floor_rule(nano: int, floor: int, currency: str | None) -> str | None:
    if floor > 0 and currency not in (None, "USD"):
        return "floor_currency"
    return None if nano > 0 and nano >= floor else "floor"
