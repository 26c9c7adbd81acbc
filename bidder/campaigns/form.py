"""The form of a campaign: every key of the import format, what it may hold and its default.

Creatives have a form of their own (creative_form.py).
"""

from collections.abc import Collection, Mapping
from typing import Any

from bidder.campaigns.checks import (
    Check,
    Key,
    Report,
    amount,
    factor,
    instant,
    integer,
    list_of,
    number,
    one_of,
    table,
    text,
    zone,
)
from bidder.campaigns.creative_form import creative_check
from bidder.money.units import MAX_NANO, NANO_PER_CPM, cpm_text, nano_from_cpm, nano_from_usd, usd_text

MAX_PRICE = 1_000 * NANO_PER_CPM  # $1,000 CPM; nothing above is ever bid
MAX_MULTIPLIERS = 16
OSV = r"[0-9]{1,9}(\.[0-9]{1,9}){0,7}"


def _dollars(nano: int) -> str:
    return usd_text(nano).rstrip("0").rstrip(".")


USD = amount(nano_from_usd, _dollars, 0, MAX_NANO)
CPM = amount(nano_from_cpm, cpm_text, 1, MAX_PRICE)
ID = text()
COUNT = integer(1, 1_000_000)


def targets(exchange: Check) -> dict[str, Check]:
    """One entry of each dimension that takes an include and an exclude list."""
    return {
        "exchange": exchange,
        "country": text(pattern="[A-Z]{3}", what="ISO 3166-1 alpha-3, as USA,"),
        "region": text(pattern=r"[A-Z]{2}-\S+", what="alpha-2 and code, as CA-QC,"),
        "city": ID,
        "metro": ID,
        "zip": ID,
        "os": ID,
        "device_type": integer(1, 1_000),
        "make": ID,
        "model": ID,
        "carrier": ID,
        "connection_type": integer(0, 1_000),
        "language": ID,
        "inventory": one_of("site", "app", "dooh"),
        "bundle": ID,
        "domain": ID,
        "publisher": ID,
        "venue_type": ID,
        "dooh": ID,
        "cat": ID,
        "deal": ID,
        "gender": one_of("M", "F", "O"),
    }


def _any_user(value: Any, at: str, report: Report) -> Any:
    given = one_of("required", "forbidden", "any")(value, at, report)
    return None if given == "any" else given


def _targeting(entries: Mapping[str, Check]) -> Check:
    dimensions = {
        name: Key(table({"include": Key(list_of(entry)), "exclude": Key(list_of(entry))}, drop_empty=True))
        for name, entry in entries.items()
    }
    osv = text(pattern=OSV, what="a version, as 12.1,")
    age = integer(0, 130)
    segments = Key(list_of(ID))
    point = table(
        {
            "lat": Key(number(-90, 90), required=True),
            "lon": Key(number(-180, 180), required=True),
            "km": Key(number(0, 20_100, above=True), required=True),
        }
    )
    return table(
        dimensions
        | {
            "radius": Key(list_of(point, unique=False)),
            "osv": Key(table({"min": Key(osv), "max": Key(osv)}, drop_empty=True)),
            "hour_of_week": Key(list_of(integer(0, 167))),
            "segment": Key(table({"any": segments, "all": segments, "none": segments}, drop_empty=True)),
            "age": Key(table({"min": Key(age), "max": Key(age)}, drop_empty=True)),
            "user_id": Key(_any_user),
        },
        drop_empty=True,
    )


def _multiplier(entries: Mapping[str, Check]) -> Check:
    named = {**entries, "segment": ID}
    when = table({name: Key(list_of(entry, least=1)) for name, entry in named.items()}, drop_empty=True)
    return table({"when": Key(when, required=True), "factor": Key(factor, required=True)})


def campaign_check(exchanges: Collection[str]) -> Check:
    """The check of one campaign, given the exchanges that there are."""
    entries = targets(one_of(*sorted(exchanges)))
    whole = table(
        {
            "id": Key(ID, required=True),
            "advertiser": Key(ID, required=True),
            "name": Key(text(least=0), default=""),
            "status": Key(one_of("active", "paused", "archived"), default="active"),
            "flight": Key(table({"start": Key(instant), "end": Key(instant)}, drop_empty=True), default={}),
            "budget": Key(
                table(
                    {
                        "total_usd": Key(USD),
                        "daily_usd": Key(USD),
                        "hourly_usd": Key(USD),
                        "pacing": Key(one_of("even", "asap"), default="asap"),
                        "timezone": Key(zone, default="UTC"),
                    },
                    drop_empty=True,
                ),
                default={"pacing": "asap", "timezone": "UTC"},
            ),
            "bid": Key(
                table({"cpm_usd": Key(CPM, required=True), "shading": Key(one_of("none", "auto"), default="none")}),
                required=True,
            ),
            "conversion": Key(table({"click_window_s": Key(integer(60, 31_536_000), required=True)})),
            "targeting": Key(_targeting(entries), default={}),
            "multipliers": Key(list_of(_multiplier(entries), unique=False, most=MAX_MULTIPLIERS), default=[]),
            "frequency": Key(
                list_of(
                    table(
                        {
                            "impressions": Key(COUNT, required=True),
                            "per_s": Key(integer(1, 31_536_000), required=True),
                            "level": Key(one_of("campaign", "creative"), default="campaign"),
                        }
                    ),
                    unique=False,
                    most=8,
                ),
                default=[],
            ),
            "creatives": Key(
                list_of(creative_check(entries["exchange"]), unique=False, least=1, most=1_000), required=True
            ),
        }
    )

    def check(value: Any, at: str, report: Report) -> Any:
        before = len(report)
        body = whole(value, at, report)
        if len(report) == before:
            _across(body, report)
            if body["conversion"] is None:
                del body["conversion"]
        return body

    return check


def _across(body: Mapping[str, Any], report: Report) -> None:
    """What only shows when several keys are looked at together."""
    flight, aims = body["flight"], body["targeting"]
    if flight.get("start", "") >= flight.get("end", "~"):
        report.append(f"flight.end: {flight['end']} is not after the start, {flight['start']}")
    age = aims.get("age", {})
    if age.get("min", 0) > age.get("max", 130):
        report.append(f"targeting.age: min {age['min']} is above max {age['max']}")
    osv = aims.get("osv", {})
    if "min" in osv and "max" in osv and version(osv["min"]) > version(osv["max"]):
        report.append(f"targeting.osv: min {osv['min']} is above max {osv['max']}")
    seen: set[str] = set()
    for n, creative in enumerate(body["creatives"]):
        if creative["id"] in seen:
            report.append(f"creatives[{n}].id: {creative['id']!r} is already the id of another creative here")
        seen.add(creative["id"])


def version(dotted: str) -> tuple[int, ...]:
    """A version as eight numbers, missing parts zero: comparable."""
    parts = [int(part) for part in dotted.split(".")]
    return tuple(parts + [0] * (8 - len(parts)))
