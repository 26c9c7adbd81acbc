"""Synthetic bid requests: OpenRTB 2.5/2.6 as sites and apps send them, seeded and endless.

requests(seed) -> bytes, one body each, 1 to 2 kB. The same seed gives the same bodies.
Where 2.6 moved a field (gdpr, consent, eids, schain), some requests use the old place and some the new.
"""

import json
import random
from collections.abc import Iterator
from typing import Any

from bidder.simulator import world
from bidder.simulator.consent import tc_string

SECURE_SHARE = 0.15
MULTI_IMP_SHARE = 0.08
DEAL_SHARE = 0.12
APP_SHARE = 0.45
USERS = 200_000


def requests(seed: int) -> Iterator[bytes]:
    """Bodies without end."""
    dice = random.Random(seed)
    number = 0
    while True:
        number += 1
        yield json.dumps(request(dice, f"{seed:x}-{number:x}"), ensure_ascii=False, separators=(",", ":")).encode()


def request(dice: random.Random, name: str) -> dict[str, Any]:
    """One request. `name` makes its id unique."""
    place = dice.choices(world.PLACES, [place.weight for place in world.PLACES])[0]
    device = dice.choices(world.DEVICES, [device.weight for device in world.DEVICES])[0]
    user = dice.randrange(USERS)
    body: dict[str, Any] = {
        "id": f"{name}-{dice.getrandbits(64):016x}",
        "imp": [_imp(dice, number + 1) for number in range(2 if dice.random() < MULTI_IMP_SHARE else 1)],
        "device": _device(dice, place, device, user),
        "user": _user(dice, user),
        "at": 1 if dice.random() < 0.9 else 2,
        "tmax": dice.choice([80, 100, 120, 250]),
        "cur": ["USD"],
        "bcat": dice.sample(world.BLOCKED_CATEGORIES, dice.choice([0, 2, 4])),
        "badv": dice.sample(world.BLOCKED_DOMAINS, dice.choice([0, 1, 2])),
    }
    if device.device_type in (4, 5) and dice.random() < APP_SHARE:
        body["app"] = _app(dice)
    else:
        body["site"] = _site(dice)
    _law(dice, body, place)
    if dice.random() < 0.5:
        body["source"] = _source(dice, name)
    return body


def _imp(dice: random.Random, number: int) -> dict[str, Any]:
    sizes = dict.fromkeys(dice.choices(world.SIZES, world.SIZE_WEIGHTS, k=dice.choice([1, 1, 2])))
    (w, h), *_ = sizes
    imp: dict[str, Any] = {
        "id": str(number),
        "banner": {
            "w": w,
            "h": h,
            "format": [{"w": w, "h": h} for w, h in sizes],
            "pos": dice.choice([0, 1, 3]),
            "battr": dice.choice([[], [1, 3, 8], [13, 14]]),
            "api": [3, 5],
            "topframe": 1,
        },
        "tagid": f"slot-{dice.randrange(400)}",
        "bidfloor": dice.choice([0, 0.05, 0.2, 0.5, 0.5, 1.0, 1.5, 3.25]),
        "bidfloorcur": "USD",
        "secure": int(dice.random() < SECURE_SHARE),
        "instl": int(dice.random() < 0.05),
        "exp": 3600,
    }
    if dice.random() < DEAL_SHARE:
        imp["pmp"] = {
            "private_auction": int(dice.random() < 0.2),
            "deals": [
                {"id": deal, "bidfloor": dice.choice([0.5, 1.5, 2.5]), "bidfloorcur": "USD", "at": 1}
                for deal in dice.sample(world.DEALS, 2)
            ],
        }
    return imp


