"""Features that are off: what a request gets then, and what it gets with the next one after they are on again."""

from pathlib import Path
from typing import Any

import pytest

from bidder.features import NAMES, Feature, mask_of, names_of
from bidder.outcome import Reason
from tests.explained import explained, one_imp
from tests.unit.test_deals import by_deal, offered
from tests.unit.test_decision_formats import native, placement, player, video
from tests.unit.test_decision_pods import slots, spot
from tests.unit.test_shading import shading_world
from tests.worlds import World, banner, campaign, imp, request


def bids(world: World, asked: dict[str, Any], off: Feature) -> list[tuple[str, float, str | None]] | Reason:
    """(campaign, price, deal) of each bid, or the reason; the explanation says the same."""
    world.board.features_off = off
    told = explained(world, asked)
    answer = world.ask(asked)
    reason = Reason(answer.reason or 0)
    assert told.reason is reason
    if reason is Reason.FEATURE:
        assert one_imp(told).predicate.startswith(f"switch: {', '.join(names_of(off))} off")
    return reason or [(bid["cid"], bid["price"], bid.get("dealid")) for bid in answer.bids]


def test_what_a_name_means_is_its_bit_and_back() -> None:
    assert mask_of(["video", "shading"]) == Feature.VIDEO | Feature.SHADING == 9
    assert names_of(mask_of(NAMES) | 1 << 31) == list(NAMES)
    with pytest.raises(ValueError, match="no feature 'vidoe'; there are shading"):
        mask_of(["vidoe"])


def test_without_shading_a_campaign_bids_its_value(tmp_path: Path) -> None:
    world, asked = shading_world(tmp_path), request([imp()], at=1)
    assert bids(world, asked, Feature.SHADING) == [("c-1", 4, None)]
    assert bids(world, asked, Feature(0)) == [("c-1", 2, None)]


def test_without_segments_a_user_is_in_none(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        [
            campaign("wants", "4", targeting={"segment": {"any": ["a"]}}),
            campaign("shuns", "2", targeting={"segment": {"none": ["a"]}}),
        ],
    )
    asked = request([imp()], user={"data": [{"segment": [{"id": "a"}]}]})
    assert bids(world, asked, Feature(0)) == [("wants", 4, None)]
    assert bids(world, asked, Feature.SEGMENTS) == [("shuns", 2, None)]


def test_without_multipliers_a_campaign_bids_its_plain_price(tmp_path: Path) -> None:
    def by_country(name: str, cpm: str, factor: str) -> dict[str, Any]:
        return campaign(name, cpm, multipliers=[{"when": {"country": ["USA"]}, "factor": factor}])

    world = World(tmp_path, [by_country("raised", "1", "3"), by_country("lowered", "2", "0.1")])
    asked = request([imp()], device={"geo": {"country": "USA"}})
    assert bids(world, asked, Feature(0)) == [("raised", 3, None)]
    assert bids(world, asked, Feature.MULTIPLIERS) == [("lowered", 2, None)]


MEDIA: dict[Feature, tuple[dict[str, Any], dict[str, Any]]] = {
    Feature.VIDEO: (player("video"), video("video")),
    Feature.AUDIO: (player("audio"), video("audio")),
    Feature.NATIVE: (placement({"required": 1, "title": {"len": 90}}), native()),
}


@pytest.mark.parametrize("feature", MEDIA, ids=lambda feature: feature.name.lower())
def test_without_a_medium_there_is_no_bid_of_it(tmp_path: Path, feature: Feature) -> None:
    asked, creative = MEDIA[feature]
    world = World(tmp_path, [campaign("rich", "4", creatives=[creative]), campaign("plain", "1", creatives=[banner()])])
    alone = asked
    assert bids(world, alone, Feature(0)) == [("rich", 4, None)]
    assert bids(world, alone, feature) is Reason.FEATURE
    assert bids(world, alone, ~feature & Feature(255)) == [("rich", 4, None)]
    both = request([imp() | asked["imp"][0]])
    assert bids(world, both, Feature(0)) == [("rich", 4, None)]
    assert bids(world, both, feature) == [("plain", 1, None)]


def test_without_deals_nothing_is_bid_through_one_and_private_auctions_get_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, [by_deal("deal", "1", "d-7"), campaign("open", "2")])
    assert bids(world, offered({"id": "d-7"}), Feature(0)) == [("deal", 1, "d-7")]
    assert bids(world, offered({"id": "d-7"}), Feature.DEALS) == [("open", 2, None)]
    assert bids(world, offered({"id": "d-7"}, private=1), Feature(0)) == [("deal", 1, "d-7")]
    assert bids(world, offered({"id": "d-7"}, private=1), Feature.DEALS) is Reason.FEATURE


@pytest.mark.parametrize("pod", [{"podid": "p"}, {"poddur": 60, "maxseq": 2}], ids=["slot", "stretch"])
def test_without_pods_their_slots_get_nothing_and_other_videos_do(tmp_path: Path, pod: dict[str, Any]) -> None:
    world = World(tmp_path, [spot("c-1", "3")])
    assert bids(world, slots({}, **pod), Feature.PODS) is Reason.FEATURE
    assert bids(world, slots({}), Feature.PODS) == [("c-1", 3, None)]
    assert bids(world, slots({}, **pod), Feature(0)) != Reason.FEATURE
