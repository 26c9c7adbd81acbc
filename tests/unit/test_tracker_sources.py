"""The tracker follows keys and books that other processes replace, and keeps what was good."""

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from bidder.campaigns import snapshot
from bidder.money.keyfile import KeyFile
from bidder.money.tokens import Keys, Opener, Sealer, Token, TokenClass, create_keys, seal
from bidder.ops import log as log_module
from bidder.tracking.sources import Landings
from tests import books

TOKEN = Token((30_000_000).to_bytes(4, "big") + bytes(8), exchange=1)


def said(capfd: pytest.CaptureFixture[str], msg: str) -> list[dict[str, object]]:
    assert log_module.flush(5)
    return [record for line in capfd.readouterr().err.splitlines() if (record := json.loads(line))["msg"] == msg]


def opens(keys: Keys | None, sealed: str) -> bool:
    return keys is not None and Opener(keys).open(sealed, TokenClass.NOTICE) == TOKEN


def test_a_new_key_file_is_read_once_and_tokens_of_the_old_key_still_open(tmp_path: Path) -> None:
    path = tmp_path / "token.keys"
    file = KeyFile(path, log_module.get("tracker"))
    assert file.refresh() is None
    old = seal(Sealer(create_keys(path)), TokenClass.NOTICE, TOKEN)
    assert opens(file.refresh(), old)
    assert file.refresh() is None
    path.write_text(f"2 {secrets.token_hex(32)}\n{path.read_text()}")
    assert opens(file.refresh(), old)


def test_a_broken_key_file_is_told_once_and_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "token.keys"
    create_keys(path)
    file = KeyFile(path, log_module.get("tracker"))
    assert file.refresh() is not None
    path.write_text("nonsense\n")
    assert file.refresh() is None
    assert file.refresh() is None
    assert len(said(capfd, "token keys refused; those of before stay")) == 1


def test_without_a_book_no_click_has_a_target_and_a_broken_one_is_told_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "book").mkdir()
    landings = Landings(tmp_path, log_module.get("tracker"))

    async def look() -> None:
        assert await landings.url(8) is None
        (tmp_path / "book" / "book-1.bin").write_bytes(b"not a book")
        (tmp_path / "book" / "current").write_text("1\n")
        for _ in range(3):
            assert await landings.url(8) is None
        assert landings.revision is None

    asyncio.run(look())
    assert len(said(capfd, "book refused; the last good one serves on")) == 1


def test_a_click_on_a_creative_of_a_newer_book_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    landings = Landings(tmp_path, log_module.get("tracker"))

    def publish(generation: int, urls: list[str]) -> None:
        creatives = [books.creative(id=f"cr-{n}", landing_url=url) for n, url in enumerate(urls)]
        books.write(snapshot.path_of(tmp_path, generation), [books.campaign(creatives=creatives)], generation)
        snapshot.publish(tmp_path, generation)

    async def look() -> None:
        publish(1, ["https://acme.example/a"])
        assert await landings.url(1000) == "https://acme.example/a"
        assert await landings.url(1001) is None
        publish(2, ["https://acme.example/a", "https://acme.example/b?x=1&y=%20"])
        assert await landings.url(1001) == "https://acme.example/b?x=1&y=%20"
        assert landings.revision == 2

    asyncio.run(look())
