"""The slow, obvious truth of what players and native placements ask of a creative.

Reads plain, well-formed requests and creatives of the import format. Prices: nano-USD for one impression.
"""

import json
from collections.abc import Mapping
from typing import Any

from bidder.money.units import nano_from_cpm
from bidder.outcome import Reason

Json = dict[str, Any]

PLAYED = ("video", "audio")
DATA = {"sponsored": 1, "desc": 2, "rating": 3, "price": 6, "ctatext": 12}
IMAGES = {"icon": 1, "main": 3}
# AdCOM subtype of each VAST version: can it say that an ad may be skipped, can it say an overlay?
VERSIONS = {2: (False, True), 3: (True, True), 7: (True, False), 11: (True, False), 13: (True, True)}


def kind(creative: Json) -> str:
    return str(creative.get("type", "banner"))


def first(checks: Mapping[Reason, bool]) -> Reason:
    return next((reason for reason, stops in checks.items() if stops), Reason.NONE)


def player_reason(creative: Json, imp: Json) -> Reason:
    """A video or audio creative in the player of an imp that offers one."""
    player, spec = imp[kind(creative)], creative[kind(creative)]
    if player.get("linearity", 0) == (1 if spec.get("linearity") == 2 else 2):
        return Reason.LINEARITY
    why = first(seen(creative, spec, player)) if kind(creative) == "video" else Reason.NONE
    return why if why is not Reason.NONE else first(played(creative, spec, player))


def seen(creative: Json, spec: Json, player: Json) -> dict[Reason, bool]:
    overlay = spec.get("linearity") == 2
    w, h = size(creative)
    known = bool(player.get("w") and player.get("h") and w and h)
    return {
        Reason.PLACEMENT: overlay and (player.get("placement") in (2, 3, 4, 5) or player.get("plcmt") in (3, 4)),
        Reason.SIZE: known
        and (
            w > player["w"] or h > player["h"]
            if overlay
            else player.get("boxingallowed", 1) == 0 and abs(w * player["h"] - h * player["w"]) > w
        ),
    }


def played(creative: Json, spec: Json, player: Json) -> dict[Reason, bool]:
    seconds = spec["duration_s"]
    skippable = spec.get("skippable", False)
    mimes = [mime.lower() for mime in player.get("mimes", [])]
    of_type = [one for one in spec["media"] if not mimes or one["mime"].lower() in mimes]
    methods = {"streaming": 1, "progressive": 2}
    brought = [
        one for one in of_type if methods[one.get("delivery", "progressive")] in (player.get("delivery") or (1, 2))
    ]
    slowest, fastest = player.get("minbitrate", 0), player.get("maxbitrate", 10**9)
    forbidden = set(player.get("battr", [])) & {*creative.get("attr", []), *([16] if skippable else [])}
    return {
        Reason.MIME: not of_type,
        Reason.DELIVERY: not brought,
        Reason.BITRATE: not any(
            "bitrate_kbps" not in one or slowest <= one["bitrate_kbps"] <= fastest for one in brought
        ),
        Reason.PROTOCOL: bool(player.get("protocols")) and not set(versions(spec)) & set(player["protocols"]),
        Reason.DURATION: not lasts(seconds, player),
        Reason.SKIP: skippable
        and (
            player.get("skip") == 0
            or seconds <= player.get("skipmin", 0)
            or spec.get("skip_after_s", 5) < player.get("skipafter", 0)
        ),
        Reason.BATTR: bool(forbidden),
        Reason.API: not set(creative.get("api", [])) <= set(player.get("api", [])),
    }


def versions(spec: Json) -> list[int]:
    overlay, skippable = spec.get("linearity") == 2, spec.get("skippable", False)
    able = [
        version for version, (skips, overlays) in VERSIONS.items() if (overlays if overlay else skips or not skippable)
    ]
    return [version for version in able if not spec.get("protocols") or version in spec["protocols"]]


def size(creative: Json) -> tuple[int, int]:
    if "w" in creative and "h" in creative:
        return creative["w"], creative["h"]
    media = creative["video"]["media"]
    return max(((one["w"], one["h"]) for one in media), key=lambda pair: pair[0] * pair[1])


def lasts(seconds: int, player: Json) -> bool:
    if player.get("poddur") and seconds > player["poddur"]:
        return False
    if player.get("rqddurs"):
        return seconds in player["rqddurs"]
    if seconds < player.get("minduration", 0):
        return False
    if not player.get("maxduration") or player.get("maxextended", 0) < 0:
        return True
    return bool(seconds <= player["maxduration"] + player.get("maxextended", 0))


def by_duration(holder: Json) -> bool:
    return bool(holder.get("durfloors") or holder.get("mincpmpersec"))


def duration_floor(creative: Json, holder: Json) -> int:
    """What a player or a deal asks for an ad as long as this one; 0: nothing."""
    if kind(creative) not in PLAYED:
        return 0
    seconds = creative[kind(creative)]["duration_s"]
    floors = [
        nano_from_cpm(str(one["bidfloor"]))
        for one in holder.get("durfloors", [])
        if one.get("mindur", 0) <= seconds <= one.get("maxdur", seconds)
    ]
    return max([0, *floors, seconds * nano_from_cpm(str(holder.get("mincpmpersec", 0)))])


