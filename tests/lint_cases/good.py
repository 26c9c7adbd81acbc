"""One request and one answer for each medium, which nobody could object to; and what to change in them.

    talk("video", {"request.imp.0.video.mimes": ["video/webm"], "bid.crid": DROP}) -> Talk -> .violations()

A place begins with `request`, `response`, `seat` (the first), `bid` (its first) or the name of a field of Talk.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bidder.openrtb.lint import Profile, Violation, lint

Json = dict[str, Any]

DROP = object()
HEADERS = {"Content-Type": "application/json", "x-openrtb-version": "2.6"}
NOTICE = "https://track.example/{}/abc?price=${{AUCTION_PRICE}}"
BANNER = '<a href="https://track.example/click/abc"><img src="https://cdn.acme.example/a.png"></a>'


@dataclass(slots=True)
class Talk:
    """A request and its answer."""

    request: Json
    response: Json
    body: bytes | None = None  # of the answer, in the place of `response`
    asked: bytes | None = None  # of the request, in the place of `request`
    status: int = 200
    headers: Mapping[str, str] | None = field(default_factory=lambda: dict(HEADERS))
    profile: Profile = field(default_factory=Profile)
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    latency_ms: float | None = None

    def violations(self) -> list[Violation]:
        return lint(
            self.request if self.asked is None else self.asked,
            json.dumps(self.response).encode() if self.body is None else self.body,
            status=self.status,
            headers=self.headers,
            profile=self.profile,
            rates=self.rates,
            latency_ms=self.latency_ms,
        )


def talk(medium: str = "banner", changes: Mapping[str, Any] | None = None) -> Talk:
    """The good one of this medium, changed."""
    bid = {**_bid(), **_ANSWERED[medium]}
    request = {"id": "r-1", "at": 1, "tmax": 100, "imp": [{"id": "1", "bidfloor": 0.5, medium: _ASKED[medium]}]}
    response = {"id": "r-1", "cur": "USD", "seatbid": [{"seat": "outbid", "bid": [bid]}]}
    made = Talk(copy.deepcopy(request), copy.deepcopy(response))
    for place, value in (changes or {}).items():
        _change(made, place, value)
    return made


def _change(made: Talk, place: str, value: Any) -> None:
    head, *path = place.split(".")
    if not path:
        assert head in Talk.__slots__, place
        setattr(made, head, copy.deepcopy(value))  # who breaks it further breaks no other test's
        return
    roots = {"seat": ["response", "seatbid", "0"], "bid": ["response", "seatbid", "0", "bid", "0"]}
    first, *path = [*roots.get(head, [head]), *path]
    holder: Any = getattr(made, first)
    for name in path[:-1]:
        holder = holder[int(name)] if isinstance(holder, list) else holder.setdefault(name, {})
    _set(holder, path[-1], value)


def _set(holder: Any, name: str, value: Any) -> None:
    """In an object or an array; one beyond the end of an array appends."""
    if isinstance(holder, list):
        holder[int(name) : int(name) + 1] = [] if value is DROP else [copy.deepcopy(value)]
    elif value is DROP:
        del holder[name]
    else:
        holder[name] = copy.deepcopy(value)


def _bid() -> Json:
    notices = {f"{kind}url": NOTICE.format(kind) for kind in "nbl"}
    names = {"adomain": ["acme.example"], "cat": ["IAB3"], "cid": "c-1", "crid": "cr-1"}
    return {"id": "b-1", "impid": "1", "price": 2.5, **notices, **names}


def vast(
    version: str = "3.0",
    *,
    ad: str = "",
    seconds: str = "00:00:15",
    linear: str = "",
    mime: str = "video/mp4",
    media: str = "",
    more: str = "",
    ads: int = 1,
) -> str:
    """An inline ad. `linear`: attributes of Linear; `media`: of MediaFile; `more`: other creatives."""
    fields = "<AdServingId>s-1</AdServingId>" if version > "4.0" else ""
    universal = '<UniversalAdId idRegistry="ad-id.org">U1</UniversalAdId>' if version >= "4.0" else ""
    size = "" if mime.startswith("audio") else ' width="640" height="360"'
    inline = (
        f"<InLine><AdSystem>outbid</AdSystem><AdTitle>spring</AdTitle>{fields}"
        "<Impression><![CDATA[https://track.example/imp/abc?p=${AUCTION_PRICE}]]></Impression>"
        f"<Creatives><Creative>{universal}<Linear{linear}><Duration>{seconds}</Duration><TrackingEvents>"
        '<Tracking event="start"><![CDATA[https://track.example/start?cb=[CACHEBUSTING]]]></Tracking></TrackingEvents>'
        f'<MediaFiles><MediaFile delivery="progressive" type="{mime}"{size} bitrate="800"{media}>'
        "<![CDATA[https://cdn.acme.example/spot]]></MediaFile></MediaFiles></Linear></Creative>"
        f"{more}</Creatives></InLine>"
    )
    return f'<?xml version="1.0"?><VAST version="{version}">{"".join([f"<Ad{ad}>{inline}</Ad>"] * ads)}</VAST>'


def wrapper(version: str = "3.0") -> str:
    return (
        f'<VAST version="{version}"><Ad><Wrapper><AdSystem>outbid</AdSystem>'
        "<VASTAdTagURI><![CDATA[https://ads.example/tag?n=1]]></VASTAdTagURI>"
        "<Impression>https://track.example/imp/abc</Impression></Wrapper></Ad></VAST>"
    )


NATIVE_REQUEST: Json = {
    "ver": "1.2",
    "assets": [
        {"id": 1, "required": 1, "title": {"len": 25}},
        {"id": 2, "required": 1, "img": {"type": 3, "w": 300, "h": 250, "mimes": ["image/png", "image/jpg"]}},
        {"id": 3, "data": {"type": 2, "len": 90}},
        {"id": 4, "video": {"mimes": ["video/mp4"], "minduration": 5, "maxduration": 30, "protocols": [2, 3]}},
        {"id": 5, "img": {"type": 1, "wmin": 50, "hmin": 50}},
    ],
    "eventtrackers": [{"event": 1, "methods": [1, 2]}],
}
NATIVE_ANSWER: Json = {
    "ver": "1.2",
    "link": {"url": "https://acme.example/", "clicktrackers": ["https://track.example/click/abc"]},
    "assets": [
        {"id": 1, "title": {"text": "Spring"}},
        {"id": 2, "img": {"url": "https://cdn.acme.example/a.png", "w": 300, "h": 250}},
        {"id": 3, "data": {"value": "All that grows"}},
        {"id": 4, "video": {"vasttag": vast()}},
        {"id": 5, "img": {"url": "https://cdn.acme.example/icon", "w": 64, "h": 64}},
    ],
    "imptrackers": ["https://track.example/imp/abc"],
    "eventtrackers": [{"event": 1, "method": 1, "url": "https://track.example/imp/abc"}],
}


def native_changed(document: Json, **changes: Any) -> str:
    """As JSON; `a__0__b` is a place in it."""
    made = copy.deepcopy(document)
    for place, value in changes.items():
        *path, last = place.split("__")
        holder: Any = made
        for name in path:
            holder = holder[int(name)] if isinstance(holder, list) else holder[name]
        _set(holder, last, value)
    return json.dumps(made)


_TIMES: Json = {"minduration": 5, "maxduration": 30, "protocols": [2, 3, 7, 11, 13]}
_ASKED: dict[str, Json] = {
    "banner": {"format": [{"w": 300, "h": 250}, {"w": 320, "h": 50}]},
    "video": {**_TIMES, "mimes": ["video/mp4"], "linearity": 1, "skip": 0, "w": 640, "h": 360},
    "audio": {**_TIMES, "mimes": ["audio/mpeg"]},
    "native": {"request": json.dumps(NATIVE_REQUEST), "ver": "1.2"},
}
_ANSWERED: dict[str, Json] = {
    "banner": {"mtype": 1, "w": 300, "h": 250, "adm": BANNER},
    "video": {"mtype": 2, "dur": 15, "protocol": 3, "w": 640, "h": 360, "adm": vast()},
    "audio": {"mtype": 3, "dur": 15, "adm": vast(mime="audio/mpeg")},
    "native": {"mtype": 4, "adm": json.dumps(NATIVE_ANSWER)},
}
