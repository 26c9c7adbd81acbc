"""Bids and reasons in books of many blocks: those of the slow auction, wherever in it the telling campaign stands."""

import random
from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from tests.property.test_auction_reference import check
from tests.reference import auction as reference
from tests.unit.test_decision_rules import VIDEO
from tests.worlds import ALWAYS, World, banner, campaign, imp, request

MANY = 2_100  # more than four blocks
INSECURE = banner(adm="<img src='http://cdn.example/a.png'>")
TINY = banner(w=1, h=1)
KINDS: list[dict[str, Any]] = [
    {"targeting": {"country": {"include": ["ISL"]}}},
    {"targeting": {"country": {"include": ["ISL"]}}},
    {"targeting": {"deal": {"include": ["d-rare"]}}},
    {"targeting": {"deal": {"include": ["d-rare"]}}, "creatives": [TINY]},
    {"creatives": [TINY]},
    {"creatives": [INSECURE]},
    {"creatives": [INSECURE], "targeting": {"country": {"include": ["ISL"]}}},
    {"creatives": [INSECURE, banner(id="cr-2", w=300, h=250)]},
    {"flight": {"end": "2026-01-01T00:00:00Z"}},
    {"frequency": [{"impressions": 1, "per_s": 60}]},
    {"creatives": [banner(attr=[1])]},
]


def tiny_world(directory: Path, kinds: list[dict[str, Any]], funded: bool) -> tuple[World, list[dict[str, Any]]]:
    """Dearest first: whoever stands at n of `kinds` has slot n."""
    campaigns = [campaign(f"c-{n}", f"{(5_000 - n) / 1_000:.3f}", **kind) for n, kind in enumerate(kinds)]
    world = World(directory, [], book=False, purses=MANY + 64)
    world.publish(campaigns)
    for body in campaigns if funded else []:
        world.fund(body["id"], 10_000_000)
    return world, campaigns


def asked(dice: random.Random) -> dict[str, Any]:
    imps = []
    for n in range(dice.choice([1, 1, 2, 3])):
        banners = [{"format": [{"w": 320, "h": 50}]}, {"format": [{"w": 1, "h": 1}]}, {"format": [{"w": 5, "h": 5}]}]
        deals = [{"id": name} for name in dice.choice([[], [], ["d-rare"], ["d-none"]])]
        pmp = {"private_auction": dice.choice([0, 0, 1]), "deals": deals}
        changes: dict[str, Any] = {"secure": dice.randrange(2), "bidfloor": dice.choice([0, 0, 3.1, 4.9, 9])}
        changes["banner"] = dice.choice([*banners, banners[0] | {"battr": [1]}])
        imps.append(imp(str(n), pmp=pmp, **changes))
    country = dice.choice(["ISL", "DEU", "DEU"])
    return request(imps, device={"geo": {"country": country}})


@pytest.mark.parametrize("seed", range(6))
def test_bids_of_runs_of_one_kind_are_those_of_the_reference(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    kinds: list[dict[str, Any]] = []
    while len(kinds) < MANY:
        kinds += [dice.choice(KINDS)] * dice.choice([1, 1, 5, 300, 511, 512, 513, 900])
    world, campaigns = tiny_world(tmp_path, kinds[:MANY], funded=True)
    held = {body["id"]: reference.Purse(10_000_000) for body in campaigns}
    for body in campaigns:
        world.pace(body["id"], ALWAYS)
    for _ in range(40):
        check(world, campaigns, held, asked(dice))


BY_DEAL = {"targeting": {"deal": {"include": ["d-rare"]}}}
BY_SIZE = {"creatives": [TINY]}
BY_SECURE = {"creatives": [INSECURE]}
BY_FORMAT = {"creatives": [VIDEO]}
BY_COUNTRY = KINDS[0]


@pytest.mark.parametrize("at", [0, 511, 512, 1_023, 1_024, 1_700, 2_047, 2_048, MANY - 1])
@pytest.mark.parametrize(
    ("telling", "crowd", "reason"),
    [
        (BY_SECURE, BY_COUNTRY, Reason.SECURE),
        (BY_DEAL, BY_COUNTRY, Reason.DEAL),
        (BY_SIZE, BY_COUNTRY, Reason.SIZE),
        (BY_FORMAT, BY_COUNTRY, Reason.FORMAT),
        (BY_SECURE, BY_DEAL, Reason.SECURE),
        (BY_SECURE, BY_SIZE, Reason.SECURE),
        (BY_DEAL, BY_SIZE, Reason.DEAL),
        (BY_SIZE, BY_FORMAT, Reason.SIZE),
        (BY_SIZE, BY_DEAL, Reason.DEAL),
        (BY_COUNTRY, BY_COUNTRY, Reason.TARGETING),
    ],
)
def test_one_campaign_among_thousands_may_tell_the_reason(
    tmp_path: Path, telling: dict[str, Any], crowd: dict[str, Any], reason: Reason, at: int
) -> None:
    kinds = [crowd] * MANY
    kinds[at] = telling
    world, _ = tiny_world(tmp_path, kinds, funded=False)
    wanted = request([imp(secure=1, pmp={"deals": [{"id": "d-none"}]})], device={"geo": {"country": "DEU"}})
    assert world.ask(wanted).reason == reason
    assert world.ask(wanted).reason == reason, "the first request leaves nothing behind"


def test_the_reasons_of_imps_are_their_own(tmp_path: Path) -> None:
    """The first imp is worked out to its end; what it saw tells nothing of the second."""
    kinds = [*[BY_COUNTRY] * 1_100, *[BY_SIZE] * 500, *[BY_COUNTRY] * 400, BY_SECURE]
    world, _ = tiny_world(tmp_path, kinds, funded=False)
    secure, plain = imp("1", secure=1), imp("2", banner={"format": [{"w": 9, "h": 9}]})
    device = {"geo": {"country": "DEU"}}
    assert world.ask(request([secure], device=device)).reason == Reason.SECURE
    assert world.ask(request([plain], device=device)).reason == Reason.SIZE
    assert world.ask(request([plain, secure], device=device)).reason == Reason.SECURE
    assert world.ask(request([secure, plain], device=device)).reason == Reason.SECURE
