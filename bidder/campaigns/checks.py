"""Checks that campaign files are read with: small tables instead of code for every key.

A check takes a JSON value and the place it stands in, adds what is wrong to the
report (`bid.cpm_usd: not a decimal amount: 'abc'`) and returns the canonical value,
or None where there is none. Nothing is raised: one look at a file finds all its faults.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Report = list[str]
Check = Callable[[Any, str, Report], Any]

TEXT_MAX = 128
LIST_MAX = 10_000


class Key(NamedTuple):
    """One key of an object. Absent and null are the same: `default`, unless it is required."""

    check: Check
    required: bool = False
    default: Any = None


def shown(value: Any) -> str:
    """A value as errors quote it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def table(keys: Mapping[str, Key], drop_empty: bool = False) -> Check:
    """An object with these keys only. `drop_empty` leaves out keys that say nothing."""

    def check(value: Any, at: str, report: Report) -> Any:
        if not isinstance(value, dict):
            report.append(f"{at}: an object is wanted, not {shown(value)}" if at else "an object is wanted")
            return None
        prefix = f"{at}." if at else ""
        for name in value:
            if name not in keys:
                report.append(f"{prefix}{name}: no such key; there are {', '.join(keys)}")
        result = {}
        for name, key in keys.items():
            given = value.get(name)
            if given is not None:
                given = key.check(given, prefix + name, report)
            else:
                if key.required:
                    report.append(f"{prefix}{name}: missing")
                given = key.default
            if not drop_empty or given not in (None, [], {}):
                result[name] = given
        return result

    return check


def list_of(item: Check, unique: bool = True, least: int = 0, most: int = LIST_MAX) -> Check:
    """A list in its order. What stands in a `unique` one twice is kept once; objects are never unique."""

    def check(value: Any, at: str, report: Report) -> Any:
        if not isinstance(value, list):
            report.append(f"{at}: a list is wanted, not {shown(value)}")
            return None
        if not least <= len(value) <= most:
            report.append(f"{at}: {least} to {most} entries are wanted, not {len(value)}")
            return None
        items = [item(entry, f"{at}[{n}]", report) for n, entry in enumerate(value)]
        return list(dict.fromkeys(items)) if unique else items

    return check


def map_of(names: Check, values: Check) -> Check:
    """An object whose keys are data."""

    def check(value: Any, at: str, report: Report) -> Any:
        if not isinstance(value, dict):
            report.append(f"{at}: an object is wanted, not {shown(value)}")
            return None
        return {
            names(name, f"{at}.{name}", report): values(each, f"{at}.{name}", report) for name, each in value.items()
        }

    return check


def text(
    most: int = TEXT_MAX, pattern: str = "", what: str = "", lower: bool = False, lines: bool = False, least: int = 1
) -> Check:
    """Printable text (`lines`: line breaks and tabs too), optionally of a form that `what` names."""
    form = re.compile(pattern)

    def check(value: Any, at: str, report: Report) -> Any:
        if not isinstance(value, str):
            report.append(f"{at}: a string is wanted, not {shown(value)}")
        elif not least <= len(value) <= most:
            report.append(f"{at}: {least} to {most} characters are wanted, not {len(value)}")
        elif not (value.translate(_LINES) if lines else value).isprintable():
            report.append(f"{at}: holds characters that cannot be printed: {shown(value)}")
        elif pattern and not form.fullmatch(value):
            report.append(f"{at}: {what} is wanted, not {shown(value)}")
        else:
            return value.lower() if lower else value
        return None

    return check


_LINES = str.maketrans("", "", "\r\n\t")


def one_of(*values: str) -> Check:
    def check(value: Any, at: str, report: Report) -> Any:
        if isinstance(value, str) and value in values:
            return value
        report.append(f"{at}: {shown(value)} is none of {', '.join(values)}")
        return None

    return check


def integer(least: int, most: int) -> Check:
    def check(value: Any, at: str, report: Report) -> Any:
        if type(value) is int and least <= value <= most:
            return value
        report.append(f"{at}: an integer from {least} to {most} is wanted, not {shown(value)}")
        return None

    return check


def number(least: float, most: float, above: bool = False) -> Check:
    """A JSON number; `above`: more than `least`."""

    def check(value: Any, at: str, report: Report) -> Any:
        if (
            type(value) in (int, float)
            and isfinite(value)
            and least <= value <= most
            and not (above and value == least)
        ):
            return float(value)
        report.append(f"{at}: a number from {least:g} to {most:g} is wanted, not {shown(value)}")
        return None

    return check


def boolean(value: Any, at: str, report: Report) -> Any:
    if isinstance(value, bool):
        return value
    report.append(f"{at}: true or false is wanted, not {shown(value)}")
    return None


def amount(read: Callable[[str], int], write: Callable[[int], str], least: int, most: int) -> Check:
    """Money: a decimal in quotes, or an integer. Canonical: the decimal without needless zeros."""

    def check(value: Any, at: str, report: Report) -> Any:
        if type(value) is not int and not isinstance(value, str):
            report.append(f"{at}: a decimal amount in quotes is wanted, not {shown(value)}")
            return None
        try:
            nano = read(str(value))
        except ValueError as error:
            report.append(f"{at}: {error}")
            return None
        if least <= nano <= most:
            return write(nano)
        report.append(f"{at}: {write(least)} to {write(most)} is wanted, not {shown(value)}")
        return None

    return check


def factor(value: Any, at: str, report: Report) -> Any:
    """A multiplier: 0 to 100 with at most six decimals, in quotes, or an integer."""
    if type(value) is not int and not isinstance(value, str):
        report.append(f"{at}: a decimal in quotes is wanted, not {shown(value)}")
        return None
    try:
        decimal = Decimal(value)
        fine = decimal.is_finite() and 0 <= decimal <= 100 and decimal == round(decimal, 6)
    except InvalidOperation:
        fine = False
    if fine:
        return f"{decimal:f}".rstrip("0").rstrip(".") if "." in f"{decimal:f}" else f"{decimal:f}"
    report.append(f"{at}: a decimal from 0 to 100 with at most six decimals is wanted, not {shown(value)}")
    return None


def instant(value: Any, at: str, report: Report) -> Any:
    """A time with its zone, `2026-01-01T00:00:00Z`. Canonical: in UTC, whole seconds."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).strftime("%04Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError, OverflowError):
        pass
    report.append(f"{at}: a time with its zone is wanted, as 2026-01-01T00:00:00Z, not {shown(value)}")
    return None


def zone(value: Any, at: str, report: Report) -> Any:
    try:
        if isinstance(value, str):
            ZoneInfo(value)
            return value
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    report.append(f"{at}: no such time zone: {shown(value)}")
    return None


def web_url(value: Any, at: str, report: Report) -> Any:
    """An absolute http(s) URL that can stand in a Location header: ASCII, no blanks, no control characters."""
    if isinstance(value, str) and len(value) <= 2_000 and re.fullmatch(r"[!-~]+", value):
        try:
            parts = urlsplit(value)
            if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port):
                return value
        except ValueError:
            pass
    report.append(f"{at}: an absolute http or https URL of ASCII without blanks is wanted, not {shown(value)}")
    return None
