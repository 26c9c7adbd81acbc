"""The builder of books: parts by shard, kept until their shard changes, merged to what one compilation gives."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bidder._fast.book import Book
from bidder._fast.book_merge import Merger
from bidder.campaigns.build import part_of
from bidder.campaigns.compile import compile_part, merge_parts
from bidder.campaigns.publish import publication
from bidder.campaigns.record import CampaignRecord
from tests.bench.campaigns import campaigns
from tests.books import EXCHANGES, PUBLIC_URL, campaign, records, write


def shards_in(directory: Path, found: Sequence[CampaignRecord]) -> list[Path]:
    """Published, and fetched into a directory."""
    made = publication(1, found, EXCHANGES, 0)
    for name in made.manifest.shards:
        (directory / name).write_bytes(made.blobs[f"outbid:s:{name}"])
    return [directory / name for name in made.manifest.shards]


def part(shard: Path, parts: Path, bodies: dict[str, dict[str, Any]]) -> tuple[Path, list[str]]:
    parts.mkdir(exist_ok=True)
    return part_of(shard, parts=parts, exchanges=EXCHANGES, public_url=PUBLIC_URL, bodies=bodies)


def test_book_of_many_parts_says_what_a_book_of_one_says(tmp_path: Path) -> None:
    bodies = list(campaigns(300))
    whole = Book.open(write(tmp_path / "whole.bin", bodies))
    parts = [part(shard, tmp_path / "parts", {})[0].read_bytes() for shard in shards_in(tmp_path, records(bodies))]
    assert len(parts) > 4
    summary = merge_parts(
        parts, revision=1, exchanges=EXCHANGES, purse_of=lambda key: key - 1, path=tmp_path / "parts.bin"
    )
    merged = Book.open(tmp_path / "parts.bin")
    assert summary.campaigns == merged.campaign_count == whole.campaign_count == 300
    assert (merged.slot_count, merged.purse_slots()) == (whole.slot_count, whole.purse_slots())
    assert [merged.campaign_id(key) for key in range(1, 301)] == [whole.campaign_id(key) for key in range(1, 301)]


def test_part_is_kept_until_its_shard_changes(tmp_path: Path) -> None:
    (shard,) = shards_in(tmp_path, records([campaign()]))
    first, _ = part(shard, tmp_path / "parts", {})
    made = first.stat().st_mtime_ns
    again, _ = part(shard, tmp_path / "parts", {})
    assert (again, again.stat().st_mtime_ns) == (first, made)


def test_override_wins_in_its_own_shard_only(tmp_path: Path) -> None:
    found = records([campaign(id="a"), campaign(id="b")])
    shards = shards_in(tmp_path, found)
    paused = {"a": msgspec.structs.replace(found[0]).body | {"status": "paused"}}
    done = [part(shard, tmp_path / "parts", paused) for shard in shards]
    assert [name for _, names in done for name in names] == ["a"]
    merger = Merger([path.read_bytes() for path, _ in done], 1)
    assert merger.facts()[0] == 1


def test_damaged_part_is_refused() -> None:
    good = compile_part(records([campaign()]), EXCHANGES, PUBLIC_URL)
    for bad in (good[:-1], good[:20], good[:-1] + b"\xff" + b"", bytearray(100)):
        with pytest.raises(ValueError, match="part 0"):
            Merger([bad], 1)
