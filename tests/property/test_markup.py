"""Whatever text and URLs a campaign holds: the JSON decodes, the XML is valid, and all comes out as it went in."""

import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.openrtb.markup import variants
from bidder.openrtb.variant import CreativeFlag
from tests.reference.said import BID_ID, PAGE, bid
from tests.reference.vast_rules import faults

HTTPS = "https://t.example"
HOSTILE = ['"', "'", "\\", "]]>", "<![CDATA[", "&", "&amp;", "<", "</VAST>", "\u2028", "😀", "é", "{pixel}", "{x}",
           "\t", "\x00", "\ufffe", "http:", "${AUCTION_PRICE}", " "]  # fmt: skip
PLAIN = st.characters(exclude_categories=["Cs"])
TEXT = st.lists(st.sampled_from(HOSTILE) | st.text(PLAIN, max_size=5), min_size=1, max_size=6).map("".join).filter(bool)
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
IN_URL = st.lists(
    st.sampled_from(["]]>", "]", "&", '"', "'", "<", ">", "\\", "{x}", "${AUCTION_PRICE}", "%7B", "[ERRORCODE]"])
    | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=5),
    max_size=6,
).map("".join)  # fmt: skip
URL = st.builds("{}://m.example/{}".format, st.sampled_from(["https", "https", "http"]), IN_URL).filter(
    lambda url: not re.search(r"\{(click_url|imp_url|cachebuster|campaign_id|creative_id|advertiser)", url)
)
SIZE = st.integers(1, 4_000)
EVENTS = ["impression", "click", "start", "midpoint", "complete", "mute", "skip"]

MEDIA = st.fixed_dictionaries(
    {"url": URL, "mime": st.sampled_from(["video/mp4", "application/javascript"]), "w": SIZE, "h": SIZE},
    optional={"bitrate_kbps": SIZE, "delivery": st.sampled_from(["progressive", "streaming"])},
)
PLAYED = st.fixed_dictionaries(
    {
        "duration_s": st.integers(1, 3_600),
        "skippable": st.booleans(),
        "media": st.lists(MEDIA, min_size=1, max_size=3),
        "trackers": st.lists(st.fixed_dictionaries({"event": st.sampled_from(EVENTS), "url": URL}), max_size=4),
        "companion": st.lists(
            st.fixed_dictionaries({"url": URL, "mime": st.just("image/png"), "w": SIZE, "h": SIZE, "alt": TEXT}),
            max_size=2,
        ),
        "universal_ad_id": st.fixed_dictionaries({"registry": TEXT, "value": TEXT}),
    }
)
ASSET = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["title", "desc", "ctatext", "rating"]), "text": TEXT}),
    st.fixed_dictionaries({"type": st.sampled_from(["main", "icon"]), "url": URL, "w": SIZE, "h": SIZE}),
)
CAMPAIGN = st.fixed_dictionaries({"id": TEXT, "advertiser": TEXT})
COMMON = {
    "id": TEXT, "crid": TEXT, "cat": st.lists(TEXT, max_size=2), "bundle": TEXT, "landing_url": st.just("https://x"),
}  # fmt: skip
hostile = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)


def in_xml(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)


def same_everywhere(made: dict[str, Any], campaign: dict[str, Any], creative: dict[str, Any]) -> None:
    assert (made["id"], made["cid"], made["crid"]) == (BID_ID, campaign["id"], creative["crid"])
    assert (made.get("cat", []), made["bundle"]) == (creative["cat"], creative["bundle"])


