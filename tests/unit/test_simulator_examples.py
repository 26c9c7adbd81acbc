"""The example campaigns: the file is what the generator writes, and it serves much of any traffic."""

import json
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from bidder.campaigns.model import read_lines
from bidder.openrtb.codes import FORMATS
from bidder.openrtb.markup import variants
from bidder.openrtb.variant import CreativeFlag
from bidder.simulator import traffic

CHECKOUT = Path(__file__).resolve().parents[2]
FILE = CHECKOUT / "examples" / "campaigns.jsonl"
DIMENSIONS = {
    "exchange", "country", "region", "city", "metro", "zip", "radius", "os", "osv", "device_type", "make", "model",
    "carrier", "connection_type", "language", "inventory", "bundle", "domain", "publisher", "cat", "hour_of_week",
    "deal", "segment", "gender", "age", "user_id",
}  # fmt: skip


@pytest.fixture(scope="module")
def campaigns() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("generator", "name"), [("generate", "campaigns"), ("generate_formats", "formats")])
def test_the_file_is_what_the_generator_writes(generator: str, name: str) -> None:
    made = subprocess.run(
        [sys.executable, f"examples/{generator}.py"],
        cwd=CHECKOUT,
        env={"PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "random"},
        capture_output=True,
        check=True,
    )
    file = CHECKOUT / "examples" / f"{name}.jsonl"
    assert made.stdout == file.read_bytes(), f"python examples/{generator}.py > examples/{name}.jsonl"


def test_there_is_an_example_of_every_format_and_each_can_be_bid() -> None:
    text = (CHECKOUT / "examples" / "formats.jsonl").read_text(encoding="utf-8")
    kinds: set[str] = set()
    for campaign in read_lines(text, ["generic"]):
        for creative in campaign.body["creatives"]:
            said = variants(campaign.body, creative, "https://t.example")
            assert said
            assert all(variant.flags & CreativeFlag.SECURE for variant in said)
            kinds |= {FORMATS[variant.format] for variant in said}
            kinds |= {f"protocol {variant.protocol}" for variant in said}
            kinds |= {"skippable" for variant in said if variant.skippable}
            kinds |= {"overlay" for variant in said if not variant.linear}
            kinds |= {"expanding" for variant in said if variant.expdir}
    assert kinds == {
        *FORMATS.values(), *(f"protocol {n}" for n in (0, 2, 3, 7, 11, 13)), "skippable", "overlay", "expanding",
    }  # fmt: skip


def test_there_are_enough_of_them_and_every_dimension_is_used(campaigns: list[dict[str, Any]]) -> None:
    assert len({campaign["id"] for campaign in campaigns}) == len(campaigns) >= 200
    assert len({campaign["advertiser"] for campaign in campaigns}) >= 12
    assert {dimension for campaign in campaigns for dimension in campaign.get("targeting", {})} >= DIMENSIONS
    sizes = {(creative["w"], creative["h"]) for campaign in campaigns for creative in campaign["creatives"]}
    assert sizes >= {(300, 250), (320, 50), (728, 90), (160, 600), (300, 600), (970, 250), (200, 20), (33, 11)}
    assert any(len(creative["adm"]) >= 500 for campaign in campaigns for creative in campaign["creatives"])


def test_traffic_is_the_same_for_the_same_seed_and_as_long_as_real_requests() -> None:
    bodies = list(islice(traffic.requests(7), 300))
    assert bodies == list(islice(traffic.requests(7), 300))
    assert bodies != list(islice(traffic.requests(8), 300))
    assert 1_000 < sum(map(len, bodies)) / len(bodies) < 2_000
    assert len({json.loads(body)["id"] for body in bodies}) == 300


def test_traffic_names_nobody_real() -> None:
    dice = random.Random(3)
    for number in range(300):
        request = traffic.request(dice, str(number))
        text = json.dumps(request)
        assert request["device"]["ip"].startswith("198.51.100.")
        assert ".com/" not in text
        assert ".org" not in text


def test_traffic_has_sites_and_apps_laws_deals_and_several_imps() -> None:
    found = [json.loads(body) for body in islice(traffic.requests(1), 2000)]
    shares = {
        "app": sum("app" in request for request in found),
        "several": sum(len(request["imp"]) > 1 for request in found),
        "secure": sum(request["imp"][0]["secure"] for request in found),
        "deals": sum("pmp" in request["imp"][0] for request in found),
        "second price": sum(request["at"] == 2 for request in found),
        "coppa": sum(request["regs"]["coppa"] for request in found),
        "limited": sum(request["device"]["lmt"] for request in found),
        "segments": sum("data" in request["user"] for request in found),
        "old consent": sum("consent" in request["user"].get("ext", {}) for request in found),
        "new consent": sum("consent" in request["user"] for request in found),
    }
    assert all(20 <= n <= 1200 for n in shares.values()), shares
