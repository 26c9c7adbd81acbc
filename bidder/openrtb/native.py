"""Native: the answer to a native request, versions 1.0 to 1.2, as one text for all of them.

creative + values -> document() -> parts of the JSON; assets() -> what the writer chooses from, in place of ASSETS

Requests differ in three ways, and pieces leave each to the writer: 1.0 has the answer within "native"; the version
is said; who offers to follow impressions by image gets eventtrackers (with the one for viewable impressions, if that is
offered too), all others imptrackers. No script is ever sent.
"""

import re
from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any

from bidder.openrtb.macros import Part, Values, fill_url
from bidder.openrtb.variant import Asset, AssetKind, Piece, When

DATA_TYPES = {
    "sponsored": 1, "desc": 2, "rating": 3, "likes": 4, "downloads": 5, "price": 6, "saleprice": 7, "phone": 8,
    "address": 9, "desc2": 10, "displayurl": 11, "ctatext": 12,
}  # fmt: skip
"""Data asset types, by the names of the campaign format."""
IMAGES = {"icon": AssetKind.ICON, "main": AssetKind.MAIN}
ASSET_TYPES = ("title", *IMAGES, *DATA_TYPES)
_MIMES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}
_SUFFIX = re.compile(r"\.(\w+)(?:[?#].*)?$")


def document(creative: Mapping[str, Any], values: Values) -> list[Part]:
    trackers = creative["native"].get("trackers") or ()
    clicks = [fill_url(one["url"], values) for one in trackers if one["event"] == "click"]
    impressions = [values.imp_url()]
    impressions += [fill_url(one["url"], values) for one in trackers if one["event"] == "impression"]
    found: list[Part] = [When(Piece.WRAPPED_TEXT, '{"native":'), '{"ver":"', Piece.NATIVE_VER]
    found += ['","assets":[', Piece.ASSETS, '],"link":{"url":', *_string(values.click_url())]
    if clicks:
        found += [',"clicktrackers":[', *_listed(clicks), "]"]
    found += ["},", When(Piece.EVENTS_TEXT, '"eventtrackers":['), When(Piece.NO_EVENTS_TEXT, '"imptrackers":[')]
    for n, url in enumerate(impressions):
        found += ["," if n else "", When(Piece.EVENTS_TEXT, '{"event":1,"method":1,"url":'), *_string(url)]
        found.append(When(Piece.EVENTS_TEXT, "}"))
    found.append(When(Piece.VIEWABLE, f',{{"event":2,"method":1,"url":"{values.url}/view/'))
    return [*found, "]}", When(Piece.WRAPPED_TEXT, "}")]


def assets(creative: Mapping[str, Any]) -> Iterator[tuple[Asset, str]]:
    """Each that has what its type needs (a text; an image with its size), and its JSON."""
    for one in creative["native"]["assets"]:
        kind, text, url = one["type"], one.get("text"), one.get("url")
        w, h = one.get("w") or 0, one.get("h") or 0
        if kind in IMAGES and url and w and h:
            said = f',"img":{{"url":{encode_basestring(url)},"w":{w},"h":{h}}}'
            yield Asset(int(IMAGES[kind]), in_string(said), w=w, h=h, mime=_mime(one)), said
        elif kind == "title" and text:
            said = f',"title":{{"text":{encode_basestring(text)}}}'
            yield Asset(int(AssetKind.TITLE), in_string(said), length=len(text)), said
        elif kind in DATA_TYPES and text:
            said = f',"data":{{"value":{encode_basestring(text)}}}'
            yield Asset(AssetKind.DATA + DATA_TYPES[kind], in_string(said), length=len(text)), said


def in_string(text: str) -> bytes:
    """Escaped for the string that `adm` is."""
    return encode_basestring(text)[1:-1].encode()


def _mime(one: Mapping[str, Any]) -> str:
    found = _SUFFIX.search(one["url"])
    return one.get("mime") or _MIMES.get(found[1].lower() if found else "", "")


def _string(parts: list[Part]) -> list[Part]:
    return ['"', *(encode_basestring(part)[1:-1] if isinstance(part, str) else part for part in parts), '"']


def _listed(urls: list[list[Part]]) -> list[Part]:
    return [part for n, url in enumerate(urls) for part in ("," if n else "", *_string(url))]
