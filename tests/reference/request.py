"""The slow, obvious reader of bid requests: json.loads, then the rules one by one.

`read(body)` gives the code and the view that `bidder._fast.request.Reader` gives for the
same bytes; `view(document)` also takes what plain json.loads made of a request.
"""

import itertools
import json
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from bidder.settings import Consent
from tests.reference import consent

OK, MALFORMED, INVALID = 0, 1, 2

DEPTH_MAX = 64
IMPS_MAX = 256
INT32_TOP = 2**31 - 1
FLOOR_TOP = 10**18
NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")

EXACT = Context(prec=3000)
NOBODY = Consent()  # without a vendor id
MAY = ("bid", "personalise", "identify", "sync", "log", "locate", "pinpoint")

View = dict[str, Any]


class Number(str):
    """A JSON number as its text."""


def read(body: bytes, us: Consent = NOBODY) -> tuple[int, View | None]:
    """The code of READ_* and, unless malformed, the view."""
    document = parse(body)
    if document is None:
        return MALFORMED, None
    request = view(document, us)
    usable = request["id"] is not None and any(imp["id"] is not None for imp in request["imps"])
    return (OK if usable else INVALID), request


def parse(body: bytes) -> dict[str, Any] | None:
    """The one JSON object that the body is, numbers as text; None where it is malformed."""

    def refuse(_: str) -> None:
        raise ValueError("NaN and Infinity are not JSON")

    try:
        document = json.loads(body.decode("utf-8"), parse_int=Number, parse_float=Number, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and depth(document) <= DEPTH_MAX else None


def depth(value: Any) -> int:
    """Containers open at once."""
    levels, deepest = [value], 0
    while levels := [v for v in levels if isinstance(v, dict | list)]:
        deepest += 1
        levels = [child for v in levels for child in (v.values() if isinstance(v, dict) else v)]
    return deepest


def text(value: Any) -> str | None:
    """A string or a number; None for all else, an empty string and one that has no UTF-8."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = json.dumps(value)
    if not isinstance(value, str) or not value:
        return None
    return None if any(0xD800 <= ord(c) <= 0xDFFF for c in value) else str(value)


def number(value: Any) -> Decimal | None:
    """A number, or a string that holds one; exponents beyond reason as far as they still count."""
    match = NUMBER.fullmatch(text(value) or "")
    if not match:
        return None
    sign, digits, fraction, exponent = match.groups(default="")
    mantissa = Decimal(f"{sign}{digits}.{fraction or 0}")
    return EXACT.scaleb(mantissa, max(-500, min(500, int(exponent or 0))))


def whole(value: Any, absent: int, low: int, top: int) -> int:
    amount = number(value)
    return absent if amount is None else max(low, min(top, int(amount)))


def count(value: Any, absent: int = 0) -> int:
    amount = whole(value, absent, -1, INT32_TOP)
    return amount if amount >= 0 else absent


def code(value: Any) -> int:
    return whole(value, 0, 0, 255)


def flag(value: Any) -> bool:
    return value is True or (value is not False and whole(value, 0, 0, 2) == 1)


def floor(value: Any, absent: int) -> int:
    cpm = number(value)
    if cpm is None:
        return absent
    return max(0, min(FLOOR_TOP, int(EXACT.scaleb(cpm, 6).to_integral_value(ROUND_HALF_UP))))


def degrees(value: Any, top: int) -> float | None:
    angle = number(value)
    return float(angle) if angle is not None and abs(float(angle)) <= top else None


def letters3(value: Any) -> str | None:
    name = text(value)
    return name.upper() if name is not None and re.fullmatch("[A-Za-z]{3}", name) else None


def currency(value: Any) -> str | None:
    return letters3(value) or ("?" if text(value) is not None else None)


def dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def dictionaries(value: Any) -> Iterable[dict[str, Any]]:
    return (item for item in items(value) if isinstance(item, dict))


def texts(value: Any) -> list[str]:
    return [name for name in map(text, items(value)) if name is not None]


def codes(value: Any, top: int) -> list[int]:
    return sorted({n for n in (whole(item, 0, 0, 64) for item in items(value)) if 1 <= n <= top})


def host(url: str | None) -> str | None:
    """Without scheme, user, port and path."""
    if url is None:
        return None
    authority = re.split(r"[/?#]", re.sub(r"\A(?:[^/?#]*:)?//", "", url), maxsplit=1)[0].rpartition("@")[2]
    behind = authority.find("]") if authority.startswith("[") else 0
    colon = authority.find(":", max(0, behind))
    return (authority if colon < 0 else authority[:colon]) or None


def says(value: Any) -> list[bool]:
    """Of gdpr: yes, no or nothing."""
    if isinstance(value, bool):
        return [value]
    amount = count(value, -1)
    return [] if amount < 0 else [amount > 0]


def section_ids(value: Any) -> set[int] | None:
    """Of gpp_sid; 0: one that cannot be read; -1: one that is none; 63: one beyond all that are known."""
    found = set()
    for item in items(value):
        negative = str(item).startswith("-") and (isinstance(item, Number) or not isinstance(item, str))
        number_ = whole(item, -1, -1, 63)
        found.add(number_ if number_ >= 0 else -1 if negative else 0)
    return found or None


def both_regs(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """regs, and its ext."""
    regs = dictionary(document.get("regs"))
    return regs, dictionary(regs.get("ext"))


def signals(document: dict[str, Any]) -> consent.Signals:
    """What the request says of the law and of the user's choice."""
    user, device = (dictionary(document.get(key)) for key in ("user", "device"))
    both = both_regs(document)
    ids = [found for found in (section_ids(r.get("gpp_sid")) for r in both) if found is not None]
    ifa = text(device.get("ifa"))
    atts = dictionary(device.get("ext")).get("atts")
    return consent.Signals(
        gdpr=[said for r in both for said in says(r.get("gdpr"))],
        coppa=any(flag(r.get("coppa")) for r in both),
        gpc=any(flag(r.get("gpc")) for r in both),
        limited=flag(device.get("lmt")) or flag(device.get("dnt")) or (ifa is not None and not ifa.strip("0-")),
        att=None if atts is None else whole(atts, 0, 0, 4) == 3,
        country=letters3(dictionary(device.get("geo")).get("country")),
        us_privacy=[s for s in (text(r.get("us_privacy")) for r in both) if s is not None],
        gpp=[s for s in (text(r.get("gpp")) for r in both) if s is not None],
        sections=set(itertools.chain(*ids)) if ids else None,
        consent=[s for s in (text(u.get("consent")) for u in (user, dictionary(user.get("ext")))) if s is not None],
    )


def view(document: dict[str, Any], us: Consent = NOBODY) -> View:
    """What the bidder may know of a request; all of Reader.view() but `id_raw`, which json.loads has lost."""
    user, device = dictionary(document.get("user")), dictionary(document.get("device"))
    user_ext, geo = dictionary(user.get("ext")), dictionary(device.get("geo"))
    present = [key for key in ("app", "site", "dooh") if isinstance(document.get(key), dict)]
    inventory = present[0] if present else None
    place = dictionary(document.get(inventory)) if inventory else {}

    may = consent.allowed(signals(document), us)

    ifa = text(device.get("ifa"))
    if ifa is not None and not ifa.strip("0-"):
        ifa = None
    eids = any(isinstance(e, dict) for u in (user, user_ext) for e in items(u.get("eids"))[:1])
    known = text(user.get("id")) is not None or text(user.get("buyeruid")) is not None or ifa is not None or eids
    names = {"ifa": ifa, "buyeruid": text(user.get("buyeruid")), "id": text(user.get("id"))}
    user_from = next((name for name, held in names.items() if held is not None), None) if "identify" in may else None
    lat, lon = degrees(geo.get("lat"), 90), degrees(geo.get("lon"), 180)
    has_point = "pinpoint" in may and lat is not None and lon is not None
    gender = text(user.get("gender"))
    segments = [
        segment.get("id") for data in dictionaries(user.get("data")) for segment in dictionaries(data.get("segment"))
    ]

    imps = [view_imp(imp) for imp in dictionaries(document.get("imp"))][:IMPS_MAX]
    ids = [imp["id"] for imp in imps]
    for imp in imps:
        imp["duplicate_id"] = imp["id"] is not None and ids.count(imp["id"]) > 1
    return {
        "id": text(document.get("id")),
        "test": flag(document.get("test")),
        "at": code(document.get("at")),
        "tmax_ms": whole(document.get("tmax"), 0, 0, INT32_TOP),
        "imps": imps,
        "cur": [c for c in map(letters3, items(document.get("cur"))) if c],
        "cur_named": bool(items(document.get("cur"))),
        **{
            key: texts(document.get(key))
            for key in ("wseat", "bseat", "bcat", "badv", "bapp", "acat", "wlang", "wlangb")
        },
        "inventory": inventory,
        "cattax": code(place.get("cattax")) or code(document.get("cattax")),
        "bcattax": code(document.get("cattax")),
        "domain": {
            "site": text(place.get("domain")) or host(text(place.get("page"))),
            "dooh": text(place.get("domain")),
        }.get(inventory or ""),
        "dooh": text(place.get("id")) if inventory == "dooh" else None,
        "venue_type": (texts(place.get("venuetype")) or texts([place.get("venuetypeid")]))
        if inventory == "dooh"
        else [],
        "bundle": text(place.get("bundle")) if inventory == "app" else None,
        "publisher": text(dictionary(place.get("publisher")).get("id")),
        "cat": []
        if inventory == "dooh"
        else [c for k in ("cat", "sectioncat", "pagecat") for c in texts(place.get(k))],
        **{key: text(device.get(key)) for key in ("os", "osv", "make", "model", "carrier", "language")},
        "device_type": count(device.get("devicetype")),
        "connection_type": count(device.get("connectiontype"), -1),
        "country": letters3(geo.get("country")),
        "region": text(geo.get("region")),
        "city": text(geo.get("city")) if "locate" in may else None,
        "metro": text(geo.get("metro")) if "locate" in may else None,
        "zip": text(geo.get("zip")) if "pinpoint" in may else None,
        "lat": lat if has_point else 0.0,
        "lon": lon if has_point else 0.0,
        "has_point": has_point,
        "has_user_id": "identify" in may and known,
        "ifa": ifa if "identify" in may else None,
        "user": names[user_from] if user_from else None,
        "user_from": user_from,
        "gender": gender if "personalise" in may and gender in ("M", "F", "O") else None,
        "yob": count(user.get("yob")) if "personalise" in may else 0,
        "segments": texts(segments) if "personalise" in may else [],
        "may": [name for name in MAY if name in may],
        "dsa": max(code(dictionary(r.get("dsa")).get("dsarequired")) for r in both_regs(document)),
    }


def view_imp(imp: dict[str, Any]) -> View:
    banner, pmp = dictionary(imp.get("banner")), dictionary(imp.get("pmp"))
    formats = list(dictionaries(banner.get("format")))
    pairs = [(f.get("w"), f.get("h")) for f in formats]
    sizes = [(w, h) for w, h in ((count(w), count(h)) for w, h in pairs) if w and h]
    w, h = count(banner.get("w")), count(banner.get("h"))
    if not sizes and w and h:
        sizes = [(w, h)]
    return {
        "id": text(imp.get("id")),
        "media": [medium for medium in ("banner", "video", "audio", "native") if isinstance(imp.get(medium), dict)],
        "secure": flag(imp.get("secure")),
        "instl": flag(imp.get("instl")),
        "floor": floor(imp.get("bidfloor"), 0),
        "floor_currency": currency(imp.get("bidfloorcur")),
        "quantity": floor(dictionary(imp.get("qty")).get("multiplier"), 0),
        "sizes": sizes,
        "ratios": [
            (w, h, least)
            for w, h, least in ([count(f.get(key)) for key in ("wratio", "hratio", "wmin")] for f in formats)
            if w and h
        ],
        **{key: count(banner.get(key)) for key in ("wmin", "wmax", "hmin", "hmax")},
        "battr": codes(banner.get("battr"), 63),
        "btype": codes(banner.get("btype"), 4),
        "expdir": codes(banner.get("expdir"), 6),
        "api": codes(banner.get("api"), 63),
        "video": view_media(imp["video"]) if isinstance(imp.get("video"), dict) else None,
        "audio": view_media(imp["audio"]) if isinstance(imp.get("audio"), dict) else None,
        "native": view_native(imp["native"]) if isinstance(imp.get("native"), dict) else None,
        "private_auction": flag(pmp.get("private_auction")),
        "deals": [deal for deal in map(view_deal, dictionaries(pmp.get("deals"))) if deal["id"] is not None],
    }


def answer(value: Any) -> bool | None:
    """A flag of which it matters whether it is there."""
    if isinstance(value, bool):
        return value
    return {0: False, 1: True}.get(whole(value, -1, -1, 2))


def view_media(media: dict[str, Any]) -> View:
    said = [media.get(key) for key in ("protocols", "protocol")]
    protocols = [code for one in said for code in codes(one if isinstance(one, list) else [one], 63)]
    return {
        "mimes": texts(media.get("mimes")),
        **{key: count(media.get(key)) for key in ("minduration", "maxduration", "w", "h", "skipmin", "skipafter")},
        **{key: count(media.get(key)) for key in ("minbitrate", "maxbitrate", "poddur", "maxseq")},
        "maxextended": whole(media.get("maxextended"), 0, -1, INT32_TOP),
        "rqddurs": [n for n in map(count, items(media.get("rqddurs"))) if n],
        "protocols": sorted(set(protocols)),
        **{key: code(media.get(key)) for key in ("linearity", "placement", "plcmt")},
        "skip": answer(media.get("skip")),
        "boxed": answer(media.get("boxingallowed")) is not False,
        "battr": codes(media.get("battr"), 63),
        "api": codes(media.get("api"), 63),
        "delivery": codes(media.get("delivery"), 3),
        "podid": text(media.get("podid")),
        "poddedupe": codes(media.get("poddedupe"), 4),
        "mincpmpersec": floor(media.get("mincpmpersec"), 0),
        "durfloors": view_durfloors(media),
    }


def view_durfloors(holder: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [
        (count(entry.get("mindur")), count(entry.get("maxdur")), floor(entry.get("bidfloor"), 0))
        for entry in dictionaries(holder.get("durfloors"))
    ]


def view_native(native: dict[str, Any]) -> View:
    wanted = native.get("request")
    if isinstance(wanted, str) and not isinstance(wanted, Number):
        wanted = parse(text(wanted).encode()) if text(wanted) else None
    wrapped = isinstance(wanted, dict) and isinstance(wanted.get("native"), dict)
    if wrapped:
        wanted = wanted["native"]
    assets = list(dictionaries(wanted.get("assets"))) if isinstance(wanted, dict) else None
    seen = None if assets is None or len(assets) > 64 else [view_asset(asset) for asset in assets]
    ids = [asset["id"] for asset in seen or []]
    for asset in seen or []:
        asset["id"] = asset["id"] if ids.count(asset["id"]) == 1 else -1
    trackers = dictionaries(wanted.get("eventtrackers")) if isinstance(wanted, dict) else []
    return {
        "assets": seen,
        "ver": (native_version(wanted) if isinstance(wanted, dict) else 0) or native_version(native) or 12,
        "wrapped": wrapped,
        "image_events": any(code(t.get("event")) == 1 and 1 in codes(t.get("methods"), 63) for t in trackers),
        "view_events": any(code(t.get("event")) == 2 and 1 in codes(t.get("methods"), 63) for t in trackers),
        "battr": codes(native.get("battr"), 63),
        "api": codes(native.get("api"), 63),
    }


def native_version(value: dict[str, Any]) -> int:
    named = text(value.get("ver"))
    return 0 if named is None else {"1": 10, "1.0": 10, "1.1": 11}.get(named, 12)


def view_asset(asset: dict[str, Any]) -> View:
    image, data = dictionary(asset.get("img")), dictionary(asset.get("data"))
    image_kind = {0: 4, 1: 2, 3: 3}.get(code(image.get("type")), 0) if isinstance(asset.get("img"), dict) else 0
    data_kind = 100 + code(data.get("type")) if 1 <= code(data.get("type")) <= 99 else 0
    titled = isinstance(asset.get("title"), dict)
    of_image = image if image_kind and not titled else {}
    of_text = asset["title"] if titled else {} if image_kind else data
    return {
        "id": whole(asset.get("id"), -1, -1, 10**15),
        "kind": 1 if titled else image_kind or data_kind,
        "required": flag(asset.get("required")),
        "len": count(of_text.get("len")),
        **{key: count(of_image.get(key)) for key in ("w", "h", "wmin", "hmin")},
        "mimes": texts(of_image.get("mimes")),
    }


def view_deal(deal: dict[str, Any]) -> View:
    return {
        "id": text(deal.get("id")),
        "floor": floor(deal.get("bidfloor"), -1),
        "floor_currency": currency(deal.get("bidfloorcur")),
        "at": code(deal.get("at")),
        "guaranteed": flag(deal.get("guar")),
        "wseat": texts(deal.get("wseat")),
        "wadomain": texts(deal.get("wadomain")),
        "durfloors": view_durfloors(deal),
        "mincpmpersec": floor(deal.get("mincpmpersec"), 0),
    }
