"""What the XSD of each VAST version wants of an inline document: order, number and attributes of elements, and values.

faults(text) -> [what is wrong]; [] for a document that the schema of its own `version` accepts.

Written from the schemas of the IAB Tech Lab, not from our writer. Content models are regular expressions over the
names of children, each followed by a blank. The namespace of 4.x is not asked for.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

TIME = r"\d\d:[0-5]\d:[0-5]\d(\.\d{3})?"
URI = r"(https?|about):\S+"
NUMBER = r"\d+"
ANY = r"[\s\S]*"
SOME = r"[\s\S]+"

Rule = tuple[str, dict[str, tuple[bool, str]], str]  # children; attributes: required, value; text

_TRACKING = "(Tracking )*"
_EVENT_NAMES = (
    "creativeView|start|midpoint|firstQuartile|thirdQuartile|complete|mute|unmute|pause|rewind|resume"
    "|acceptInvitation|close"
)
_NEW_EVENTS = _EVENT_NAMES + "|skip|progress"
_EVENTS = {
    "2.0": _EVENT_NAMES + "|fullscreen|expand|collapse",
    "3.0": _NEW_EVENTS + "|fullscreen|exitFullscreen|expand|collapse|acceptInvitationLinear|closeLinear",
    "4.0": _NEW_EVENTS + "|playerExpand|playerCollapse|acceptInvitationLinear|timeSpentViewing|adExpand|adCollapse"
    "|minimize|overlayViewDuration|otherAdInteraction",
    "4.1": _NEW_EVENTS + "|playerExpand|playerCollapse|loaded|closeLinear|adExpand|adCollapse|minimize"
    "|overlayViewDuration|otherAdInteraction",
}
_EVENTS["4.2"] = _EVENTS["4.1"]
_INLINE = {
    "2.0": "AdSystem AdTitle (Description )?(Survey )?(Error )?(Impression )+Creatives (Extensions )?",
    "3.0": "AdSystem AdTitle (Description )?(Advertiser )?(Pricing )?(Survey )?(Error )?(Impression )+Creatives "
    "(Extensions )?",
    "4.0": "AdSystem (Error )*(Extensions )?(Impression )+(Pricing )?(ViewableImpression )?AdTitle (AdVerifications )?"
    "(Advertiser )?(Category )*Creatives (Description )?(Survey )?",
}
_INLINE["4.1"] = _INLINE["4.0"].replace("AdTitle ", "AdServingId AdTitle ").replace("(Survey )", "(Expires )*(Survey )")
_INLINE["4.2"] = _INLINE["4.0"].replace("AdTitle ", "AdServingId AdTitle ").replace("(Survey )", "(Expires )?(Survey )")
_RESOURCE = "(StaticResource |IFrameResource |HTMLResource )?"
_RESOURCES = "(HTMLResource )*(IFrameResource )*(StaticResource )*"


def _rules(version: str) -> dict[str, Rule]:
    new = version >= "4"
    size = {"width": (True, NUMBER), "height": (True, NUMBER)}
    expanded = size | {"id": (False, ANY), "expandedWidth": (False, NUMBER), "apiFramework": (False, ANY)}
    media: dict[str, tuple[bool, str]] = {
        "id": (False, ANY),
        "delivery": (True, "streaming|progressive"),
        "type": (True, r"[\w.+-]+/[\w.+-]+"),
        "bitrate": (False, NUMBER),
        "apiFramework": (False, ANY),
        **size,
    }
    found: dict[str, Rule] = {
        "VAST": ("(Ad )*", {"version": (True, re.escape(version))}, ""),
        "Ad": ("InLine ", {"id": (False, ANY), "sequence": (False, NUMBER)}, ""),
        "InLine": (_INLINE[version], {}, ""),
        "AdSystem": ("", {"version": (False, ANY)}, SOME),
        "AdTitle": ("", {}, ANY),
        "Advertiser": ("", {}, ANY),
        "Category": ("", {"authority": (True, URI)}, ANY),
        "AdServingId": ("", {}, SOME),
        "Error": ("", {}, URI),
        "Impression": ("", {"id": (False, ANY)}, URI),
        "ViewableImpression": ("(Viewable )*(NotViewable )*(ViewUndetermined )*", {"id": (False, ANY)}, ""),
        "Viewable": ("", {}, URI),
        "Creatives": ("(Creative )+", {}, ""),
        "Creative": ("(Linear |CompanionAds |NonLinearAds )?", {"id": (False, ANY), "AdID": (False, ANY)}, ""),
        "Linear": (
            "Duration (TrackingEvents )?(AdParameters )?(VideoClicks )?(MediaFiles )?",
            {"skipoffset": (False, TIME)} if version != "2.0" else {},
            "",
        ),
        "Duration": ("", {}, TIME),
        "TrackingEvents": (_TRACKING, {}, ""),
        "Tracking": ("", {"event": (True, _EVENTS[version])}, URI),
        "VideoClicks": ("(ClickThrough )?(ClickTracking )*(CustomClick )*", {}, ""),
        "ClickThrough": ("", {"id": (False, ANY)}, URI),
        "ClickTracking": ("", {"id": (False, ANY)}, URI),
        "MediaFiles": ("(MediaFile )+", {}, ""),
        "MediaFile": ("", media, URI),
        "CompanionAds": ("(Companion )*", {}, ""),
        "Companion": (
            f"{_RESOURCE}(TrackingEvents )?(CompanionClickThrough )?(AltText )?(AdParameters )?", expanded, "",
        ),
        "StaticResource": ("", {"creativeType": (True, r"[\w.+-]+/[\w.+-]+")}, URI),
        "CompanionClickThrough": ("", {}, URI),
        "AltText": ("", {}, ANY),
        "NonLinearAds": ("(TrackingEvents )?(NonLinear )+", {}, ""),
        "NonLinear": (
            f"{_RESOURCE}(NonLinearClickThrough )?(AdParameters )?",
            expanded | {"minSuggestedDuration": (False, TIME)},
            "",
        ),
        "NonLinearClickThrough": ("", {}, URI),
        "NonLinearClickTracking": ("", {}, URI),
    }  # fmt: skip
    if version == "3.0":
        found["NonLinear"] = (
            f"{_RESOURCE}(NonLinearClickTracking )*(NonLinearClickThrough )?(AdParameters )?",
            found["NonLinear"][1],
            "",
        )
    if new:
        found["Creative"] = (ANY, {"id": (False, ANY), "adId": (False, ANY), "sequence": (False, NUMBER)}, "")
        found["Linear"] = (
            "(Icons )?(TrackingEvents )?(AdParameters )?Duration MediaFiles (VideoClicks )?",
            {"skipoffset": (False, TIME)},
            "",
        )
        found["VideoClicks"] = ("(ClickTracking )*(CustomClick )*(ClickThrough )?", {}, "")
        found["Companion"] = (
            f"{_RESOURCES}(AdParameters )?(AltText )?(CompanionClickThrough )?(TrackingEvents )?", expanded, "",
        )  # fmt: skip
        named: dict[str, tuple[bool, str]] = {"idRegistry": (True, SOME)}
        if version != "4.2":
            named["idValue"] = (True, SOME)
        found["UniversalAdId"] = ("", named, SOME)
        sized = found["NonLinear"][1] if version == "4.2" else {}
        found["NonLinear"] = (
            f"{_RESOURCES}(AdParameters )?(NonLinearClickThrough )?(NonLinearClickTracking )*", sized, "",
        )  # fmt: skip
    else:
        del found["Category"], found["AdServingId"]
    if version > "4.0":
        found["Ad"] = ("InLine ", {"id": (False, ANY), "adType": (False, "video|audio|hybrid")}, "")
    if version == "2.0":
        del found["Advertiser"], found["NonLinearClickTracking"]
    return found


RULES = {version: _rules(version) for version in ("2.0", "3.0", "4.0", "4.1", "4.2")}


def faults(text: str) -> list[str]:
    """One line for each; a text that is no XML has one fault."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        return [f"no XML: {error}"]
    version = root.get("version", "")
    if root.tag != "VAST" or version not in RULES:
        return [f"no VAST of a version that there is: {root.tag} {version!r}"]
    return list(_faults(root, RULES[version]))


