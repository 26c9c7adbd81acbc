"""VAST 2.0 to 4.x as the linter sees it: well-formed XML turned into what the rules of video and audio ask for.

    read(markup) -> Vast | VastError, whose text says what no player could play

Names are taken without their name space. A document type is refused before an entity of it is expanded. Of InLine ads
everything is here; a Wrapper has its tag's URI, and whatever else it says of creatives.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

VERSIONS = {  # version: codes of AdCOM's list "Creative Subtypes - Audio/Video": inline, wrapper
    "2.0": (2, 5),
    "3.0": (3, 6),
    "4.0": (7, 8),
    "4.1": (11, 12),
    "4.2": (13, 14),
    "4.3": (15, 16),
}
URL_ELEMENTS = {
    *("Impression", "Tracking", "ClickThrough", "ClickTracking", "CustomClick", "Error", "MediaFile", "VASTAdTagURI"),
    *("NonLinearClickThrough", "NonLinearClickTracking", "CompanionClickThrough", "CompanionClickTracking"),
    *("IconClickThrough", "IconClickTracking", "IconViewTracking", "Mezzanine", "InteractiveCreativeFile"),
    *(
        "JavaScriptResource",
        "Viewable",
        "NotViewable",
        "ViewUndetermined",
        "StaticResource",
        "IFrameResource",
        "Survey",
    ),
}
_CLOCK = re.compile(r"(\d{2}):([0-5]\d):([0-5]\d)(\.\d{1,3})?")
_WHOLE = re.compile(r"\d{1,9}")


class VastError(ValueError):
    """Nothing that can be played."""


@dataclass(frozen=True, slots=True)
class Media:
    """A media file, or an interactive one."""

    mime: str
    framework: str
    delivery: str
    w: int | None
    h: int | None
    kbps: tuple[int, int] | None  # lowest, highest


@dataclass(slots=True)
class Vast:
    """Of all ads together; of a pod the figures are those of each ad in turn."""

    version: str
    ads: int = 0
    sequenced: int = 0  # of these, with a sequence: a pod
    inline: bool = False
    wrapper: bool = False
    linear: bool = False
    nonlinear: bool = False
    skippable: bool = False
    durations_s: list[Decimal] = field(default_factory=list)
    media: list[list[Media]] = field(default_factory=list)  # of each linear creative
    companions: list[tuple[int | None, int | None]] = field(default_factory=list)
    urls: list[tuple[str, str]] = field(default_factory=list)  # element, URL
    missing: list[str] = field(default_factory=list)  # that the version requires and players do without
    scripts: set[str] = field(default_factory=set)  # frameworks that what is non-linear needs

    @property
    def protocols(self) -> set[int]:
        """Codes of what it is."""
        inline, wrapper = VERSIONS[self.version]
        return ({inline} if self.inline else set()) | ({wrapper} if self.wrapper else set())


class _Builder(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise VastError("it has a document type")


def looks_like_vast(markup: str) -> bool:
    """Does it begin as XML of an ad does? Cheap."""
    return bool(re.match(r"\s*(<\?xml|<vast|<videoadservingtemplate)", markup[:200].lower()))


def read(markup: str) -> Vast:
    """VastError: it is not well formed, or has no ad that could be played."""
    try:
        parser = XMLParser(target=_Builder())
        parser.feed(markup.strip())
        root = parser.close()
    except VastError:
        raise
    except ParseError as error:
        raise VastError(f"not well formed, line {error.position[0]}, column {error.position[1]}") from None
    except ValueError:
        raise VastError("it has characters that no document can have") from None
    if _name(root) != "VAST":
        raise VastError("the root is not VAST")
    version = re.sub(r"^(\d\.\d)(\.\d+)?$", r"\1", root.get("version", "").strip())
    if version not in VERSIONS:
        raise VastError("the version is none of 2.0 to 4.3")
    vast = Vast(version)
    for ad in _children(root, "Ad"):
        _ad(ad, vast)
    if not vast.ads:
        raise VastError("no Ad in it")
    vast.urls = [(_name(one), (one.text or "").strip()) for one in root.iter() if _name(one) in URL_ELEMENTS]
    return vast


def _ad(ad: Element, vast: Vast) -> None:
    vast.ads += 1
    vast.sequenced += bool(ad.get("sequence"))
    inlines, wrappers = _children(ad, "InLine"), _children(ad, "Wrapper")
    if len(inlines) + len(wrappers) != 1:
        raise VastError("an Ad holds one InLine or one Wrapper")
    vast.inline |= bool(inlines)
    vast.wrapper |= bool(wrappers)
    body = (inlines + wrappers)[0]
    creatives = [creative for group in _children(body, "Creatives") for creative in _children(group, "Creative")]
    if wrappers:
        if not _text(body, "VASTAdTagURI"):
            raise VastError("a Wrapper has no VASTAdTagURI")
        required = ["AdSystem"]
    else:
        if not _text(body, "Impression"):
            raise VastError("an InLine has no Impression")
        if not creatives:
            raise VastError("an InLine has no Creative")
        required = ["AdSystem", "AdTitle"] + (["AdServingId"] if vast.version > "4.0" else [])
    vast.missing += [name for name in required if not _text(body, name)]
    before = vast.linear, vast.nonlinear
    for creative in creatives:
        _creative(creative, vast, inline=bool(inlines))
    if inlines and before == (vast.linear, vast.nonlinear) == (False, False):
        raise VastError("an InLine has nothing linear or non-linear")


def _creative(creative: Element, vast: Vast, inline: bool) -> None:
    linear = _children(creative, "Linear")
    if inline and linear and vast.version >= "4.0" and not _text(creative, "UniversalAdId"):
        vast.missing.append("UniversalAdId")
    for one in linear:
        vast.linear = True
        vast.skippable |= "skipoffset" in one.attrib
        if inline:
            _linear(one, vast)
    for group in _children(creative, "NonLinearAds"):
        for one in _children(group, "NonLinear"):
            vast.nonlinear = True
            if one.get("apiFramework"):
                vast.scripts.add(one.get("apiFramework", "").upper())
    for group in _children(creative, "CompanionAds"):
        vast.companions += [(_whole(c.get("width")), _whole(c.get("height"))) for c in _children(group, "Companion")]


def _linear(linear: Element, vast: Vast) -> None:
    clock = _CLOCK.fullmatch(_text(linear, "Duration"))
    if clock is None:
        raise VastError("a Linear has no Duration HH:MM:SS")
    hours, minutes, seconds, rest = clock.groups()
    vast.durations_s.append(Decimal(int(hours) * 3600 + int(minutes) * 60 + int(seconds)) + Decimal(f"0{rest or '.0'}"))
    files = [_media(file) for group in _children(linear, "MediaFiles") for file in _children(group, "MediaFile")]
    if not files:
        raise VastError("a Linear has no MediaFile")
    vast.media.append(files)


def _media(file: Element) -> Media:
    if not (file.text or "").strip():
        raise VastError("a MediaFile has no URL")
    lowest, highest = _whole(file.get("minBitrate")), _whole(file.get("maxBitrate"))
    single = _whole(file.get("bitrate"))
    kbps = (single, single) if single is not None else None
    if lowest is not None and highest is not None:
        kbps = lowest, highest
    return Media(
        mime=file.get("type", "").strip().lower(),
        framework=file.get("apiFramework", "").strip().upper(),
        delivery=file.get("delivery", "").strip().lower(),
        w=_whole(file.get("width")),
        h=_whole(file.get("height")),
        kbps=kbps,
    )


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _children(element: Element, name: str) -> list[Element]:
    return [child for child in element if _name(child) == name]


def _texts(element: Element, name: str) -> Iterator[str]:
    return ((child.text or "").strip() for child in _children(element, name))


def _text(element: Element, name: str) -> str:
    """Of the first child of this name that has one."""
    return next(filter(None, _texts(element, name)), "")


def _whole(value: str | None) -> int | None:
    return int(value.strip()) if value is not None and _WHOLE.fullmatch(value.strip()) else None
