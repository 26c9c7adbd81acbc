"""Stage: rows go to a temporary table by COPY and from there into their table, added to what is there.

add(cursor, TABLE, {key: measures}) is one COPY and one INSERT ... ON CONFLICT DO UPDATE, in the order of the
key, so that several aggregators on one database never wait for each other in a circle.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Value = int | bytes | bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table that only ever grows in its measures. `keys` are its primary key, in order."""

    name: str
    keys: tuple[str, ...]
    measures: tuple[str, ...]
    clock: str | None = None  # the key that is UTC minutes here, and a timestamp in the table


_DIMENSIONS = ("format", "os", "country", "w", "h", "campaign", "creative", "deal", "inventory")
TRAFFIC = Table(
    "rollup.traffic_minute",
    ("minute", "exchange", "arm", "reason", *_DIMENSIONS),
    ("requests", "bids", "nobids", "bid_nano"),
    clock="minute",
)
LATENCY = Table("rollup.latency_minute", ("minute", "exchange", "arm", "bucket"), ("n",), clock="minute")
NOTICES = Table(
    "rollup.notice_minute",
    ("minute", "exchange", "arm", *_DIMENSIONS),
    (
        *("wins", "bills", "losses", "impressions", "clicks", "conversions", "viewable"),
        *("starts", "first_quartiles", "midpoints", "third_quartiles", "completes", "conversion_nano", "spend_nano"),
    ),
    clock="minute",
)
FLAGGED = Table("rollup.flagged_minute", ("minute", "exchange", "campaign", "kind", "flags"), ("n",), clock="minute")
CAPS = Table(
    "rollup.caps_minute",
    ("minute", "exchange", "arm", "campaign", "creative"),
    ("shown", "beyond", "given_back"),
    clock="minute",
)
ARMS = Table(
    "rollup.arm_minute",
    ("minute", "exchange", "arm"),
    ("requests", "late", "gone", "busy", "price", "broken",
     "same", "other_price", "other_campaign", "more", "fewer", "invalid", "missing"),
    clock="minute",
)  # fmt: skip
MIN_TO_WIN = Table("rollup.min_to_win_day", ("day", "class", "bin"), ("auctions",))
LEASES = Table("ledger.lease_minute", ("lease", "minute"), ("spent_nano", "closed_nano"))


def _field(value: Value) -> str:
    """One value in COPY's text format."""
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return r"\\x" + value.hex()
    return str(value)  # true and false are read in any case


def copy(cursor: Any, table: str, columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """COPY rows into a table."""
    lines = "".join(["\t".join(map(_field, row)) + "\n" for row in rows])
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", io.StringIO(lines))


def copy_numbers(cursor: Any, table: str, columns: Sequence[str], rows: Mapping[Any, Sequence[int]]) -> None:
    """COPY keys and measures into a table; in half the time, for they are numbers alone."""
    line = "\t".join(["%d"] * len(columns)) + "\n"
    lines = "".join([line % (*key, *measures) for key, measures in rows.items()])
    cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", io.StringIO(lines))


@lru_cache
def _statements(table: Table) -> tuple[str, str, str]:
    """(stage name, its CREATE, the INSERT from it)."""
    stage = "stage_" + table.name.replace(".", "_")
    columns = [f"{column} bigint" for column in (*table.keys, *table.measures)]
    create = f"CREATE TEMP TABLE IF NOT EXISTS {stage} ({', '.join(columns)}) ON COMMIT DELETE ROWS"
    keys = [f"to_timestamp({key} * 60.0)" if key == table.clock else key for key in table.keys]
    sums = [f"{measure} = t.{measure} + EXCLUDED.{measure}" for measure in table.measures]
    names = ", ".join((*table.keys, *table.measures))
    insert = (
        f"INSERT INTO {table.name} AS t ({names}) SELECT {', '.join((*keys, *table.measures))} FROM {stage}"
        f" ORDER BY {', '.join(table.keys)}"
        f" ON CONFLICT ({', '.join(table.keys)}) DO UPDATE SET {', '.join(sums)}"
    )
    return stage, create, insert


def add(cursor: Any, table: Table, rows: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
    """Add measures to the rows of these keys; at most once a table and transaction."""
    if not rows:
        return
    stage, create, insert = _statements(table)
    cursor.execute(create)
    copy_numbers(cursor, stage, (*table.keys, *table.measures), rows)
    cursor.execute(insert)
