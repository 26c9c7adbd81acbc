"""Generations of books in a state directory: published, followed, refused, cleaned up."""

import os
from pathlib import Path

import pytest

from bidder._fast.book import BookError
from bidder.campaigns.snapshot import Follower, current, current_generation, path_of, publish
from tests.books import campaign, write


def compiled(state: Path, generation: int, campaigns: int = 1) -> None:
    write(path_of(state, generation), [campaign(id=f"c-{n}") for n in range(campaigns)], revision=generation)


def published(state: Path, generation: int, campaigns: int = 1) -> None:
    compiled(state, generation, campaigns)
    publish(state, generation)


def spoil(state: Path, generation: int) -> None:
    """As a bad disk or a stray hand would: another file of the same name."""
    path = path_of(state, generation)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.unlink()
    path.write_bytes(content)


def test_nothing_published_is_no_book(tmp_path: Path) -> None:
    assert current(tmp_path) is None
    assert current_generation(tmp_path) is None
    follower = Follower(tmp_path)
    assert follower.refresh() is None
    assert (follower.refused, follower.reason) == (0, "")


def test_published_book_is_current(tmp_path: Path) -> None:
    published(tmp_path, 5, campaigns=3)
    book = current(tmp_path)
    assert book is not None
    assert (book.revision, book.campaign_count) == (5, 3)


def test_follower_tells_of_each_generation_once(tmp_path: Path) -> None:
    published(tmp_path, 1)
    follower = Follower(tmp_path)
    first = follower.refresh()
    assert first is not None
    assert first.revision == 1
    assert follower.refresh() is None
    published(tmp_path, 2)
    second = follower.refresh()
    assert second is not None
    assert follower.book is second
    assert first.campaign_id(1) == "c-0", "the old generation lives as long as it has a reader"


def test_last_two_generations_are_kept(tmp_path: Path) -> None:
    for generation in (1, 2, 3, 7):
        published(tmp_path, generation)
    assert sorted(path.name for path in (tmp_path / "book").iterdir()) == [
        "book-3.bin",
        "book-3.ok",
        "book-7.bin",
        "book-7.ok",
        "current",
    ]


def test_numbering_that_went_back_still_serves_what_was_published_last(tmp_path: Path) -> None:
    published(tmp_path, 900)
    published(tmp_path, 3)
    book = current(tmp_path)
    assert book is not None
    assert book.revision == 3


def test_bad_book_is_not_published_and_the_last_one_stays_current(tmp_path: Path) -> None:
    published(tmp_path, 1)
    compiled(tmp_path, 2)
    spoil(tmp_path, 2)
    with pytest.raises(BookError, match="checksum"):
        publish(tmp_path, 2)
    assert current_generation(tmp_path) == 1


def test_book_under_another_name_is_not_published(tmp_path: Path) -> None:
    compiled(tmp_path, 1)
    path_of(tmp_path, 1).rename(path_of(tmp_path, 2))
    with pytest.raises(BookError, match="holds generation 1"):
        publish(tmp_path, 2)


def test_follower_refuses_a_book_that_went_bad_once_and_serves_the_last_good_one(tmp_path: Path) -> None:
    published(tmp_path, 1)
    follower = Follower(tmp_path)
    good = follower.refresh()
    published(tmp_path, 2)
    spoil(tmp_path, 2)
    assert follower.refresh() is None
    assert follower.book is good
    assert follower.refused == 1
    assert "checksum" in follower.reason
    assert follower.refresh() is None
    assert follower.refused == 1, "the same bad book is refused once"
    published(tmp_path, 3)
    assert follower.refresh() is not None
    assert follower.reason == ""


def test_follower_that_starts_over_a_bad_book_serves_the_one_before(tmp_path: Path) -> None:
    published(tmp_path, 1)
    published(tmp_path, 2)
    spoil(tmp_path, 2)
    follower = Follower(tmp_path)
    book = follower.refresh()
    assert book is not None
    assert book.revision == 1
    assert "checksum" in follower.reason


def test_nonsense_in_current_is_refused_with_its_place(tmp_path: Path) -> None:
    published(tmp_path, 1)
    (tmp_path / "book" / "current").write_text("../../etc/passwd\n")
    with pytest.raises(BookError, match="current: the number of a generation is wanted"):
        current(tmp_path)
    assert current_generation(tmp_path) is None
    follower = Follower(tmp_path)
    assert follower.refresh() is not None, "a kept generation serves"
    published(tmp_path, 2)
    assert current_generation(tmp_path) == 2


def test_draft_of_a_crashed_writer_is_removed(tmp_path: Path) -> None:
    published(tmp_path, 1)
    draft = tmp_path / "book" / "book-2.bin.abc.tmp"
    draft.write_bytes(b"half")
    published(tmp_path, 3)
    assert not draft.exists()


def test_failed_write_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        compiled(tmp_path, 1)
    assert list((tmp_path / "book").iterdir()) == []
