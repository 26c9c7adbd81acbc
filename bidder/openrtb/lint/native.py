"""Native 1.0 to 1.2: the assets that were asked for, in their kind, length and size; links and trackers. D14.

The request stands in imp.native.request, as JSON in a text or, with some exchanges, as an object; the answer is JSON in
adm. Both may be wrapped in {"native": ...}. Assets that come by `assetsurl` or `dcourl` cannot be seen.
"""

import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from bidder.openrtb.lint import media, strict
from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.loose import Json, codes, flag, items, number, table, tables, text, texts
from bidder.openrtb.lint.rules import Violation, broken, said
from bidder.openrtb.lint.urls import is_absolute
from bidder.openrtb.lint.vast import VastError
from bidder.openrtb.lint.vast import read as read_vast

KINDS = ("title", "img", "video", "data")
SCRIPT_TRACKER = 2  # of methods
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


def violations(case: Case) -> Iterator[Violation]:
    """Of a bid for native."""
    if not case.adm:
        return
    path = case.at("adm")
    try:
        found = strict.value(case.adm)
    except ValueError as error:
        yield broken("native", path, str(error)[:80])
        return
    given = found.get("native", found) if isinstance(found, dict) else None
    if not isinstance(given, dict):
        yield broken("native", path, "not an object")
        return
    asked = _asked(case.slot)
    wanted = _version(asked.get("ver")) or _version(case.slot.get("ver"))
    if wanted and _version(given.get("ver")) > wanted:
        yield broken("native_version", path, f"{said(given.get('ver'))} where {'.'.join(map(str, wanted))} was asked")
    if not text(table(given.get("link")).get("url")):
        yield broken("native_link", path, "no link.url")
    yield from _link(given.get("link"), path)
    if "assets" in given or not (text(given.get("assetsurl")) or text(given.get("dcourl"))):
        yield from _assets(given.get("assets"), tables(asked.get("assets")), path)
    yield from _trackers(given, asked, path)


def _asked(slot: Json) -> Json:
    """The native request; empty where nobody can read it."""
    found: Any = slot.get("request")
    if isinstance(found, str):
        found = strict.request(found.encode("utf-8", "replace"))
    found = table(found)
    return table(found["native"]) if isinstance(found.get("native"), Mapping) else found


def _version(value: Any) -> tuple[int, ...]:
    parts = (text(value) or "").split(".")
    return tuple(int(part) for part in parts) if all(re.fullmatch("[0-9]{1,4}", part) for part in parts) else ()


def _link(link: Any, path: str) -> Iterator[Violation]:
    """A landing page; or an address in an app, with a page to fall back on."""
    link = table(link)
    urls = [link.get("fallback"), *items(link.get("clicktrackers"))]
    url = text(link.get("url"))
    if url and not is_absolute(url) and not (_SCHEME.fullmatch(url) and link.get("fallback")):
        urls.append(url)
    for one in urls:
        yield from _url(one, path)


def _url(url: Any, path: str) -> Iterator[Violation]:
    if url is not None and not (isinstance(url, str) and is_absolute(url)):
        yield broken("native_url", path, said(url))


def _assets(assets: Any, asked: list[Json], path: str) -> Iterator[Violation]:
    by_id = {number(one.get("id")): one for one in asked}
    answered = set()
    for asset in items(assets):
        asset = table(asset)
        key = asset.get("id")
        kinds = [kind for kind in KINDS if isinstance(asset.get(kind), dict)]
        request = by_id.get(number(key)) if type(key) is int else None
        if (
            request is None
            or number(key) in answered
            or len(kinds) != 1
            or not isinstance(request.get(kinds[0]), Mapping)
        ):
            yield broken("native_asset", path, f"asset {said(key)} with {', '.join(kinds) or 'nothing'}")
            continue
        answered.add(number(key))
        yield from _link(asset.get("link"), path)
        yield from _asset(kinds[0], table(asset[kinds[0]]), table(request[kinds[0]]), path)
    required = {key for key, one in by_id.items() if flag(one.get("required"))}
    if missing := required - answered:
        yield broken("native_required", path, f"no asset {said(sorted(missing))}")


def _asset(kind: str, given: Json, asked: Json, path: str) -> Iterator[Violation]:
    if kind in ("title", "data"):
        held, longest = text(given.get("text" if kind == "title" else "value")), number(asked.get("len"))
        if held is None:
            yield broken("native_asset", path, f"{kind} without a text")
        elif 0 < longest < len(held):
            yield broken("native_length", path, f"{kind} of {len(held)} characters where {said(longest)} are wanted")
    elif kind == "img":
        yield from _image(given, asked, path)
    else:
        try:
            vast = read_vast(text(given.get("vasttag")) or "")
        except VastError as error:
            yield broken("vast", path, str(error))
        else:
            yield from media.playable(vast, asked, path)


def _image(given: Json, asked: Json, path: str) -> Iterator[Violation]:
    url = text(given.get("url"))
    yield from _url(url or "", path)
    for side in ("w", "h"):
        size, exact, least = number(given.get(side)), number(asked.get(side)), number(asked.get(f"{side}min"))
        if size and (
            size < least if least > 0 else exact > 0 and size != exact
        ):  # beside a least size, the other is a wish
            yield broken("native_image", path, f"{side} {said(size)} where {said(least or exact)} is wanted")
    mimes = {mime.lower().replace("jpg", "jpeg") for mime in texts(asked.get("mimes"))}
    mime = _mime(url or "")
    if mimes and mime is not None and mime not in mimes:
        yield broken("native_image", path, f"{mime} where {said(mimes)} are wanted")


def _mime(url: str) -> str | None:
    """As its name says; None where that says nothing."""
    try:
        kind = mimetypes.guess_type(urlsplit(url).path)[0]
    except ValueError:
        return None
    return kind if kind is not None and kind.startswith("image/") else None


def _trackers(given: Json, asked: Json, path: str) -> Iterator[Violation]:
    for url in items(given.get("imptrackers")):
        yield from _url(url, path)
    offered = {
        (number(one.get("event")), method)
        for one in tables(asked.get("eventtrackers"))
        for method in codes(one.get("methods"))
    }
    for tracker in tables(given.get("eventtrackers")):
        event, method = number(tracker.get("event")), int(number(tracker.get("method")))
        if (event, method) not in offered:
            yield broken("native_tracker", path, f"event {said(event)} by method {method} is not offered")
        elif method != SCRIPT_TRACKER or tracker.get("url") is not None:
            yield from _url(tracker.get("url") or "", path)
