"""One campaign record, read for the book: numbers and values as the index and the auction want them.

Everything that can be wrong with a record shows here, before anything of it is written:
KeyError, TypeError or ValueError mean that this record cannot be served.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from bidder.campaigns.form import MAX_PRICE, version
from bidder.campaigns.record import CampaignRecord
from bidder.campaigns.sections import Dimension
from bidder.campaigns.spelling import LISTED, number, spelled
from bidder.money.units import nano_from_cpm
from bidder.openrtb import markup
from bidder.openrtb.codes import FORMATS

FACTOR_UNIT = 1_000_000
FOREVER_S = 2**62
NEWEST = (2**32 - 1,) * 8
MTYPES = {name: mtype for mtype, name in FORMATS.items()}


@dataclass(slots=True)
class Creative:
    key: int
    format: int
    flags: int
    language: int
    w: int
    h: int
    attr: int
    api: int
    not_approved: int
    bundle: str
    adomain: list[str]
    cat: list[str]
    pieces: list[tuple[int, bytes]]


@dataclass(slots=True)
class Multiplier:
    factor: int  # millionths
    whens: list[list[tuple[Dimension, bytes]]]  # of each, the request needs one


@dataclass(slots=True)
class Entry:
    """A campaign that runs."""

    record: CampaignRecord
    price: int
    price_max: int
    start_s: int
    end_s: int
    include: list[tuple[Dimension, list[bytes]]]
    exclude: list[tuple[Dimension, list[bytes]]]
    terms: dict[tuple[Dimension, bytes], int]
    hours: list[int]
    zone: str
    osv: tuple[tuple[int, ...], tuple[int, ...]] | None
    age: tuple[int, int] | None
    points: list[tuple[float, float, float]]
    every_segment: list[bytes]
    multipliers: list[Multiplier]
    frequency: list[tuple[int, int, int]]
    creatives: list[Creative]


def times(price: int, factors: Iterable[int]) -> int:
    """price times every factor, rounded half up once, MAX_PRICE at most."""
    top, bottom = price, 1
    for factor in factors:
        top, bottom = top * factor, bottom * FACTOR_UNIT
    return min((2 * top + bottom) // (2 * bottom), MAX_PRICE)


def _bits(numbers: Iterable[int]) -> int:
    word = 0
    for bit in numbers:
        word |= 1 << bit
    return word


def _seconds(flight: Mapping[str, str], name: str, otherwise: int) -> int:
    return int(datetime.fromisoformat(flight[name]).timestamp()) if flight.get(name) else otherwise


def _creatives(record: CampaignRecord, exchanges: Mapping[str, int], public_url: str) -> list[Creative]:
    found = []
    for body in record.body["creatives"]:
        if body["id"] not in record.creatives:
            raise ValueError(f"creative {body['id']} has no key; import the campaign with it")
        language = body.get("language") or ""
        found.append(
            Creative(
                key=record.creatives[body["id"]],
                format=MTYPES[body["type"]],
                flags=markup.flags(body, public_url),
                language=(ord(language[0]) - 97) * 26 + ord(language[1]) - 96 if language else 0,
                w=body.get("w") or 0,
                h=body.get("h") or 0,
                attr=_bits(body.get("attr") or ()),
                api=_bits(body.get("api") or ()),
                not_approved=_bits(
                    exchanges[name]
                    for name, state in (body.get("approval") or {}).items()
                    if state != "approved" and name in exchanges
                ),
                bundle=body.get("bundle") or "",
                adomain=[domain.lower() for domain in body.get("adomain") or ()],
                cat=body.get("cat") or [],
                pieces=markup.pieces(record.body, body, public_url),
            )
        )
    return found


def read(record: CampaignRecord, exchanges: Mapping[str, int], public_url: str) -> Entry:
    """The record of a campaign that runs."""
    body = record.body
    aims: Mapping[str, Any] = body.get("targeting") or {}
    creatives = _creatives(record, exchanges, public_url)
    include: list[tuple[Dimension, list[bytes]]] = []
    exclude: list[tuple[Dimension, list[bytes]]] = []
    terms: dict[tuple[Dimension, bytes], int] = {}

    def spell(dimension: Dimension, values: Iterable[Any]) -> list[bytes]:
        found = []
        for value in values:
            raws = spelled(dimension, value, exchanges)
            found += raws
            if dimension is Dimension.DEAL:
                terms[dimension, raws[0]] = record.deals.get(value, 0)
            elif dimension in (Dimension.BUNDLE, Dimension.DOMAIN):
                terms[dimension, raws[0]] = record.inventory.get(raws[0].decode()) or record.inventory.get(
                    value.lower(), 0
                )
        return found

    for dimension in LISTED:
        aim = aims.get(dimension.name.lower()) or {}
        if aim.get("include"):
            include.append((dimension, spell(dimension, aim["include"])))
        if aim.get("exclude"):
            exclude.append((dimension, spell(dimension, aim["exclude"])))
    segment = aims.get("segment") or {}
    every = [value.encode() for value in segment.get("all") or ()]
    # Whoever needs all of several segments needs the first: that finds the campaign by index.
    some = [value.encode() for value in segment.get("any") or ()] or every[:1]
    if some:
        include.append((Dimension.SEGMENT, some))
    if segment.get("none"):
        exclude.append((Dimension.SEGMENT, [value.encode() for value in segment["none"]]))
    if aims.get("user_id", "any") != "any":
        (include if aims["user_id"] == "required" else exclude).append((Dimension.USER_ID, [number(1)]))
    include.append((Dimension.FORMAT, [number(mtype) for mtype in sorted({one.format for one in creatives})]))
    if all(one.format == MTYPES["banner"] for one in creatives):
        include.append(
            (Dimension.SIZE, [number(w << 32 | h) for w, h in sorted({(one.w, one.h) for one in creatives})])
        )

    multipliers = [
        Multiplier(
            factor=int(Decimal(multiplier["factor"]) * FACTOR_UNIT),
            whens=[
                [(Dimension[name.upper()], raw) for raw in spell(Dimension[name.upper()], values)]
                for name, values in multiplier["when"].items()
                if values
            ],
        )
        for multiplier in body.get("multipliers") or ()
    ]
    price = int(nano_from_cpm(body["bid"]["cpm_usd"]))
    if not 1 <= price <= MAX_PRICE:
        raise ValueError(f"a price of {body['bid']['cpm_usd']} CPM")
    flight = body.get("flight") or {}
    osv, age = aims.get("osv") or {}, aims.get("age") or {}
    return Entry(
        record=record,
        price=price,
        price_max=times(price, [one.factor for one in multipliers if one.factor > FACTOR_UNIT]),
        start_s=_seconds(flight, "start", 0),
        end_s=_seconds(flight, "end", FOREVER_S),
        include=include,
        exclude=exclude,
        terms=terms,
        hours=aims.get("hour_of_week") or [],
        zone=(body.get("budget") or {}).get("timezone") or "UTC",
        osv=(version(osv.get("min") or "0"), version(osv["max"]) if osv.get("max") else (2**32 - 1,) * 8)
        if osv
        else None,
        age=(age.get("min") or 0, age.get("max") or 999) if age else None,
        points=[(point["lat"], point["lon"], point["km"]) for point in aims.get("radius") or ()],
        every_segment=every,
        multipliers=multipliers,
        frequency=[
            (cap["impressions"], cap["per_s"], int(cap.get("level") == "creative"))
            for cap in body.get("frequency") or ()
        ],
        creatives=creatives,
    )
