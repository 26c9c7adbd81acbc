"""Shading at the bid: which auctions, how much, and never below a floor."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder._fast.mapping import MappingError
from bidder._fast.shading import Shading, key_of
from bidder.outcome import Reason
from tests.explained import explained, verdict
from tests.worlds import EXCHANGES, World, campaign, imp, request

HALF = 32_768
OPENX = EXCHANGES["openx"].key
BANNER = key_of(OPENX, 1, 320, 50)


def shading_world(directory: Path, *campaigns: dict[str, Any], share: int = HALF) -> World:
    world = World(directory, campaigns or [shaded("c-1", "4")])
    world.purses.shading = Shading(directory / "shading", make=True)
    world.purses.shading.put(BANNER, [share] * 64)
    return world


def shaded(name: str, cpm: str, **changes: Any) -> dict[str, Any]:
    body = campaign(name, cpm, **changes)
    return {**body, "bid": {**body["bid"], "shading": "auto"}}


def price(world: World, asked: dict[str, Any], exchange: str = "openx") -> float:
    (bid,) = world.ask(asked, exchange).bids
    return float(bid["price"])


def test_where_the_winner_pays_its_bid_less_is_bid(tmp_path: Path) -> None:
    world = shading_world(tmp_path)
    assert price(world, request([imp()], at=1)) == 2


def test_where_it_pays_less_or_nobody_says_the_value_is_bid(tmp_path: Path) -> None:
    world = shading_world(tmp_path)
    assert price(world, request([imp()], at=2)) == 4
    assert price(world, request([imp()])) == 4


def test_who_did_not_ask_for_shading_bids_its_value(tmp_path: Path) -> None:
    assert price(shading_world(tmp_path, campaign("c-1", "4")), request([imp()], at=1)) == 4


def test_a_host_without_a_table_shades_nothing(tmp_path: Path) -> None:
    assert price(World(tmp_path, [shaded("c-1", "4")]), request([imp()], at=1)) == 4


def test_a_class_that_nothing_is_known_of_is_not_shaded(tmp_path: Path) -> None:
    world = shading_world(tmp_path)
    world.purses.shading.keep([])
    assert price(world, request([imp()], at=1)) == 4


@pytest.mark.parametrize(("floor", "bid"), [(1.5, 2), (2, 2), (2.000001, 2.000001), (3.9, 3.9), (4, 4)])
def test_a_bid_is_never_shaded_below_the_floor(tmp_path: Path, floor: float, bid: float) -> None:
    assert price(shading_world(tmp_path), request([imp(bidfloor=floor)], at=1)) == bid


def test_a_floor_above_the_value_is_a_floor(tmp_path: Path) -> None:
    assert shading_world(tmp_path).ask(request([imp(bidfloor=4.000001)], at=1)).reason == Reason.FLOOR


def test_the_value_is_shaded_before_it_is_paced(tmp_path: Path) -> None:
    world = shading_world(tmp_path)
    world.purses.shading.put(BANNER, [HALF if step < 38 else 0 for step in range(64)])  # from 4 CPM on it is not shaded
    world.pace("c-1", multiplier=HALF)
    assert price(world, request([imp()], at=1)) == 2
    world.purses.shading.put(BANNER, [HALF] * 64)
    assert price(world, request([imp()], at=1)) == 1
    assert price(world, request([imp(bidfloor=1.2)], at=1)) == 1.2
    assert world.ask(request([imp(bidfloor=2.1)], at=1)).reason == Reason.FLOOR


def test_deals_are_shaded_by_their_own_auction_type_and_agreed_prices_never(tmp_path: Path) -> None:
    targeting = {"deal": {"include": ["d-7"]}}
    world = shading_world(tmp_path, shaded("c-1", "4", targeting=targeting))

    def through(auction: int, **deal: Any) -> float:
        return price(world, request([imp(pmp={"deals": [{"id": "d-7", **deal}]})], at=auction))

    assert through(1) == 2
    assert through(2) == 4
    assert through(2, at=1) == 2
    assert through(1, at=2) == 4
    assert through(1, at=1, bidfloor=3) == 3
    assert through(1, at=3, bidfloor=3) == 3
    assert through(1, guar=1) == 4


def test_what_is_reserved_is_what_is_bid(tmp_path: Path) -> None:
    world = shading_world(tmp_path)
    before = world.left("c-1")
    price(world, request([imp()], at=1))
    assert before - world.left("c-1") == 2_000_000


def test_ours_are_ranked_by_what_they_bid(tmp_path: Path) -> None:
    world = shading_world(tmp_path, shaded("shy", "4"), campaign("plain", "3"))
    (bid,) = world.ask(request([imp()], at=1)).bids
    assert (bid["cid"], bid["price"]) == ("plain", 3)
    (bid,) = world.ask(request([imp()], at=2)).bids
    assert (bid["cid"], bid["price"]) == ("shy", 4)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Shading:
    return Shading(tmp_path_factory.mktemp("shading") / "shading", make=True)


@given(st.integers(1, 2**40), st.lists(st.integers(0, 65_535), min_size=64, max_size=64))
def test_a_value_finds_the_share_of_its_quarter_of_a_doubling(table: Shading, value: int, shares: list[int]) -> None:
    table.put(BANNER, shares)
    steps = [int(2**12 * 2 ** (step // 4) * (1 + step % 4 / 4)) for step in range(64)]
    share = shares[max([step for step in range(64) if steps[step] <= value], default=0)]
    assert table.shade(BANNER, value) == (max(1, (value * share) >> 16) if share else value)


def test_classes_are_told_apart_by_exchange_format_and_size(tmp_path: Path) -> None:
    keys = {
        key_of(e, f, w, h) for e in (1, 2) for f in (1, 2) for w, h in ((0, 0), (320, 50), (300, 250), (1920, 1080))
    }
    assert len(keys) == 16
    assert key_of(1, 1, 300, 250) == key_of(1, 1, 336, 280)
    for exchange, format in ((1 << 16, 1), (1, 16)):
        with pytest.raises(ValueError, match="exchange="):
            key_of(exchange, format, 1, 1)


def test_what_one_process_writes_another_reads(tmp_path: Path) -> None:
    writer = Shading(tmp_path / "shading", make=True)
    reader = Shading(tmp_path / "shading")
    writer.put(BANNER, [HALF] * 64)
    assert reader.shade(BANNER, 4_000_000) == 2_000_000
    writer.keep([key_of(OPENX, 1, 300, 250)])
    assert reader.shade(BANNER, 4_000_000) == 4_000_000


def test_a_full_table_takes_no_more_classes_and_keeps_those_it_has(tmp_path: Path) -> None:
    full = Shading(tmp_path / "shading", make=True)
    keys = [key_of(exchange, 1, 1, 1) for exchange in range(1_024)]
    assert all(full.put(key, [HALF] * 64) for key in keys)
    assert not full.put(key_of(2_000, 1, 1, 1), [HALF] * 64)
    assert all(full.shade(key, 1_000) == 500 for key in keys)
    assert full.shade(key_of(2_000, 1, 1, 1), 1_000) == 1_000


def test_what_is_no_class_or_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="missing"):
        Shading(tmp_path / "shading")
    table = Shading(tmp_path / "shading", make=True)
    for key, shares in ((5, [0] * 64), (BANNER, [0] * 63)):
        with pytest.raises(ValueError, match=f"key={key}"):
            table.put(key, shares)


def test_explanations_say_what_was_shaded(tmp_path: Path) -> None:
    world = shading_world(tmp_path, shaded("shy", "4"), campaign("plain", "3"))
    asked = request([imp()], at=1)
    assert (
        verdict(explained(world, asked), "shy").predicate
        == "price: 2.00 < 3.00 USD of plain; shading: 2.00 of 4.00 USD"
    )
    assert verdict(explained(world, asked), "plain").predicate == ""
    world.fund("plain", 0)
    assert (verdict(explained(world, asked), "shy").outcome, verdict(explained(world, asked), "shy").predicate) == (
        "wins",
        "shading: 2.00 of 4.00 USD",
    )