def floor_of(creative: Json, imp: Json, deal: Json | None) -> tuple[int, Json]:
    """What an ad as long as this one costs at least, and who says so."""
    if deal is not None:
        floor = duration_floor(creative, deal) or nano_from_cpm(str(deal.get("bidfloor", 0)))
        if floor:
            return floor, deal
    player = imp[kind(creative)] if kind(creative) in PLAYED else {}
    return duration_floor(creative, player) or nano_from_cpm(str(imp.get("bidfloor", 0))), imp


# --- native


def native_request(imp: Json) -> Json | None:
    wanted = imp["native"].get("request")
    if isinstance(wanted, str):
        try:
            wanted = json.loads(wanted)
        except ValueError:
            return None
    if not isinstance(wanted, dict):
        return None
    inner = wanted.get("native")
    return inner if isinstance(inner, dict) else wanted


def native_reason(creative: Json, imp: Json) -> Reason:
    native = imp["native"]
    wanted = native_request(imp)
    answers = [(asset, answer(creative, asset)) for asset in (wanted or {}).get("assets", [])]
    missing = any(asset.get("required") and found is None for asset, found in answers)
    return first(
        {
            Reason.ASSETS: missing or all(found is None for _, found in answers),
            Reason.BATTR: bool(set(creative.get("attr", [])) & set(native.get("battr", []))),
            Reason.API: not set(creative.get("api", [])) <= set(native.get("api", [])),
        }
    )


def answer(creative: Json, asked: Json) -> Json | None:
    """What this creative has for an asset: the first that fits."""
    if "id" not in asked:
        return None
    return next((own for own in creative["native"]["assets"] if asset_fits(own, asked)), None)


def asset_fits(own: Json, asked: Json) -> bool:
    if "title" in asked:
        return own["type"] == "title" and len(own["text"]) <= asked["title"].get("len", len(own["text"]))
    if "img" in asked:
        return own["type"] in IMAGES and image_fits(own, asked["img"])
    if "data" in asked:
        kinds = own["type"] in DATA and DATA[own["type"]] == asked["data"]["type"]
        return kinds and len(own["text"]) <= asked["data"].get("len", len(own["text"]))
    return False


def image_fits(own: Json, image: Json) -> bool:
    sides = [
        own[side] >= image[f"{side}min"] if f"{side}min" in image else own[side] == image.get(side, own[side])
        for side in ("w", "h")
    ]
    mimes = image.get("mimes")
    return (
        image.get("type", IMAGES[own["type"]]) == IMAGES[own["type"]]
        and all(sides)
        and (not mimes or own.get("mime") in mimes)
    )


# --- pods


def same_pod(a: Json, b: Json) -> bool:
    """`a` and `b`: players."""
    return a is b or ("podid" in a and a["podid"] == b.get("podid"))


def alike(a: Json, b: Json, rules: set[int]) -> bool:
    """`a` and `b`: creatives, each with its campaign's id under `of`."""
    return (
        (1 in rules and bool(set(a.get("adomain", [])) & set(b.get("adomain", []))))
        or (2 in rules and bool({cat.lower() for cat in a.get("cat", [])} & {cat.lower() for cat in b.get("cat", [])}))
        or (bool({3, 4} & rules) and (a["of"], a["id"]) == (b["of"], b["id"]))
    )


class Pods:
    """What one request's bids run beside, imp by imp in the order of the request."""

    def __init__(self) -> None:
        self.placed: list[tuple[Json, Json, Json]] = []  # imp, player, creative

    def forbids(self, imp: Json, creative: Json) -> bool:
        here = [other for other in self.placed if other[0] is imp]
        if kind(creative) not in PLAYED:
            return bool(here)  # it is a pod of ads of another format by now
        player = imp[kind(creative)]
        if here and here[0][1] is not player:
            return True
        if any(
            same_pod(player, beside)
            and alike(creative, other, {*player.get("poddedupe", []), *beside.get("poddedupe", [])})
            for _, beside, other in self.placed
        ):
            return True
        taken = sum(other[kind(other)]["duration_s"] for _, _, other in here) + creative[kind(creative)]["duration_s"]
        return bool(player.get("poddur")) and taken > player["poddur"]

    def place(self, imp: Json, creative: Json) -> bool:
        """Does the imp take another ad?"""
        player = imp.get(kind(creative), {}) if kind(creative) in PLAYED else {}
        if "podid" not in player and not player.get("poddur"):
            return False
        self.placed.append((imp, player, creative))
        here = [other for where, _, other in self.placed if where is imp]
        taken = sum(other[kind(other)]["duration_s"] for other in here)
        return bool(taken < player.get("poddur", 0) and len(here) < min(player.get("maxseq", 16), 16))
