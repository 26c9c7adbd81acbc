"""VAST: a video or audio creative as an inline document, in each version that it can be said in.

creative + values -> documents() -> (schema, parts); parts are XML, with pieces where the writer puts ids and tokens

The order of elements, the events and the attributes are those of each version's XSD: 2.0.1, 3.0, 4.0, 4.1, 4.2. Of
4.x only the namespace is left out: exchanges take an `http:` anywhere for insecure, and players go by local names.
Ours are one Impression and the ClickThrough; where answers may have any size also an Error unless the advertiser has
one, in 4.x that the ad was in view, and how far it was played (`quartiles`). What else is to be told of the ad goes to
the advertiser's own trackers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bidder.openrtb.macros import Part, Values, fill_url, joined
from bidder.openrtb.variant import Piece, When

SKIP_AFTER_S = 5  # of a creative that does not say
CATEGORIES = "https://www.iabtechlab.com/categoryauthority"
STREAMED = {"application/dash+xml", "application/vnd.apple.mpegurl", "application/x-mpegurl"}
VPAID = {"application/javascript", "application/x-shockwave-flash"}  # media that are programs

_EVENTS = ("creativeView", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete", "mute", "unmute",
           "pause", "resume", "rewind")  # fmt: skip
EVENTS = (*_EVENTS, "skip")
"""What trackers of the advertiser may follow, beside impression, click and error."""

QUARTILES = {
    "start": "start", "firstQuartile": "q1", "midpoint": "mid", "thirdQuartile": "q3", "complete": "complete",
}  # fmt: skip
"""Events that our own tracker follows, and its names for them."""

_ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


@dataclass(frozen=True, slots=True)
class Schema:
    """What differs between versions. An element that a version's order does not name, it does not have."""

    version: str
    protocol: int  # AdCOM creative subtype
    inline: tuple[str, ...]
    linear: tuple[str, ...]
    nonlinear: tuple[str, ...]  # (): this version cannot say how large one is
    clicks: tuple[str, ...]
    companion: tuple[str, ...]
    events: frozenset[str]
    skippable: bool = True
    audio: bool = False  # Ad says that it is audio
    ad_id: tuple[str, ...] = ()  # attributes of UniversalAdId; (): there is none


_OLD: dict[str, Any] = {
    "linear": ("Duration", "TrackingEvents", "VideoClicks", "MediaFiles"),
    "clicks": ("ClickThrough", "ClickTracking"),
    "companion": ("StaticResource", "CompanionClickThrough", "AltText"),
}
_FOUR: dict[str, Any] = {
    "linear": ("TrackingEvents", "Duration", "MediaFiles", "VideoClicks"),
    "clicks": ("ClickTracking", "ClickThrough"),
    "companion": ("StaticResource", "AltText", "CompanionClickThrough"),
    "events": frozenset(EVENTS),
}
_SERVED = (
    *("AdSystem", "Error", "Impression", "ViewableImpression", "AdServingId", "AdTitle", "Advertiser", "Category"),
    "Creatives",
)
SCHEMAS = (
    Schema(
        "4.2", 13, _SERVED, audio=True, ad_id=("idRegistry",), **_FOUR,
        nonlinear=("StaticResource", "NonLinearClickThrough", "NonLinearClickTracking"),
    ),
    Schema("4.1", 11, _SERVED, audio=True, ad_id=("idRegistry", "idValue"), **_FOUR, nonlinear=()),
    Schema(
        "4.0", 7, tuple(name for name in _SERVED if name != "AdServingId"), ad_id=("idRegistry", "idValue"), **_FOUR,
        nonlinear=(),
    ),
    Schema(
        "3.0", 3, ("AdSystem", "AdTitle", "Advertiser", "Error", "Impression", "Creatives"), **_OLD,
        nonlinear=("StaticResource", "NonLinearClickTracking", "NonLinearClickThrough"), events=frozenset(EVENTS),
    ),
    Schema(
        "2.0", 2, ("AdSystem", "AdTitle", "Error", "Impression", "Creatives"), **_OLD,
        nonlinear=("StaticResource", "NonLinearClickThrough"), events=frozenset(_EVENTS), skippable=False,
    ),
)  # fmt: skip
"""Newest first: a player that knows several is answered in the best of them."""

Elements = dict[str, list[Part]]


def documents(
    campaign: Mapping[str, Any], creative: Mapping[str, Any], values: Values
) -> Iterator[tuple[Schema, list[Part]]]:
    """Newest first; none where no media file has the size that VAST wants (pixels of a video)."""
    media = media_of(creative)
    if not media:
        return
    spec = creative[creative["type"]]
    allowed = spec.get("protocols") or [schema.protocol for schema in SCHEMAS]
    advert = _Advert(campaign, creative, media, values)
    for schema in SCHEMAS:
        says = (schema.skippable or not spec.get("skippable")) if linear(creative) else bool(schema.nonlinear)
        if says and schema.protocol in allowed:
            yield schema, advert.document(schema)


