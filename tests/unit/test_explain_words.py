"""Every predicate in words: a campaign, a request that it does not bid on, and the line that says why."""

from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from tests.explained import explained, one_imp, verdict
from tests.unit import test_decision_formats
from tests.unit.test_decision_rules import DEAL_CAMPAIGN, HTTP_CREATIVE, PAIRS, of_banner, of_creative, of_deal
from tests.worlds import World, banner, campaign, imp, request

CREATIVE_PAIRS = [name for name, pair in PAIRS.items() if pair[3] not in (Reason.SEAT, Reason.CURRENCY)]


def targeted(**targeting: Any) -> dict[str, Any]:
    return campaign(targeting=targeting)


def device(**changes: Any) -> dict[str, Any]:
    return request(device=changes)


def geo(**changes: Any) -> dict[str, Any]:
    return device(geo=changes)


def site(**changes: Any) -> dict[str, Any]:
    return request(site=changes)


def user(**changes: Any) -> dict[str, Any]:
    return request(user=changes)


TARGETED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "country": (
        targeted(country={"include": ["CAN"]}), geo(country="usa"), "country: USA not in include [CAN]"
    ),
    "country absent": (targeted(country={"include": ["CAN"]}), request(), "country: absent not in include [CAN]"),
    "country excluded": (
        targeted(country={"exclude": ["CAN", "USA"]}), geo(country="USA"), "country: USA is in exclude [CAN, USA]"
    ),
    "exchange": (targeted(exchange={"include": ["pubmatic"]}), request(), "exchange: openx not in include [pubmatic]"),
    "region": (
        targeted(region={"include": ["CA-QC"]}), geo(country="CAN", region="ON"), "region: CA-ON not in include [CA-QC]"
    ),
    "region excluded": (
        targeted(region={"exclude": ["CA-QC"]}), geo(country="CAN", region="QC"), "region: CA-QC is in exclude [CA-QC]"
    ),
    "os": (targeted(os={"include": ["Android"]}), device(os="iOS"), "os: iOS not in include [android]"),
    "device_type": (
        targeted(device_type={"include": [4, 5]}), device(devicetype=2), "device_type: 2 not in include [4, 5]"
    ),
    "connection_type": (
        targeted(connection_type={"include": [2]}), device(connectiontype=0), "connection_type: 0 not in include [2]"
    ),
    "inventory": (targeted(inventory={"include": ["app"]}), site(), "inventory: site not in include [app]"),
    "domain": (
        targeted(domain={"exclude": ["Bad.example"]}), site(domain="bad.EXAMPLE"),
        "domain: bad.example is in exclude [bad.example]",
    ),
    "cat": (
        targeted(cat={"exclude": ["IAB25"]}), site(cat=["IAB1", "IAB25-3"]), "cat: IAB25 is in exclude [IAB25]"
    ),
    "cat wanted": (
        targeted(cat={"include": ["IAB9"]}), site(cat=["IAB1", "IAB2"]), "cat: [IAB1, IAB2] not in include [IAB9]"
    ),
    "venue_type": (
        targeted(venue_type={"include": ["301"]}), request(dooh={"venuetype": [20101, "5"]}),
        "venue_type: [20101, 5] not in include [301]",
    ),
    "dooh": (targeted(dooh={"exclude": ["p-1"]}), request(dooh={"id": "p-1"}), "dooh: p-1 is in exclude [p-1]"),
    "gender": (targeted(gender={"include": ["F"]}), user(gender="M"), "gender: M not in include [F]"),
    "segment": (
        targeted(segment={"any": ["s-1"]}), user(data=[{"segment": [{"id": "s-2"}]}]),
        "segment: s-2 not in include [s-1]",
    ),
    "segment all": (
        targeted(segment={"any": ["s-2"], "all": ["s-2", "s-3"]}), user(data=[{"segment": [{"id": "s-2"}]}]),
        "segment: [s-3] of all missing",
    ),
    "user_id required": (targeted(user_id="required"), request(), "user_id: required, and none may be used"),
    "user_id forbidden": (targeted(user_id="forbidden"), user(id="u"), "user_id: forbidden, and there is one"),
    "age": (targeted(age={"min": 18, "max": 44}), user(yob=1960), "age: 66 not 18 to 44"),
    "age unknown": (targeted(age={"min": 18}), user(id="u"), "age: unknown not 18 or more"),
    "osv": (targeted(osv={"min": "12.1"}), device(osv="11.4"), "osv: 11.4 not 12.1 to any"),
    "osv absent": (targeted(osv={"max": "15"}), request(), "osv: absent not 0 to 15"),
    "radius": (
        targeted(radius=[{"lat": 40.7, "lon": -74, "km": 25}]), geo(lat=48.1, lon=11.5),
        "radius: 48.1,11.5 not within [25 km of 40.7,-74]",
    ),
    "no point": (
        targeted(radius=[{"lat": 40.7, "lon": -74, "km": 25}]), request(),
        "radius: no point not within [25 km of 40.7,-74]",
    ),
    "hour_of_week": (targeted(hour_of_week=[1, 2, 3, 7]), request(), "hour_of_week: 14 (UTC) not in [1-3, 7]"),
    "multipliers": (
        campaign(multipliers=[{"when": {"country": ["CAN"]}, "factor": "0"}]), geo(country="CAN"),
        "multipliers: one of 0 applies, so it wants no such request",
    ),
    "size": (
        campaign(), of_banner(format=[{"w": 300, "h": 250}]), "size: 300x250 not among those of the creatives [320x50]"
    ),
    "many values": (
        targeted(country={"include": ["AUT", "BEL", "CAN", "CHE", "DEU", "ESP", "FRA", "GBR", "ITA", "NLD"]}),
        geo(country="USA"),
        "country: USA not in include [AUT, BEL, CAN, CHE, DEU, ESP, FRA, GBR, +2]",
    ),
}  # fmt: skip
AUCTIONED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "floor": (campaign(cpm="2.4"), request([imp(bidfloor=3)]), "floor: 2.40 < 3.00 USD"),
    "floor of a deal": (DEAL_CAMPAIGN, of_deal(bidfloor=2.5000015), "floor of deal d-7: 2.50 < 2.500002 USD"),
    "floor currency": (
        campaign(), request([imp(bidfloor=1, bidfloorcur="EUR")]), "floor: 1.00 EUR, and there is no rate"
    ),
    "private auction": (campaign(), of_deal(private=1), "private_auction: 1, and it includes no deal"),
    "deal": (DEAL_CAMPAIGN, request([imp(pmp={"deals": [{"id": "d-8"}]})]), "deal: d-8 not in include [d-7]"),
    "wseat": (DEAL_CAMPAIGN, of_deal(wseat=["other"]), "deal d-7: wseat [other] lacks outbid"),
    "wadomain": (DEAL_CAMPAIGN, of_deal(wadomain=["x.org"]), "deal d-7: wadomain [x.org] has none of [acme.example]"),
    "badv": (campaign(), request(badv=["x.org", "ACME.example"]), "badv: acme.example is blocked"),
    "badv below": (
        of_creative(adomain=["shop.acme.example"]), request(badv=["acme.example"]),
        "badv: shop.acme.example is blocked by acme.example",
    ),
    "badv unknown": (
        of_creative(adomain=[]), request(badv=["x.org"]),
        "badv: advertisers are blocked, and the creative names no adomain",
    ),
    "bcat": (of_creative(cat=["IAB25-3"]), request(bcat=["iab25"]), "bcat: IAB25-3 is blocked by iab25"),
    "acat": (of_creative(cat=["IAB3", "IAB9-2"]), request(acat=["IAB9"]), "acat: [IAB3] not in [IAB9]"),
    "battr": (of_creative(attr=[3, 7]), of_banner(battr=[7]), "battr: [7] is blocked"),
    "btype": (campaign(), of_banner(btype=[2]), "btype: [2] are blocked, and its markup is of one of them"),
    "api": (of_creative(api=[5]), of_banner(api=[3]), "api: [5] not in [3]"),
    "bapp": (of_creative(bundle="com.Game"), request(bapp=["com.game"]), "bapp: com.Game is blocked"),
    "wlang": (of_creative(language="en"), request(wlang=["fr", "eng"]), "wlang: en not in [fr, eng]"),
    "wlangb": (of_creative(language="en"), request(wlangb=["fr-CA"]), "wlangb: en not in [fr-CA]"),
    "approval": (
        of_creative(approval={"openx": "pending"}), request(), "approval: openx has not approved the 320x50 banner"
    ),
    "secure": (HTTP_CREATIVE, request([imp(secure=1)]), "secure: 1, and no creative is secure"),
    "size range": (campaign(), of_banner(format=[], wmin=321, hmax=50), "size: 320x50 not within [wmin 321, hmax 50]"),
    "flight to come": (
        campaign(flight={"start": "2027-01-01T00:00:00Z"}), request(), "flight: begins 2027-01-01T00:00:00Z"
    ),
    "flight over": (campaign(flight={"end": "2026-01-01T00:00:00Z"}), request(), "flight: ended 2026-01-01T00:00:00Z"),
    "frequency": (
        campaign(frequency=[{"impressions": 3, "per_s": 60}]), request(),
        "frequency: [3 per 60 s] and no user to count by",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*TARGETED, *AUCTIONED])
