"""Explanations in a small world: its book, purses, caps and switches, looked at as `outbid explain` looks at a host."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.frequency import FrequencyTable
from bidder._fast.purses import Purses
from bidder.explain import stage as stages
from bidder.explain.account import Account, ImpAccount, Verdict, explain
from bidder.explain.stage import Stage
from bidder.settings import Settings, Tracking
from tests.worlds import EXCHANGES, World, banner, campaign

CHECKOUT = Path(__file__).resolve().parents[1]
SIZES = [(300, 250), (320, 50), (728, 90), (160, 600), (300, 600)]
CREATIVES = [banner(id=f"{w}x{h}", w=w, h=h, adm=f"<img src='https://cdn.example/{w}.png'>") for w, h in SIZES]
FORMATS: list[dict[str, Any]] = [
    json.loads(line) for line in (CHECKOUT / "examples" / "formats.jsonl").read_text(encoding="utf-8").splitlines()
]
BROAD: list[dict[str, Any]] = [
    *FORMATS,
    campaign("c-1", "1.5", creatives=CREATIVES),
    campaign("c-2", "2.5", creatives=CREATIVES, targeting={"country": {"include": ["USA", "CAN", "DEU"]}}),
    campaign("c-3", "7", creatives=[one | {"attr": [1, 3], "cat": ["IAB25"]} for one in CREATIVES]),
    campaign("c-4", "9", creatives=CREATIVES[:1], frequency=[{"impressions": 1, "per_s": 3600}]),
    campaign(
        "c-5", "4", creatives=CREATIVES, multipliers=[{"when": {"os": ["android", "iOS"]}, "factor": "1.5"}]
    ),
    campaign("c-6", "20", targeting={"deal": {"include": ["1234", "deal-1", "deal1"]}}),
    campaign("c-7", "5", creatives=CREATIVES, targeting={"segment": {"all": ["a", "b"]}, "osv": {"min": "9"}}),
    campaign("c-8", "5", creatives=CREATIVES, targeting={"cat": {"exclude": ["IAB1", "IAB9"]}, "user_id": "forbidden"}),
]  # fmt: skip


def stage_of(world: World) -> Stage:
    """As the next request would find this world."""
    settings = replace(Settings(), exchanges=EXCHANGES, tracking=Tracking(public_url=world.public_url))
    directory = world.directory
    purses = Purses(directory / "purses", private=True)
    purses.shading = world.purses.shading
    return stages.look_at(
        settings,
        world.book,
        purses,
        FrequencyTable(directory / "frequency", private=True),
        Board(directory / "board", private=True),
        clock=world.clock,
        seed=world.seed_next(),
    )


def explained(world: World, request: dict[str, Any], exchange: str = "openx", **how: Any) -> Account:
    """All campaigns, unless `how` says otherwise."""
    return explain(stage_of(world), exchange, world.bytes_of(request), **({"most": None} | how))


def one_imp(account: Account) -> ImpAccount:
    (imp,) = account.imps
    return imp


def verdict(account: Account, campaign_id: str = "c-1") -> Verdict:
    (found,) = [one for one in one_imp(account).verdicts if one.campaign == campaign_id]
    return found
