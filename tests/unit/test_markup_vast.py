"""VAST: what each version of a video or audio creative says, held against what its schema wants."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from bidder.openrtb.markup import variants
from bidder.openrtb.variant import CreativeFlag, Variant
from bidder.simulator import page
from tests.reference.said import BID_ID, PAGE, answer, bid
from tests.reference.vast_rules import RULES, faults

CAMPAIGN = {"id": "c-1", "advertiser": "acme"}
HTTPS = "https://t.example"
PROTOCOLS = {"2.0": 2, "3.0": 3, "4.0": 7, "4.1": 11, "4.2": 13}
MP4 = {"url": "https://cdn.acme.example/a.mp4", "mime": "video/mp4", "w": 640, "h": 360, "bitrate_kbps": 800}
WEBM = {"url": "https://cdn.acme.example/a.webm", "mime": "video/webm", "w": 1280, "h": 720, "bitrate_kbps": 2400}
MP3 = {"url": "https://cdn.acme.example/a.mp3", "mime": "audio/mpeg", "bitrate_kbps": 128}
OURS = [
    (event, f"{HTTPS}/{path}/{PAGE}")
    for event, path in (
        *(("start", "start"), ("firstQuartile", "q1"), ("midpoint", "mid"), ("thirdQuartile", "q3")),
        ("complete", "complete"),
    )
]
EVERYTHING = {
    "companion": [
        {"url": "https://cdn.acme.example/c.png", "mime": "image/png", "w": 300, "h": 250, "alt": "Acme & friends"}
    ],
    "universal_ad_id": {"registry": "ad-id.org", "value": "CNPA0484000H"},
    "trackers": [
        {"event": "impression", "url": "https://m.example/i?c={cachebuster}&p=${AUCTION_PRICE}"},
        {"event": "click", "url": "https://m.example/c?to={click_url}"},
        {"event": "error", "url": "https://m.example/e?code=[ERRORCODE]"},
        {"event": "start", "url": "https://m.example/q?n=0"},
        {"event": "midpoint", "url": "https://m.example/q?n=2&x=]]>"},
        {"event": "skip", "url": "https://m.example/skip"},
    ],
}


def video(media: list[dict[str, Any]] | None = None, changes: dict[str, Any] | None = None, **spec: Any) -> Any:
    own = {"duration_s": 15, "skippable": False, "media": [MP4, WEBM] if media is None else media} | spec
    base = {"id": "v-1", "type": "video", "landing_url": "https://acme.example/", "adomain": ["acme.example"]}
    return base | {"cat": ["IAB3", "IAB3-1"], "video": own} | (changes or {})


def audio(**spec: Any) -> Any:
    own = {"duration_s": 3_661, "skippable": False, "media": [MP3]} | spec
    return {"id": "a-1", "type": "audio", "landing_url": "https://acme.example/", "audio": own}


def said(creative: Any, url: str = HTTPS) -> dict[str, tuple[Variant, dict[str, Any], ElementTree.Element]]:
    """Variant, bid and document of each version, every one fine by the rules of its schema."""
    found = {}
    for variant in variants(CAMPAIGN, creative, url):
        made = bid(variant)
        assert faults(made["adm"]) == []
        root = ElementTree.fromstring(made["adm"])
        found[root.attrib["version"]] = variant, made, root
    return found


def texts(root: ElementTree.Element, path: str) -> list[str | None]:
    return [one.text for one in root.findall(path)]


def test_a_video_is_said_in_every_version_newest_first() -> None:
    found = said(video())
    assert list(found) == ["4.2", "4.1", "4.0", "3.0", "2.0"]
    for version, (variant, made, _) in found.items():
        assert variant.protocol == made["protocol"] == PROTOCOLS[version]
        assert (variant.format, variant.duration_s, variant.linear, variant.skippable) == (2, 15, True, False)
        assert (variant.w, variant.h) == (1280, 720)
        assert [(one.mime, one.kbps, one.delivery) for one in variant.files] == [
            ("video/mp4", 800, 2),
            ("video/webm", 2400, 2),
        ]
        assert variant.flags == CreativeFlag.SECURE


def test_a_bid_for_video_says_what_exchanges_check() -> None:
    _, made, _ = said(video(changes={"bundle": "com.acme", "crid": "acme-1", "language": "en", "attr": [15]}))["3.0"]
    adm = made.pop("adm")
    assert adm.startswith('<VAST version="3.0"><Ad id="v-1"><InLine>')
    assert {name: value for name, value in made.items() if "url" not in name} == {
        "id": BID_ID, "impid": "imp-1", "price": 2.4, "adomain": ["acme.example"], "cid": "c-1", "crid": "acme-1",
        "cat": ["IAB3", "IAB3-1"], "attr": [15], "language": "en", "bundle": "com.acme", "w": 1280, "h": 720, "dur": 15,
        "protocol": 3, "mtype": 2, "dealid": "d-7",
    }  # fmt: skip


@pytest.mark.parametrize("version", RULES)
def test_all_that_can_be_said_is_said(version: str) -> None:
    _, _, root = said(video(**EVERYTHING))[version]
    inline = root.find("Ad/InLine")
    assert inline is not None
    assert texts(inline, "Impression") == [
        f"{HTTPS}/imp/{PAGE}", f"https://m.example/i?c={BID_ID}&p=${{AUCTION_PRICE}}",
    ]  # fmt: skip
    assert texts(inline, "Error") == ["https://m.example/e?code=[ERRORCODE]"]
    linear = inline.find("Creatives/Creative/Linear")
    assert linear is not None
    assert linear.findtext("Duration") == "00:00:15"
    assert linear.findtext("VideoClicks/ClickThrough") == f"{HTTPS}/click/{PAGE}"
    assert texts(linear, "VideoClicks/ClickTracking") == [
        f"https://m.example/c?to=https%3A%2F%2Ft.example%2Fclick%2F{PAGE}"
    ]
    assert [(one.get("event"), one.text) for one in linear.findall("TrackingEvents/Tracking")] == [
        *OURS, ("start", "https://m.example/q?n=0"), ("midpoint", "https://m.example/q?n=2&x=]]>"),
        *([("skip", "https://m.example/skip")] if version != "2.0" else []),
    ]  # fmt: skip
    assert [dict(one.attrib) for one in linear.findall("MediaFiles/MediaFile")] == [
        {"delivery": "progressive", "type": "video/mp4", "width": "640", "height": "360", "bitrate": "800"},
        {"delivery": "progressive", "type": "video/webm", "width": "1280", "height": "720", "bitrate": "2400"},
    ]
    companion = inline.find("Creatives/Creative/CompanionAds/Companion")
    assert companion is not None
    assert companion.attrib == {"width": "300", "height": "250"}
    assert companion.findtext("AltText") == "Acme & friends"
    assert companion.findtext("CompanionClickThrough") == f"{HTTPS}/click/{PAGE}"
    assert inline.findtext("AdServingId") == (BID_ID if version > "4.0" else None)
    assert texts(inline, "Category") == (["IAB3", "IAB3-1"] if version >= "4" else [])
    assert texts(inline, "Creatives/Creative/UniversalAdId") == (["CNPA0484000H"] * 2 if version >= "4" else [])


def test_a_skippable_one_is_no_vast_2_and_has_the_attribute() -> None:
    found = said(video(skippable=True))
    assert "2.0" not in found
    for variant, made, root in found.values():
        assert (variant.skippable, variant.skip_after_s, variant.attr) == (True, 5, (16,))
        assert made["attr"] == [16]
        linear = root.find(".//Linear")
        assert linear is not None
        assert linear.get("skipoffset") == "00:00:05"
    assert [one.skip_after_s for one in variants(CAMPAIGN, video(skippable=True, skip_after_s=0), HTTPS)] == [0] * 4


def test_protocols_of_a_creative_limit_its_versions() -> None:
    assert list(said(video(protocols=[3, 2, 6]))) == ["3.0", "2.0"]
    assert list(said(video(protocols=[6]))) == []


def test_audio_has_no_size_and_says_that_it_is_audio_where_that_can_be_said() -> None:
    found = said(audio() | {"w": 300, "h": 250})
    assert {version: root[0].get("adType") for version, (_, _, root) in found.items()} == {
        "4.2": "audio", "4.1": "audio", "4.0": None, "3.0": None, "2.0": None,
    }  # fmt: skip
    for variant, made, root in found.values():
        assert (variant.format, variant.w, variant.h, [one.mime for one in variant.files]) == (3, 0, 0, ["audio/mpeg"])
        assert not made.keys() & {"w", "h"}
        assert (made["mtype"], made["dur"]) == (3, 3_661)
        assert root.findtext(".//Duration") == "01:01:01"
        media = root.find(".//MediaFile")
        assert media is not None
        assert (media.get("width"), media.get("height")) == ("0", "0")


def test_media_without_a_size_has_that_of_the_creative_and_is_left_out_where_there_is_none() -> None:
    bare = {"url": "https://cdn.acme.example/b.mp4", "mime": "video/mp4"}
    found = said(video([bare, WEBM], {"w": 640, "h": 480}))["4.2"]
    assert [one.get("width") for one in found[2].iter("MediaFile")] == ["640", "1280"]
    assert (found[0].w, found[0].h) == (640, 480)
    only = said(video([bare, WEBM]))["4.2"]
    assert [one.get("width") for one in only[2].iter("MediaFile")] == ["1280"]
    assert [one.mime for one in only[0].files] == ["video/webm"]
    assert variants(CAMPAIGN, video([bare]), HTTPS) == []


def test_streams_are_delivered_as_streams() -> None:
    media = [
        {"url": "https://cdn.example/a.m3u8", "mime": "application/x-mpegURL", "w": 1, "h": 1},
        {"url": "https://cdn.example/a.mp4", "mime": "video/mp4", "w": 1, "h": 1, "delivery": "streaming"},
        {"url": "https://cdn.example/b.mp4", "mime": "video/mp4", "w": 1, "h": 1},
    ]
    variant, _, root = said(video(media))["2.0"]
    assert [one.delivery for one in variant.files] == [1, 1, 2]
    assert [one.get("delivery") for one in root.iter("MediaFile")] == ["streaming", "streaming", "progressive"]


def test_a_program_among_the_media_needs_vpaid() -> None:
    program = {"url": "https://cdn.example/a.js", "mime": "application/javascript", "w": 640, "h": 360}
    for variant, made, root in said(video([program])).values():
        assert variant.api == (2,)
        assert made["api"] == 2
        assert [one.get("apiFramework") for one in root.iter("MediaFile")] == ["VPAID"]
    assert {one.api for one in variants(CAMPAIGN, video([program], {"api": [1]}), HTTPS)} == {(1,)}


def test_an_overlay_is_said_where_its_size_can_be() -> None:
    image = {"url": "https://cdn.example/o.png", "mime": "image/png", "w": 480, "h": 70}
    found = said(video([image], linearity=2, **EVERYTHING))
    assert list(found) == ["4.2", "3.0", "2.0"]
    for variant, _, root in found.values():
        assert not variant.linear
        assert [one.mime for one in variant.files] == ["image/png"]
        overlay = root.find(".//NonLinearAds/NonLinear")
        assert overlay is not None
        assert overlay.attrib == {"width": "480", "height": "70", "minSuggestedDuration": "00:00:15"}
        assert overlay.findtext("NonLinearClickThrough") == f"{HTTPS}/click/{PAGE}"


@pytest.mark.parametrize(
    "creative",
    [
        video([MP4 | {"url": "http://cdn.example/a.mp4"}]),
        video(trackers=[{"event": "start", "url": "https://m.example/?r=http%3A%2F%2Fx.example"}]),
        video(companion=[{"url": "HTTP://cdn.example/c.png", "mime": "image/png", "w": 1, "h": 1}]),
    ],
)
def test_one_url_over_http_makes_it_insecure(creative: Any) -> None:
    assert {one.flags for one in variants(CAMPAIGN, creative, HTTPS)} == {0}


def test_nothing_is_secure_where_the_tracker_is_not() -> None:
    assert {one.flags for one in variants(CAMPAIGN, video(), "http://t.example")} == {0}


def test_a_usual_video_keeps_within_four_kilobytes() -> None:
    """The smallest cap of an exchange, for the whole answer; some 60 bytes are around a bid."""
    events = ("impression", "start", "firstQuartile", "midpoint", "thirdQuartile", "complete")
    trackers = [{"event": event, "url": f"https://m.example/v?e={event}&c={{cachebuster}}"} for event in events]
    sizes = {one.protocol: len(answer(one, capped=True)) for one in variants(CAMPAIGN, video(trackers=trackers), HTTPS)}
    assert all(1_500 < size < 4_000 for size in sizes.values()), sizes


def told(root: ElementTree.Element) -> list[tuple[str | None, str | None]]:
    return [(one.get("event"), one.text) for one in root.iter("Tracking")]


@pytest.mark.parametrize("creative", [video(), audio()])
def test_our_tracker_hears_how_far_it_was_played_of_errors_and_of_views(creative: Any) -> None:
    for version, (_, _, root) in said(creative).items():
        assert told(root) == OURS
        assert texts(root, "Ad/InLine/Error") == [f"{HTTPS}/error/{PAGE}?code=[ERRORCODE]"]
        viewed = [f"{HTTPS}/view/{PAGE}"] if version >= "4" else []
        assert texts(root, "Ad/InLine/ViewableImpression/Viewable") == viewed


def test_a_creative_may_keep_our_tracker_from_hearing_how_far_it_was_played() -> None:
    theirs = [("midpoint", "https://m.example/m")]
    trackers = [{"event": event, "url": url} for event, url in theirs]
    for _, _, root in said(video(quartiles=False, trackers=trackers)).values():
        assert told(root) == theirs
    for _, _, root in said(video(quartiles=False)).values():
        assert root.find(".//TrackingEvents") is None


def test_what_does_not_play_has_no_quartiles() -> None:
    image = {"url": "https://cdn.example/o.png", "mime": "image/png", "w": 480, "h": 70}
    assert all(told(root) == [] for _, _, root in said(video([image], linearity=2)).values())


@pytest.mark.parametrize("spec", [{}, EVERYTHING])
def test_where_answers_have_a_limit_only_what_must_be_is_said(spec: dict[str, Any]) -> None:
    for variant in variants(CAMPAIGN, video(**spec), HTTPS):
        made = bid(variant, capped=True)
        assert faults(made["adm"]) == []
        root = ElementTree.fromstring(made["adm"])
        theirs = [
            (one["event"], one["url"]) for one in spec.get("trackers", ()) if one["event"] in ("start", "midpoint")
        ]
        assert told(root)[:2] == theirs
        assert (root.find(".//TrackingEvents") is None) == (not spec)
        assert root.find(".//ViewableImpression") is None
        assert not [one for one in texts(root, "Ad/InLine/Error") if one and one.startswith(HTTPS)]


def test_a_player_finds_our_impression_and_click_in_it() -> None:
    for _, made, _ in said(video(**EVERYTHING)).values():
        shown = page.read(made["adm"])
        assert shown.images[0] == f"{HTTPS}/imp/{PAGE}"
        assert shown.links[0] == f"{HTTPS}/click/{PAGE}"
