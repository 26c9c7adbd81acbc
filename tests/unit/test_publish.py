"""Campaign records as content-addressed shards."""

import pytest

from bidder.campaigns.publish import MAX_SHARD_BYTES, SHARD_PREFIX, publication, shard_count, unpack_shard
from bidder.campaigns.record import CampaignRecord


def record(key: int, **body: object) -> CampaignRecord:
    return CampaignRecord(
        key=key, advertiser=1, creatives={}, deals={}, inventory={}, active=True, body={"id": f"c-{key}", **body}
    )


def test_every_record_comes_back_from_its_shards() -> None:
    records = [record(key) for key in range(1000)]
    ready = publication(7, records, {"generic": 1}, 0)
    found = [r for name in ready.manifest.shards for r in unpack_shard(ready.blobs[SHARD_PREFIX + name])]
    assert sorted(found, key=lambda r: r.key) == records


def test_one_changed_campaign_moves_one_shard() -> None:
    records = [record(key) for key in range(1000)]
    before = publication(7, records, {}, 0)
    after = publication(8, [*records[:-1], record(999, changed=True)], {}, 0)
    assert len(before.manifest.shards) > 8
    assert len(set(before.manifest.shards) - set(after.manifest.shards)) == 1


def test_a_shard_too_large_for_memcached_is_split() -> None:
    noise = [
        record(key, text="".join(chr(0x4E00 + (key * 7919 + i * i) % 20000) for i in range(60_000)))
        for key in range(12)
    ]
    ready = publication(1, noise, {}, 0)
    assert all(len(blob) <= MAX_SHARD_BYTES for blob in ready.blobs.values())


def test_what_is_no_shard_is_refused() -> None:
    with pytest.raises(ValueError, match="not a shard"):
        unpack_shard(b"garbage")


@pytest.mark.parametrize(("campaigns", "shards"), [(0, 1), (64, 1), (200, 4), (10_000, 256), (1_000_000, 256)])
def test_small_books_have_few_shards(campaigns: int, shards: int) -> None:
    assert shard_count(campaigns) == shards
