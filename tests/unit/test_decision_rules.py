"""Every rule that can stop a bid, as a pair: a request that lets it bid, and one that stops it with its reason."""

from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from tests.worlds import NOW_S, World, banner, campaign, imp, request

Pair = tuple[dict[str, Any], dict[str, Any], dict[str, Any], Reason]


def of_creative(**changes: Any) -> dict[str, Any]:
    return campaign(creatives=[banner(**changes)])


def of_banner(**changes: Any) -> dict[str, Any]:
    return request([imp(banner={"format": [{"w": 320, "h": 50}]} | changes)])


def of_deal(private: int = 0, floor: float | None = None, **deal: Any) -> dict[str, Any]:
    bidfloor: dict[str, Any] = {} if floor is None else {"bidfloor": floor}
    return request([imp(pmp={"private_auction": private, "deals": [{"id": "d-7"} | deal]}, **bidfloor)])


DEAL_CAMPAIGN = campaign(targeting={"deal": {"include": ["d-7"]}})
VIDEO = {
    "id": "cr-1",
    "type": "video",
    "landing_url": "https://acme.example/",
    "video": {
        "duration_s": 15,
        "media": [{"url": "https://cdn.acme.example/a.mp4", "mime": "video/mp4", "w": 640, "h": 360}],
    },
}
HTTP_CREATIVE = of_creative(adm='<img src="http://cdn.example/a.png">')

