"""Markup: the bid object of a creative, prebuilt as text with places to splice.

compile: campaign + creative -> pieces -> book -> the compiled writer fills ids, price and tokens

The text between two splices is JSON already, escaped for where it stands. Tokens are
base64url, so they need no escaping in JSON, HTML or URL. Only banners have markup yet:
a creative of another type gets no pieces, and the auction passes it over.
"""

import re
from collections.abc import Mapping, Sequence
from enum import IntEnum, IntFlag
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import urlsplit

NOTICE_URL_CHARS = 500  # a longer loss URL would be cut or dropped by exchanges
TOKEN_CHARS = 114


class Piece(IntEnum):
    """What the writer puts in this place; `_fast/book.pxd` has the same numbers."""

    TEXT = 0
    BID_ID = 1
    IMP_ID = 2
    PRICE = 3
    NOTICE_TOKEN = 4
    PAGE_TOKEN = 5
    DEAL = 6
    NOTICES = 8  # what the exchange's row has: nurl, burl, lurl
    PIXEL_PRICE = 9  # behind the page token of the pixel, where the exchange pays by that


class CreativeFlag(IntFlag):
    """What blocks of a request look at; `_fast/book.pxd` has the same numbers."""

    NONE = 0
    SCRIPT = 1
    IFRAME = 2
    SECURE = 4


NOTICES = {
    "nurl": ("win", "?price=${AUCTION_PRICE}"),
    "burl": ("bill", "?price=${AUCTION_PRICE}"),
    "lurl": ("loss", "?reason=${AUCTION_LOSS}&price=${AUCTION_PRICE}"),
}
_MACRO = re.compile(r"(\{click_url\}|\{pixel\})")
_NAMESPACE = re.compile(r"""\bxmlns(:[\w.-]+)?\s*=\s*(\\?["']).*?\2""", re.IGNORECASE | re.DOTALL)
_TEXT = int(Piece.TEXT)
_DEAL = (int(Piece.DEAL), b"")
_PIXEL_END = '" width="1" height="1" alt="" style="display:none">'
_END = (_TEXT, b"}")


def pieces(campaign: Mapping[str, Any], creative: Mapping[str, Any], public_url: str) -> list[tuple[int, bytes]]:
    """(kind, text) in the order of the answer; `text` is empty for every kind but TEXT, and no two TEXT follow."""
    if creative["type"] != "banner":
        return []
    url = checked_url(public_url)
    opening, text = _opening(url)
    found = list(opening)
    for part in _adm(creative["adm"], url):
        if isinstance(part, Piece):
            if text:
                found.append((_TEXT, text.encode()))
            found.append((int(part), b""))
            text = ""
        else:
            text += encode_basestring(part)[1:-1]
    found += ((_TEXT, (text + _closing(campaign, creative)).encode()), _DEAL, _END)
    return found


def flags(creative: Mapping[str, Any], public_url: str) -> int:
    """CreativeFlag of the markup as a page will see it: macros filled, namespaces aside."""
    if creative["type"] != "banner":
        return int(CreativeFlag.NONE)
    adm = "".join([part for part in _adm(creative["adm"], checked_url(public_url)) if isinstance(part, str)])
    lower = adm.lower()
    found = CreativeFlag.NONE
    if "<script" in lower:
        found |= CreativeFlag.SCRIPT
    if "<iframe" in lower:
        found |= CreativeFlag.IFRAME
    if public_url[:6].lower() == "https:" and "https:" in lower and not _insecure(adm, lower):
        found |= CreativeFlag.SECURE
    return int(found)


def _insecure(adm: str, lower: str) -> bool:
    if "xmlns" in lower:
        lower = _NAMESPACE.sub("", adm).lower()
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


def _closing(campaign: Mapping[str, Any], creative: Mapping[str, Any]) -> str:
    """What follows the markup, up to the deal."""
    cid, crid = encode_basestring(campaign["id"]), encode_basestring(creative.get("crid") or creative["id"])
    apis = creative.get("api") or []
    # `apis` since 2.6; a single one is said the way that 2.5 knows too
    api = _listed("apis", apis) if len(apis) != 1 else f',"api":{apis[0]}'
    language = f',"language":{encode_basestring(creative["language"])}' if creative.get("language") else ""
    return (
        f'"{_listed("adomain", creative.get("adomain"))},"cid":{cid},"crid":{crid}{_listed("cat", creative.get("cat"))}'
        f"{_listed('attr', creative.get('attr'))}{api}{language}"
        f',"w":{creative["w"]},"h":{creative["h"]},"mtype":1'
    )


@lru_cache(4)  # flags and pieces of a creative are asked for one after the other
def _adm(adm: str, url: str) -> list[str | Piece]:
    """The markup with its macros filled; a banner that places no pixel gets it at the end."""
    found: list[str | Piece] = []
    for part in _MACRO.split(adm if "{pixel}" in adm else adm + "{pixel}"):
        if part == "{click_url}":
            found += (f"{url}/click/", Piece.PAGE_TOKEN)
        elif part == "{pixel}":
            found += (f'<img src="{url}/imp/', Piece.PAGE_TOKEN, Piece.PIXEL_PRICE, _PIXEL_END)
        elif part:
            found.append(part)
    return found


def _listed(name: str, values: Sequence[str | int] | None) -> str:
    """A member of the bid; nothing where there are no values."""
    return _member(name, tuple(values)) if values else ""


@lru_cache(16_384)
def _member(name: str, values: tuple[str | int, ...]) -> str:
    """Campaigns of one advertiser say the same again and again."""
    return f',"{name}":[{",".join([encode_basestring(one) if isinstance(one, str) else str(one) for one in values])}]'
