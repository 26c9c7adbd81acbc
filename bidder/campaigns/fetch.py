"""From the published manifest to this host's book.

memcached, then the controller -> shards on disk by their hash -> records -> overrides -> book.
Blocks, so it runs on a thread of its own. What is on disk is not fetched again; a
blob that is not what its name says is treated as missing.
"""

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pymemcache.client.hash import HashClient

from bidder.campaigns.model import CampaignFileError, normalise, read_lines
from bidder.campaigns.publish import SHARD_PREFIX, Manifest, unpack_shard
from bidder.campaigns.record import CampaignRecord

TIMEOUT_S = 2.0


class FetchError(Exception):
    """The book could not be had; the one that is there serves on."""


@dataclass(frozen=True, slots=True)
class Override:
    """A file in `override/`: which campaign it replaces, or why it cannot."""

    path: Path
    campaign: str
    error: str = ""


class Fetcher:
    """Gets manifests and shards for one host."""

    def __init__(self, state: Path, controller_url: str, memcached: Sequence[tuple[str, int]]) -> None:
        self._shards = state / "book" / "shards"
        self._overrides = state / "override"
        self._controller_url = controller_url
        self._memcached = (
            HashClient(list(memcached), connect_timeout=0.3, timeout=0.5, ignore_exc=True) if memcached else None
        )

    def latest(self) -> tuple[int, str]:
        """(revision, manifest key) of the newest book, asked of the controller."""
        answer = json.loads(self._http("latest"))
        return int(answer["revision"]), str(answer["manifest"])

    def manifest(self, key: str) -> Manifest:
        """The manifest under `key`."""
        try:
            return msgspec.msgpack.decode(self._blob(key, lambda blob: True), type=Manifest)
        except msgspec.DecodeError as error:
            raise FetchError(f"{key}: not a manifest: {error}") from None

    def records(self, manifest: Manifest) -> list[CampaignRecord]:
        """All campaign records of a manifest, shards cached on disk."""
        self._shards.mkdir(parents=True, exist_ok=True)
        records: list[CampaignRecord] = []
        for name in manifest.shards:
            records += unpack_shard(self._shard(name))
        for path in self._shards.iterdir():
            if path.name not in manifest.shards:
                path.unlink(missing_ok=True)
        return records

    def _shard(self, name: str) -> bytes:
        def genuine(blob: bytes) -> bool:
            return hashlib.sha256(blob).hexdigest() == name

        path = self._shards / name
        if path.exists() and genuine(blob := path.read_bytes()):
            return blob
        blob = self._blob(SHARD_PREFIX + name, genuine)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(blob)
        temporary.rename(path)
        return blob

    def _blob(self, key: str, genuine: Callable[[bytes], bool]) -> bytes:
        if self._memcached is not None:
            found: bytes | None = self._memcached.get(key)
            if found is not None and genuine(found):
                return found
        blob = self._http(key)
        if not genuine(blob):
            raise FetchError(f"{key}: the controller's copy is not what its name says")
        return blob

    def _http(self, name: str) -> bytes:
        url = f"{self._controller_url}/book/{name}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                blob: bytes = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise FetchError(f"{url}: {getattr(error, 'reason', error)}") from None
        return blob

    def overrides(self, exchanges: Mapping[str, int]) -> dict[Path, dict[str, object] | Override]:
        """The campaigns in `override/`, one file each: a body, or why the file was refused."""
        found: dict[Path, dict[str, object] | Override] = {}
        for path in sorted(self._overrides.glob("*.json")):
            try:
                text = json.dumps(json.loads(path.read_text(encoding="utf-8")))
                (campaign,) = read_lines(text, exchanges)
                found[path] = normalise(campaign)
            except (OSError, ValueError, CampaignFileError) as error:
                found[path] = Override(path, "", str(error))
        return found


def apply_overrides(
    records: Sequence[CampaignRecord], found: Mapping[Path, dict[str, object] | Override]
) -> tuple[list[CampaignRecord], list[Override]]:
    """Records with local bodies on top, and what was done; an override wins over what is published."""
    by_id = {record.body["id"]: record for record in records}
    done = []
    for path, body in found.items():
        if isinstance(body, Override):
            done.append(body)
            continue
        campaign = str(body["id"])
        record = by_id.get(campaign)
        if record is None:
            done.append(Override(path, campaign, "no campaign of this id is published; import it first"))
            continue
        by_id[campaign] = msgspec.structs.replace(record, body=body, active=body["status"] == "active")
        done.append(Override(path, campaign))
    return list(by_id.values()), done
