"""Published shards of so many campaigns, without Postgres: what an import and the controller would make of them.

    make(state, count) -> <state>/book/shards/<sha256> -> Manifest;  edited(state, manifest) -> one campaign costs more

A process a core: campaigns hang on one row of dice, so each throws all of them, and numbers and packs those of its own
shards only. Keys are those of an import into an empty database: campaigns and creatives in order,
advertisers, deals, bundles and domains by name (of all that some campaign may name).
"""

import hashlib
import multiprocessing
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bidder.campaigns import publish
from bidder.campaigns.form import campaign_check
from bidder.campaigns.publish import Manifest, shard_count, unpack_shard
from bidder.campaigns.record import CampaignRecord
from bidder.controller.store import terms
from bidder.settings import SHIPPED_EXCHANGES
from bidder.simulator import world
from examples import generate
from tests.bench.campaigns import ADVERTISERS, EXAMPLES, bodies

EXCHANGES = {name: row.key for name, row in SHIPPED_EXCHANGES.items()}
CHECKED_EVERY = 1_000  # campaigns; the check takes as long as all else
FEW = 2_000  # campaigns that one process makes sooner
CREATED_MS = 1_790_000_000_000


def _keys() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """Of advertisers, and of deals and inventory."""
    advertisers = [*(f"brand-{number:04d}" for number in range(ADVERTISERS)), *generate.ADVERTISERS]
    lists = {"deal": world.DEALS, "bundle": world.APPS, "domain": world.SITES}
    named = terms([{"targeting": {name: {"include": list(values)} for name, values in lists.items()}}])
    return (
        {name: key for key, name in enumerate(advertisers, 1)},
        {term: key for key, term in enumerate(sorted(named), 1)},
    )


def filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """A generated campaign with its defaults, as its check gives it back, in a tenth of the time."""
    body = {"status": "active", "flight": {}, "multipliers": [], "frequency": [], **given}
    body["budget"] = {"pacing": "asap", "timezone": "UTC", **given["budget"]}
    body["bid"] = {"shading": "none", **given["bid"]}
    if "radius" in given["targeting"]:
        points = [point | {"km": float(point["km"])} for point in given["targeting"]["radius"]]
        body["targeting"] = given["targeting"] | {"radius": points}
    return body


def records(count: int, wanted: Callable[[str], bool] = lambda campaign: True) -> Iterator[CampaignRecord]:
    """In the order of their keys; those whose ids are wanted."""
    check = campaign_check(EXCHANGES)
    generated = count != EXAMPLES
    advertisers, keys = _keys()
    creatives = 0
    for key, given in enumerate(bodies(count), 1):
        first = creatives + 1
        creatives += len(given["creatives"])
        if not wanted(given["id"]):
            continue
        body = filled(given) if generated else given
        if not generated or key % CHECKED_EVERY == 0:
            faults: list[str] = []
            checked = check(given, "", faults)
            if faults or (generated and checked != body):
                raise ValueError(f"campaign {given['id']} is not what an import makes of it; {faults}")
            body = checked
        named = terms([body])
        yield CampaignRecord(
            key=key,
            advertiser=advertisers[body["advertiser"]],
            creatives={one["id"]: number for number, one in enumerate(body["creatives"], first)},
            deals={value: keys[kind, value] for kind, value in named if kind == "deal"},
            inventory={value: keys[kind, value] for kind, value in named if kind == "inventory"},
            active=True,
            body=body,
        )


def _store(directory: Path, rows: Sequence[Any]) -> list[str]:
    """The blobs of one shard on disk; their names, in order."""
    names = []
    for blob in publish._pack(rows):
        names.append(hashlib.sha256(blob).hexdigest())
        (directory / names[-1]).write_bytes(blob)
    return names


def _make(directory: Path, count: int, processes: int, mine: int) -> dict[int, list[str]]:
    """Every `processes`th shard: number -> names of its blobs."""
    shards = shard_count(count)
    found: dict[int, list[msgspec.Raw]] = {number: [] for number in range(mine, shards, processes)}
    for record in records(count, lambda campaign: zlib.crc32(campaign.encode()) % shards % processes == mine):
        number = zlib.crc32(record.body["id"].encode()) % shards
        # Packed at once: as objects, half a million campaigns would take gigabytes.
        found[number].append(msgspec.Raw(msgspec.msgpack.encode(record)))
    return {number: _store(directory, found.pop(number)) for number in list(found)}


def cores() -> int:
    return len(os.sched_getaffinity(0))


def make(state: Path, count: int) -> Manifest:
    """Revision 1: all of them, active, on every core."""
    directory = state / "book" / "shards"
    directory.mkdir(parents=True, exist_ok=True)
    processes = cores() if count > FEW else 1
    make_mine = partial(_make, directory, count, processes)
    if processes == 1:
        made = [make_mine(0)]
    else:
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            made = pool.map(make_mine, range(processes), chunksize=1)
    names = {number: blobs for one in made for number, blobs in one.items()}
    return Manifest(
        revision=1,
        created_ms=CREATED_MS,
        exchanges=EXCHANGES,
        shards=[name for number in sorted(names) for name in names[number]],
    )


def edited(state: Path, manifest: Manifest) -> Manifest:
    """The next revision: the first campaign of the first shard bids another price; its new shard is on disk."""
    directory = state / "book" / "shards"
    first, *rest = unpack_shard((directory / manifest.shards[0]).read_bytes())
    first = msgspec.structs.replace(first, body=first.body | {"bid": first.body["bid"] | {"cpm_usd": "1.2345"}})
    names = _store(directory, [first, *rest])
    return msgspec.structs.replace(
        manifest, revision=manifest.revision + 1, created_ms=CREATED_MS + 1, shards=[*names, *manifest.shards[1:]]
    )
