"""Deals: what buyer and publisher have agreed on is not lost to a price."""

from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from tests.worlds import World, banner, campaign, imp, request

MANY = 1_100  # more than two blocks


def by_deal(name: str, cpm: str, *deals: str, **changes: Any) -> dict[str, Any]:
    return campaign(name, cpm, targeting={"deal": {"include": list(deals)}}, **changes)


def offered(*deals: dict[str, Any], private: int = 0, **changes: Any) -> dict[str, Any]:
    return request([imp(pmp={"private_auction": private, "deals": list(deals)}, **changes)])


def won(world: World, asked: dict[str, Any]) -> tuple[str, float, str | None]:
    """Campaign, price and deal of the one bid."""
    (bid,) = world.ask(asked).bids
    return bid["cid"], bid["price"], bid.get("dealid")


def test_a_bid_through_a_deal_goes_before_a_dearer_open_one(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("open", "9"), by_deal("deal", "1", "d-7")])
    assert won(world, offered({"id": "d-7"})) == ("deal", 1, "d-7")
    assert won(world, offered({"id": "d-8"})) == ("open", 9, None)
    assert won(world, offered()) == ("open", 9, None)


def test_among_bids_through_deals_the_dearest_goes_first(tmp_path: Path) -> None:
    world = World(tmp_path, [by_deal("less", "1", "d-7"), by_deal("more", "2", "d-8"), campaign("open", "9")])
    assert won(world, offered({"id": "d-7"}, {"id": "d-8"})) == ("more", 2, "d-8")


def test_where_the_deal_cannot_be_bid_on_an_open_bid_is_made(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("open", "1"), by_deal("deal", "2", "d-7")])
    assert won(world, offered({"id": "d-7", "bidfloor": 2.01})) == ("open", 1, None)
    assert won(world, offered({"id": "d-7", "wseat": ["other"]})) == ("open", 1, None)
    world.fund("deal", 1_000)
    assert won(world, offered({"id": "d-7"})) == ("open", 1, None)


def test_of_a_private_auction_without_a_bid_the_reason_is_that_of_the_deal(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("open", "9"), by_deal("deal", "2", "d-7")])
    assert world.ask(offered({"id": "d-7", "bidfloor": 2.01}, private=1)).reason == Reason.FLOOR
    assert world.ask(offered({"id": "d-8"}, private=1)).reason == Reason.DEAL


def test_a_guaranteed_deal_goes_before_a_dearer_one(tmp_path: Path) -> None:
    world = World(tmp_path, [by_deal("deal", "5", "d-8"), by_deal("agreed", "2", "d-7"), campaign("open", "9")])
    asked = offered({"id": "d-8"}, {"id": "d-7", "guar": 1, "at": 3, "bidfloor": 1.5})
    assert won(world, asked) == ("agreed", 1.5, "d-7")
    asked["imp"][0]["pmp"]["deals"][1]["guar"] = 0
    assert won(world, asked) == ("deal", 5, "d-8")


def test_a_campaign_with_several_deals_bids_through_the_guaranteed_one(tmp_path: Path) -> None:
    world = World(tmp_path, [by_deal("both", "3", "d-7", "d-8")])
    assert won(world, offered({"id": "d-8"}, {"id": "d-7", "guar": 1, "at": 3, "bidfloor": 1})) == ("both", 1, "d-7")
    assert won(world, offered({"id": "d-8"}, {"id": "d-7", "at": 3, "bidfloor": 1})) == ("both", 3, "d-8")


def test_pacing_holds_back_a_deal_but_not_a_guaranteed_one(tmp_path: Path) -> None:
    world = World(tmp_path, [by_deal("agreed", "2", "d-7")])
    world.pace("agreed", throttle=0, multiplier=32_768)
    assert world.ask(offered({"id": "d-7"})).reason == Reason.PACED
    assert won(world, offered({"id": "d-7", "guar": 1})) == ("agreed", 2, "d-7")
    world.fund("agreed", 0)
    assert world.ask(offered({"id": "d-7", "guar": 1})).reason == Reason.PURSE_EMPTY


def test_a_fixed_price_is_bid_by_whoever_would_pay_it(tmp_path: Path) -> None:
    world = World(tmp_path, [by_deal("one", "2", "d-7")])
    assert won(world, offered({"id": "d-7", "at": 3, "bidfloor": 1.999999})) == ("one", 1.999999, "d-7")
    assert world.ask(offered({"id": "d-7", "at": 3, "bidfloor": 2.000001})).reason == Reason.FLOOR
    assert won(world, offered({"id": "d-7", "at": 1, "bidfloor": 1})) == ("one", 2, "d-7")
    assert won(world, offered({"id": "d-7", "at": 2, "bidfloor": 1})) == ("one", 2, "d-7")


@pytest.mark.parametrize("at", [0, 511, 512, 600, 1_023, 1_024, MANY - 1])
def test_one_deal_among_a_thousand_dearer_campaigns_is_found(tmp_path: Path, at: int) -> None:
    bodies = [campaign(f"c-{n}", f"{(5_000 - n) / 1_000:.3f}") for n in range(MANY)]
    bodies[at] |= {"targeting": {"deal": {"include": ["d-7"]}}}
    world = World(tmp_path, [], book=False, purses=MANY + 64)
    world.publish(bodies)
    for body in bodies:
        world.fund(body["id"], 1_000_000_000)
    assert won(world, offered({"id": "d-7"}))[0] == f"c-{at}"
    assert won(world, offered({"id": "d-8"}))[0] == ("c-0" if at else "c-1")
    two = request([imp("1", pmp={"deals": [{"id": "d-7"}]}), imp("2"), imp("3", pmp={"deals": [{"id": "d-7"}]})])
    open_one = "c-0" if at else "c-1"
    assert [bid["cid"] for bid in world.ask(two).bids] == [f"c-{at}", open_one, f"c-{at}"]


def test_the_reason_is_that_of_all_campaigns_where_neither_deal_nor_open_may_bid(tmp_path: Path) -> None:
    """The scan of the deals comes first, and says nothing of those that have none."""
    world = World(tmp_path, [by_deal("deal", "2", "d-7", creatives=[banner(w=1, h=1)]), campaign("open", "1")])
    assert world.ask(offered({"id": "d-7"}, bidfloor=3)).reason == Reason.FLOOR
    assert (
        World(tmp_path / "b", [by_deal("deal", "2", "d-7", creatives=[banner(w=1, h=1)])])
        .ask(offered({"id": "d-7"}))
        .reason
        == Reason.SIZE
    )
