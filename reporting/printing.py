"""Printing: rows of a report as a table, as CSV or as JSON.

Columns are named; times come out in the zone of the report (ISO 8601), amounts exact.
A table is for eyes (thousands separated, dollars instead of nano-dollars), CSV and JSON are for programs.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from bidder.money.units import usd_text

FORMATS = ("table", "csv", "json")
NANO_SUFFIX = "_nano_usd"


def with_dollars(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[list[str], list[list[Any]]]:
    """After each `x_nano_usd` its `x_usd`, exact, as text of nine decimals."""
    out_columns: list[str] = []
    for column in columns:
        out_columns.append(column)
        if column.endswith(NANO_SUFFIX):
            out_columns.append(column.replace(NANO_SUFFIX, "_usd"))
    out_rows = []
    for row in rows:
        out: list[Any] = []
        for column, value in zip(columns, row, strict=True):
            out.append(value)
            if column.endswith(NANO_SUFFIX):
                out.append(usd_text(value))
        out_rows.append(out)
    return out_columns, out_rows


def render(columns: Sequence[str], rows: Sequence[Sequence[Any]], form: str, zone: str = "UTC") -> str:
    """The whole report, without a newline at its end (`form`: one of FORMATS)."""
    if form == "json":
        tz = ZoneInfo(zone)
        return json.dumps([dict(zip(columns, (_plain(v, tz) for v in row), strict=True)) for row in rows])
    if form == "csv":
        return _csv(columns, rows, ZoneInfo(zone))
    return _table(columns, rows, ZoneInfo(zone))


def _plain(value: Any, zone: ZoneInfo) -> Any:
    """A value that JSON and CSV know; exact decimals stay text."""
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return str(value)
    return value


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]], zone: ZoneInfo) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(value, zone) for value in row] for row in rows)
    return out.getvalue().rstrip("\n")


def _shown(value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S%z}".replace(":00+", "+")
    if isinstance(value, dict):
        return " ".join(f"{key}={_shown(item, zone)}" for key, item in value.items())
    return str(_plain(value, zone))


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], zone: ZoneInfo) -> str:
    """Columns as wide as they need; numbers to the right. Where there are dollars, nano-dollars are left out."""
    kept = [
        i
        for i, column in enumerate(columns)
        if not (column.endswith(NANO_SUFFIX) and column.replace(NANO_SUFFIX, "_usd") in columns)
    ]
    cells = [[_shown(row[i], zone) for i in kept] for row in rows]
    right = [columns[i].endswith("_usd") or any(isinstance(row[i], int | Decimal) for row in rows) for i in kept]
    heads = [columns[i] for i in kept]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = []
    for line in [heads, ["-" * width for width in widths], *cells]:
        parts = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)
