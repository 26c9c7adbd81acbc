"""Key files: created once, read whole, refused by line."""

from pathlib import Path

import pytest

from bidder.money.tokens import Key, KeyFileError, Opener, Sealer, Token, TokenClass, create_keys, load_keys, seal

ONE = "7 " + "ab" * 32
TWO = "9 " + "cd" * 32


def test_created_keys_are_readable_by_their_owner_only_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "token.keys"
    keys = create_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert create_keys(path) == keys == load_keys(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["token.keys"]


def test_first_key_seals_and_all_open(tmp_path: Path) -> None:
    path = tmp_path / "token.keys"
    path.write_text(f"{ONE}\n")
    old = seal(Sealer(load_keys(path)), TokenClass.PAGE, Token(bytes(12), campaign=5))
    path.write_text(f"{TWO}\n\n{ONE}\n")
    keys = load_keys(path)
    new = seal(Sealer(keys), TokenClass.PAGE, Token(bytes(12), campaign=6))
    opened = [Opener(keys).open(token, TokenClass.PAGE) for token in (old, new)]
    assert opened == [Token(bytes(12), campaign=5), Token(bytes(12), campaign=6)]
    assert Opener(keys[:1]).open(old, TokenClass.PAGE) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no key"),
        (f"{ONE}\n{ONE}\n", "kid 7 is there twice"),
        (f"{ONE}\n256 {'ab' * 32}\n", ":2: a kid of 0 to 255"),
        ("7 abcd\n", ":1: 64 hex digits"),
        ("schlüssel\n", "not a key file"),
    ],
)
def test_key_file_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "token.keys"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KeyFileError, match=reason):
        load_keys(path)


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="no such key file"):
        load_keys(tmp_path / "none")


def test_key_does_not_show_its_secret() -> None:
    assert repr(Key(7, b"\xab" * 32)) == "Key(kid=7)"