def _device(dice: random.Random, place: world.Place, device: world.Device, user: int) -> dict[str, Any]:
    point = {"lat": round(place.lat + dice.gauss(0, 0.1), 4), "lon": round(place.lon + dice.gauss(0, 0.1), 4)}
    geo: dict[str, Any] = {"country": place.country, "region": place.region, "city": place.city, "zip": place.zip}
    geo |= {"type": 2, "utcoffset": 0, **point} if dice.random() < 0.7 else {}
    if place.metro:
        geo["metro"] = place.metro
    found: dict[str, Any] = {
        "ua": device.ua,
        "ip": f"198.51.100.{user % 256}",
        "geo": geo,
        "dnt": 0,
        "lmt": int(dice.random() < 0.12),
        "devicetype": device.device_type,
        "make": device.make,
        "model": dice.choice(device.models),
        "os": device.os,
        "osv": dice.choice(device.osv),
        "js": 1,
        "language": place.language,
        "connectiontype": dice.choice(world.CONNECTION_TYPES),
    }
    if device.device_type in (4, 5):
        found |= {"carrier": dice.choice(world.CARRIERS), "ifa": f"{user:08x}-0000-4000-8000-{user * 7919:012x}"}
    return found


def _user(dice: random.Random, user: int) -> dict[str, Any]:
    found: dict[str, Any] = {"id": f"u-{user:06x}"}
    if dice.random() < 0.6:
        found["buyeruid"] = f"b-{user * 31:09x}"
    if dice.random() < 0.5:
        found |= {"yob": dice.randrange(1950, 2009), "gender": dice.choice(["M", "F", "O"])}
    if dice.random() < 0.5:
        segments = dice.sample(world.SEGMENTS, dice.randrange(1, 9))
        found["data"] = [{"id": "dmp-1", "name": "segments", "segment": [{"id": name} for name in segments]}]
    return found


def _site(dice: random.Random) -> dict[str, Any]:
    domain = dice.choice(world.SITES)
    publisher = dice.choice(world.PUBLISHERS)
    return {
        "id": f"site-{domain}",
        "name": domain.partition(".")[0],
        "domain": domain,
        "cat": list(world.SITE_CATEGORIES[domain.partition("-")[0]]),
        "page": f"https://{domain}/2026/articles/{dice.randrange(10_000)}?ref=front",
        "ref": "https://search.example/",
        "mobile": 1,
        "publisher": {"id": publisher, "name": f"Publisher {publisher}", "domain": f"{publisher}.example"},
        "content": {"language": "en", "title": "An article"},
    }


def _app(dice: random.Random) -> dict[str, Any]:
    bundle = dice.choice(world.APPS)
    publisher = dice.choice(world.PUBLISHERS)
    kind = bundle.split(".")[1].rstrip("0123456789")
    return {
        "id": f"app-{bundle}",
        "name": bundle.split(".")[1],
        "bundle": bundle,
        "storeurl": f"https://store.example/{bundle}",
        "cat": list(world.APP_CATEGORIES[kind]),
        "ver": f"{dice.randrange(1, 9)}.{dice.randrange(20)}",
        "publisher": {"id": publisher, "name": f"Publisher {publisher}"},
    }


def _law(dice: random.Random, body: dict[str, Any], place: world.Place) -> None:
    """European requests say so, most with consent; some American ones opt out."""
    european = place.country in ("DEU", "FRA", "ESP", "GBR")
    old_place = dice.random() < 0.5
    regs: dict[str, Any] = {"coppa": int(dice.random() < 0.02)}
    law: dict[str, Any] = {"gdpr": int(european)}
    if place.country == "USA":
        law["us_privacy"] = "1YYN" if dice.random() < 0.1 else "1YNN"
    regs |= {"ext": law} if old_place else law
    body["regs"] = regs
    if european and dice.random() < 0.85:
        consent = {"consent": tc_string(dice)}
        body["user"] |= {"ext": consent} if old_place else consent


def _source(dice: random.Random, name: str) -> dict[str, Any]:
    schain = {
        "complete": 1,
        "ver": "1.0",
        "nodes": [{"asi": "exchange.example", "sid": f"{dice.randrange(9999):04d}", "rid": name, "hp": 1}],
    }
    return {"tid": name, "schain": schain} if dice.random() < 0.5 else {"tid": name, "ext": {"schain": schain}}