def linear(creative: Mapping[str, Any]) -> bool:
    return bool(creative[creative["type"]].get("linearity", 1) != 2)


def skip_after_s(creative: Mapping[str, Any]) -> int:
    """From which second a skippable one can be skipped."""
    after = creative[creative["type"]].get("skip_after_s")
    return SKIP_AFTER_S if after is None else int(after)


def media_of(creative: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The media files that can be named, all with their size: the file's own, or the creative's; audio has none."""
    found = []
    for one in creative[creative["type"]]["media"]:
        if creative["type"] == "audio":
            w = h = 0
        else:
            w, h = one.get("w") or creative.get("w") or 0, one.get("h") or creative.get("h") or 0
            if not w or not h:
                continue
        found.append({**one, "w": w, "h": h})
    return found


class _Advert:
    """One ad: its elements are made once, each version puts those that it has into its own order."""

    def __init__(
        self, campaign: Mapping[str, Any], creative: Mapping[str, Any], media: list[dict[str, Any]], values: Values
    ) -> None:
        self._creative, self._values = creative, values
        self._spec = spec = creative[creative["type"]]
        self._trackers = [(one["event"], _cdata(fill_url(one["url"], values))) for one in spec.get("trackers") or ()]
        impression = _element("Impression", {}, _cdata(values.imp_url()))
        self._elements: Elements = {
            "AdSystem": _element("AdSystem", {}, ["outbid"]),
            "AdTitle": _element("AdTitle", {}, [_text(creative.get("crid") or creative["id"])]),
            "Advertiser": _element("Advertiser", {}, [_text(campaign["advertiser"])])
            if campaign.get("advertiser")
            else [],
            "AdServingId": _element("AdServingId", {}, [Piece.BID_ID]),
            "Error": self._told("error", "Error") or _followed(_element("Error", {}, _cdata(self._error_url()))),
            "ViewableImpression": _followed(_element("ViewableImpression", {}, self._viewable())),
            "Impression": joined([*impression, *self._told("impression", "Impression")]),
            "Category": [
                part
                for cat in creative.get("cat") or ()
                for part in _element("Category", {"authority": CATEGORIES}, [_text(cat)])
            ],
            "Duration": _element("Duration", {}, [_clock(spec["duration_s"])]),
            "ClickThrough": _element("ClickThrough", {}, _cdata(values.click_url())),
            "ClickTracking": self._told("click", "ClickTracking"),
        }
        self._events = [
            (event, _element("Tracking", {"event": event}, url)) for event, url in self._trackers if event in EVENTS
        ]
        self._quartiles: list[Part] = []
        if spec.get("quartiles", True) and linear(creative):
            for event, path in QUARTILES.items():
                self._quartiles += _element("Tracking", {"event": event}, _cdata(values.event_url(path)))
        self._companions = [self._companion(one) for one in spec.get("companion") or ()]
        self._overlays: list[tuple[dict[str, str], Elements]] = []
        if linear(creative):
            files = [part for one in media for part in _media_file(one, values)]
            self._elements["MediaFiles"] = joined(_element("MediaFiles", {}, files))
        else:
            self._overlays = [self._overlay(one) for one in media]

    def document(self, schema: Schema) -> list[Part]:
        elements = dict(self._elements)
        events = [part for event, tracking in self._events if event in schema.events for part in tracking]
        if events:
            elements["TrackingEvents"] = _element("TrackingEvents", {}, [*_followed(self._quartiles), *events])
        else:
            ours = _element("TrackingEvents", {}, self._quartiles) if self._quartiles else []
            elements["TrackingEvents"] = _followed(ours)
        creatives = self._in_creative(
            schema, self._linear(schema, elements) if linear(self._creative) else self._nonlinear(schema, elements)
        )
        if self._companions:
            found = [
                part
                for size, companion in self._companions
                for part in _element("Companion", size, _ordered(schema.companion, companion))
            ]
            creatives += self._in_creative(schema, _element("CompanionAds", {}, found))
        elements["Creatives"] = _element("Creatives", {}, creatives)
        kind = {"adType": "audio"} if schema.audio and self._creative["type"] == "audio" else {}
        inline = _element("InLine", {}, _ordered(schema.inline, elements))
        return joined(
            _element("VAST", {"version": schema.version}, _element("Ad", {"id": self._creative["id"], **kind}, inline))
        )

    def _error_url(self) -> list[Part]:
        """The player fills the macro."""
        return [*self._values.event_url("error"), "?code=[ERRORCODE]"]

    def _viewable(self) -> list[Part]:
        return _element("Viewable", {}, _cdata(self._values.event_url("view")))

    def _told(self, event: str, name: str) -> list[Part]:
        """An element of this name for each tracker of this event."""
        return [part for told, url in self._trackers if told == event for part in _element(name, {}, url)]

    def _in_creative(self, schema: Schema, body: list[Part]) -> list[Part]:
        """A Creative that holds `body`."""
        named = self._spec.get("universal_ad_id") or {"registry": "unknown", "value": "unknown"}
        attributes = {"idRegistry": named["registry"], "idValue": named["value"]}
        found: list[Part] = []
        if schema.ad_id:
            wanted = {name: attributes[name] for name in schema.ad_id}
            found = _element("UniversalAdId", wanted, [_text(named["value"])])
        return _element("Creative", {"id": self._creative["id"]}, [*found, *body])

    def _linear(self, schema: Schema, elements: Elements) -> list[Part]:
        elements["VideoClicks"] = _element("VideoClicks", {}, _ordered(schema.clicks, elements))
        skip = {"skipoffset": _clock(skip_after_s(self._creative))} if self._spec.get("skippable") else {}
        return _element("Linear", skip, _ordered(schema.linear, elements))

    def _nonlinear(self, schema: Schema, elements: Elements) -> list[Part]:
        found = elements["TrackingEvents"]
        for size, overlay in self._overlays:
            found = [*found, *_element("NonLinear", size, _ordered(schema.nonlinear, overlay))]
        return _element("NonLinearAds", {}, found)

    def _overlay(self, one: Mapping[str, Any]) -> tuple[dict[str, str], Elements]:
        least = _clock(self._spec["duration_s"])
        return {"width": str(one["w"]), "height": str(one["h"]), "minSuggestedDuration": least}, {
            "StaticResource": _resource(one, self._values),
            "NonLinearClickThrough": _element("NonLinearClickThrough", {}, _cdata(self._values.click_url())),
            "NonLinearClickTracking": self._told("click", "NonLinearClickTracking"),
        }

    def _companion(self, one: Mapping[str, Any]) -> tuple[dict[str, str], Elements]:
        return {"width": str(one["w"]), "height": str(one["h"])}, {
            "StaticResource": _resource(one, self._values),
            "CompanionClickThrough": _element("CompanionClickThrough", {}, _cdata(self._values.click_url())),
            "AltText": _element("AltText", {}, [_text(one["alt"])]) if one.get("alt") else [],
        }


def delivery(one: Mapping[str, Any]) -> str:
    """Of a media file: streaming or progressive."""
    return one.get("delivery") or ("streaming" if one["mime"].lower() in STREAMED else "progressive")


def _media_file(one: Mapping[str, Any], values: Values) -> list[Part]:
    mime = one["mime"]
    attributes = {"delivery": delivery(one), "type": mime, "width": str(one["w"]), "height": str(one["h"])}
    if one.get("bitrate_kbps"):
        attributes["bitrate"] = str(one["bitrate_kbps"])
    if mime.lower() in VPAID:
        attributes["apiFramework"] = "VPAID"
    return _element("MediaFile", attributes, _cdata(fill_url(one["url"], values)))


def _resource(one: Mapping[str, Any], values: Values) -> list[Part]:
    return _element("StaticResource", {"creativeType": one["mime"]}, _cdata(fill_url(one["url"], values)))


def _ordered(order: tuple[str, ...], elements: Elements) -> list[Part]:
    return [part for name in order for part in elements[name]]


def _element(name: str, attributes: Mapping[str, str], content: list[Part]) -> list[Part]:
    said = "".join([f' {key}="{_text(value)}"' for key, value in attributes.items()])
    return [f"<{name}{said}>", *content, f"</{name}>"]


def _followed(parts: list[Part]) -> list[Part]:
    """The same, only where answers may have any size."""
    return [When(Piece.FOLLOW_TEXT, part) if isinstance(part, str) else Piece.FOLLOW_TOKEN for part in joined(parts)]


def _text(plain: str) -> str:
    """For an element or an attribute. A character that XML cannot hold becomes U+FFFD."""
    return _ILLEGAL.sub("\ufffd", plain).translate(_ESCAPED)


def _cdata(parts: list[Part]) -> list[Part]:
    """For a URL: what exchanges look for, and room for the ampersands of macros that they fill."""
    inside = [part.replace("]]>", "]]]]><![CDATA[>") if isinstance(part, str) else part for part in parts]
    return ["<![CDATA[", *inside, "]]>"]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