@hostile
@given(CAMPAIGN, st.fixed_dictionaries(COMMON | {"type": st.sampled_from(["video", "audio"]), "spec": PLAYED}))
def test_vast_holds_what_the_campaign_says(campaign: dict[str, Any], creative: dict[str, Any]) -> None:
    spec = creative.pop("spec")
    creative[creative["type"]] = spec
    found = variants(campaign, creative, HTTPS)
    assert len(found) == (4 if spec["skippable"] else 5)
    for variant in found:
        made = bid(variant)
        same_everywhere(made, campaign, creative)
        assert faults(made["adm"]) == []
        root = ElementTree.fromstring(made["adm"])
        assert root.findtext(".//AdTitle") == in_xml(creative["crid"])
        assert [one.text for one in root.iter("MediaFile")] == [one["url"] for one in spec["media"]]
        assert [one.text for one in root.iter("Impression")] == [
            f"{HTTPS}/imp/{PAGE}", *[one["url"] for one in spec["trackers"] if one["event"] == "impression"],
        ]  # fmt: skip
        assert [one.text for one in root.iter("StaticResource")] == [one["url"] for one in spec["companion"]]
        assert [one.text for one in root.iter("AltText")] == [in_xml(one["alt"]) for one in spec["companion"]]
        for one in root.iter("UniversalAdId"):
            named = spec["universal_ad_id"]
            assert (one.text, one.get("idRegistry")) == (in_xml(named["value"]), in_xml(named["registry"]))
        if variant.flags & CreativeFlag.SECURE:
            assert "http:" not in made["adm"].lower()
        else:
            assert "http:" in made["adm"].lower() or "http%3a" in made["adm"].lower()


@hostile
@given(
    CAMPAIGN,
    st.fixed_dictionaries(
        COMMON
        | {
            "type": st.just("native"),
            "native": st.fixed_dictionaries(
                {
                    "assets": st.lists(ASSET, min_size=1, max_size=5),
                    "trackers": st.lists(
                        st.fixed_dictionaries({"event": st.sampled_from(["impression", "click"]), "url": URL}),
                        max_size=3,
                    ),
                }
            ),
        }
    ),
    st.sampled_from(["1.0", "1.1", "1.2"]),
    st.booleans(),
    st.booleans(),
)
def test_native_holds_what_the_campaign_says(
    campaign: dict[str, Any], creative: dict[str, Any], ver: str, wrapped: bool, events: bool
) -> None:
    (variant,) = variants(campaign, creative, HTTPS)
    made = bid(variant, ver=ver, wrapped=wrapped, events=events)
    same_everywhere(made, campaign, creative)
    markup = json.loads(made["adm"])
    markup = markup["native"] if wrapped else markup
    assert markup["ver"] == ver
    for n, (one, given_asset) in enumerate(zip(markup["assets"], creative["native"]["assets"], strict=True), 1):
        assert one.pop("id") == n
        ((name, value),) = one.items()
        text = given_asset.get("text", given_asset.get("url"))
        assert value[{"title": "text", "img": "url", "data": "value"}[name]] == text
        assert variant.assets[n - 1].length == (0 if name == "img" else len(text))
    theirs = creative["native"]["trackers"]
    urls = [one["url"] for one in markup["eventtrackers"]] if events else markup["imptrackers"]
    assert urls == [f"{HTTPS}/imp/{PAGE}", *[one["url"] for one in theirs if one["event"] == "impression"]]
    assert markup["link"].get("clicktrackers", []) == [one["url"] for one in theirs if one["event"] == "click"]
    if variant.flags & CreativeFlag.SECURE:
        assert "http:" not in made["adm"].lower()


@hostile
@given(CAMPAIGN, st.fixed_dictionaries(COMMON | {"type": st.just("banner"), "w": SIZE, "h": SIZE, "adm": TEXT}))
def test_a_page_comes_out_as_it_went_in(campaign: dict[str, Any], creative: dict[str, Any]) -> None:
    (variant,) = variants(campaign, creative, HTTPS)
    made = bid(variant)
    same_everywhere(made, campaign, creative)
    pixel = f'<img src="{HTTPS}/imp/{PAGE}" width="1" height="1" alt="" style="display:none">'
    page, pixels = re.subn(r"(?<!\$)\{pixel\}", lambda _: pixel, creative["adm"])
    assert made["adm"] == (page if pixels else page + pixel)
