"""Native: answers to requests of 1.0, 1.1 and 1.2, and the assets that a request may choose from."""

import json
from typing import Any

import pytest

from bidder.openrtb.markup import variants
from bidder.openrtb.variant import AssetKind, CreativeFlag, Variant
from bidder.simulator import page
from tests.reference.said import BID_ID, PAGE, bid

CAMPAIGN = {"id": "c-1", "advertiser": "acme"}
HTTPS = "https://t.example"
IMP, CLICK = f"{HTTPS}/imp/{PAGE}", f"{HTTPS}/click/{PAGE}"
ASSETS = [
    {"type": "title", "text": "Look twice"},
    {"type": "main", "url": "https://cdn.acme.example/m.jpg?v=2", "w": 1200, "h": 627},
    {"type": "icon", "url": "https://cdn.acme.example/i", "w": 80, "h": 80, "mime": "image/png"},
    {"type": "sponsored", "text": "Acme"},
    {"type": "ctatext", "text": "Go"},
]
TRACKERS = [
    {"event": "impression", "url": "https://m.example/i?c={cachebuster}&q={creative_id}"},
    {"event": "click", "url": "https://m.example/c"},
    {"event": "impression", "url": "https://n.example/i"},
]


def creative(**native: Any) -> dict[str, Any]:
    base = {"id": "n/1", "type": "native", "landing_url": "https://acme.example/"}
    return base | {"native": {"assets": ASSETS} | native}


def said(one: dict[str, Any]) -> Variant:
    (variant,) = variants(CAMPAIGN, one, HTTPS)
    return variant


def markup(one: dict[str, Any], **how: Any) -> Any:
    return json.loads(bid(said(one), **how)["adm"])


def test_a_request_of_1_2_that_offers_events_gets_eventtrackers() -> None:
    assert markup(creative(), ver="1.2", events=True) == {
        "ver": "1.2",
        "assets": [
            {"id": 1, "title": {"text": "Look twice"}},
            {"id": 2, "img": {"url": "https://cdn.acme.example/m.jpg?v=2", "w": 1200, "h": 627}},
            {"id": 3, "img": {"url": "https://cdn.acme.example/i", "w": 80, "h": 80}},
            {"id": 4, "data": {"value": "Acme"}},
            {"id": 5, "data": {"value": "Go"}},
        ],
        "link": {"url": CLICK},
        "eventtrackers": [{"event": 1, "method": 1, "url": IMP}],
    }


def test_a_request_that_offers_views_too_gets_a_tracker_for_them_behind_all_others() -> None:
    found = markup(creative(trackers=TRACKERS), events=True, views=True)["eventtrackers"]
    assert [one["event"] for one in found] == [1, 1, 1, 2]
    assert found[-1] == {"event": 2, "method": 1, "url": f"{HTTPS}/view/{PAGE}"}
    assert "view" not in bid(said(creative()), events=False, views=True)["adm"]


@pytest.mark.parametrize("ver", ["1.1", "1.2"])
def test_a_request_that_offers_none_gets_imptrackers(ver: str) -> None:
    found = markup(creative(), ver=ver)
    assert found["ver"] == ver
    assert found["imptrackers"] == [IMP]
    assert "eventtrackers" not in found


def test_a_request_of_1_0_gets_its_answer_within_native() -> None:
    found = markup(creative(), ver="1.0", wrapped=True)
    assert list(found) == ["native"]
    assert found["native"] == markup(creative(), ver="1.0")


def test_trackers_of_the_advertiser_stand_behind_ours() -> None:
    theirs = [f"https://m.example/i?c={BID_ID}&q=n%2F1", "https://n.example/i"]
    for how in ({"events": True}, {"events": False}):
        found = markup(creative(trackers=TRACKERS), **how)
        assert found["link"] == {"url": CLICK, "clicktrackers": ["https://m.example/c"]}
        urls = [one["url"] for one in found["eventtrackers"]] if how["events"] else found["imptrackers"]
        assert urls == [IMP, *theirs]


def test_the_bid_says_that_it_is_native_and_has_no_size() -> None:
    made = bid(said(creative()))
    assert (made["mtype"], made["crid"], made["cid"]) == (4, "n/1", "c-1")
    assert not made.keys() & {"w", "h", "dur", "protocol"}


def test_assets_have_what_a_request_asks_for() -> None:
    title, main, icon, sponsored, cta = said(creative()).assets
    assert (title.kind, title.length) == (AssetKind.TITLE, 10)
    assert (main.kind, main.w, main.h, main.mime) == (AssetKind.MAIN, 1200, 627, "image/jpeg")
    assert (icon.kind, icon.w, icon.h, icon.mime) == (AssetKind.ICON, 80, 80, "image/png")
    assert (sponsored.kind, sponsored.length) == (AssetKind.DATA + 1, 4)
    assert (cta.kind, cta.length) == (AssetKind.DATA + 12, 2)


def test_what_an_asset_lacks_keeps_it_from_being_offered() -> None:
    lacking = [{"type": "title"}, {"type": "main", "url": "https://x.example/a.png"}, {"type": "desc", "w": 1}]
    assert said(creative(assets=[*lacking, ASSETS[0]])).assets == (said(creative()).assets[0],)
    assert variants(CAMPAIGN, creative(assets=lacking), HTTPS) == []


def test_one_image_over_http_makes_it_insecure() -> None:
    assert said(creative()).flags == CreativeFlag.SECURE
    assert said(creative(assets=[*ASSETS, {"type": "main", "url": "http://x.example/a", "w": 1, "h": 1}])).flags == 0


@pytest.mark.parametrize("how", [{"ver": "1.0", "wrapped": True}, {"ver": "1.1"}, {"ver": "1.2", "events": True}])
def test_a_placement_finds_our_impression_and_click_in_it(how: dict[str, Any]) -> None:
    shown = page.read(bid(said(creative()), **how)["adm"])
    assert (shown.images[0], shown.links) == (IMP, (CLICK,))