# campaign, request that it bids on, request that it does not bid on, why
PAIRS: dict[str, Pair] = {
    "wseat": (campaign(), request(wseat=["x", "outbid"]), request(wseat=["Outbid", "outbid2"]), Reason.SEAT),
    "bseat": (campaign(), request(bseat=["Outbid"]), request(bseat=["outbid"]), Reason.SEAT),
    "cur": (campaign(), request(cur=["EUR", "USD"]), request(cur=["EUR"]), Reason.CURRENCY),
    "cur absent": (campaign(), request(), request(cur=["unreadable"]), Reason.CURRENCY),
    "no imp id": (campaign(), request(), request([{"banner": {"w": 320, "h": 50}}]), Reason.INVALID_REQUEST),
    "imp ids": (campaign(), request([imp("1"), imp("2")]), request([imp("1"), imp("1")]), Reason.INVALID_REQUEST),
    "media": (campaign(), request(), request([{"id": "1", "video": {"mimes": ["video/mp4"]}}]), Reason.FORMAT),
    "targeting": (
        campaign(targeting={"country": {"include": ["USA"]}}),
        request(device={"geo": {"country": "USA"}}),
        request(device={"geo": {"country": "CAN"}}),
        Reason.TARGETING,
    ),
    "size in format": (
        campaign(),
        of_banner(format=[{"w": 1, "h": 1}, {"w": 320, "h": 50}]),
        of_banner(format=[{"w": 320, "h": 51}], w=320, h=50),
        Reason.SIZE,
    ),
    "size by w and h": (campaign(), of_banner(format=[], w=320, h=50), of_banner(format=[], wmin=321), Reason.SIZE),
    "size range": (
        campaign(),
        of_banner(format=[], wmin=320, wmax=320, hmin=10, hmax=50),
        of_banner(format=[], wmin=320, hmax=49),
        Reason.SIZE,
    ),
    "no size at all": (campaign(), of_banner(format=[]), of_banner(format=[], hmin=51), Reason.SIZE),
    "battr": (of_creative(attr=[3, 7]), of_banner(battr=[1, 2]), of_banner(battr=[7]), Reason.BATTR),
    "btype xhtml": (campaign(), of_banner(btype=[1, 3, 4]), of_banner(btype=[2]), Reason.BTYPE),
    "btype script": (
        of_creative(adm="<script src='https://x.example/'></script>"),
        of_banner(btype=[4]),
        of_banner(btype=[3]),
        Reason.BTYPE,
    ),
    "btype iframe": (
        of_creative(adm="<iframe src='https://x.example/'></iframe>"),
        of_banner(btype=[3]),
        of_banner(btype=[4]),
        Reason.BTYPE,
    ),
    "api": (of_creative(api=[5]), of_banner(api=[3, 5]), of_banner(api=[3]), Reason.API),
    "api unnamed": (of_creative(api=[5]), of_banner(api=[5]), of_banner(), Reason.API),
    "secure": (HTTP_CREATIVE, request([imp(secure=0)]), request([imp(secure=1)]), Reason.SECURE),
    "bapp": (of_creative(bundle="com.Game"), request(bapp=["com.other"]), request(bapp=["com.game"]), Reason.BAPP),
    "bcat": (of_creative(cat=["IAB25"]), request(bcat=["IAB25-3", "IAB2"]), request(bcat=["iab25"]), Reason.BCAT),
    "bcat child": (of_creative(cat=["IAB25-3"]), request(bcat=["IAB25-30"]), request(bcat=["IAB25"]), Reason.BCAT),
    "acat": (of_creative(cat=["IAB3", "IAB9-2"]), request(acat=["iab9", "IAB3"]), request(acat=["IAB9"]), Reason.BCAT),
    "acat unknown": (of_creative(cat=[]), request(acat=[]), request(acat=["IAB3"]), Reason.BCAT),
    "wlang": (of_creative(language="en"), request(wlang=["fr", "EN"]), request(wlang=["fr", "eng"]), Reason.LANGUAGE),
    "wlangb": (of_creative(language="en"), request(wlangb=["en-GB"]), request(wlangb=["fr-CA"]), Reason.LANGUAGE),
    "flexible size": (
        campaign(),
        of_banner(format=[{"wratio": 1, "hratio": 1}, {"w": 320, "h": 50}]),
        of_banner(format=[{"wratio": 1, "hratio": 1}, {"w": 320, "h": 51}]),
        Reason.SIZE,
    ),
    "ratio": (
        campaign(),
        of_banner(format=[{"wratio": 32, "hratio": 5, "wmin": 320}, {"w": 1, "h": 1}]),
        of_banner(format=[{"wratio": 32, "hratio": 5, "wmin": 321}, {"wratio": 16, "hratio": 3}]),
        Reason.SIZE,
    ),
    "expdir": (of_creative(expdir=[2, 4], attr=[4]), of_banner(expdir=[4, 2, 3]), of_banner(expdir=[4]), Reason.EXPDIR),
    "badv": (campaign(), request(badv=["me.example", "acme"]), request(badv=["x.org", "ACME.example"]), Reason.BADV),
    "badv below": (
        of_creative(adomain=["shop.acme.example"]),
        request(badv=["hop.acme.example"]),
        request(badv=["acme.example"]),
        Reason.BADV,
    ),
    "badv unknown": (of_creative(adomain=[]), request(badv=[]), request(badv=["x.org"]), Reason.BADV),
    "floor": (campaign(), request([imp(bidfloor=2.5)]), request([imp(bidfloor=2.500001)]), Reason.FLOOR),
    "floor currency": (
        campaign(),
        request([imp(bidfloor=1, bidfloorcur="USD")]),
        request([imp(bidfloor=1, bidfloorcur="EUR")]),
        Reason.FLOOR_CURRENCY,
    ),
    "private auction": (campaign(), of_deal(private=0), of_deal(private=1), Reason.DEAL),
    "private without deals": (
        campaign(),
        request([imp(pmp={"private_auction": 0})]),
        request([imp(pmp={"private_auction": 1})]),
        Reason.DEAL,
    ),
    "deal wseat": (DEAL_CAMPAIGN, of_deal(wseat=["outbid"]), of_deal(wseat=["other"]), Reason.DEAL),
    "deal wadomain": (
        DEAL_CAMPAIGN,
        of_deal(private=1, wadomain=["x.org", "Acme.example"]),
        of_deal(wadomain=["x.org"]),
        Reason.DEAL,
    ),
    "deal floor": (DEAL_CAMPAIGN, of_deal(floor=9, bidfloor=2.5), of_deal(bidfloor=2.51), Reason.FLOOR),
    "deal without floor": (DEAL_CAMPAIGN, of_deal(floor=2.5), of_deal(floor=2.51, bidfloor=0), Reason.FLOOR),
    "deal floor currency": (
        DEAL_CAMPAIGN,
        request([imp(bidfloor=9, bidfloorcur="EUR", pmp={"deals": [{"id": "d-7", "bidfloor": 1}]})]),
        of_deal(bidfloor=1, bidfloorcur="EUR"),
        Reason.FLOOR_CURRENCY,
    ),
    "multiplier of 0": (
        campaign(multipliers=[{"when": {"country": ["CAN"]}, "factor": "0"}]),
        request(device={"geo": {"country": "USA"}}),
        request(device={"geo": {"country": "CAN"}}),
        Reason.TARGETING,
    ),
    "deal not offered": (DEAL_CAMPAIGN, of_deal(), request(), Reason.DEAL),
}


