"""Campaigns and books for tests: the smallest campaign that runs, changed as a test needs it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bidder._fast.book import Book
from bidder.campaigns.compile import compile_book
from bidder.campaigns.model import normalise, read_lines
from bidder.campaigns.record import CampaignRecord
from bidder.settings import SHIPPED_EXCHANGES

EXCHANGES = {name: row.key for name, row in SHIPPED_EXCHANGES.items()}
PUBLIC_URL = "https://track.example"


def creative(**changes: Any) -> dict[str, Any]:
    return {
        "id": "cr-1",
        "w": 300,
        "h": 250,
        "adm": '<a href="{click_url}"><img src="https://cdn.acme.example/a.png"></a>{pixel}',
        "landing_url": "https://acme.example/",
        "adomain": ["acme.example"],
    } | changes


def campaign(**changes: Any) -> dict[str, Any]:
    """A campaign in the import format."""
    return {"id": "c-1", "advertiser": "acme", "bid": {"cpm_usd": "1"}, "creatives": [creative()]} | changes


def bodies(campaigns: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As they are stored: checked and normalised."""
    lines = "\n".join(json.dumps(one) for one in campaigns)
    return [normalise(one) for one in read_lines(lines, EXCHANGES)]


def records(campaigns: Iterable[Mapping[str, Any]]) -> list[CampaignRecord]:
    """Keys of campaigns count from 1; creatives are key * 1000 and on, deals and inventory are numbered by name."""
    found = bodies(campaigns)
    named: dict[str, dict[str, int]] = {"deal": {}, "inventory": {}}
    for body in found:
        for dimension, kind in (("deal", "deal"), ("bundle", "inventory"), ("domain", "inventory")):
            for values in body["targeting"].get(dimension, {}).values():
                for value in values:
                    named[kind].setdefault(value if kind == "deal" else value.lower(), len(named[kind]) + 1)
    return [
        CampaignRecord(
            key=key,
            advertiser=1,
            creatives={one["id"]: key * 1000 + n for n, one in enumerate(body["creatives"])},
            deals=named["deal"],
            inventory=named["inventory"],
            active=body["status"] == "active",
            body=body,
        )
        for key, body in enumerate(found, 1)
    ]


def write(path: Path, campaigns: Iterable[Mapping[str, Any]], revision: int = 1) -> Path:
    summary = compile_book(
        records(campaigns),
        revision=revision,
        exchanges=EXCHANGES,
        public_url=PUBLIC_URL,
        purse_of=lambda key: key - 1,
        path=path,
    )
    assert summary.left_out == ()
    return path


def book(path: Path, campaigns: Iterable[Mapping[str, Any]], revision: int = 1) -> Book:
    return Book.open(write(path, campaigns, revision))
