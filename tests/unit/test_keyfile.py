"""Rotation of keys: what each step does to the file, and what it refuses."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bidder.money.keyfile import KeyFile, add, expires, promote, read_lines, remove
from bidder.money.tokens import KeyFileError, Opener, Sealer, Token, TokenClass, create_keys, kid_of, load_keys, seal
from bidder.ops import log

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIFE = timedelta(days=33)
TOKEN = Token((30_000_000).to_bytes(4, "big") + bytes(8), exchange=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_keys(tmp_path / "token.keys")
    return tmp_path / "token.keys"


def sealed(path: Path) -> str:
    return seal(Sealer(load_keys(path)), TokenClass.NOTICE, TOKEN)


def kids(path: Path) -> list[int]:
    return [key.kid for key in load_keys(path)]


def test_a_new_key_opens_before_it_seals_and_the_old_one_after_it_sealed(path: Path) -> None:
    old = sealed(path)
    assert add(path, NOW) == 2
    assert (kids(path), sealed(path)) == ([1, 2], old)
    promote(path, 2, NOW + HOUR)
    new = sealed(path)
    assert (kids(path), kid_of(old), kid_of(new)) == ([2, 1], 1, 2)
    assert all(Opener(load_keys(path)).open(token, TokenClass.NOTICE) == TOKEN for token in (old, new))
    assert path.stat().st_mode & 0o777 == stat.S_IRUSR | stat.S_IWUSR
    assert [p.name for p in path.parent.iterdir()] == ["token.keys"]


def test_the_file_tells_when_each_key_came_began_and_ended(path: Path) -> None:
    add(path, NOW)
    promote(path, 2, NOW + HOUR)
    second, first = read_lines(path)
    assert (second.added, second.sealing, second.sealed) == (NOW, NOW + HOUR, None)
    assert (first.added, first.sealing, first.sealed) == (None, None, NOW + HOUR)
    assert (expires(second, LIFE), expires(first, LIFE)) == (None, NOW + HOUR + LIFE)


def test_a_key_goes_only_when_its_last_token_has_expired(path: Path) -> None:
    add(path, NOW)
    with pytest.raises(KeyFileError, match="kid 1 seals; promote another"):
        remove(path, 1, NOW, LIFE, force=True)
    promote(path, 2, NOW)
    with pytest.raises(KeyFileError, match="tokens of kid 1 live until 2026-12-29 12:00 UTC; --force"):
        remove(path, 1, NOW + LIFE - HOUR, LIFE)
    assert kids(path) == [2, 1]
    remove(path, 1, NOW + LIFE, LIFE)
    assert kids(path) == [2]


def test_what_never_sealed_goes_at_once_and_what_nobody_knows_of_only_by_force(path: Path) -> None:
    add(path, NOW)
    remove(path, 2, NOW, LIFE)
    assert kids(path) == [1]
    path.write_text(path.read_text() + f"9 {'ab' * 32}\n")
    with pytest.raises(KeyFileError, match="live nobody knows until when"):
        remove(path, 9, NOW, LIFE)
    remove(path, 9, NOW, LIFE, force=True)
    assert kids(path) == [1]


def test_a_key_that_is_promoted_again_has_not_ended(path: Path) -> None:
    add(path, NOW)
    promote(path, 2, NOW)
    promote(path, 1, NOW + HOUR)
    first, second = read_lines(path)
    assert (first.key.kid, first.sealing, first.sealed, second.sealed) == (1, NOW + HOUR, None, NOW + HOUR)
    promote(path, 1, NOW + 2 * HOUR)
    assert read_lines(path) == [first, second]


@pytest.mark.parametrize("step", [promote, lambda path, kid, now: remove(path, kid, now, LIFE)])
def test_a_key_that_is_not_there_is_named(path: Path, step: object) -> None:
    with pytest.raises(KeyFileError, match="there is no kid 7; there are 1"):
        step(path, 7, NOW)  # type: ignore[operator]


def test_numbers_are_used_again_only_when_all_were(path: Path) -> None:
    path.write_text(f"255 {'ab' * 32}\n")
    assert [add(path, NOW) for _ in range(255)] == list(range(255))
    with pytest.raises(KeyFileError, match="it has 256 keys"):
        add(path, NOW)


def test_writers_take_turns(path: Path) -> None:
    with ThreadPoolExecutor(8) as many:
        assert sorted(many.map(lambda _: add(path, NOW), range(40))) == list(range(2, 42))
    assert kids(path) == list(range(1, 42))


def test_times_that_are_none_and_words_of_later_builds_do_no_harm(path: Path) -> None:
    secret = load_keys(path)[0].secret.hex()
    path.write_text(f"1 {secret} added=yesterday sealing=2026-11-26T12:00:00 who=me\n")
    [line] = read_lines(path)
    assert (line.added, line.sealing) == (None, NOW)
    assert kids(path) == [1]
    path.write_text(f"1 {secret} nonsense\n")
    with pytest.raises(KeyFileError, match="64 hex digits"):
        load_keys(path)


def test_whoever_follows_the_file_reads_each_change_once(path: Path) -> None:
    follower = KeyFile(path, log.get("test"))
    assert follower.refresh() == load_keys(path)
    assert follower.refresh() is None
    add(path, NOW)
    assert follower.refresh() == load_keys(path)
    assert follower.refresh() is None


@pytest.mark.parametrize("text", ["", "A", "!!!!", "é", "AQ"])
def test_what_is_no_token_has_no_key(text: str) -> None:
    assert kid_of(text) is None