def test_the_first_predicate_that_failed_is_said_in_the_words_of_the_field(tmp_path: Path, name: str) -> None:
    body, asked, said = (TARGETED | AUCTIONED)[name]
    world = World(tmp_path, [body])
    account = explained(world, asked)
    found = verdict(account)
    assert (found.outcome, found.predicate) == ("falls", said)
    assert found.reason == account.reason == world.ask(asked).reason


@pytest.mark.parametrize("name", CREATIVE_PAIRS)
def test_of_every_pair_of_rules_the_request_that_stops_it_is_explained_by_its_reason(tmp_path: Path, name: str) -> None:
    body, lets, stops, reason = PAIRS[name]
    world = World(tmp_path, [body])
    assert explained(world, lets).reason is Reason.NONE
    account = explained(world, stops)
    assert account.reason is reason
    assert all(imp.predicate or imp.verdicts[0].predicate for imp in account.imps) or account.predicate


@pytest.mark.parametrize("name", [name for name in test_decision_formats.PAIRS if "deal" not in name])
def test_of_every_rule_of_players_and_placements_the_predicate_is_told(tmp_path: Path, name: str) -> None:
    creative, lets, stops, reason = test_decision_formats.PAIRS[name]
    world = World(tmp_path, [campaign(creatives=[creative])])
    assert explained(world, lets).reason is Reason.NONE
    account = explained(world, stops)
    assert account.reason is reason
    imp_told = one_imp(account)
    assert ": " in (imp_told.predicate or imp_told.verdicts[0].predicate)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mimes": ["video/webm"]}, "mimes: the 640x360 video does not fit mimes [video/webm]"),
        ({"protocols": [5, 6]}, "protocols: the 640x360 video does not fit protocols [5, 6]"),
        (
            {"minduration": 16, "maxduration": 30},
            "minduration: the 640x360 video does not fit minduration 16, maxduration 30",
        ),
        ({"minbitrate": 5_000}, "minbitrate: the 640x360 video does not fit minbitrate 5000"),
        ({"durfloors": [{"mindur": 10, "bidfloor": 9}]}, "floor: 2.50 USD is less than an ad of its length costs here"),
    ],
)
def test_what_a_player_asks_for_is_said(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    world = World(tmp_path, [campaign(creatives=[test_decision_formats.video()])])
    assert verdict(explained(world, test_decision_formats.player(**asked))).predicate == said


def test_every_winner_of_a_pod_is_told(tmp_path: Path) -> None:
    spots = [
        campaign(f"c-{n}", f"{n}", creatives=[test_decision_formats.video(adomain=[f"a{n}.example"])])
        for n in range(1, 4)
    ]
    world = World(tmp_path, spots)
    asked = test_decision_formats.player(podid="p", poddur=30, maxseq=2, minduration=5, maxduration=30)
    told = one_imp(explained(world, asked))
    assert [win.campaign for win in told.wins] == ["c-3", "c-2"] == [bid["cid"] for bid in world.ask(asked).bids]
    assert [(one.campaign, one.outcome) for one in told.verdicts] == [
        ("c-3", "wins"), ("c-2", "wins"), ("c-1", "outranked")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "reason", "said"),
    [
        (request(wseat=["x"]), Reason.SEAT, "wseat: [x] lacks our seat outbid"),
        (request(bseat=["outbid"]), Reason.SEAT, "bseat: [outbid] has our seat outbid"),
        (request(cur=["EUR"]), Reason.CURRENCY, "cur: [EUR] has no currency that we bid in"),
        ({"imp": [imp()]}, Reason.INVALID_REQUEST, "id: missing"),
        ({"id": "r", "imp": []}, Reason.INVALID_REQUEST, "imp: none has an id"),
    ],
)
def test_what_stands_against_the_whole_request_is_said_once(
    tmp_path: Path, asked: dict[str, Any], reason: Reason, said: str
) -> None:
    account = explained(World(tmp_path, [campaign()]), asked)
    assert (account.reason, account.predicate, account.imps) == (reason, said, [])


