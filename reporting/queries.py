"""Queries: what was asked of `outbid report`, as one SQL statement over the report views.

Question -> build() -> (sql, parameters). Values travel as parameters; names of columns come from the tables here only.
Minutes are those of the request or bid; --since is rounded down to its minute, --until is excluded. The ledger has
days only, those of its campaigns: there both are rounded down to the day.
ReportError says in one line what cannot be asked.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIGURES = ("requests", "bids", "wins", "impressions", "clicks", "conversions", "spend_nano_usd")
MONEY = ("granted", "returned", "spent", "balance", "late", "overspend", "suspense", "fee", "charged")
MORE = (
    *("bills", "losses", "viewable", "starts", "first_quartiles", "midpoints", "third_quartiles", "completes"),
    *("conversion_nano_usd", "bid_nano_usd"),
)  # figures of deliveries that are given where they are asked for
DEMAND_SIDE = frozenset(("advertiser", "campaign", "creative", "deal", "format", "size"))
TIMES = ("minute", "hour", "day")
ALIASES = {"bundle": "inventory", "domain": "inventory"}
UPPER = frozenset(("country", "reason"))  # values are written in capitals
TOTAL = "total"  # --by total: no dimension at all
_SPAN = re.compile(r"(\d+)(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ReportError(Exception):
    """It cannot be asked like this; the message says what can."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One report: a view, what its rows can be told apart by, and what is added up."""

    view: str
    dimensions: tuple[str, ...]
    figures: tuple[str, ...]
    by: tuple[str, ...]  # where nothing was asked for
    order: tuple[str, ...]  # figures, most first, unless a time orders the rows
    more: tuple[str, ...] = ()  # figures by request
    clock: str = "minute"  # the column that --since and --until choose by; or "day"


_PLACES = ("exchange", "country", "os", "inventory", "arm")
_DEMAND = ("advertiser", "campaign", "creative", "deal", "format", "size")
KINDS = {
    "spend": Kind(
        "report.delivery_minute",
        (*_DEMAND, *_PLACES, *TIMES),
        FIGURES,
        ("campaign",),
        ("spend_nano_usd", "bids"),
        MORE,
    ),
    "delivery": Kind(
        "report.delivery_minute",
        (*_DEMAND, *_PLACES, *TIMES),
        FIGURES,
        (),
        ("bids", "requests", "impressions"),
        MORE,
    ),
    "ledger": Kind(
        "report.money",
        ("advertiser", "campaign", "exchange", "day"),
        tuple(f"{figure}_nano_usd" for figure in MONEY),
        ("campaign",),
        ("spent_nano_usd", "granted_nano_usd"),
        clock="day",
    ),
    "caps": Kind(
        "report.caps",
        ("advertiser", "campaign", "creative", "exchange", "arm", *TIMES),
        ("shown", "beyond", "given_back"),
        ("campaign",),
        ("beyond", "shown"),
    ),
    "nobids": Kind("report.nobids", ("reason", *_PLACES, *TIMES), ("nobids",), ("reason",), ("nobids",)),
}


@dataclass(frozen=True, slots=True)
class Question:
    """One report that was asked for."""

    kind: str
    by: tuple[str, ...]  # as asked for: a dimension or its alias
    since: datetime  # aware
    until: datetime | None
    zone: str = "UTC"
    more: tuple[str, ...] = ()
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)  # any of the values, of every dimension


def dimension(kind: str, name: str) -> str:
    """The column of the report's view that `name` means."""
    column = ALIASES.get(name, name)
    if column not in KINDS[kind].dimensions:
        raise ReportError(f"{name!r} is no dimension of {kind}; there are {', '.join(sorted(KINDS[kind].dimensions))}")
    return column


def dimensions(kind: str, text: str | None) -> tuple[str, ...]:
    """`--by` as names of dimensions, in the order asked for."""
    if text is None:
        return KINDS[kind].by
    if text == TOTAL:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if len({dimension(kind, name) for name in names}) < len(names):
        raise ReportError(f"--by {text}: the same dimension twice")
    return names


def more_figures(kind: str, text: str | None) -> tuple[str, ...]:
    """`--with` as names of figures beside the usual ones."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(","))) if text else ()
    for name in names:
        if name not in KINDS[kind].more:
            raise ReportError(f"--with {name}: no figure of {kind}; there are {', '.join(KINDS[kind].more) or 'none'}")
    return names


def filters(kind: str, texts: Sequence[str]) -> dict[str, list[str]]:
    """`--where dim=value`, several of the same dimension: any of them."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ReportError(f"--where {text}: dimension=value is wanted")
        name = dimension(kind, name.strip())
        if name in TIMES:
            raise ReportError(f"--where {text}: times are chosen with --since and --until")
        found.setdefault(name, []).append(value.upper() if name in UPPER else value)
    return found


def zone(text: str) -> str:
    """The name of a time zone, checked."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ReportError(f"--tz {text}: no such time zone; names are those of IANA, as Europe/Madrid") from None
    return text


def moment(option: str, text: str, now: datetime, in_zone: str) -> datetime:
    """`2h` before now, or a date or time of ISO 8601 (of `in_zone` if it names none)."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        try:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise ReportError(f"{option} {text}: that is before all time") from None
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ReportError(f"{option} {text}: 30m, 24h, 7d or a time as 2026-01-31T12:00 is wanted") from None
    return given if given.tzinfo is not None else given.replace(tzinfo=ZoneInfo(in_zone))


def build(question: Question) -> tuple[str, dict[str, Any]]:
    """The statement; its columns are the dimensions asked for, then the figures."""
    kind = KINDS[question.kind]
    parameters: dict[str, Any] = {"since": _edge(question, question.since), "zone": question.zone}
    conditions = [f"{kind.clock} >= %(since)s"]
    if question.until is not None:
        conditions.append(f"{kind.clock} < %(until)s")
        parameters["until"] = question.until if kind.clock == "minute" else _edge(question, question.until)
    for name, values in question.where.items():
        conditions.append(f"{name} = ANY(%({name})s)")
        parameters[name] = list(values)
    conditions += [f"{name} IS NOT NULL" for name in question.by if name in DEMAND_SIDE]
    columns = [f"{_expression(kind, dimension(question.kind, name))} AS {name}" for name in question.by]
    columns += [f"coalesce(sum({figure}), 0)::bigint AS {figure}" for figure in (*kind.figures, *question.more)]
    sql = f"SELECT {', '.join(columns)} FROM {kind.view} WHERE {' AND '.join(conditions)}"
    if question.by:
        numbers = [str(i + 1) for i in range(len(question.by))]
        ranks = [] if set(question.by) & set(TIMES) else [f"sum({figure}) DESC" for figure in kind.order]
        sql += f" GROUP BY {', '.join(numbers)} ORDER BY {', '.join((*ranks, *numbers))}"
    return sql, parameters


def _edge(question: Question, moment: datetime) -> datetime | date:
    """Where the report begins or ends, by the clock of its view."""
    if KINDS[question.kind].clock == "day":
        return moment.astimezone(ZoneInfo(question.zone)).date()
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _expression(kind: Kind, name: str) -> str:
    """A dimension in SELECT; times begin in the zone that was asked for, but for days of campaigns."""
    if kind.clock == "day":
        return name
    if name == "day":
        return "(minute AT TIME ZONE %(zone)s)::date"
    if name == "hour":
        return "date_trunc('hour', minute, %(zone)s)"
    return name
