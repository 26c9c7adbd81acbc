"""From the published manifest to this host's book.

memcached, then the controller -> shards on disk by their hash; overrides beside them -> build.py.
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
from typing import Any

import msgspec
from pymemcache.client.hash import HashClient

from bidder.campaigns.model import CampaignFileError, normalise, read_lines
from bidder.campaigns.publish import SHARD_PREFIX, Manifest
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

    def shards(self, manifest: Manifest) -> list[Path]:
        """All shards of a manifest, each on disk and what its name says; those of other manifests go."""
        self._shards.mkdir(parents=True, exist_ok=True)
        for name in manifest.shards:
            self._shard(name)
        wanted = set(manifest.shards)
        for path in self._shards.iterdir():
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        return [self._shards / name for name in manifest.shards]

    def _shard(self, name: str) -> None:
        def genuine(blob: bytes) -> bool:
            return hashlib.sha256(blob).hexdigest() == name

        path = self._shards / name
        if path.exists() and genuine(path.read_bytes()):
            return
        blob = self._blob(SHARD_PREFIX + name, genuine)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(blob)
        temporary.rename(path)

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

    def overrides(self, exchanges: Mapping[str, int]) -> dict[Path, dict[str, Any] | Override]:
        """The campaigns in `override/`, one file each: a body, or why the file was refused."""
        found: dict[Path, dict[str, Any] | Override] = {}
        for path in sorted(self._overrides.glob("*.json")):
            try:
                text = json.dumps(json.loads(path.read_text(encoding="utf-8")))
                (campaign,) = read_lines(text, exchanges)
                found[path] = normalise(campaign)
            except (OSError, ValueError, CampaignFileError) as error:
                found[path] = Override(path, "", str(error))
        return found


def apply_overrides(
    records: Sequence[CampaignRecord], bodies: Mapping[str, dict[str, Any]]
) -> tuple[list[CampaignRecord], list[str]]:
    """Records with local bodies (by id) on top, and which ids those were; an override wins over what is published."""
    done: list[str] = []
    found: list[CampaignRecord] = []
    for record in records:
        body = bodies.get(record.body["id"])
        if body is not None:
            record = msgspec.structs.replace(record, body=body, active=body["status"] == "active")
            done.append(record.body["id"])
        found.append(record)
    return found, done