def test_switches_are_looked_at_as_they_are(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.board.set_exchange_off(2, True)
    account = explained(world, request())
    assert (account.reason, account.predicate) == (Reason.OFF, "switch: exchange openx is off")
    world.board.off = True
    assert explained(world, request(), "pubmatic").predicate == "switch: everything is off"
    world.board.off = False
    assert explained(world, request(), "pubmatic").reason is Reason.NONE
    world.switch_off("c-1")
    assert verdict(explained(world, request(), "pubmatic")).predicate == "switch: this campaign is off"


def test_purses_and_pace_are_looked_at_as_they_are(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.pace("c-1", throttle=0)
    assert verdict(explained(world, request())).predicate == (
        "pacing: throttled to 0.0% of requests, and this is none of them"
    )
    world.pace("c-1")
    world.fund("c-1", 1_500_000)
    assert verdict(explained(world, request())).predicate == (
        "budget: 0.001500000 USD left of the lease, 0.002500000 wanted"
    )
    world.purses.close_half(world.purses.slot_of(world.keys["c-1"]), 0)
    assert verdict(explained(world, request())).predicate == "budget: this host has no lease on it now"


def test_caps_are_looked_at_and_not_counted(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(frequency=[{"impressions": 2, "per_s": 3600}])])
    asked = user(id="u-1")
    for _ in range(5):
        assert explained(world, asked).reason is Reason.NONE
    assert [world.ask(asked).status for _ in range(3)] == [200, 200, 204]
    assert verdict(explained(world, asked)).predicate == "frequency: [2 per 3600 s] used up"


def test_the_imps_of_a_request_share_a_purse_as_they_do_in_a_decision(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.fund("c-1", 4_000_000)  # one bid of 2.5 million, not two
    account = explained(world, request([imp("1"), imp("2")]))
    assert [bool(one.wins) for one in account.imps] == [True, False]
    assert account.imps[1].verdicts[0].reason is Reason.PURSE_EMPTY
    assert world.left("c-1") == 4_000_000


def test_who_loses_to_a_campaign_of_ours_is_told_to_whom(tmp_path: Path) -> None:
    deals = {"deal": {"include": ["d-7"]}}
    world = World(tmp_path, [campaign("c-1", "2"), campaign("c-2", "3.5"), campaign("c-3", "1", targeting=deals)])
    account = explained(world, request())
    assert verdict(account, "c-1").predicate == "price: 2.00 < 3.50 USD of c-2"
    assert (verdict(account, "c-2").outcome, verdict(account, "c-2").predicate) == ("wins", "")
    account = explained(world, of_deal())
    assert verdict(account, "c-2").predicate == "deal: c-3 bids through a deal"
    (winner,) = one_imp(account).wins
    assert (winner.campaign, winner.price_cpm, winner.deal) == ("c-3", "1", "d-7")


def test_of_many_campaigns_the_closest_are_told_and_all_are_counted(tmp_path: Path) -> None:
    bodies = [campaign(f"far-{n}", targeting={"country": {"include": ["CAN"]}}) for n in range(30)]
    bodies += [campaign(f"near-{n}", f"1.{n}", creatives=[banner(attr=[1])]) for n in range(1, 4)]
    bodies += [campaign("nearest", "0.5")]
    world = World(tmp_path, bodies)
    told = one_imp(explained(world, request([imp(bidfloor=1, banner={"w": 320, "h": 50, "battr": [1]})]), most=3))
    assert [one.campaign for one in told.verdicts] == ["nearest", "near-3", "near-2"]
    assert told.tally == [
        (Reason.FLOOR, "floor", 1), (Reason.BATTR, "battr", 3), (Reason.TARGETING, "country", 30)
    ]  # fmt: skip


def test_a_campaign_whose_price_some_requests_raise_is_told_of_once(tmp_path: Path) -> None:
    raised = campaign(multipliers=[{"when": {"country": ["CAN"]}, "factor": "2"}])
    world = World(tmp_path, [raised, campaign("c-2", "3")])
    for country, price in (("CAN", 5_000_000), ("USA", 2_500_000)):
        account = explained(world, geo(country=country))
        assert verdict(account).price == price
        assert (verdict(account).outcome == "wins") == (country == "CAN")
        assert len(one_imp(account).verdicts) == 2