def _faults(element: Any, rules: dict[str, Rule]) -> Iterator[str]:
    if element.tag not in rules:
        yield f"{element.tag}: not in this version"
        return
    children, attributes, text = rules[element.tag]
    names = "".join(f"{child.tag} " for child in element)
    if not re.fullmatch(children, names):
        yield f"{element.tag}: holds {names or 'nothing'}"
    for name, (required, value) in attributes.items():
        if name not in element.attrib:
            if required:
                yield f"{element.tag}@{name}: missing"
        elif not re.fullmatch(value, element.attrib[name]):
            yield f"{element.tag}@{name}: {element.attrib[name]!r}"
    for name in element.attrib.keys() - attributes.keys():
        yield f"{element.tag}@{name}: not in this version"
    if not re.fullmatch(text, element.text or ""):
        yield f"{element.tag}: says {element.text!r}"
    if element.tag == "Creative" and "UniversalAdId" in rules:
        tags = [child.tag for child in element]
        kinds = {"UniversalAdId", "Linear", "CompanionAds", "NonLinearAds", "CreativeExtensions"}
        if tags.count("UniversalAdId") != 1 or len(tags) != len(set(tags)) or not set(tags) <= kinds:
            yield f"Creative: holds {names}"
    for child in element:
        yield from _faults(child, rules)
