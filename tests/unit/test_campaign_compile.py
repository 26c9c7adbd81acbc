"""What becomes of campaign records in a book, and of those that cannot be served."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bidder._fast.book import Book
from bidder.campaigns.compile import BookCompileError, BookSummary, compile_book
from bidder.campaigns.record import CampaignRecord
from tests.book_rows import ENTRY, HEADER, ROW, Section
from tests.books import EXCHANGES, PUBLIC_URL, campaign, creative, records


def compiled(path: Path, found: list[CampaignRecord], revision: int = 1) -> BookSummary:
    return compile_book(
        found,
        revision=revision,
        exchanges=EXCHANGES,
        public_url=PUBLIC_URL,
        purse_of=lambda key: key + 100,
        path=path,
    )


def rows(path: Path, section: Section) -> list[tuple[Any, ...]]:
    content = path.read_bytes()
    at, count, size = ENTRY.unpack_from(content, HEADER.size + section * ENTRY.size)
    return [ROW[section].unpack_from(content, at + n * size) for n in range(count)]


def test_same_records_give_the_same_file_in_any_order(tmp_path: Path) -> None:
    found = records([campaign(id=f"c-{n}", targeting={"zip": {"include": [str(n)]}}) for n in range(50)])
    compiled(tmp_path / "a", found)
    compiled(tmp_path / "b", found[::-1])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_campaign_carries_price_flight_and_purse(tmp_path: Path) -> None:
    one = campaign(
        bid={"cpm_usd": "2.40"},
        flight={"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"},
        multipliers=[
            {"when": {}, "factor": "1.5"},
            {"when": {"os": ["ios"]}, "factor": "0.5"},
            {"when": {"os": ["ios"]}, "factor": "1.1"},
        ],
    )
    compiled(tmp_path / "a", records([one]))
    (row,) = rows(tmp_path / "a", Section.CAMPAIGNS)
    assert row[:7] == (1, 1, 2_400_000, 3_960_000, 1_767_225_600, 1_769_904_000, 101)


def test_campaign_without_a_flight_always_runs(tmp_path: Path) -> None:
    compiled(tmp_path / "a", records([campaign()]))
    (row,) = rows(tmp_path / "a", Section.CAMPAIGNS)
    assert row[4:6] == (0, 2**32 - 1)


def test_creative_carries_what_the_auction_checks(tmp_path: Path) -> None:
    one = creative(
        attr=[1, 63], api=[5], language="en", approval={"openx": "pending", "generic": "approved"}, bundle="com.acme"
    )
    compiled(tmp_path / "a", records([campaign(creatives=[one])]))
    (row,) = rows(tmp_path / "a", Section.CREATIVES)
    _, _, mtype, _, language, w, h, _, attr, api, not_approved, _, domains, *_, bundle = row
    assert (mtype, language, w, h, domains) == (1, 4 * 26 + 14, 300, 250, 1)
    assert (attr, api, not_approved) == (1 << 1 | 1 << 63, 1 << 5, 1 << EXCHANGES["openx"])
    at, length = rows(tmp_path / "a", Section.STRINGS)[bundle - 1]
    blob, _, _ = ENTRY.unpack_from((tmp_path / "a").read_bytes(), HEADER.size + Section.BLOB * ENTRY.size)
    assert (tmp_path / "a").read_bytes()[blob + at : blob + at + length] == b"com.acme"


def test_video_is_in_the_book_once_for_each_version_that_says_it(tmp_path: Path) -> None:
    media = [{"url": "https://cdn.acme.example/a.mp4", "mime": "video/mp4", "w": 640, "h": 360, "bitrate_kbps": 800}]
    video = {
        "id": "v",
        "type": "video",
        "landing_url": "https://acme.example/",
        "video": {"duration_s": 15, "media": media},
    }
    summary = compiled(tmp_path / "a", records([campaign(creatives=[video])]))
    found, creatives = rows(tmp_path / "a", Section.MEDIA), rows(tmp_path / "a", Section.CREATIVES)
    assert (summary.campaigns, summary.creatives, summary.left_out) == (1, len(found), ())
    assert [row[0] for row in found] == sorted({row[0] for row in found}, reverse=True), "the newest version first"
    assert {row[1:8] for row in found} == {(1, 0, 1 << 2, 15, 0, 800, 800)}
    assert {(row[0], row[2]) for row in creatives} == {(1000, 2)}
    assert [row[-2] for row in creatives] == list(range(1, len(found) + 1))
    assert Book.open(tmp_path / "a").landing_url(1000) == "https://acme.example/"


def test_record_that_cannot_be_served_is_left_out_and_named(tmp_path: Path) -> None:
    good, bad = records([campaign(id="good"), campaign(id="bad", creatives=[creative(id="new")])])
    summary = compiled(tmp_path / "a", [good, msgspec.structs.replace(bad, creatives={})])
    assert summary.campaigns == 1
    assert summary.left_out == ("campaign bad: ValueError: creative new has no key; import the campaign with it",)


def test_book_of_nothing_but_bad_records_is_not_written(tmp_path: Path) -> None:
    (bad,) = records([campaign(id="bad")])
    with pytest.raises(BookCompileError, match="no campaign can be served; the first: campaign bad"):
        compiled(tmp_path / "a", [msgspec.structs.replace(bad, creatives={})])
    assert not (tmp_path / "a").exists()


def test_include_of_an_exchange_that_is_gone_accepts_none(tmp_path: Path) -> None:
    """The settings lost the exchange after the import; the campaign must not run everywhere for that."""
    found = records([campaign(targeting={"exchange": {"include": ["openx"]}})])
    compile_book(
        found,
        revision=1,
        exchanges={"generic": 1},
        public_url=PUBLIC_URL,
        purse_of=lambda key: key,
        path=tmp_path / "a",
    )
    (base,) = [row[1] for row in rows(tmp_path / "a", Section.DIMENSIONS) if row[0] == 0]
    assert rows(tmp_path / "a", Section.BITMAPS)[base * 8] == (0,)
