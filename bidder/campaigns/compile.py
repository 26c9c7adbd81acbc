"""Campaign records -> the book that workers map.

    records -> entries (entry.py) -> slots by descending price -> index (index.py) and rows -> file (sections.py)

The same records give the same file, byte for byte. A record that cannot be served is
left out and named in the summary; it never keeps the others from being served.
Linear in the size of the records: about 0.5 ms a campaign, most of it markup.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bidder.campaigns.entry import Entry, read
from bidder.campaigns.index import Index
from bidder.campaigns.record import CampaignRecord
from bidder.campaigns.sections import BookWriter, Dimension, Section

SEED_STEP = 0x9E3779B97F4A7C15
NO_VERSION = (0,) * 8
OSV, RADIUS, HOURS, AGE, ALL, MULTIPLIERS = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class BookSummary:
    """What was written. `left_out`: records that cannot be served, with the reason."""

    path: Path
    revision: int
    bytes: int
    campaigns: int
    creatives: int
    values: int
    left_out: tuple[str, ...]


class BookCompileError(ValueError):
    """None of the records can be served; no book was written."""


def compile_book(
    records: Iterable[CampaignRecord],
    *,
    revision: int,
    exchanges: Mapping[str, int],
    public_url: str,
    purse_of: Callable[[int], int],
    path: Path,
) -> BookSummary:
    """Writes the book of these records to `path`; whoever maps the file that was there keeps that one."""
    ordered = sorted(records, key=lambda record: record.key)
    entries: list[Entry] = []
    left_out: list[str] = []
    for record in ordered:
        try:
            if record.active:
                entries.append(read(record, exchanges, public_url))
        except (KeyError, TypeError, ValueError) as error:
            left_out.append(f"campaign {record.body.get('id', record.key)}: {type(error).__name__}: {error}")
    if left_out and not entries:
        raise BookCompileError(f"no campaign can be served; the first: {left_out[0]}")
    entries.sort(key=lambda entry: (-entry.price_max, entry.record.key))

    writer = BookWriter()
    seed = (revision + 1) * SEED_STEP % 2**64
    index = Index(writer, len(entries), seed)
    zones: dict[str, int] = {}
    for slot, entry in enumerate(entries):
        _add_campaign(writer, index, zones, slot, entry, purse_of(entry.record.key))
    index.write()
    for name, number in zones.items():
        writer.named(Section.ZONES, number, name)
    for name, key in sorted(exchanges.items(), key=lambda item: item[1]):
        writer.named(Section.EXCHANGES, key, name)
    for record in ordered:
        writer.named(Section.IDS, record.key, record.body["id"])
    landings = {
        record.creatives[creative["id"]]: creative["landing_url"]
        for record in ordered
        for creative in record.body["creatives"]
        if creative["id"] in record.creatives
    }
    for key, url in sorted(landings.items()):
        writer.named(Section.LANDINGS, key, url)
    size = writer.write(path, revision=revision, seed=seed, words=index.words)
    return BookSummary(
        path=path,
        revision=revision,
        bytes=size,
        campaigns=len(entries),
        creatives=writer.count(Section.CREATIVES),
        values=writer.count(Section.VALUES),
        left_out=tuple(left_out),
    )


def _add_campaign(writer: BookWriter, index: Index, zones: dict[str, int], slot: int, entry: Entry, purse: int) -> None:
    def ids(dimension: Dimension, raws: Iterable[bytes]) -> list[int]:
        return [index.value(dimension, raw, entry.terms.get((dimension, raw), 0)) for raw in raws]

    for dimension, raws in entry.include:
        index.include(slot, dimension, ids(dimension, raws))
    for dimension, raws in entry.exclude:
        index.exclude(slot, ids(dimension, raws))
    bits, filter_at = _add_filter(writer, index, zones, entry)
    creatives = [_add_creative(writer, slot, entry, number) for number in range(len(entry.creatives))]
    frequencies = [writer.add(Section.FREQUENCIES, *cap) for cap in entry.frequency]
    writer.add(
        Section.CAMPAIGNS,
        entry.record.key,
        entry.record.advertiser,
        entry.price,
        entry.price_max,
        entry.start_s,
        entry.end_s,
        purse,
        creatives[0] if creatives else 0,
        len(creatives),
        frequencies[0] if frequencies else 0,
        len(frequencies),
        bits,
        filter_at,
    )


def _add_creative(writer: BookWriter, slot: int, entry: Entry, number: int) -> int:
    creative = entry.creatives[number]
    adomain = [writer.string(domain) for domain in creative.adomain]
    cat = [writer.string(category) for category in creative.cat]
    bundle = writer.string(creative.bundle) + 1 if creative.bundle else 0
    pieces = [writer.add(Section.PIECES, kind, len(raw), writer.text(raw)) for kind, raw in creative.pieces]
    return writer.add(
        Section.CREATIVES,
        creative.key,
        slot,
        creative.format,
        creative.flags,
        creative.language,
        creative.w,
        creative.h,
        creative.attr,
        creative.api,
        creative.not_approved,
        adomain[0] if adomain else 0,
        len(adomain),
        cat[0] if cat else 0,
        len(cat),
        pieces[0] if pieces else 0,
        len(pieces),
        0,
        bundle,
    )


def _add_filter(writer: BookWriter, index: Index, zones: dict[str, int], entry: Entry) -> tuple[int, int]:
    """(bits of what has to be looked at, number of the filter), (0, 0) where the index says all."""

    def value_ids(values: Iterable[tuple[Dimension, bytes]]) -> tuple[int, int]:
        numbers = [
            writer.add(Section.VALUE_IDS, index.value(dimension, raw, entry.terms.get((dimension, raw), 0)))
            for dimension, raw in values
        ]
        return (numbers[0] if numbers else 0), len(numbers)

    bits = (
        OSV * bool(entry.osv)
        | RADIUS * bool(entry.points)
        | HOURS * bool(entry.hours)
        | AGE * bool(entry.age)
        | ALL * bool(entry.every_segment)
        | MULTIPLIERS * bool(entry.multipliers)
    )
    if not bits:
        return 0, 0
    mask = 0
    for hour in entry.hours:
        mask |= 1 << hour
    zone = zones.setdefault(entry.zone, len(zones)) if entry.hours else 0
    points = [writer.add(Section.POINTS, *point) for point in entry.points]
    every = value_ids((Dimension.SEGMENT, raw) for raw in entry.every_segment)
    multipliers = []
    for multiplier in entry.multipliers:
        whens = [writer.add(Section.WHENS, *value_ids(when)) for when in multiplier.whens]
        multipliers.append(writer.add(Section.MULTIPLIERS, multiplier.factor, whens[0] if whens else 0, len(whens)))
    least, most = entry.osv or (NO_VERSION, NO_VERSION)
    number = writer.add(
        Section.FILTERS,
        zone,
        *((mask >> shift) & (2**64 - 1) for shift in (0, 64, 128)),
        *least,
        *most,
        *(entry.age or (0, 0)),
        points[0] if points else 0,
        len(points),
        *every,
        multipliers[0] if multipliers else 0,
        len(multipliers),
    )
    return bits, number
