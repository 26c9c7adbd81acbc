"""Experiments in Postgres: what `outbid experiment` changes, what the controller publishes, what came of each arm.

An arm has a key (3 to 255), which counters, tokens and rollups carry, and a range of the 10,000 buckets. Ranges of arms
that run never overlap. A range is given once, as near to the middle as there is room: canaries take from both ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values

from bidder.campaigns.arms import BUCKETS, FIRST_KEY, LAST_KEY
from bidder.controller.store import StoreError, raise_revision_in

ENDS = 500  # buckets at each end that are no experiment's: a canary of 5 % is always possible


@dataclass(frozen=True, slots=True)
class Wanted:
    """An arm that somebody asks for."""

    name: str
    buckets: int
    off: tuple[str, ...] = ()  # features


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm as it stands."""

    key: int
    name: str
    first: int  # bucket
    buckets: int
    off: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """The first arm is what the others are held against."""

    name: str
    began: datetime
    ended: datetime | None
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Minute:
    """What the requests of one arm and one minute came to."""

    requests: int = 0
    unfilled: int = 0  # requests without a bid
    bids: int = 0
    wins: int = 0
    spent: int = 0  # nano-USD


def place(buckets: int, taken: Sequence[tuple[int, int]]) -> int:
    """First bucket of a free range of this size, as near to the middle as can be; StoreError where there is none.

    `taken`: (first, first one after it).
    """
    middle, best = BUCKETS // 2, -1
    edges = sorted([*taken, (BUCKETS - ENDS, BUCKETS)])
    low, largest = ENDS, 0
    for first, end in edges:
        room = first - low
        largest = max(largest, room)
        if room >= buckets:
            found = min(max(middle - buckets // 2, low), first - buckets)
            if best < 0 or abs(found + buckets / 2 - middle) < abs(best + buckets / 2 - middle):
                best = found
        low = max(low, end)
    if best < 0:
        raise StoreError(
            f"no room for an arm of {buckets / 100:g} %: {largest / 100:g} % is the largest part of the traffic that "
            f"is in no experiment, and not kept for canaries; see `outbid experiment list`"
        )
    return best


def start(db: Connection, name: str, wanted: Sequence[Wanted]) -> int:
    """Begins an experiment; the revision from which on books have it."""
    with db, db.cursor() as cursor:
        revision = raise_revision_in(cursor)  # its row lock makes starts queue up, so ranges and keys are free
        cursor.execute("INSERT INTO config.experiment (name) VALUES (%s) ON CONFLICT DO NOTHING RETURNING id", (name,))
        found = cursor.fetchone()
        if found is None:
            raise StoreError(f"there is an experiment {name!r} already, with figures under that name; take another")
        cursor.execute("SELECT key FROM config.experiment_arm")
        keys = sorted(set(range(FIRST_KEY, LAST_KEY + 1)) - {key for (key,) in cursor.fetchall()})
        if len(keys) < len(wanted):
            raise StoreError(
                f"{len(keys)} of the {LAST_KEY + 1 - FIRST_KEY} keys of arms are free, {len(wanted)} are wanted; "
                "`outbid experiment remove` gives those of an old one back"
            )
        taken = [(arm.first, arm.first + arm.buckets) for arm in running(cursor)]
        rows, names = [], []
        for position, (arm, key) in enumerate(zip(wanted, keys, strict=False)):
            first = place(arm.buckets, taken)
            taken.append((first, first + arm.buckets))
            rows.append((key, found[0], position, arm.name, first, arm.buckets, list(arm.off)))
            names.append(("arm", key, f"{name}/{arm.name}"))
        execute_values(
            cursor,
            "INSERT INTO config.experiment_arm"
            " (key, experiment, position, name, first_bucket, buckets, features_off) VALUES %s",
            rows,
            template="(%s, %s, %s, %s, %s, %s, %s::text[])",
        )
        execute_values(
            cursor,
            "INSERT INTO rollup.name (dimension, key, name) VALUES %s"
            " ON CONFLICT (dimension, key) DO UPDATE SET name = EXCLUDED.name",
            names,
        )
    return revision


def stop(db: Connection, name: str) -> int:
    """Ends an experiment; the revision from which on books are without it. Its figures stay."""
    with db, db.cursor() as cursor:
        revision = raise_revision_in(cursor)
        cursor.execute("UPDATE config.experiment SET ended = now() WHERE name = %s AND ended IS NULL", (name,))
        if cursor.rowcount != 1:
            one(cursor, name)
            raise StoreError(f"experiment {name!r} was stopped before")
    return revision


def remove(db: Connection, name: str) -> None:
    """Forget a stopped experiment, and give its keys back; StoreError while facts still carry them."""
    with db, db.cursor() as cursor:
        experiment = one(cursor, name)
        if experiment.ended is None:
            raise StoreError(f"experiment {name!r} runs; stop it first")
        keys = [arm.key for arm in experiment.arms]
        for table in ("traffic_minute", "notice_minute", "latency_minute", "caps_minute"):
            cursor.execute(f"SELECT 1 FROM rollup.{table} WHERE arm = ANY(%s) LIMIT 1", (keys,))
            if cursor.fetchone() is not None:
                raise StoreError(
                    f"experiment {name!r}: reports still have figures of its arms (rollup.{table}); their keys are "
                    "free when retention has given them up"
                )
        cursor.execute("DELETE FROM config.experiment WHERE name = %s", (name,))
        cursor.execute("DELETE FROM rollup.name WHERE dimension = 'arm' AND key = ANY(%s)", (keys,))


_ALL = """
SELECT e.name, e.began, e.ended, a.key, a.name, a.first_bucket, a.buckets, a.features_off
FROM config.experiment e JOIN config.experiment_arm a ON a.experiment = e.id
"""


def all_of(db: Connection) -> list[Experiment]:
    """Every experiment, the newest first."""
    with db, db.cursor() as cursor:
        cursor.execute(f"{_ALL} ORDER BY e.began DESC, e.id, a.position")
        return _experiments(cursor.fetchall())


def one(cursor: Any, name: str) -> Experiment:
    """That of this name; StoreError where there is none."""
    cursor.execute(f"{_ALL} WHERE e.name = %s ORDER BY a.position", (name,))
    found = _experiments(cursor.fetchall())
    if not found:
        raise StoreError(f"no experiment {name!r}; see `outbid experiment list`")
    return found[0]


def running(cursor: Any) -> list[Arm]:
    """Arms of all that run."""
    cursor.execute(f"{_ALL} WHERE e.ended IS NULL ORDER BY a.key")
    return [arm for experiment in _experiments(cursor.fetchall()) for arm in experiment.arms]


def _experiments(rows: Sequence[tuple[Any, ...]]) -> list[Experiment]:
    found: dict[str, Experiment] = {}
    for name, began, ended, key, arm, first, buckets, off in rows:
        known = found.get(name)
        arms = () if known is None else known.arms
        found[name] = Experiment(name, began, ended, (*arms, Arm(key, arm, first, buckets, tuple(off))))
    return list(found.values())


_FIGURES = """
SELECT arm, minute, sum(requests), sum(unfilled), sum(bids), sum(wins), sum(spent) FROM (
    SELECT arm, minute, requests, nobids AS unfilled, bids, 0 AS wins, 0 AS spent FROM rollup.traffic_minute
    WHERE arm = ANY(%(keys)s) AND minute >= %(since)s AND minute < date_trunc('minute', least(%(ended)s, now()))
    UNION ALL
    SELECT arm, minute, 0, 0, 0, wins, spend_nano FROM rollup.notice_minute
    WHERE arm = ANY(%(keys)s) AND minute >= %(since)s AND minute < date_trunc('minute', least(%(ended)s, now()))
) f GROUP BY arm, minute
"""


def figures(db: Connection, experiment: Experiment) -> Mapping[datetime, Mapping[int, Minute]]:
    """By minute and key of the arm: whole minutes in which the arms were in force, in order."""
    with db, db.cursor() as cursor:
        keys = [arm.key for arm in experiment.arms]
        cursor.execute(_FIGURES, {"keys": keys, "since": experiment.began, "ended": experiment.ended})
        found: dict[datetime, dict[int, Minute]] = {}
        for key, minute, *amounts in sorted(cursor.fetchall(), key=lambda row: row[1]):
            found.setdefault(minute, {})[key] = Minute(*map(int, amounts))
    return found
