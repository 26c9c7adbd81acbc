"""Writes example campaigns of every format but the plain banner: always the same file.

    .venv/bin/python examples/generate_formats.py > examples/formats.jsonl

Video by length, with and without skipping, with a companion, as an overlay and as a program; audio by length; native
with every asset, titles and images in the sizes that the standard recommends; banners that expand or need MRAID.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

ADVERTISERS = {"acme": "IAB22", "globex": "IAB19", "initech": "IAB3", "umbrella": "IAB7", "wonka": "IAB8"}
DURATIONS_S = (6, 10, 15, 20, 30, 60, 120)
RENDITIONS = ((426, 240, 400), (640, 360, 800), (1280, 720, 2400))  # w, h, kbit/s
TITLES = (  # within 15, 25, 90 and 140 characters
    "Look twice",
    "Look twice at this",
    "Made for people who look twice, and for those who do not yet",
    "Everything in one place, nothing in the way: try it for a month, keep what you make of it, whatever that may be",
)
IMAGES = (  # the smallest first: of those that fit a least size, the first is sent
    (100, 75),
    (150, 50),
    (120, 100),
    (180, 120),
    (300, 250),
    (480, 320),
    (600, 315),
    (627, 627),
    (836, 627),
    (1200, 627),
)
ICONS = ((20, 20), (50, 50), (80, 80), (128, 128), (300, 300))
TEXTS = {
    "sponsored": "Acme", "desc": "The one that you were about to look for, now with more of what you liked.",
    "rating": "4.7", "likes": "12034", "downloads": "1000000", "price": "$4.99", "saleprice": "$3.99",
    "phone": "+1 555 0100", "address": "1 Main Street, Springfield", "desc2": "Ships today.",
    "displayurl": "acme.example", "ctatext": "Try it",
}  # fmt: skip


def campaign(number: int, cpm_usd: str, name: str, creatives: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the advertiser whose turn it is; it goes into its creatives as what exchanges check."""
    advertiser = list(ADVERTISERS)[number % len(ADVERTISERS)]
    for creative in creatives:
        creative |= {
            "id": f"{name}-{creative['id']}",
            "landing_url": f"https://www.{advertiser}.example/{name}",
            "adomain": [f"{advertiser}.example"],
            "cat": [ADVERTISERS[advertiser]],
            "language": "en",
        }
    return {
        "id": f"f-{number:03d}",
        "advertiser": advertiser,
        "name": f"{advertiser} {name}",
        "budget": {"daily_usd": "2000"},
        "bid": {"cpm_usd": cpm_usd},
        "creatives": creatives,
    }


def trackers(*events: str) -> list[dict[str, str]]:
    """A measurement company that follows the ad beside our own tracker."""
    return [
        {"event": event, "url": f"https://measure.example/{event}?c={{campaign_id}}&r={{cachebuster}}"}
        for event in events
    ]


def video(duration_s: int, **more: Any) -> dict[str, Any]:
    media = [
        {"url": f"https://cdn.example/{duration_s}s-{h}.{suffix}", "mime": f"video/{suffix}", "w": w, "h": h,
         "bitrate_kbps": rate}
        for w, h, rate in RENDITIONS for suffix in ("mp4", "webm")
    ]  # fmt: skip
    spec = {"duration_s": duration_s, "media": media, "trackers": trackers("start", "midpoint", "complete")}
    return {"id": f"{duration_s}s", "type": "video", "video": spec | more}


def audio(duration_s: int) -> dict[str, Any]:
    types = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/mp4": "m4a", "audio/ogg": "ogg"}
    media = [
        {"url": f"https://cdn.example/{duration_s}s.{suffix}", "mime": mime, "bitrate_kbps": 128}
        for mime, suffix in types.items()
    ]
    return {"id": f"{duration_s}s", "type": "audio", "audio": {"duration_s": duration_s, "media": media}}


def native() -> dict[str, Any]:
    assets: list[dict[str, Any]] = [{"type": "title", "text": text} for text in reversed(TITLES)]
    for kind, sizes in (("main", IMAGES), ("icon", ICONS)):
        assets += [
            {"type": kind, "url": f"https://cdn.example/{kind}-{w}x{h}.jpg", "w": w, "h": h, "mime": "image/jpeg"}
            for w, h in sizes
        ]
    assets += [{"type": kind, "text": text} for kind, text in TEXTS.items()]
    return {"id": "all", "type": "native", "native": {"assets": assets, "trackers": trackers("impression", "click")}}


def rich(w: int, h: int, adm: str, **more: Any) -> dict[str, Any]:
    return {"id": f"{w}x{h}", "type": "banner", "w": w, "h": h, "adm": adm, **more}


def campaigns() -> Iterator[dict[str, Any]]:
    """In the order of the file."""
    companion = {"url": "https://cdn.example/c.png", "mime": "image/png", "w": 300, "h": 250, "alt": "Look twice"}
    overlay = [{"url": f"https://cdn.example/o-{w}x{h}.png", "mime": "image/png", "w": w, "h": h}
               for w, h in ((480, 70), (300, 60))]  # fmt: skip
    program = [{"url": "https://cdn.example/play.js", "mime": "application/javascript", "w": 640, "h": 360}]
    mraid = '<script src="mraid.js"></script><a href="{click_url}"><img src="https://cdn.example/m.png"></a>{pixel}'
    expanding = '<div data-expanded="600x500"><a href="{click_url}"><img src="https://cdn.example/x.png"></a></div>'
    yield campaign(1, "9.00", "spots", [video(duration_s) for duration_s in DURATIONS_S])
    yield campaign(2, "7.50", "skippable", [video(one, skippable=True, skip_after_s=5) for one in DURATIONS_S[1:]])
    yield campaign(3, "8.00", "accompanied", [video(one, companion=[companion]) for one in (15, 30)])
    yield campaign(4, "3.00", "overlay", [video(10, linearity=2, media=overlay)])
    yield campaign(5, "5.00", "program", [video(30, media=program)])
    yield campaign(6, "6.00", "radio", [audio(duration_s) for duration_s in DURATIONS_S[2:]])
    yield campaign(7, "4.00", "feed", [native()])
    yield campaign(8, "2.50", "rich", [rich(320, 50, mraid, api=[5]), rich(300, 250, mraid, api=[5])])
    yield campaign(9, "2.00", "expanding", [rich(300, 250, expanding, attr=[4], expdir=[2, 4])])
    yield campaign(10, "12.00", "mixed", [video(15), audio(30), native()])


if __name__ == "__main__":
    sys.stdout.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in campaigns())
