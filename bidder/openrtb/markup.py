"""Markup: the bid object of a creative, prebuilt as text with places to splice.

compile: campaign + creative -> variants() -> book -> the compiled writer fills ids, price and tokens
a banner's page is its own; vast.py writes video and audio, native.py native; macros.py fills what stands in braces

The text between two splices is JSON already, escaped for where it stands. Tokens are base64url and bid ids
hexadecimal, so they need no escaping in JSON, XML, HTML or URL.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import urlsplit

from bidder.openrtb import native, vast
from bidder.openrtb.macros import Part, Values, fill_html
from bidder.openrtb.variant import CreativeFlag, File, Piece, Variant

NOTICE_URL_CHARS = 500  # a longer loss URL would be cut or dropped by exchanges
TOKEN_CHARS = 124
# AdCOM: creative attributes and API frameworks.
SKIPPABLE = 16
VPAID = frozenset({1, 2})
VPAID_2 = 2
DELIVERY = {"streaming": 1, "progressive": 2}
MRAID = frozenset({3, 5, 6})
MRAID_1 = 3

NOTICES = {
    "nurl": ("win", "?price=${AUCTION_PRICE}"),
    "burl": ("bill", "?price=${AUCTION_PRICE}"),
    "lurl": ("loss", "?reason=${AUCTION_LOSS}&price=${AUCTION_PRICE}"),
}
MIN_TO_WIN = {"nurl", "lurl"}  # which also say what would have won, where an exchange tells
VERSION = 2  # of what is made of a creative: it rises with every change, so that hosts make it anew
_NAMESPACE = re.compile(r"""\bxmlns(:[\w.-]+)?\s*=\s*(\\?["']).*?\2""", re.DOTALL)
_TEXT = int(Piece.TEXT)
_DEAL = (int(Piece.DEAL), b"")
_END = (_TEXT, b"}")


def variants(campaign: Mapping[str, Any], creative: Mapping[str, Any], public_url: str) -> list[Variant]:
    """One for each way to say this creative, best first; [] where there is none: a video without a size.

    ValueError where `public_url` is none that URLs could begin with, KeyError where the campaign lacks a key.
    """
    values = Values.of(campaign, creative, checked_url(public_url))
    match creative["type"]:
        case "banner":
            return [_banner(campaign, creative, values)]
        case "native":
            return _native(campaign, creative, values)
        case _:
            return _played(campaign, creative, values)


def _banner(campaign: Mapping[str, Any], creative: Mapping[str, Any], values: Values) -> Variant:
    page = fill_html(creative["adm"], values)
    lower = _text(page).lower()
    flags = _secure(lower, values)
    if "<script" in lower:
        flags |= CreativeFlag.SCRIPT
    if "<iframe" in lower:
        flags |= CreativeFlag.IFRAME
    api = tuple(creative.get("api") or ())
    if "mraid.js" in lower and not MRAID & set(api):
        api = (MRAID_1, *api)
    w, h, attr = creative["w"], creative["h"], tuple(creative.get("attr") or ())
    closing = _closing(campaign, creative, 1, attr, api, w, h)
    pieces = _pieces(values.url, page, closing)
    return Variant(pieces, int(flags), 1, w, h, attr=attr, api=api, expdir=tuple(creative.get("expdir") or ()))


def _played(campaign: Mapping[str, Any], creative: Mapping[str, Any], values: Values) -> list[Variant]:
    """Video and audio."""
    mtype = 2 if creative["type"] == "video" else 3
    spec, media = creative[creative["type"]], vast.media_of(creative)
    w, h = _size(creative, media)
    files = tuple(File(one["mime"], one.get("bitrate_kbps") or 0, DELIVERY[vast.delivery(one)]) for one in media)
    skippable = bool(spec.get("skippable"))
    attr, api = tuple(creative.get("attr") or ()), tuple(creative.get("api") or ())
    if skippable and SKIPPABLE not in attr:
        attr = (*attr, SKIPPABLE)
    if not VPAID & set(api) and any(one["mime"].lower() in vast.VPAID for one in media):
        api = (*api, VPAID_2)
    found = []
    for schema, document in vast.documents(campaign, creative, values):
        played = f',"dur":{spec["duration_s"]},"protocol":{schema.protocol}'
        closing = _closing(campaign, creative, mtype, attr, api, w, h, played)
        found.append(
            Variant(
                pieces=_pieces(values.url, document, closing),
                flags=int(_secure(_text(document).lower(), values)),
                format=mtype,
                w=w,
                h=h,
                protocol=schema.protocol,
                duration_s=spec["duration_s"],
                files=files,
                skippable=skippable,
                skip_after_s=vast.skip_after_s(creative) if skippable else 0,
                linear=vast.linear(creative),
                attr=attr,
                api=api,
            )
        )
    return found


def _size(creative: Mapping[str, Any], media: list[dict[str, Any]]) -> tuple[int, int]:
    """The creative's own, or that of its largest media file; audio has none."""
    if creative["type"] == "video" and creative.get("w") and creative.get("h"):
        return creative["w"], creative["h"]
    return max(((one["w"], one["h"]) for one in media), key=lambda size: size[0] * size[1], default=(0, 0))


def _native(campaign: Mapping[str, Any], creative: Mapping[str, Any], values: Values) -> list[Variant]:
    having = list(native.assets(creative))
    if not having:
        return []
    document = native.document(creative, values)
    text = _text(document) + "".join([said for _, said in having])
    w, h = creative.get("w") or 0, creative.get("h") or 0
    attr, api = tuple(creative.get("attr") or ()), tuple(creative.get("api") or ())
    pieces = _pieces(values.url, document, _closing(campaign, creative, 4, attr, api, w, h))
    flags = int(_secure(text.lower(), values))
    return [Variant(pieces, flags, 4, w, h, assets=tuple(asset for asset, _ in having), attr=attr, api=api)]


def _pieces(url: str, document: Iterable[Part], closing: str) -> list[tuple[int, bytes]]:
    """(kind, text) in the order of the answer; only kinds that are texts have one, and no two TEXT follow."""
    opening, text = _opening(url)
    found = list(opening)
    for part in document:
        if isinstance(part, str):
            text += encode_basestring(part)[1:-1]
            continue
        if text:
            found.append((_TEXT, text.encode()))
            text = ""
        found.append((int(part), b"") if isinstance(part, Piece) else (int(part.kind), native.in_string(part.text)))
    found += ((_TEXT, (text + closing).encode()), _DEAL, _END)
    return found


def _text(document: Iterable[Part]) -> str:
    return "".join([part for part in document if isinstance(part, str)])


def _secure(lower: str, values: Values) -> CreativeFlag:
    """SECURE where everything that is loaded comes over https; `lower` is all markup, in lower case."""
    if values.url[:6].lower() == "https:" and "https:" in lower and not _insecure(lower):
        return CreativeFlag.SECURE
    return CreativeFlag.NONE


def _insecure(lower: str) -> bool:
    if "xmlns" in lower:
        lower = _NAMESPACE.sub("", lower)
    return "http:" in lower or "http%3a" in lower


@lru_cache(16)
def checked_url(public_url: str) -> str:
    """`public_url` without a trailing slash; ValueError where notice URLs could not begin with it."""
    url = public_url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"tracking.public_url: http(s)://host[/path] is wanted, not {public_url!r}")
    if not url.isascii() or not url.isprintable() or set(url) & set(" \"'<>\\&{}"):
        raise ValueError(f"tracking.public_url: {public_url!r} holds characters that do not belong in a URL")
    longest = max(len(f"{url}/{path}/") + TOKEN_CHARS + len(query) for path, query in NOTICES.values())
    if longest > NOTICE_URL_CHARS:
        raise ValueError(
            f"tracking.public_url: a notice URL would have {longest} characters, {NOTICE_URL_CHARS} are safe"
        )
    return url


