"""Campaigns by the million, for benches: JSON Lines with the targeting mix of examples/, always the same for a seed.

    scripts/bench campaigns 100000 > campaigns.jsonl

A third is broad, two thirds are aimed as a planner would; each has one or two creatives with at least 500 bytes
of markup, and budgets that no bench empties. A median request of bidder/simulator/traffic.py is accepted by at
least 300 of 10,000 (`tests/unit/test_bench_campaigns.py`). Nothing is kept: memory does not grow with the number.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from bidder.simulator import world
from examples import generate

SEED = 7
BROAD_EVERY = 3
ADVERTISERS = 5_000
CATEGORIES = tuple(generate.CATEGORIES.values())
EXAMPLES = 240  # campaigns of examples/campaigns.jsonl, which stand for this number
EXAMPLE_FILE = Path(__file__).resolve().parents[2] / "examples" / "campaigns.jsonl"
BUDGET_USD = "1000000000"


def bodies(count: int) -> Iterator[dict[str, Any]]:
    """What a bench of so many campaigns has: the examples without their limits, or generated ones."""
    if count == EXAMPLES:
        for line in EXAMPLE_FILE.read_text(encoding="utf-8").splitlines():
            yield json.loads(line) | {"budget": {"total_usd": BUDGET_USD}}
    else:
        yield from campaigns(count)


def campaigns(count: int, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Bodies in the import format."""
    dice = random.Random(seed)
    for number in range(1, count + 1):
        yield campaign(dice, number)


def campaign(dice: random.Random, number: int) -> dict[str, Any]:
    """One; every third is broad."""
    broad = number % BROAD_EVERY == 0
    advertiser = dice.randrange(ADVERTISERS)
    name = f"n{number:07d}"
    sizes = dict.fromkeys(dice.choices(world.SIZES, world.SIZE_WEIGHTS, k=dice.choice([1, 2])))
    low, high = (80, 600) if broad else (100, 800)
    body: dict[str, Any] = {
        "id": f"c-{number:07d}",
        "advertiser": f"brand-{advertiser:04d}",
        "name": f"brand {advertiser} {number}",
        "budget": {"total_usd": BUDGET_USD},
        "bid": {"cpm_usd": str(Decimal(dice.randint(low * 100, high * 100)) / 10_000)},
        "targeting": broad_targeting(dice, number) if broad else generate.narrow_targeting(dice),
        "creatives": [creative(dice, f"brand-{advertiser:04d}", advertiser, name, w, h) for w, h in sizes],
    }
    if not broad:
        body["flight"] = {"start": "2026-01-01T00:00:00Z", "end": "2036-01-01T00:00:00Z"}
        if number % 5 == 0:
            body["multipliers"] = [
                {"when": {"country": ["USA"]}, "factor": "1.25"},
                {"when": {"inventory": ["app"], "device_type": [4]}, "factor": "0.8"},
            ]
        if number % 20 == 0:
            body["frequency"] = [{"impressions": 5, "per_s": 86_400, "level": "campaign"}]
    return body


def broad_targeting(dice: random.Random, number: int) -> dict[str, Any]:
    """At most one constraint, and a wide one."""
    match number // BROAD_EVERY % 8:
        case 1 | 5:
            return {"inventory": {"include": [dice.choice(["site", "app"])]}}
        case 2 | 6:
            return {"cat": {"exclude": ["IAB25", "IAB26", "IAB24"]}}
        case 3:
            return {"exchange": {"include": ["generic", "openx", "pubmatic", "xandr", "google"]}}
        case _:
            return {}


def creative(dice: random.Random, advertiser: str, number: int, name: str, w: int, h: int) -> dict[str, Any]:
    return {
        "id": f"{name}-{w}x{h}",
        "type": "banner",
        "w": w,
        "h": h,
        "adm": generate.markup(advertiser, name, w, h, dice.choice(generate.COPY)),
        "landing_url": f"https://www.{advertiser}.example/{name}",
        "adomain": [f"{advertiser}.example"],
        "cat": [CATEGORIES[number % len(CATEGORIES)]],
        "language": "en",
        "crid": f"{advertiser}-{name}-{w}x{h}",
    }


def main(arguments: list[str]) -> int:
    """`scripts/bench campaigns`."""
    parser = argparse.ArgumentParser(prog="scripts/bench campaigns", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args(arguments)
    for body in campaigns(args.count, args.seed):
        sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
