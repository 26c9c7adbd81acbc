"""What shows an ad (a browser, a player, a native placement): what it would load of the markup, and where a click goes.

read(adm) -> Page: of HTML images and scripts; of VAST impressions, views and the events of a play to the end; of a
native answer its trackers and images. No script is run, no wrapper followed. Who loads what is for the courier, which
goes to this machine only.
"""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple

PLAYED = {"creativeView", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete"}
SHOWN = {"Impression", "Viewable"}
CLICKS = {"ClickThrough", "NonLinearClickThrough"}
FOLLOWED, IMAGE = {1, 2}, 1  # of native event trackers: events (impression, in view), method


class Page(NamedTuple):
    """URLs in the order of the markup."""

    images: tuple[str, ...]  # and whatever else is loaded when it is shown
    links: tuple[str, ...]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.images: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "script"):
            self.images += [value for name, value in attrs if name == "src" and value]
        elif tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def read(adm: str) -> Page:
    """Also of markup that is broken, as browsers do; a player, or a native placement, shows nothing of that."""
    begin = adm.lstrip()
    if begin.startswith(("<VAST", "<?xml")):
        return _vast(begin)
    if begin.startswith("{"):
        return _native(begin)
    reader = _Reader()
    reader.feed(adm)
    reader.close()
    return Page(tuple(reader.images), tuple(reader.links))


def _vast(adm: str) -> Page:
    try:
        root = ElementTree.fromstring(adm)
    except ElementTree.ParseError:
        return Page((), ())
    said = [(one.tag.rpartition("}")[2], one.get("event"), (one.text or "").strip()) for one in root.iter()]
    images = [url for name, event, url in said if name in SHOWN or (name == "Tracking" and event in PLAYED)]
    return Page(tuple(images), tuple(url for name, _, url in said if name in CLICKS))


def _native(adm: str) -> Page:
    try:
        answer = json.loads(adm)
        answer = answer.get("native", answer)
        return Page(tuple(_loaded(answer)), (answer["link"]["url"],))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Page((), ())


def _loaded(answer: dict[str, Any]) -> Iterator[str]:
    yield from answer.get("imptrackers", ())
    for one in answer.get("eventtrackers", ()):
        if one["event"] in FOLLOWED and one["method"] == IMAGE:
            yield one["url"]
    for asset in answer.get("assets", ()):
        if "img" in asset:
            yield asset["img"]["url"]
