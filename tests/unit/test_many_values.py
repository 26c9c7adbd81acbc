"""Requests with hundreds of segments, categories and deals, against the reference: lists grow, nothing is left over."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bidder._fast.matcher import Matcher
from bidder._fast.request import Reader
from bidder.money.units import nano_from_cpm
from tests.books import EXCHANGES, bodies, book, campaign
from tests.reference import matcher as reference
from tests.reference.once import read_once
from tests.worlds import World, imp, request
from tests.worlds import campaign as world_campaign

NOW_S = 1_790_000_000
NOW = datetime.fromtimestamp(NOW_S, UTC)
SEGMENTS = [f"s-{n}" for n in range(400)]
CATEGORIES = [f"IAB{n}-{k}" for n in range(1, 26) for k in range(1, 13)]
DEALS = [f"d-{n}" for n in range(300)]


def campaigns() -> list[dict[str, Any]]:
    """Each wants a few of the values, and is dearer or cheaper for others."""
    dice = random.Random(3)
    found = []
    for n in range(600):
        targeting = [
            {"segment": {"all": dice.sample(SEGMENTS, 3)}},
            {"segment": {"any": dice.sample(SEGMENTS, 2), "none": dice.sample(SEGMENTS, 2)}},
            {"segment": {"all": dice.sample(SEGMENTS, 2)}, "cat": {"exclude": dice.sample(CATEGORIES, 1)}},
            {"cat": {"include": dice.sample(CATEGORIES, 4)}},
            {"cat": {"include": [f"IAB{n % 25 + 1}"]}, "deal": {"include": dice.sample(DEALS, 3)}},
            {"deal": {"exclude": dice.sample(DEALS, 3)}},
        ][n % 6]
        multipliers = [
            {"when": {"cat": dice.sample(CATEGORIES, 3)}, "factor": dice.choice(["1.5", "0.5"])},
            {
                "when": {"deal": dice.sample(DEALS, 2), "cat": [f"IAB{n % 25 + 1}"]},
                "factor": dice.choice(["2", "0.25"]),
            },
        ][: n % 3]
        found.append(campaign(id=f"c-{n}", targeting=targeting, multipliers=multipliers))
    return found


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    return bodies(campaigns())


@pytest.fixture(scope="module")
def compiled(found: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Matcher:
    return Matcher(book(tmp_path_factory.mktemp("many") / "book", found))


def asked(segments: list[str], categories: list[str], deals: list[str]) -> dict[str, Any]:
    return {
        "id": "r",
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "pmp": {"deals": [{"id": deal} for deal in deals]}}],
        "site": {"cat": categories},
        "user": {"data": [{"segment": [{"id": segment} for segment in segments]}]},
    }


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    read_once(monkeypatch)


def check(compiled: Matcher, stored: list[dict[str, Any]], wanted: dict[str, Any]) -> int:
    """How many campaigns accept; it is those of the reference, at its prices."""
    reader = Reader()
    assert reader.parse(json.dumps(wanted).encode()) == 0
    matched = compiled.matches(reader, EXCHANGES["openx"], NOW_S, 0)
    only = wanted["imp"][0]
    assert sorted(matched) == [
        key for key, body in enumerate(stored, 1) if reference.accepts(body, wanted, only, "openx", NOW) is None
    ]
    for key in matched[:40]:
        exact = reference.price_cpm(stored[key - 1], wanted, "openx", only)
        assert compiled.price(key) == nano_from_cpm(str(exact))
    return len(matched)


@pytest.mark.parametrize("many", [0, 1, 31, 32, 33, 60, 61, 62, 63, 64, 65, 66, 130, 300])
def test_as_many_segments_and_deals_as_a_request_brings_are_held(
    compiled: Matcher, found: list[dict[str, Any]], many: int
) -> None:
    dice = random.Random(many)
    assert check(compiled, found, asked(dice.sample(SEGMENTS, many), CATEGORIES[:1], dice.sample(DEALS, many)))


def test_hundreds_of_everything_then_little_then_hundreds_again(compiled: Matcher, found: list[dict[str, Any]]) -> None:
    all_of_it = asked(SEGMENTS, CATEGORIES, DEALS)
    little = asked(["s-1"], ["IAB1-1"], ["d-1"])
    counts = [check(compiled, found, each) for each in (little, all_of_it, little, all_of_it, asked([], [], []))]
    assert counts[0] == counts[2] < counts[1] == counts[3]


def test_values_that_no_campaign_names_and_values_named_many_times_change_nothing(
    compiled: Matcher, found: list[dict[str, Any]]
) -> None:
    dice = random.Random(5)
    segments, categories, deals = dice.sample(SEGMENTS, 100), dice.sample(CATEGORIES, 50), dice.sample(DEALS, 100)
    plain = check(compiled, found, asked(segments, categories, deals))
    noise = [f"unknown-{n}" for n in range(3_000)]
    mixed = [*segments * 5, *noise]
    dice.shuffle(mixed)
    assert check(compiled, found, asked(mixed, [*categories * 3, *noise], [*deals * 2, *noise])) == plain


def test_what_one_imp_brings_is_not_held_for_the_next(tmp_path: Path) -> None:
    body = world_campaign(
        multipliers=[{"when": {"deal": ["d-7"]}, "factor": "2"}], targeting={"segment": {"none": ["x"]}}
    )
    others = [world_campaign(f"o-{n}", "1", targeting={"segment": {"any": SEGMENTS[n::60]}}) for n in range(60)]
    world = World(tmp_path, [body, *others])
    deals = [{"id": deal} for deal in DEALS]
    imps = [imp("0"), imp("1", pmp={"deals": deals}), imp("2"), imp("3", pmp={"deals": deals[7:8]}), imp("4")]
    for segments in ([], SEGMENTS[:30], SEGMENTS):
        data = [{"segment": [{"id": segment} for segment in segments]}]
        prices = [bid["price"] for bid in world.ask(request(imps, user={"data": data})).bids]
        assert prices == [2.5, 5, 2.5, 5, 2.5]


@pytest.mark.parametrize("tail", ["x" * 100_000, "-" * 100_000, "-x" * 50_000])
def test_the_parents_of_a_category_of_any_length_are_found(tmp_path: Path, tail: str) -> None:
    compiled = Matcher(book(tmp_path / "b", [campaign(targeting={"cat": {"include": ["IAB9-30"]}})]))
    reader = Reader()
    close = [1] if tail[0] == "-" else []
    for cat, wanted in ((f"IAB9-30-{tail}", [1]), (f"IAB9-3-{tail}", []), (f"IAB9-30{tail[:1]}", close)):
        assert reader.parse(json.dumps(asked([], [cat], [])).encode()) == 0
        assert compiled.matches(reader, 1, NOW_S, 0) == wanted


def test_the_longest_category_that_a_campaign_may_name_is_found(tmp_path: Path) -> None:
    longest = "\U0001f600" * 128
    compiled = Matcher(book(tmp_path / "b", [campaign(targeting={"cat": {"include": [longest]}})]))
    reader = Reader()
    for cat in (longest, f"{longest}-1"):
        assert reader.parse(json.dumps(asked([], [cat], [])).encode()) == 0
        assert compiled.matches(reader, 1, NOW_S, 0) == [1]


def test_a_category_of_nothing_but_dashes_does_not_keep_the_worker(tmp_path: Path) -> None:
    """Each dash is the end of a parent: asked about in full length they took 16 s."""
    compiled = Matcher(book(tmp_path / "b", [campaign(targeting={"cat": {"include": ["IAB1"]}})]))
    reader = Reader()
    assert reader.parse(json.dumps(asked([], ["-" * 250_000], [])).encode()) == 0
    assert compiled.matches(reader, 1, NOW_S, 0) == []
    assert compiled.asked < 600
