"""A stamp speaks for one file in one boot; whatever else has its name is checked as a whole."""

import os
from pathlib import Path

import pytest

from bidder._fast.book import Book, BookError
from bidder.campaigns.snapshot import current, path_of, publish
from bidder.campaigns.stamp import is_stamped, stamp, stamp_of
from tests.books import campaign, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(path_of(tmp_path, 1), [campaign()], revision=1)
    publish(tmp_path, 1)
    return path_of(tmp_path, 1)


def test_published_book_is_stamped(path: Path) -> None:
    assert is_stamped(path)


def test_file_that_was_written_to_is_not_the_one_that_was_checked(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not is_stamped(path)
    with pytest.raises(BookError, match="checksum"):
        current(path.parents[1])


def test_copy_of_a_checked_file_is_checked_again(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)
    assert not is_stamped(path)
    assert current(path.parents[1]) is not None


def test_stamp_of_another_boot_or_of_nothing_says_nothing(path: Path) -> None:
    text = stamp_of(path).read_text(encoding="ascii")
    stamp_of(path).write_text("0" * 32 + text[32:], encoding="ascii")
    assert not is_stamped(path)
    stamp_of(path).write_bytes(b"\xff")
    assert not is_stamped(path)
    stamp_of(path).unlink()
    assert not is_stamped(path)


def test_truncated_file_does_not_open_whatever_its_stamp_says(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 64)
    stamp(path)
    with pytest.raises(BookError, match="were written"):
        Book.open(path, checked=True)
