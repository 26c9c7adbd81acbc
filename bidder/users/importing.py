"""Lists of users from elsewhere into segments of our own: JSON Lines or CSV, a user and a segment a line.

    {"id_type": "ifa", "id": "...", "segment": "s-shoes", "ttl_s": 2592000}
    id_type,id,segment,ttl_s            (the first line of a CSV names its columns, in any order)
`id_type` is `ifa`, `buyeruid` (our own id, as /match gave it) or `exchange:NAME` (that exchange's user.id); `ttl_s`
may be left out. A bad line is named by its number and what is wrong with it, never by what it holds; the others are
imported.
"""

import asyncio
import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bidder.settings import Exchange
from bidder.users.people import OF_BUYERUID, OF_IFA, OF_USER_ID, People
from bidder.users.pixels import SEGMENT

MOST_ID = 256
MOST_TTL_S = 366 * 86_400
ATTEMPTS = 20
RETRY_S = 0.1
ROWS_UNDER_WAY = 4


class StoreAwayError(Exception):
    """The store does not take what is imported; the message says after how many lines."""


class Row(NamedTuple):
    """One line, checked. `origin` and `exchange` as People.digest takes them."""

    origin: int
    exchange: int
    id: str
    segment: str
    ttl_s: int


class Bad(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    why: str


def read(lines: Iterable[str], exchanges: Mapping[str, Exchange], default_ttl_s: int) -> Iterator[Row | Bad]:
    """What each line says, in their order; empty lines say nothing."""
    numbered = ((n, line) for n, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        return
    if first[1].lstrip().startswith("{"):
        yield from (_json(n, line, exchanges, default_ttl_s) for n, line in _chain(first, numbered))
        return
    columns = next(csv.reader([first[1]]))
    if not {"id_type", "id", "segment"} <= set(columns) <= {"id_type", "id", "segment", "ttl_s"}:
        yield Bad(first[0], "neither JSON nor a CSV's columns: id_type,id,segment,ttl_s")
        return
    for n, line in numbered:
        values = next(csv.reader([line]), [])
        if len(values) != len(columns):
            yield Bad(n, f"{len(values)} columns where {len(columns)} are wanted")
        else:
            yield _row(n, dict(zip(columns, values, strict=True)), exchanges, default_ttl_s)


def _chain(first: tuple[int, str], rest: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _json(n: int, line: str, exchanges: Mapping[str, Exchange], default_ttl_s: int) -> Row | Bad:
    try:
        found = json.loads(line)
    except ValueError:
        return Bad(n, "not JSON")
    if not isinstance(found, dict):
        return Bad(n, "not an object")
    unknown = found.keys() - {"id_type", "id", "segment", "ttl_s"}
    return Bad(n, "a key that is not known") if unknown else _row(n, found, exchanges, default_ttl_s)


def _row(n: int, found: Mapping[str, Any], exchanges: Mapping[str, Exchange], default_ttl_s: int) -> Row | Bad:
    kind, _, name = str(found.get("id_type", "")).partition(":")
    origin = {"ifa": OF_IFA, "buyeruid": OF_BUYERUID, "exchange": OF_USER_ID}.get(kind)
    exchange = exchanges.get(name)
    if origin is None or (origin != OF_USER_ID and name):
        return Bad(n, "id_type: ifa, buyeruid or exchange:NAME is wanted")
    if origin == OF_USER_ID and exchange is None:
        return Bad(n, "id_type: no exchange of that name")
    id = found.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= MOST_ID:
        return Bad(n, f"id: 1 to {MOST_ID} characters are wanted")
    if not id.strip("0-"):
        return Bad(n, "id: one of zeros is nobody's")
    segment = found.get("segment")
    if not isinstance(segment, str) or not SEGMENT.fullmatch(segment):
        return Bad(n, "segment: s- and 1 to 14 letters, digits, - or _ are wanted")
    ttl = found.get("ttl_s")
    try:
        ttl_s = default_ttl_s if ttl in (None, "") else int(str(ttl))
    except ValueError:
        ttl_s = 0
    if not 1 <= ttl_s <= MOST_TTL_S:
        return Bad(n, f"ttl_s: 1 to {MOST_TTL_S} seconds are wanted")
    return Row(origin, exchange.key if exchange is not None and origin == OF_USER_ID else 0, id, segment, ttl_s)


async def store(rows: Iterable[Row], people: People, progress: Callable[[int], object]) -> int:
    """How many were stored, which is all; StoreAwayError where the store does not answer."""
    done = 0
    source = iter(rows)

    async def some() -> None:
        nonlocal done
        for row in source:
            digest = people.digest(row.origin, row.exchange, row.id)
            for _ in range(ATTEMPTS):
                if await people.set_segment(digest, row.segment, row.ttl_s):
                    break
                await asyncio.sleep(RETRY_S)
            else:
                raise StoreAwayError(f"memcached does not answer; {done} lines were stored, and may be stored again")
            done += 1
            progress(done)

    await asyncio.gather(*(some() for _ in range(ROWS_UNDER_WAY)))
    return done
