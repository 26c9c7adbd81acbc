"""Invoice: what an exchange asks for, held against what we heard of, by day of receipt.

CSV: date,exchange,campaign,impressions,amount (header wanted; campaign empty or absent: the exchange's whole day;
amount in US dollars). Days are those of `zone`, as the exchange counts. Rows that the file lacks, of its exchanges and
between its first day and its last, are differences too. Money: int nano-USD.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from aggregator.reconcile import Difference, snapshot
from bidder.money.units import nano_from_usd, usd_text

COLUMNS = ("date", "exchange", "impressions", "amount")
Key = tuple[date, str, str]  # day, exchange, campaign ('': all of them)

_RECEIPTS = """
SELECT (r.hour AT TIME ZONE %(zone)s)::date, coalesce(e.name, '#' || r.exchange), coalesce(c.id, '#' || r.campaign),
    sum(r.bills)::bigint, sum(r.amount_nano)::bigint
FROM ledger.receipt_hour r LEFT JOIN config.exchange e ON e.key = r.exchange
LEFT JOIN config.campaign c ON c.key = r.campaign
WHERE (r.hour AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s GROUP BY 1, 2, 3
"""
_SUSPENSE = """
SELECT (s.received_at AT TIME ZONE %(zone)s)::date, coalesce(e.name, '#' || s.exchange), sum(s.price_nano)::bigint
FROM ledger.suspense s LEFT JOIN config.exchange e ON e.key = s.exchange
WHERE s.state <> 'accepted' AND (s.received_at AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s GROUP BY 1, 2
"""
_FLAGGED = """
SELECT (f.minute AT TIME ZONE %(zone)s)::date, coalesce(e.name, '#' || f.exchange), sum(f.n)::bigint
FROM rollup.flagged_minute f LEFT JOIN config.exchange e ON e.key = f.exchange
WHERE f.kind IN (1, 2, 4) AND (f.minute AT TIME ZONE %(zone)s)::date BETWEEN %(first)s AND %(last)s GROUP BY 1, 2
"""


class InvoiceError(Exception):
    """The file cannot be used; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody says of one key."""

    impressions: int = 0
    nano: int = 0


def read(path: Path) -> dict[Key, Line]:
    """The invoice; InvoiceError for what is no row of one, or is there twice."""
    lines: dict[Key, Line] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InvoiceError(f"{path}: the header lacks {', '.join(missing)}")
            for row in rows:
                key, line = _line(row, f"{path}:{rows.line_num}")
                if key in lines:
                    raise InvoiceError(f"{path}:{rows.line_num}: {key[0]} {key[1]} {key[2]} is there twice")
                lines[key] = line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvoiceError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if not lines:
        raise InvoiceError(f"{path}: no row in it")
    return lines


def _line(row: Mapping[str, Any], where: str) -> tuple[Key, Line]:
    try:
        key = (date.fromisoformat(row["date"].strip()), row["exchange"].strip(), (row.get("campaign") or "").strip())
        line = Line(int(row["impressions"]), nano_from_usd(row["amount"].strip()))
    except (ValueError, AttributeError, TypeError) as error:
        raise InvoiceError(f"{where}: {error}") from None
    return key, line


def compare(dsn: str, invoice: Mapping[Key, Line], zone: str, tolerance_nano: int) -> list[Difference]:
    """Where it differs from the receipts by more than `tolerance_nano` a row."""
    days, exchanges = [key[0] for key in invoice], {key[1] for key in invoice}
    by_campaign = {key[:2]: bool(key[2]) for key in invoice}
    ask = {"zone": zone, "first": min(days), "last": max(days)}
    with snapshot(dsn) as cursor:
        cursor.execute(_RECEIPTS, ask)
        ours = _receipts(cursor.fetchall(), by_campaign)
        cursor.execute(_SUSPENSE, ask)
        suspense = {(day, exchange): nano for day, exchange, nano in cursor.fetchall()}
        cursor.execute(_FLAGGED, ask)
        flagged = {(day, exchange): n for day, exchange, n in cursor.fetchall()}
    wanted = {key for key in ours if key[1] in exchanges} | invoice.keys()
    apart = {
        key: (invoice.get(key, Line()), ours.get(key, Line()))
        for key in sorted(wanted)
        if abs(invoice.get(key, Line()).nano - ours.get(key, Line()).nano) > tolerance_nano
    }
    return [
        Difference(
            " ".join(filter(None, (key[1], str(key[0]), key[2] and f"campaign {key[2]}"))),
            "invoice", theirs.nano, "receipts", mine.nano,
            _cause(key, theirs, mine, apart, suspense.get(key[:2], 0), flagged.get(key[:2], 0)),
        )
        for key, (theirs, mine) in apart.items()
    ]  # fmt: skip


def _receipts(rows: Iterable[tuple[date, str, str, int, int]], by_campaign: Mapping[Any, bool]) -> dict[Key, Line]:
    """By the keys of the invoice: with campaigns on the days for which it names them."""
    ours: dict[Key, Line] = {}
    for day, exchange, campaign, bills, nano in rows:
        key = (day, exchange, campaign if by_campaign.get((day, exchange)) else "")
        before = ours.get(key, Line())
        ours[key] = Line(before.impressions + bills, before.nano + nano)
    return ours


def _cause(
    key: Key, theirs: Line, ours: Line, apart: Mapping[Key, tuple[Line, Line]], suspense: int, flagged: int
) -> str:
    """The likeliest, from what else is known of that day."""
    more = theirs.nano - ours.nano
    for step in (-1, 1):
        near = apart.get((key[0] + timedelta(days=step), *key[1:]))
        if near is not None and abs(near[0].nano - near[1].nano + more) <= abs(more) // 20:
            return f"counted on {key[0] + timedelta(days=step)} instead: another time zone (--tz)"
    if more > 0 and theirs.impressions > ours.impressions and suspense >= more:
        return f"bills that came after the life of their token: {usd_text(suspense)} USD in suspense or rejected"
    if not ours.impressions:
        return "nothing of it reached us: are its notices delivered, and is the name right?"
    if not theirs.impressions:
        return "not invoiced (yet)"
    if theirs.impressions == ours.impressions:
        return "as many impressions, another price: a fee, a discount, or a rate of exchange"
    if more > 0 and flagged:
        return (
            f"{theirs.impressions - ours.impressions} bills more than we booked; {flagged} notices had no usable price"
        )
    if more > 0:
        return f"{theirs.impressions - ours.impressions} bills did not reach us"
    return (
        f"{ours.impressions - theirs.impressions} of our bills are not on it: filtered as invalid, or not invoiced yet"
    )
