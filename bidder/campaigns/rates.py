"""Exchange rates: a dated file becomes rows of the book, the same for all workers of all hosts.

rates.json {"date", "base", "rates": {"EUR": "0.92", ...}} -> read_rates() -> Rates, in the manifest -> packed() -> book
"base": "USD" with "EUR": "0.92" says that one USD is 0.92 EUR. Exact: rates are fractions, floats appear nowhere.
Rates have an end (`until_s`): bidders stop using them by themselves, whatever became of who should bring new ones.
"""

import json
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import msgspec

from bidder.openrtb.codes import pack3

DAY_S = 86_400
MOST = 2**62  # numerators and denominators are below
_ROW = struct.Struct("<IIqQQ")  # RateRec in bidder/_fast/book.pxd


class RatesError(ValueError):
    """A file of rates cannot be used; the message says why."""


class Rates(msgspec.Struct, frozen=True):
    """What one USD is worth in other currencies: numerator and denominator."""

    date: str  # of the rates, ISO
    until_s: int  # unix seconds; from then on there are none
    per_usd: dict[str, tuple[int, int]]


def read_rates(path: Path, now: datetime, max_age_days: int) -> Rates:
    """The rates of a file, which hold for so many days after theirs, be that over or not; RatesError: none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal)
    except (OSError, ValueError) as error:
        raise RatesError(f"{path}: {error}") from None
    if not isinstance(document, dict) or not document.keys() >= {"date", "base", "rates"}:
        raise RatesError(f'{path}: {{"date": …, "base": …, "rates": {{…}}}} is wanted')
    try:
        day = date.fromisoformat(document["date"])
    except (TypeError, ValueError):
        raise RatesError(f"{path}: date: {document['date']!r} is no day like 2026-11-25") from None
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    until = midnight + timedelta(days=max_age_days + 1)
    if midnight > now + timedelta(days=1):
        raise RatesError(f"{path}: the rates of {day} are of the future")
    return Rates(str(day), int(until.timestamp()), _per_usd(document, path))


def _per_usd(document: dict[str, object], path: Path) -> dict[str, tuple[int, int]]:
    listed = document["rates"]
    if not isinstance(listed, dict):
        raise RatesError(f"{path}: rates: an object is wanted")
    worth = {str(document["base"]): Fraction(1)} | {name: _fraction(name, rate, path) for name, rate in listed.items()}
    for name in worth:
        if not pack3(name) or name != name.upper():
            raise RatesError(f"{path}: {name!r} is no currency of ISO 4217")
    if "USD" not in worth:
        raise RatesError(f"{path}: neither base nor rates name USD")
    found = {}
    for name, rate in sorted(worth.items()):
        per_usd = rate / worth["USD"]
        if max(per_usd.numerator, per_usd.denominator) >= MOST:
            raise RatesError(f"{path}: {name}: the rate has too many digits")
        if name != "USD":
            found[name] = (per_usd.numerator, per_usd.denominator)
    return found


def _fraction(name: str, rate: object, path: Path) -> Fraction:
    try:
        found = Fraction(rate if isinstance(rate, Decimal) else Decimal(rate if isinstance(rate, str) else "NaN"))
    except (ArithmeticError, ValueError):
        found = Fraction(0)
    if found <= 0:
        raise RatesError(f"{path}: {name}: a positive decimal is wanted, not {rate!r}")
    return found


def packed(rates: Rates | None) -> bytes:
    """As the book has them: by currency, ascending."""
    if rates is None:
        return b""
    day = (date.fromisoformat(rates.date) - date(1970, 1, 1)).days
    rows = sorted((pack3(name), over, under) for name, (over, under) in rates.per_usd.items())
    return b"".join(_ROW.pack(currency, day, rates.until_s, over, under) for currency, over, under in rows)
