"""Ad pods: several slots, or one stretch of time, and what no two ads of one pod may share."""

from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from tests.unit.test_decision_formats import video
from tests.worlds import World, banner, campaign, imp, request


def slots(*players: dict[str, Any], **pod: Any) -> dict[str, Any]:
    return request([{"id": str(n), "video": {"mimes": ["video/mp4"]} | pod | own} for n, own in enumerate(players)])


def spot(name: str, cpm: str, seconds: int = 15, **changes: Any) -> dict[str, Any]:
    return campaign(name, cpm, creatives=[video(spec={"duration_s": seconds}, **changes)])


def taken(world: World, asked: dict[str, Any]) -> list[tuple[str, str]]:
    return [(bid["impid"], bid["cid"]) for bid in world.ask(asked).bids]


@pytest.mark.parametrize(
    ("rule", "alike"),
    [(1, {"adomain": ["acme.example"], "cat": ["IAB1"]}), (2, {"adomain": ["other.example"], "cat": ["IAB3"]})],
)
def test_two_slots_of_a_pod_do_not_share_what_poddedupe_names(tmp_path: Path, rule: int, alike: dict[str, Any]) -> None:
    other = spot("other", "1", adomain=["else.example"], cat=["IAB9"])
    world = World(tmp_path, [spot("first", "3"), spot("alike", "2", **alike), other])
    assert taken(world, slots({}, {}, podid="p")) == [("0", "first"), ("1", "first")]
    assert taken(world, slots({}, {}, podid="p", poddedupe=[rule])) == [("0", "first"), ("1", "other")]


@pytest.mark.parametrize("rule", [3, 4])
def test_two_slots_of_a_pod_do_not_get_the_same_creative(tmp_path: Path, rule: int) -> None:
    world = World(tmp_path, [spot("first", "3"), spot("alike", "2")])
    assert taken(world, slots({}, {}, podid="p", poddedupe=[rule])) == [("0", "first"), ("1", "alike")]
    assert taken(world, slots({}, {}, {}, podid="p", poddedupe=[rule])) == [("0", "first"), ("1", "alike")]


def test_slots_of_other_pods_and_of_none_do_not_mind(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("first", "3")])
    asked = slots({"podid": "p"}, {"podid": "q"}, {}, poddedupe=[1, 2, 3])
    assert taken(world, asked) == [("0", "first"), ("1", "first"), ("2", "first")]


def test_what_one_slot_says_holds_for_both(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("first", "3")])
    asked = slots({"poddedupe": [3]}, {}, podid="p")
    assert taken(world, asked) == [("0", "first")]


def test_the_next_request_has_pods_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("first", "3")])
    asked = slots({}, podid="p", poddedupe=[3])
    assert taken(world, asked) == taken(world, asked) == [("0", "first")]


def test_an_undivided_pod_gets_several_ads_as_long_as_they_fit(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("c", "3", 30), spot("b", "2", 30), spot("a", "1", 10), spot("d", "0.9", 20)])
    assert taken(world, slots({"poddur": 60})) == [("0", "c"), ("0", "b")]
    assert taken(world, slots({"poddur": 70})) == [("0", "c"), ("0", "b"), ("0", "a")]
    assert taken(world, slots({"poddur": 55})) == [("0", "c"), ("0", "a")], "10 left are too few for the next"
    assert taken(world, slots({"poddur": 300, "maxseq": 3})) == [("0", "c"), ("0", "b"), ("0", "a")]
    assert taken(world, slots({"poddur": 300, "poddedupe": [1]})) == [("0", "c")]
    assert taken(world, slots({"maxseq": 3})) == [("0", "c")], "without its length it may be no pod at all"


def test_each_ad_of_an_undivided_pod_is_paid_for_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("b", "2"), spot("a", "1")])
    before = world.left("a"), world.left("b")
    assert len(taken(world, slots({"poddur": 60}))) == 2
    assert (before[0] - world.left("a"), before[1] - world.left("b")) == (1_000_000, 2_000_000)


def test_another_creative_takes_the_place_of_one_that_is_in_the_pod_already(tmp_path: Path) -> None:
    several = campaign(
        "b", "1", creatives=[video(adomain=["acme.example"]), video(id="cr-2", adomain=["other.example"])]
    )
    world = World(tmp_path, [spot("first", "3"), several])
    for _ in range(20):
        bids = world.ask(slots({"poddur": 60, "poddedupe": [1]})).bids
        assert [bid["crid"] for bid in bids] == ["cr-1", "cr-2"]


def test_an_imp_that_is_a_pod_or_a_banner_is_only_one_of_them(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("b", "2"), campaign("banner", "1.5"), spot("a", "1")])
    pod = {"mimes": ["video/mp4"], "poddur": 60}
    assert taken(world, request([imp(video=pod)])) == [("1", "b"), ("1", "a")]
    dear = World(tmp_path / "dear", [spot("b", "2"), campaign("banner", "2.5", creatives=[banner()]), spot("a", "1")])
    assert taken(dear, request([imp(video=pod)])) == [("1", "banner")]


def test_what_is_left_after_a_pod_is_full_has_a_reason_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path, [spot("first", "3")])
    world.fund("first", 3_000_000)
    asked = slots({"podid": "p", "poddedupe": [3]}, {"podid": "p", "poddedupe": [3]})
    assert taken(world, asked) == [("0", "first")]
    assert world.ask(asked).reason == Reason.PURSE_EMPTY
