"""A book that is not as it should be does not open, whatever is wrong with it; a good one tells what it holds."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder._fast.book import Book, BookError
from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from tests.book_rows import ENTRY, HEADER, ROW, Section
from tests.books import EXCHANGES, book, campaign, creative, write

CAMPAIGNS = [
    campaign(
        id=f"c-{n}",
        bid={"cpm_usd": str(n + 1)},
        budget={"timezone": "Europe/Berlin"},
        targeting={
            "country": {"include": ["USA"]},
            "zip": {"include": [str(n)], "exclude": ["99"]},
            "deal": {"include": ["d-1"]},
            "hour_of_week": [1],
            "segment": {"all": ["a", "b"]},
            "radius": [{"lat": 1, "lon": 2, "km": 3}],
        },
        multipliers=[{"when": {"os": ["ios"]}, "factor": "2"}],
        frequency=[{"impressions": 1, "per_s": 60}],
        creatives=[creative(bundle="com.acme")],
    )
    for n in range(40)
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("book") / "good.bin", CAMPAIGNS).read_bytes()


def sealed(content: bytes) -> bytes:
    """With a checksum that fits: only the checks of the content are left to refuse it."""
    return content[:8] + struct.pack("<I", zlib.crc32(content[16:])) + content[12:]


def place(content: bytes, section: Section) -> tuple[int, int]:
    """(offset, count) of a section."""
    at, count, _ = ENTRY.unpack_from(content, HEADER.size + section * ENTRY.size)
    return at, count


def opened(directory: Path, content: bytes) -> Book:
    path = directory / "book.bin"
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return Book.open(path)


def test_book_tells_what_it_was_made_of(tmp_path: Path) -> None:
    paused = campaign(id="old", status="paused", creatives=[creative(landing_url="https://acme.example/old")])
    one = book(tmp_path / "b.bin", [*CAMPAIGNS, paused], revision=7)
    assert (one.revision, one.campaign_count, one.slot_count) == (7, 40, 80)
    assert one.exchanges == EXCHANGES
    assert one.zones == ["Europe/Berlin"]
    assert one.campaign_id(1) == "c-0"
    assert one.landing_url(1000) == "https://acme.example/"
    assert one.purse_slots()[40] == 39


def test_paused_campaign_keeps_its_click_targets_only(tmp_path: Path) -> None:
    paused = campaign(status="paused", creatives=[creative(landing_url="https://acme.example/old")])
    one = book(tmp_path / "b.bin", [paused])
    assert one.campaign_count == 0
    assert one.landing_url(1000) == "https://acme.example/old"
    assert one.campaign_id(1) == "c-1"
    assert one.purse_slots() == {}


def test_unknown_keys_have_no_landing_url_and_no_id(tmp_path: Path) -> None:
    one = book(tmp_path / "b.bin", CAMPAIGNS)
    assert [one.landing_url(key) for key in (0, 999, 1001, 2**32, -1)] == [None] * 5
    assert one.campaign_id(41) is None


def test_book_without_campaigns_opens(tmp_path: Path) -> None:
    assert book(tmp_path / "b.bin", []).campaign_count == 0


def test_book_outlives_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "b.bin", CAMPAIGNS)
    one = Book.open(path)
    matcher = Matcher(one)
    path.unlink()
    del one
    assert matcher.price(1) == 1_000_000


def test_missing_empty_and_foreign_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "b.bin"
    with pytest.raises(BookError, match=r"b\.bin: No such file"):
        Book.open(path)
    path.write_bytes(b"")
    with pytest.raises(BookError, match="cannot be mapped"):
        Book.open(path)
    path.write_bytes(b"x" * 10_000)
    with pytest.raises(BookError, match="not a book"):
        Book.open(path)


def test_truncated_book_is_refused_at_any_length(tmp_path: Path, good: bytes) -> None:
    for length in [1, 15, 16, 47, 100, 527, 600, len(good) // 2, len(good) - 1]:
        with pytest.raises(BookError):
            opened(tmp_path, good[:length])
    with pytest.raises(BookError, match="were written"):
        opened(tmp_path, good + b"\0")


def test_flipped_bit_is_refused_wherever_it_is(tmp_path: Path, good: bytes) -> None:
    for at in [*range(0, 600, 7), *range(600, len(good), len(good) // 97)]:
        broken = bytearray(good)
        broken[at] ^= 1 << at % 8
        with pytest.raises(BookError):
            opened(tmp_path, bytes(broken))


def test_other_format_version_is_refused_by_number(tmp_path: Path, good: bytes) -> None:
    with pytest.raises(BookError, match="format version 9; this build reads 8"):
        opened(tmp_path, sealed(good[:12] + struct.pack("<I", 9) + good[16:]))


@pytest.mark.parametrize(
    ("section", "field", "value", "reason"),
    [
        (Section.CAMPAIGNS, 7, 2**31, "campaigns: number 0"),  # creative_first
        (Section.CAMPAIGNS, 2, 0, "campaigns: number 0"),  # price
        (Section.CAMPAIGNS, 3, 10**12, "campaigns: number 0"),  # price_max
        (Section.CAMPAIGNS, 3, 1, "campaigns: number 1"),  # out of order
        (Section.CAMPAIGNS, 12, 2**40, "campaigns: number 0"),  # filter
        (Section.CREATIVES, 1, 80, "creatives: number 0"),  # slot
        (Section.CREATIVES, 15, 2**31, "creatives: number 0"),  # piece count
        (Section.STRINGS, 0, 2**63, "texts: number 0"),
        (Section.PIECES, 0, 99, "texts: number 0"),
        (Section.FILTERS, 0, 5, "campaigns: number"),  # zone
        (Section.VALUES, 1, 2**40, "values: number 0"),
        (Section.VALUES, 2, 2**31, "values: number 0"),
        (Section.VALUES, 6, 2**31, "values: number 0"),
        (Section.VALUE_IDS, 0, 2**31, "multipliers: number 0"),
        (Section.DIMENSIONS, 0, 77, "index: number 0"),
        (Section.DIMENSIONS, 1, 10**6, "index: number 0"),
        (Section.LANDINGS, 2, 10**9, "landing URLs: number 1"),
        (Section.ZONES, 0, 2**50, "zones: number 0"),
    ],
)
def test_number_that_points_outside_is_refused(
    tmp_path: Path, good: bytes, section: Section, field: int, value: int, reason: str
) -> None:
    at, _ = place(good, section)
    fields = list(ROW[section].unpack_from(good, at))
    fields[field] = value
    broken = bytearray(good)
    ROW[section].pack_into(broken, at, *fields)
    with pytest.raises(BookError, match=reason):
        opened(tmp_path, sealed(bytes(broken)))


def test_full_hash_table_is_refused_as_a_search_in_it_would_not_end(tmp_path: Path, good: bytes) -> None:
    at, count = place(good, Section.INDEX)
    broken = good[:at] + struct.pack("<Q", 1) * count + good[at + 8 * count :]
    with pytest.raises(BookError, match="index"):
        opened(tmp_path, sealed(broken))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_sealed_nonsense_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, good: bytes, data: st.DataObject
) -> None:
    """Words changed at random under a fitting checksum: the book is refused, or everything in it can be used."""
    broken = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(16, len(good) - 8)) & ~3
        broken[at : at + 4] = data.draw(st.sampled_from([0, 1, 63, 2**16, 2**31, 2**32 - 1])).to_bytes(4, "little")
    try:
        one = opened(tmp_path_factory.getbasetemp(), sealed(bytes(broken)))
        matcher = Matcher(one)
    except BookError:
        return
    use(one, matcher)


def use(one: Book, matcher: Matcher) -> None:
    reader = Reader()
    body = (
        b'{"id":"1","imp":[{"id":"1","banner":{"w":300,"h":250},"pmp":{"deals":[{"id":"d-1"}]}}],'
        b'"device":{"os":"ios","geo":{"country":"USA","zip":"3","lat":1,"lon":2}},'
        b'"user":{"data":[{"segment":[{"id":"a"},{"id":"b"}]}]}}'
    )
    assert reader.parse(body) == 0
    for key in matcher.matches(reader, 1, 1_700_000_000, 0):
        assert matcher.price(key) >= 0
