"""The manifest and its shards: campaign records, addressed by their content, in memcached.

A campaign sits in the shard of the CRC-32 of its id, so that one edit moves one
shard. What memcached has evicted is served from here over HTTP, byte for byte.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bidder.campaigns.arms import ArmRange
from bidder.campaigns.rates import Rates
from bidder.campaigns.record import CampaignRecord

MAX_SHARD_BYTES = 512_000
MANIFEST_PREFIX = "outbid:m:"
SHARD_PREFIX = "outbid:s:"


class Manifest(msgspec.Struct, frozen=True):
    """What a book of this revision is made of."""

    revision: int
    created_ms: int
    exchanges: dict[str, int]  # name -> key
    shards: list[str]  # SHA-256 in hex, each of a blob under SHARD_PREFIX
    rates: Rates | None = None  # None: USD alone
    arms: list[ArmRange] = []  # of experiments


@dataclass(frozen=True, slots=True)
class Publication:
    """One revision, ready to be stored: every blob by its key."""

    manifest: Manifest
    manifest_key: str
    blobs: Mapping[str, bytes]


def _pack(records: Sequence[CampaignRecord]) -> list[bytes]:
    """One blob, or several where one would be too large for memcached."""
    blob = zlib.compress(msgspec.msgpack.encode(records), 6)
    if len(blob) <= MAX_SHARD_BYTES:
        return [blob]
    if len(records) == 1:
        raise ValueError(
            f"campaign {records[0].body['id']}: {len(blob)} bytes compressed, {MAX_SHARD_BYTES} at most; "
            "split its lists"
        )
    half = len(records) // 2
    return _pack(records[:half]) + _pack(records[half:])


def shard_count(campaigns: int) -> int:
    """A power of two: one shard for a few campaigns, 256 from ten thousand or so."""
    count = 1
    while count < 256 and count * 64 < campaigns:
        count *= 2
    return count


def publication(
    revision: int,
    records: Sequence[CampaignRecord],
    exchanges: Mapping[str, int],
    now_ms: int,
    rates: Rates | None = None,
    arms: Sequence[ArmRange] = (),
) -> Publication:
    """Everything that has to be stored for this revision."""
    count = shard_count(len(records))
    shards: list[list[CampaignRecord]] = [[] for _ in range(count)]
    for record in records:
        shards[zlib.crc32(record.body["id"].encode()) % count].append(record)
    blobs: dict[str, bytes] = {}
    names = []
    for shard in shards:
        for blob in _pack(shard):
            name = hashlib.sha256(blob).hexdigest()
            names.append(name)
            blobs[SHARD_PREFIX + name] = blob
    manifest = Manifest(
        revision=revision, created_ms=now_ms, exchanges=dict(exchanges), shards=names, rates=rates, arms=list(arms)
    )
    key = f"{MANIFEST_PREFIX}{revision}"
    blobs[key] = msgspec.msgpack.encode(manifest)
    return Publication(manifest=manifest, manifest_key=key, blobs=blobs)


def unpack_shard(blob: bytes) -> list[CampaignRecord]:
    """The records of one shard; ValueError where the blob is not one."""
    try:
        return msgspec.msgpack.decode(zlib.decompress(blob), type=list[CampaignRecord])
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"not a shard: {error}") from None
