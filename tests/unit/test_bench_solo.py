"""Books of the benches without a controller: the shards it would have published, and hosts that bid from them."""

from pathlib import Path

import pytest

from bidder._fast.book import Book
from bidder.campaigns import snapshot
from bidder.campaigns.publish import SHARD_PREFIX, publication
from bidder.controller.store import terms
from tests.bench import builder, campaigns, servers, shards, solo
from tests.bench.book import back_ms
from tests.books import EXCHANGES, bodies
from tests.free_ports import free_port_base

COUNT = 300


def test_shards_are_those_that_the_controller_publishes(tmp_path: Path) -> None:
    wanted = publication(1, list(shards.records(COUNT)), EXCHANGES, shards.CREATED_MS)
    made = shards.make(tmp_path, COUNT)
    found = {SHARD_PREFIX + path.name: path.read_bytes() for path in (tmp_path / "book" / "shards").iterdir()}
    assert len(made.shards) > 4
    assert (made, found) == (
        wanted.manifest,
        {key: blob for key, blob in wanted.blobs.items() if key != wanted.manifest_key},
    )


def test_shards_of_several_processes_are_those_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shards.make(tmp_path / "one", COUNT)
    monkeypatch.setattr(shards, "FEW", 0)
    monkeypatch.setattr(shards, "cores", lambda: 3)
    assert shards.make(tmp_path / "three", COUNT) == one


def test_records_have_the_bodies_and_numbers_of_an_import() -> None:
    found = list(shards.records(COUNT))
    assert [record.body for record in found] == bodies(campaigns.bodies(COUNT))
    assert [record.key for record in found] == list(range(1, COUNT + 1))
    creatives = [key for record in found for key in record.creatives.values()]
    assert creatives == list(range(1, len(creatives) + 1))
    keys: dict[tuple[str, str], int] = {}
    for record in found:
        named = {("deal", deal): key for deal, key in record.deals.items()}
        named |= {("inventory", value): key for value, key in record.inventory.items()}
        assert named.keys() == terms([record.body])
        assert all(keys.setdefault(term, key) == key for term, key in named.items())
    assert len(set(keys.values())) == len(keys)


def test_examples_have_numbers_too() -> None:
    assert len(list(shards.records(campaigns.EXAMPLES))) == campaigns.EXAMPLES


def test_solo_host_bids_and_comes_back_when_its_worker_is_killed(tmp_path: Path) -> None:
    state, settings = tmp_path / "state", solo.settings_of(free_port_base())
    _, built = solo.prepare(state, COUNT, settings)
    assert len(built.campaigns) == COUNT
    with solo.running(state, settings) as server:
        bid, nobid, _ = servers.sort_out(server.url, servers.bodies(100))
        assert len(bid) > len(nobid)
        assert back_ms(server, bid[0]) > 0


def test_edit_changes_one_shard_and_the_book(tmp_path: Path) -> None:
    state, settings = tmp_path / "state", solo.settings_of(free_port_base())
    manifest, built = solo.prepare(state, COUNT, settings)
    parts = set((state / "book" / "parts").iterdir())
    changed = shards.edited(state, manifest)
    assert len(set(changed.shards) - set(manifest.shards)) == 1
    with builder.serving(changed) as url:
        edit = builder.build(state, settings, url, changed, fresh=False)
    assert len(set((state / "book" / "parts").iterdir()) - parts) == 1
    book = snapshot.current(state)
    assert isinstance(book, Book)
    assert (book.revision, edit.generation) == (edit.generation, built.generation * 2)
