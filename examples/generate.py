"""Writes the example campaigns: always the same file for the same seed.

    .venv/bin/python examples/generate.py > examples/campaigns.jsonl

The first campaigns are broad (few constraints, every usual size), so that a bidder with
this file bids on much of any traffic; the others use every dimension of targeting. Every
tenth of the broad ones pays for high floors, and is paced so that it does not buy everything.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from bidder.simulator import world

SEED = 20_26
BROAD = 80
NARROW = 160
ADVERTISERS = (
    "acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka",
    "tyrell", "cyberdyne", "aperture", "soylent", "vandelay", "dunder",
)  # fmt: skip
CATEGORIES = {
    "acme": "IAB22", "globex": "IAB19", "initech": "IAB3", "umbrella": "IAB7", "hooli": "IAB19-6", "stark": "IAB2",
    "wayne": "IAB13", "wonka": "IAB8", "tyrell": "IAB19-2", "cyberdyne": "IAB5", "aperture": "IAB10",
    "soylent": "IAB8-8", "vandelay": "IAB20", "dunder": "IAB3-4",
}  # fmt: skip
OTHER_SIZES = ((200, 20), (33, 11), (320, 250), (300, 50), (300, 300), (290, 260), (300, 150), (728, 250), (300, 1800))
ZONES = ("America/New_York", "America/Los_Angeles", "Europe/Berlin", "Europe/London", "Asia/Kolkata", "UTC")
COPY = (
    "Made for people who look twice.", "The one you were about to look for.", "Now with more of what you liked.",
    "Everything in one place, nothing in the way.", "Try it for a month, keep what you make of it.",
)  # fmt: skip


def markup(advertiser: str, name: str, w: int, h: int, text: str) -> str:
    """An image with a frame and a caption, as ad servers write them."""
    return (
        f'<div style="position:relative;width:{w}px;height:{h}px;overflow:hidden;font:12px/1.3 sans-serif;'
        f'background:#ffffff;border:0;margin:0;padding:0"><a href="{{click_url}}" target="_blank" rel="noopener" '
        f'style="display:block;width:100%;height:100%;text-decoration:none;color:#1c2430">'
        f'<img src="https://cdn.{advertiser}.example/creatives/{name}-{w}x{h}.png" width="{w}" height="{h}" '
        f'alt="{advertiser}: {text}" style="display:block;border:0">'
        f'<span style="position:absolute;left:6px;bottom:4px;max-width:90%;white-space:nowrap;overflow:hidden">{text}'
        f"</span></a></div>{{pixel}}"
    )


def creatives(
    dice: random.Random, advertiser: str, name: str, sizes: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """One a size."""
    text = dice.choice(COPY)
    return [
        {
            "id": f"{name}-{w}x{h}",
            "type": "banner",
            "w": w,
            "h": h,
            "adm": markup(advertiser, name, w, h, text),
            "landing_url": f"https://www.{advertiser}.example/{name}?from=banner",
            "adomain": [f"{advertiser}.example"],
            "cat": [CATEGORIES[advertiser]],
            "language": "en",
            "crid": f"{advertiser}-{name}-{w}x{h}",
        }
        for w, h in sizes
    ]


def cpm(dice: random.Random, low: float, high: float) -> str:
    """A price a thousand, in whole cents."""
    return str(Decimal(round(dice.uniform(low, high) * 100)) / 100)


def broad(dice: random.Random, number: int) -> dict[str, Any]:
    """Few constraints: much of any traffic can be served."""
    advertiser = ADVERTISERS[number % len(ADVERTISERS)]
    name = f"reach-{number:03d}"
    sizes = [*world.SIZES, *OTHER_SIZES] if number % 2 else dice.sample(world.SIZES, 5)
    targeting: dict[str, Any] = {}
    if number % 4 == 1:
        targeting["inventory"] = {"include": [dice.choice(["site", "app"])]}
    if number % 4 == 2:
        targeting["cat"] = {"exclude": ["IAB25", "IAB26", "IAB24"]}
    if number % 8 == 3:
        targeting["exchange"] = {"include": ["generic", "openx", "pubmatic", "xandr", "google"]}
    premium = number % 10 == 0
    return {
        "id": f"c-{number:04d}",
        "advertiser": advertiser,
        "name": f"{advertiser} {'premium' if premium else 'reach'} {number}",
        "budget": {
            **({"hourly_usd": "2"} if premium else {"daily_usd": str(dice.choice([2000, 5000, 10_000]))}),
            "pacing": "even" if premium else dice.choice(["even", "asap"]),
            "timezone": dice.choice(ZONES),
        },
        "bid": {"cpm_usd": cpm(dice, 12.0, 22.0) if premium else cpm(dice, 0.4, 3.8)},
        "targeting": targeting,
        "creatives": creatives(dice, advertiser, name, sizes),
    }


def narrow_targeting(dice: random.Random) -> dict[str, Any]:
    """Two or three dimensions, each as a planner would set it."""
    place = dice.choice(world.PLACES)
    device = dice.choice(world.DEVICES)
    choices: dict[str, Any] = {
        "country": {"include": sorted({place.country, dice.choice(world.PLACES).country})},
        "region": {"include": [f"{place.alpha2}-{place.region}"]},
        "city": {"include": [place.city]},
        "radius": [{"lat": place.lat, "lon": place.lon, "km": dice.choice([5, 25, 80])}],
        "os": {"include": [device.os.lower()]},
        "osv": {"min": "12"},
        "device_type": {"include": [device.device_type]},
        "make": {"include": ["Apple"] if device.make == "Apple" else ["Samsung", "Google"]},
        "model": {"exclude": [dice.choice(device.models) or "unknown"]},
        "carrier": {"include": dice.sample(world.CARRIERS, 3)},
        "connection_type": {"include": [2, 6]},
        "language": {"include": [place.language]},
        "bundle": {"include": dice.sample(world.APPS, 12)},
        "domain": {"include": dice.sample(world.SITES, 15)},
        "publisher": {"exclude": dice.sample(world.PUBLISHERS, 3)},
        "cat": {"include": [dice.choice(["IAB9", "IAB12", "IAB17", "IAB8", "IAB1", "IAB2"])]},
        "hour_of_week": sorted(dice.sample(range(168), 120)),
        "deal": {"include": dice.sample(world.DEALS, 2)},
        "segment": {"any": dice.sample(world.SEGMENTS, 8), "none": [dice.choice(world.SEGMENTS)]},
        "gender": {"include": [dice.choice(["M", "F"])]},
        "age": {"min": 18, "max": dice.choice([34, 44, 64])},
        "user_id": "required",
        "metro": {"include": ["501", "803", "602"]},
        "zip": {"exclude": ["33101"]},
    }
    return {
        dimension: choices[dimension] for dimension in sorted(dice.sample(sorted(choices), dice.choice([1, 2, 2, 3])))
    }


def narrow(dice: random.Random, number: int) -> dict[str, Any]:
    """A planner's campaign: aimed, priced higher, some with multipliers, a few with caps."""
    advertiser = dice.choice(ADVERTISERS)
    name = f"aim-{number:03d}"
    campaign: dict[str, Any] = {
        "id": f"c-{number:04d}",
        "advertiser": advertiser,
        "name": f"{advertiser} aim {number}",
        "flight": {"start": "2026-01-01T00:00:00Z", "end": "2036-01-01T00:00:00Z"},
        "budget": {
            "total_usd": str(dice.choice([20_000, 50_000])),
            "daily_usd": str(dice.choice([300, 600, 1200])),
            "hourly_usd": str(dice.choice([40, 60])),
            "pacing": dice.choice(["even", "even", "asap"]),
            "timezone": dice.choice(ZONES),
        },
        "bid": {"cpm_usd": cpm(dice, 1.0, 8.0)},
        "targeting": narrow_targeting(dice),
        "creatives": creatives(dice, advertiser, name, dice.sample(world.SIZES, dice.choice([2, 3, 4]))),
    }
    if number % 5 == 0:
        campaign["multipliers"] = [
            {"when": {"country": ["USA"]}, "factor": "1.25"},
            {"when": {"inventory": ["app"], "device_type": [4]}, "factor": "0.8"},
        ]
    if number % 20 == 0:
        campaign["frequency"] = [{"impressions": 5, "per_s": 86_400, "level": "campaign"}]
    return campaign


def campaigns() -> Iterator[str]:
    """The lines of the file."""
    dice = random.Random(SEED)
    for number in range(1, BROAD + 1):
        yield json.dumps(broad(dice, number), ensure_ascii=False)
    for number in range(BROAD + 1, BROAD + NARROW + 1):
        yield json.dumps(narrow(dice, number), ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.writelines(line + "\n" for line in campaigns())
