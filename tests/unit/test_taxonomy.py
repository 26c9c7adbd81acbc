"""Categories of other taxonomies as ours, in targeting and in blocks."""

from pathlib import Path
from typing import Any

import pytest

from bidder._fast.taxonomy import codes_of_ours
from bidder.outcome import Reason
from tests.worlds import World, banner, campaign, request

CONTENT = (2, 5, 6, 7, 9)


@pytest.mark.parametrize(
    ("category", "ours"),
    [
        ("1", ["IAB2"]),
        ("41", ["IAB2"]),
        ("42", ["IAB1-1"]),
        ("32", ["IAB2-1"]),
        ("379", ["IAB12", "IAB11"]),
        ("211", ["IAB8-5", "IAB8-18"]),
        ("698", ["IAB9-30"]),
        ("Rm3SiT", ["IAB25-3"]),
        ("IAB3-1", ["IAB3-1"]),
        ("iab3", ["iab3"]),
        ("0", []),
        ("150", []),
        ("699", []),
        ("1014", []),
        ("0001", []),
        ("18446744073709551617", []),
        ("1a", []),
        ("rm3sit", []),
        ("", []),
    ],
)
def test_content_taxonomies_share_their_numbers(category: str, ours: list[str]) -> None:
    assert [codes_of_ours(taxonomy, category) for taxonomy in CONTENT] == [ours] * len(CONTENT)


def test_our_own_taxonomy_is_taken_as_it_is_and_others_say_nothing() -> None:
    assert [codes_of_ours(taxonomy, "1") for taxonomy in (0, 1)] == [["1"], ["1"]]
    assert [codes_of_ours(taxonomy, "1") for taxonomy in (3, 4, 8, 10, 255)] == [[]] * 5


def test_every_number_stands_for_categories_that_there_are() -> None:
    tiers = {f"IAB{n}" for n in range(1, 27)}
    found = {code for number in range(700) for code in codes_of_ours(2, str(number))}
    assert {code.partition("-")[0] for code in found} <= tiers
    assert len(found) > 200
    unmapped = [number for number in range(1, 699) if not codes_of_ours(2, str(number))]
    assert set(unmapped) <= set(range(150, 186))  # events and attractions


def targeted(**lists: list[str]) -> dict[str, Any]:
    return campaign(targeting={"cat": lists})


@pytest.mark.parametrize(
    ("targeting", "site", "bids"),
    [
        ({"include": ["IAB9"]}, {"cat": ["693"], "cattax": 7}, True),
        ({"include": ["IAB9-30"]}, {"cat": ["239"], "cattax": 7}, False),
        ({"exclude": ["IAB8-18"]}, {"cat": ["211"], "cattax": 2}, False),
        ({"exclude": ["IAB25"]}, {"cat": ["Rm3SiT"], "cattax": 6}, False),
        ({"exclude": ["IAB25"]}, {"cat": ["1014"], "cattax": 6}, True),
        ({"include": ["IAB2"]}, {"cat": ["1"], "cattax": 4}, False),
    ],
)
def test_targeting_reads_a_site_in_its_own_taxonomy(
    tmp_path: Path, targeting: dict[str, list[str]], site: dict[str, Any], bids: bool
) -> None:
    assert bool(World(tmp_path, [targeted(**targeting)]).ask(request(site=site)).bids) == bids


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bcat": ["210"], "cattax": 2}, Reason.BCAT),
        ({"bcat": ["211"], "cattax": 7}, Reason.BCAT),
        ({"bcat": ["212"], "cattax": 7}, None),
        ({"bcat": ["210"]}, None),
        ({"bcat": ["210"], "cattax": 3}, None),
        ({"bcat": ["IAB8"], "cattax": 2}, Reason.BCAT),
        ({"bcat": ["210"], "cattax": 2, "site": {"cattax": 1}}, Reason.BCAT),
        ({"bcat": ["IAB8-18"], "site": {"cattax": 7, "cat": ["1"]}}, Reason.BCAT),
        ({"acat": ["210", "1"], "cattax": 2}, None),
        ({"acat": ["1"], "cattax": 2}, Reason.BCAT),
    ],
)
def test_blocks_are_in_the_taxonomy_of_the_request(
    tmp_path: Path, changes: dict[str, Any], reason: Reason | None
) -> None:
    wine = campaign(creatives=[banner(cat=["IAB8-18"])])
    assert World(tmp_path, [wine]).ask(request(**changes)).reason == reason