@pytest.mark.parametrize("name", PAIRS)
def test_one_request_lets_it_bid_and_the_other_stops_it(tmp_path: Path, name: str) -> None:
    body, lets, stops, reason = PAIRS[name]
    world = World(tmp_path, [body])
    served, stopped = world.ask(lets), world.ask(stops)
    assert (served.status, served.reason) == (200, None)
    assert (stopped.status, stopped.body, stopped.reason) == (204, b"", reason)


def test_an_imp_that_offers_no_format_of_the_campaign_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(creatives=[VIDEO])])
    assert world.ask(request()).reason == Reason.FORMAT
    assert world.ask(request([imp(audio={"mimes": ["video/mp4"]})])).reason == Reason.FORMAT
    assert world.ask(request([imp(video={"mimes": ["video/mp4"]})])).status == 200


def test_of_campaigns_lost_to_an_imp_by_deal_and_by_size_the_deal_came_closer(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("by-deal", targeting={"deal": {"include": ["d-7"]}}), campaign("by-size")])
    assert world.ask(of_banner(format=[{"w": 1, "h": 1}])).reason == Reason.DEAL


def test_a_creative_that_the_exchange_has_not_approved_serves_on_others_only(tmp_path: Path) -> None:
    world = World(tmp_path, [of_creative(approval={"openx": "pending", "pubmatic": "approved"})])
    assert world.ask(request(), "openx").reason == Reason.APPROVAL
    assert world.ask(request(), "pubmatic").status == 200


def test_a_flight_begins_at_its_first_second_and_ends_before_its_last(tmp_path: Path) -> None:
    body = campaign(flight={"start": "2026-09-21T14:13:20Z", "end": "2026-09-21T14:13:21Z"})
    world = World(tmp_path, [body])
    for second, reason in ((NOW_S - 1, Reason.FLIGHT), (NOW_S, None), (NOW_S + 1, Reason.FLIGHT)):
        world.clock.wall = second * 1_000_000_000
        assert world.ask(request()).reason == reason


def test_a_campaign_that_is_switched_off_does_not_bid(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.switch_off("c-1")
    assert world.ask(request()).reason == Reason.CAMPAIGN_OFF


def test_a_campaign_with_a_frequency_cap_does_not_bid_uncapped(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(frequency=[{"impressions": 3, "per_s": 86400}])])
    assert world.ask(request()).reason == Reason.FREQUENCY


def test_a_throttled_campaign_does_not_bid(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.pace("c-1", throttle=0)
    assert world.ask(request()).reason == Reason.PACED


def test_a_half_throttled_campaign_bids_about_half_the_time(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.pace("c-1", throttle=2**31)
    served = sum(world.ask(request()).status == 200 for _ in range(400))
    assert 150 < served < 250


def test_a_campaign_without_a_lease_does_not_bid(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.purses.close_half(world.purses.slot_of(world.keys["c-1"]), 0)
    assert world.ask(request()).reason == Reason.PURSE_EMPTY


def test_the_reason_counted_is_the_one_that_came_closest(tmp_path: Path) -> None:
    far = campaign("far", targeting={"country": {"include": ["USA"]}})
    nearer = campaign("nearer", creatives=[banner(attr=[1])])
    world = World(tmp_path, [far, nearer, campaign("nearest", "0.1")])
    body = request([imp("1", banner={"format": [{"w": 320, "h": 50}], "battr": [1]}, bidfloor=1), imp("2", bidfloor=9)])
    assert world.ask(body).reason == Reason.FLOOR