@lru_cache(16)
def _opening(url: str) -> tuple[list[tuple[int, bytes]], str]:
    """What every bid begins with: pieces, and the text after them, which the markup continues."""
    found = [(_TEXT, b'{"id":"'), (int(Piece.BID_ID), b""), (_TEXT, b'","impid":"'), (int(Piece.IMP_ID), b"")]
    found += [(_TEXT, b'","price":'), (int(Piece.PRICE), b"")]
    return [*found, (int(Piece.NOTICES), b"")], ',"adm":"'


def _closing(
    campaign: Mapping[str, Any],
    creative: Mapping[str, Any],
    mtype: int,
    attr: tuple[int, ...],
    api: tuple[int, ...],
    w: int,
    h: int,
    played: str = "",
) -> str:
    """What follows the markup, up to the deal."""
    cid, crid = encode_basestring(campaign["id"]), encode_basestring(creative.get("crid") or creative["id"])
    # `apis` since 2.6; a single one is said the way that 2.5 knows too
    apis = _listed("apis", api) if len(api) != 1 else f',"api":{api[0]}'
    language = f',"language":{encode_basestring(creative["language"])}' if creative.get("language") else ""
    bundle = f',"bundle":{encode_basestring(creative["bundle"])}' if creative.get("bundle") else ""
    size = f',"w":{w},"h":{h}' if w and h else ""
    return (
        f'"{_listed("adomain", creative.get("adomain"))},"cid":{cid},"crid":{crid}{_listed("cat", creative.get("cat"))}'
        f'{_listed("attr", attr)}{apis}{language}{bundle}{size}{played},"mtype":{mtype}'
    )


def _listed(name: str, values: Sequence[str | int] | None) -> str:
    """A member of the bid; nothing where there are no values."""
    return _member(name, tuple(values)) if values else ""


@lru_cache(16_384)
def _member(name: str, values: tuple[str | int, ...]) -> str:
    """Campaigns of one advertiser say the same again and again."""
    return f',"{name}":[{",".join([encode_basestring(one) if isinstance(one, str) else str(one) for one in values])}]'
