"""Fields of a request that change nothing about a bid, or that change it and are no rule of a campaign."""

from pathlib import Path
from typing import Any

import pytest

from bidder.events.schema import Kind
from bidder.outcome import Reason
from tests.explained import explained, one_imp
from tests.worlds import World, campaign, imp, request


@pytest.mark.parametrize("at", [0, 1, 2, 3, 500, "2", None, "x"])
def test_whatever_the_auction_type_the_price_is_what_the_campaign_would_pay(tmp_path: Path, at: Any) -> None:
    (bid,) = World(tmp_path, [campaign()]).ask(request(at=at)).bids
    assert bid["price"] == 2.5


@pytest.mark.parametrize(
    ("tmax", "reason"),
    [(3, Reason.OVERLOAD), ("3", Reason.OVERLOAD), (5, None), (100, None), (0, None), (None, None), ("soon", None)],
)
def test_who_asks_for_an_answer_sooner_than_there_is_one_gets_none(
    tmp_path: Path, tmax: Any, reason: Reason | None
) -> None:
    """A request takes a millisecond here, and may wait for a quarter of its tmax."""
    world = World(tmp_path, [campaign()])
    world.decider.admission.polls()
    world.clock.monotonic += 16_000_000
    world.decider.admission.turn_ends(1)
    world.clock.monotonic += 1_000_000_000
    assert world.ask(request(tmax=tmax)).reason == reason


@pytest.mark.parametrize("allimps", [0, 1, None, "dd"])
def test_whether_all_impressions_are_offered_makes_no_difference(tmp_path: Path, allimps: Any) -> None:
    assert len(World(tmp_path, [campaign()]).ask(request([imp("1"), imp("2")], allimps=allimps)).bids) == 2


def test_every_imp_gets_one_bid_at_most_in_one_answer(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("c-1", "1"), campaign("c-2", "2"), campaign("c-3", "3")])
    bids = world.ask(request([imp("a"), imp("b", bidfloor=2.5), imp("c", bidfloor=4)])).bids
    assert [(bid["impid"], bid["cid"]) for bid in bids] == [("a", "c-3"), ("b", "c-3")]
    assert len({bid["id"] for bid in bids}) == 2


def test_a_test_is_bid_on_and_nothing_of_it_is_counted_or_taken(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    before = world.left("c-1")
    real, test = world.ask(request(test=0)), world.ask(request(test=1))
    assert (real.status, test.status) == (200, 200)
    assert (bool(real.counted(Kind.BID)), test.rows) == (True, [])
    assert before - world.left("c-1") == 2_500_000


@pytest.mark.parametrize(
    ("qty", "reason"),
    [
        (None, None),
        ({}, None),
        ({"multiplier": 0.4}, None),
        ({"multiplier": "1.0"}, None),
        ({"multiplier": 1.000001}, Reason.QUANTITY),
        ({"multiplier": "14.2", "sourcetype": 1, "vendor": "route.example"}, Reason.QUANTITY),
    ],
)
def test_a_bid_that_would_pay_for_several_impressions_is_not_made(
    tmp_path: Path, qty: Any, reason: Reason | None
) -> None:
    world, asked = World(tmp_path, [campaign()]), request([imp(qty=qty)], dooh={"id": "panel-1"})
    assert world.ask(asked).reason == reason
    told = one_imp(explained(world, asked))
    assert told.reason == (reason or Reason.NONE)
    assert told.predicate.startswith("qty.multiplier: ") == (reason is not None)


def test_of_a_panel_its_owner_its_place_and_its_id_are_read(tmp_path: Path) -> None:
    aims = {
        "inventory": {"include": ["dooh"]},
        "publisher": {"include": ["p-1"]},
        "domain": {"include": ["panels.example"]},
        "dooh": {"exclude": ["panel-9"]},
        "venue_type": {"include": ["transit.airports"]},
    }
    world = World(tmp_path, [campaign(targeting=aims)])
    panel: dict[str, Any] = {"id": "panel-1", "domain": "panels.example", "publisher": {"id": "p-1"}}
    panel["venuetype"] = ["transit.airports.baggage_claim"]
    assert world.ask(request(dooh=panel)).status == 200
    others: list[dict[str, Any]] = [
        {"id": "panel-9"}, {"domain": "x.example"}, {"publisher": {"id": "p"}}, {"venuetype": []}
    ]  # fmt: skip
    for change in others:
        assert world.ask(request(dooh=panel | change)).reason == Reason.TARGETING
