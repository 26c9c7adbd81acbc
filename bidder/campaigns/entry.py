"""One campaign record, read for the book: numbers and values as the index and the auction want them.

Everything that can be wrong with a record shows here, before anything of it is written:
KeyError, TypeError or ValueError mean that this record cannot be served.
A million are read for one book, so what many of them say alike is worked out once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bidder.campaigns.dimension import Dimension
from bidder.campaigns.form import MAX_PRICE, version
from bidder.campaigns.record import CampaignRecord
from bidder.campaigns.spelling import LISTED, number, spelled
from bidder.money.units import nano_from_cpm
from bidder.openrtb import markup
from bidder.openrtb.codes import FORMATS
from bidder.openrtb.variant import CreativeFlag, Variant

FACTOR_UNIT = 1_000_000
FOREVER_S = 2**32 - 1  # the last second that a book can tell: in 2106
NEWEST = (2**32 - 1,) * 8
MTYPES = {name: mtype for mtype, name in FORMATS.items()}
BANNER = MTYPES["banner"]
DIMENSIONS = {dimension.name.lower(): dimension for dimension in Dimension}
LISTED_NAMES = {dimension.name.lower() for dimension in LISTED}


Aims = list[tuple[Dimension, list[bytes]]]
# A request has one value there at most, spelled in one way: what two lists share is what both accept.
SEVERAL = {Dimension.REGION, Dimension.CAT, Dimension.SEGMENT, Dimension.USER_ID, Dimension.VENUE_TYPE}
SINGLE = frozenset(Dimension) - SEVERAL


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
    expdir: int
    not_approved: int
    bundle: str
    adomain: list[str]
    cat: list[str]
    pieces: list[tuple[int, bytes]]
    media: Variant | None  # what players and natives look at; None: a banner


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
    shaded: bool
    start_s: int
    end_s: int
    includes: Aims
    excludes: Aims
    terms: dict[tuple[Dimension, bytes], int]
    hours: list[int]
    zone: str
    osv: tuple[tuple[int, ...], tuple[int, ...]] | None
    age: tuple[int, int] | None
    points: list[tuple[float, float, float]]
    every_segment: list[bytes]
    multipliers: list[Multiplier]
    raised: list[tuple[Aims, Aims]]  # see _raised
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


@lru_cache(4096)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@lru_cache(65_536)
def _price(cpm_usd: str) -> int:
    price = int(nano_from_cpm(cpm_usd))
    if not 1 <= price <= MAX_PRICE:
        raise ValueError(f"a price of {cpm_usd} CPM")
    return price


@lru_cache(4096)
def _factor(text: str) -> int:
    return int(Decimal(text) * FACTOR_UNIT)


def _narrowed(aims: Aims, dimension: Dimension, raws: list[bytes]) -> Aims | None:
    """Includes that hold only where the request has one of `raws` too; None where the index cannot say that."""
    if dimension >= Dimension.DEAL:
        return None
    for at, (known, listed) in enumerate(aims):
        if known == dimension:
            both = [raw for raw in listed if raw in raws]
            return [*aims[:at], (dimension, both), *aims[at + 1 :]] if dimension in SINGLE else None
    return [*aims, (dimension, raws)]


def _raised(multipliers: list[Multiplier], includes: Aims, excludes: Aims) -> list[tuple[Aims, Aims]]:
    """(includes, excludes) of slots that between them hold, each request once, wherever the price can be above
    `price`; none where that is everywhere, or for the price itself to find out.
    """
    raising = [one for one in multipliers if one.factor > FACTOR_UNIT]
    if len(raising) != 1:
        return []
    where = includes
    for when in raising[0].whens:
        if not when:
            return []
        where = _narrowed(where, when[0][0], [raw for _, raw in when]) or where
    if where is includes:
        return []
    # What lowers the price again, to `price` or below: each slot lacks one of its conditions and has those before.
    undone = [one for one in multipliers if one.factor * raising[0].factor <= FACTOR_UNIT**2]
    whens = undone[0].whens if undone else []
    slots: list[tuple[Aims, Aims]] = []
    has: Aims | None = where
    for when in whens:
        if not when or when[0][0] >= Dimension.DEAL or has is None:
            return [(where, excludes)]
        raws = [raw for _, raw in when]
        slots.append((has, [*excludes, (when[0][0], raws)]))
        has = _narrowed(has, when[0][0], raws)
    return slots or [(where, excludes)]


class RecordReader:
    """Reads records for one book; remembers how values are spelled."""

    def __init__(self, exchanges: Mapping[str, int], public_url: str) -> None:
        self._exchanges = exchanges
        self._public_url = public_url
        self._spelled: dict[tuple[Dimension, Any], list[bytes]] = {}

    def read(self, record: CampaignRecord) -> Entry:
        """The record of a campaign that runs."""
        body = record.body
        aims: Mapping[str, Any] = body.get("targeting") or {}
        creatives = [one for creative in body["creatives"] for one in self._creatives(record, creative)]
        if not creatives:
            raise ValueError("no creative of it can be served")
        terms: dict[tuple[Dimension, bytes], int] = {}
        includes, excludes, every = self._aims(record, aims, terms)
        mtypes = {one.format for one in creatives}
        includes.append((Dimension.FORMAT, [number(mtype) for mtype in sorted(mtypes)]))
        if mtypes <= {BANNER}:
            includes.append(
                (Dimension.SIZE, [number(size) for size in sorted({one.w << 32 | one.h for one in creatives})])
            )
        if not any(one.flags & CreativeFlag.SECURE for one in creatives):
            excludes.append((Dimension.SECURE, [number(1)]))
        multipliers = [
            Multiplier(
                factor=_factor(multiplier["factor"]),
                whens=[
                    [(DIMENSIONS[name], raw) for raw in self._spell(record, DIMENSIONS[name], values, terms)]
                    for name, values in multiplier["when"].items()
                    if values
                ],
            )
            for multiplier in body.get("multipliers") or ()
        ]
        price = _price(body["bid"]["cpm_usd"])
        raising = [one.factor for one in multipliers if one.factor > FACTOR_UNIT]
        flight = body.get("flight") or {}
        start, end = flight.get("start"), flight.get("end")
        osv, age = aims.get("osv"), aims.get("age")
        return Entry(
            record=record,
            price=price,
            price_max=times(price, raising) if raising else price,
            shaded=body["bid"].get("shading") == "auto",
            start_s=min(max(_seconds(start), 0), FOREVER_S) if start else 0,
            end_s=min(max(_seconds(end), 0), FOREVER_S) if end else FOREVER_S,
            includes=includes,
            excludes=excludes,
            terms=terms,
            hours=aims.get("hour_of_week") or [],
            zone=(body.get("budget") or {}).get("timezone") or "UTC",
            osv=(version(osv.get("min") or "0"), version(osv["max"]) if osv.get("max") else NEWEST) if osv else None,
            age=(age.get("min") or 0, age.get("max") or 999) if age else None,
            points=[(point["lat"], point["lon"], point["km"]) for point in aims.get("radius") or ()],
            every_segment=every,
            multipliers=multipliers,
            raised=_raised(multipliers, includes, excludes) if raising else [],
            frequency=[
                (cap["impressions"], cap["per_s"], int(cap.get("level") == "creative"))
                for cap in body.get("frequency") or ()
            ],
            creatives=creatives,
        )

    def _spell(
        self,
        record: CampaignRecord,
        dimension: Dimension,
        values: Iterable[Any],
        terms: dict[tuple[Dimension, bytes], int],
    ) -> list[bytes]:
        """How requests say these; what counters call them goes into `terms`."""
        found: list[bytes] = []
        for value in values:
            raws = self._spelled.get((dimension, value))
            if raws is None:
                raws = self._spelled[dimension, value] = spelled(dimension, value, self._exchanges)
            found += raws
            if dimension is Dimension.DEAL:
                terms[dimension, raws[0]] = record.deals.get(value, 0)
            elif dimension is Dimension.BUNDLE or dimension is Dimension.DOMAIN:
                key = record.inventory.get(raws[0].decode()) or record.inventory.get(value.lower(), 0)
                terms[dimension, raws[0]] = key
        return found

    def _aims(
        self, record: CampaignRecord, aims: Mapping[str, Any], terms: dict[tuple[Dimension, bytes], int]
    ) -> tuple[Aims, Aims, list[bytes]]:
        """(included, excluded, segments that must all be there)."""
        includes: Aims = []
        excludes: Aims = []
        for name, aim in aims.items():
            if name not in LISTED_NAMES or not aim:
                continue
            dimension = DIMENSIONS[name]
            if aim.get("include"):
                includes.append((dimension, self._spell(record, dimension, aim["include"], terms)))
            if aim.get("exclude"):
                excludes.append((dimension, self._spell(record, dimension, aim["exclude"], terms)))
        segment = aims.get("segment") or {}
        every = [value.encode() for value in segment.get("all") or ()]
        # Whoever needs all of several segments needs the first: that finds the campaign by index.
        some = [value.encode() for value in segment.get("any") or ()] or every[:1]
        if some:
            includes.append((Dimension.SEGMENT, some))
        if segment.get("none"):
            excludes.append((Dimension.SEGMENT, [value.encode() for value in segment["none"]]))
        if aims.get("user_id", "any") != "any":
            (includes if aims["user_id"] == "required" else excludes).append((Dimension.USER_ID, [number(1)]))
        return includes, excludes, every

    def _creatives(self, record: CampaignRecord, body: Mapping[str, Any]) -> list[Creative]:
        """One creative, in each of the ways that it can be said."""
        key = record.creatives.get(body["id"])
        if key is None:
            raise ValueError(f"creative {body['id']} has no key; import the campaign with it")
        language = body.get("language") or ""
        packed = (ord(language[0]) - 97) * 26 + ord(language[1]) - 96 if language else 0
        exchanges = self._exchanges
        not_approved = (
            _bits(
                exchanges[name] for name, state in body["approval"].items() if state != "approved" and name in exchanges
            )
            if body.get("approval")
            else 0
        )
        adomain = [domain.lower() for domain in body.get("adomain") or ()]
        return [
            Creative(
                key=key,
                format=variant.format,
                flags=variant.flags,
                language=packed,
                w=variant.w,
                h=variant.h,
                attr=_bits(variant.attr),
                api=_bits(variant.api),
                expdir=_bits(variant.expdir),
                not_approved=not_approved,
                bundle=body.get("bundle") or "",
                adomain=adomain,
                cat=body.get("cat") or [],
                pieces=variant.pieces,
                media=None if variant.format == BANNER else variant,
            )
            for variant in markup.variants(record.body, body, self._public_url)
        ]
