"""The form of a creative: its keys by type, what each may hold, and what they must be together.

form.py -> creative_check() -> a creative of a campaign's body -> openrtb/markup.py

What was accepted once is accepted always: a video without a size, an asset without its text can still be imported,
and nothing is bid of it. Keys that came later are strict.
"""

from collections.abc import Mapping
from typing import Any

from bidder.campaigns.checks import Check, Key, Report, boolean, integer, list_of, map_of, one_of, table, text, web_url
from bidder.openrtb.macros import unknown
from bidder.openrtb.native import ASSET_TYPES
from bidder.openrtb.vast import EVENTS

DOMAIN = r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EXPANDABLE = {3, 4, 5}  # attributes: by itself, by click, by rollover

ID = text()
PIXELS = integer(1, 10_000)
BIT = integer(1, 63)  # attributes and API frameworks travel as bits of a word
MIME = text(pattern=r"[\w.+-]+/[\w.+-]+", what="a media type")


def _tracker_url(value: Any, at: str, report: Report) -> Any:
    """A URL, whose macros somebody will fill."""
    url = web_url(value, at, report)
    for name in unknown(url) if url else ():
        report.append(f"{at}: no exchange fills ${{{name}}}")
    return url


def _trackers(*events: str) -> Key:
    one = table({"event": Key(one_of(*events), required=True), "url": Key(_tracker_url, required=True)})
    return Key(list_of(one, unique=False, most=50))


_MEDIA = table(
    {
        "url": Key(web_url, required=True),
        "mime": Key(MIME, required=True),
        "w": Key(PIXELS),
        "h": Key(PIXELS),
        "bitrate_kbps": Key(integer(1, 1_000_000)),
        "delivery": Key(one_of("progressive", "streaming")),
    },
    drop_empty=True,
)
_COMPANION = table(
    {
        "url": Key(web_url, required=True),
        "mime": Key(MIME, required=True),
        "w": Key(PIXELS, required=True),
        "h": Key(PIXELS, required=True),
        "alt": Key(text(1_000)),
    },
    drop_empty=True,
)
_AUDIO = {
    "duration_s": Key(integer(1, 3_600), required=True),
    "mimes": Key(list_of(MIME), default=[]),
    "protocols": Key(list_of(integer(1, 20)), default=[]),
    "skippable": Key(boolean, default=False),
    "skip_after_s": Key(integer(0, 3_600)),
    "media": Key(list_of(_MEDIA, unique=False, least=1), required=True),
    "companion": Key(list_of(_COMPANION, unique=False, most=20)),
    "universal_ad_id": Key(table({"registry": Key(ID, required=True), "value": Key(ID, required=True)})),
    "trackers": _trackers("impression", "click", "error", *EVENTS),
    "quartiles": Key(boolean),  # false: our tracker is not told how far it was played
}
_VIDEO = _AUDIO | {"linearity": Key(integer(1, 2))}
_ASSET = table(
    {
        "type": Key(one_of(*ASSET_TYPES), required=True),
        "text": Key(text(1_000)),
        "url": Key(web_url),
        "w": Key(PIXELS),
        "h": Key(PIXELS),
        "mime": Key(MIME),
    },
    drop_empty=True,
)
_NATIVE = {
    "assets": Key(list_of(_ASSET, unique=False, least=1), required=True),
    "trackers": _trackers("impression", "click"),
}
# What a creative of each type cannot do without; the other types' own keys are refused.
_OF_TYPE = {"banner": ("w", "h", "adm"), "video": ("video",), "audio": ("audio",), "native": ("native",)}
_OWN = {"adm": "banner", "expdir": "banner", "video": "video", "audio": "audio", "native": "native"}


def creative_check(exchange: Check) -> Check:
    """The check of one creative; `exchange` is that of an exchange's name."""
    fields = table(
        {
            "id": Key(ID, required=True),
            "type": Key(one_of(*_OF_TYPE), default="banner"),
            "w": Key(PIXELS),
            "h": Key(PIXELS),
            "adm": Key(text(65_536, lines=True)),
            "expdir": Key(list_of(integer(1, 6))),
            "video": Key(table(_VIDEO, drop_empty=True)),
            "audio": Key(table(_AUDIO, drop_empty=True)),
            "native": Key(table(_NATIVE, drop_empty=True)),
            "landing_url": Key(web_url, required=True),
            "adomain": Key(list_of(text(253, DOMAIN, "a bare domain, as acme.example,", lower=True)), default=[]),
            "cat": Key(list_of(ID), default=[]),
            "attr": Key(list_of(BIT), default=[]),
            "api": Key(list_of(BIT), default=[]),
            "language": Key(text(pattern="[A-Za-z]{2}", what="two letters, as en,", lower=True)),
            "crid": Key(ID),
            "bundle": Key(ID),
            "approval": Key(map_of(exchange, one_of("approved", "pending", "refused")), default={}),
        },
        drop_empty=True,
    )

    def check(value: Any, at: str, report: Report) -> Any:
        before = len(report)
        creative = fields(value, at, report)
        if len(report) == before:
            _across(creative, at, report)
        return creative

    return check


def _across(creative: Mapping[str, Any], at: str, report: Report) -> None:
    """What only shows when several keys are looked at together."""
    kind = creative["type"]
    for name in _OF_TYPE[kind]:
        if name not in creative:
            report.append(f"{at}.{name}: missing; a creative of type {kind} needs it")
    for name, owner in _OWN.items():
        if name in creative and owner != kind:
            report.append(f"{at}.{name}: not for a creative of type {kind}")
    if "expdir" in creative and not EXPANDABLE & set(creative.get("attr", ())):
        report.append(f"{at}.expdir: what expands has one of the attributes 3, 4, 5 in attr")
    if kind in ("video", "audio") and kind in creative:
        _played(creative[kind], f"{at}.{kind}", report)


def _played(spec: Mapping[str, Any], at: str, report: Report) -> None:
    if "skip_after_s" in spec:
        if not spec["skippable"]:
            report.append(f"{at}.skip_after_s: only for what is skippable")
        if spec["skip_after_s"] >= spec["duration_s"]:
            report.append(f"{at}.skip_after_s: {spec['skip_after_s']} is not before the end, {spec['duration_s']}")
    if spec.get("linearity") == 2 and spec["skippable"]:
        report.append(f"{at}.skippable: what is not linear cannot be skipped")
    if sum(one["event"] == "error" for one in spec.get("trackers", ())) > 1:
        report.append(f"{at}.trackers: VAST has room for one tracker of the event error")
