"""The import format: what is taken, how it is kept, and that every fault is named with its place."""

import json
from typing import Any

import pytest

from bidder.campaigns.model import CampaignFileError, normalise, read_lines
from tests.books import EXCHANGES, campaign, creative

TARGETING = {
    "exchange": {"include": ["openx"]}, "country": {"include": ["USA", "CAN"]},
    "region": {"exclude": ["CA-QC"]}, "city": {}, "metro": {}, "zip": {},
    "radius": [{"lat": 40.7, "lon": -74, "km": 25}], "os": {"include": ["android"]},
    "osv": {"min": "12", "max": "15"}, "device_type": {"include": [4, 5]}, "make": {}, "model": {},
    "carrier": {}, "connection_type": {}, "language": {}, "inventory": {"include": ["app"]},
    "bundle": {"exclude": ["com.bad.app"]}, "domain": {}, "publisher": {}, "cat": {"exclude": ["IAB25"]},
    "hour_of_week": [9, 10, 11], "deal": {"include": ["d-7"]},
    "segment": {"any": ["s-1"], "all": [], "none": ["s-9"]}, "gender": {}, "age": {"min": 18, "max": 44},
    "user_id": "required",
}  # fmt: skip
FULL = {
    "id": "c-1001", "advertiser": "acme", "name": "spring", "status": "active",
    "flight": {"start": "2026-01-01T01:00:00+01:00", "end": "2027-01-01T00:00:00Z"},
    "budget": {"total_usd": "10000", "daily_usd": "500.50", "hourly_usd": 50, "pacing": "even",
               "timezone": "America/New_York"},
    "bid": {"cpm_usd": "2.40", "shading": "none"},
    "targeting": TARGETING,
    "multipliers": [{"when": {"country": ["CAN"]}, "factor": "0.80"}],
    "frequency": [{"impressions": 3, "per_s": 86400, "level": "campaign"}],
    "creatives": [{"id": "cr-1", "type": "banner", "w": 320, "h": 50,
                   "adm": "<a href=\"{click_url}\"><img src=\"https://cdn.acme.example/a.png\"></a>{pixel}",
                   "landing_url": "https://acme.example/", "adomain": ["Acme.example"], "cat": ["IAB3"],
                   "attr": [], "api": [], "language": "en", "crid": "acme-1", "approval": {"openx": "pending"}}],
}  # fmt: skip


def body_of(document: dict[str, Any]) -> dict[str, Any]:
    (one,) = read_lines(json.dumps(document), EXCHANGES)
    return normalise(one)


def faults_of(*documents: Any) -> list[str]:
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in documents)
    with pytest.raises(CampaignFileError) as caught:
        read_lines(text, EXCHANGES)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults


def test_every_key_of_the_format_is_read_and_kept_canonically() -> None:
    body = body_of(FULL)
    assert body["flight"] == {"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
    assert body["budget"]["daily_usd"] == "500.5"
    assert body["budget"]["hourly_usd"] == "50"
    assert body["bid"]["cpm_usd"] == "2.4"
    assert body["multipliers"] == [{"when": {"country": ["CAN"]}, "factor": "0.8"}]
    assert body["creatives"][0]["adomain"] == ["acme.example"]
    assert {key for key, value in TARGETING.items() if value} == set(body["targeting"])


def test_normalised_body_read_again_is_the_same() -> None:
    body = body_of(FULL)
    assert body_of(body) == body
    assert list(body_of(body)) == list(body)


def test_what_is_not_said_gets_its_default() -> None:
    body = body_of(campaign())
    assert body["status"] == "active"
    assert body["budget"] == {"pacing": "asap", "timezone": "UTC"}
    assert body["targeting"] == {}
    assert body["creatives"][0]["type"] == "banner"


def test_every_bad_line_is_named_and_nothing_is_taken() -> None:
    faults = faults_of(
        campaign(),
        campaign(id="c-2", targeting={"osx": {}}),
        "{",
        "",
        campaign(id="c-3", bid={"cpm_usd": "abc"}, colour="red"),
        campaign(),
    )
    assert [fault.split(":")[0] for fault in faults] == ["line 2", "line 3", "line 5", "line 5", "line 6"]
    assert faults[0].startswith("line 2: targeting.osx: no such key; there are exchange, country, ")
    assert faults[1].startswith("line 3: not JSON: ")
    assert faults[2].startswith("line 5: colour: no such key; there are id, advertiser, ")
    assert faults[3] == "line 5: bid.cpm_usd: not a decimal amount: 'abc'"
    assert faults[4] == "line 6: id: 'c-1' is already on line 1"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"id": ""}, "id: 1 to 128 characters"),
        ({"id": "x" * 129}, "id: 1 to 128 characters"),
        ({"id": "a\u0000b"}, "id: holds characters that cannot be printed"),
        ({"id": 7}, "id: a string is wanted"),
        ({"advertiser": None}, "advertiser: missing"),
        ({"status": "ended"}, "status: 'ended' is none of active, paused, archived"),
        ({"bid": {"cpm_usd": "0"}}, "bid.cpm_usd: 0.000001 to 1000 is wanted"),
        ({"bid": {"cpm_usd": "1000.01"}}, "bid.cpm_usd: 0.000001 to 1000 is wanted"),
        ({"bid": {"cpm_usd": 2.4}}, "bid.cpm_usd: a decimal amount in quotes is wanted"),
        ({"bid": {"cpm_usd": True}}, "bid.cpm_usd: a decimal amount in quotes is wanted"),
        ({"bid": {"cpm_usd": "NaN"}}, "bid.cpm_usd: not a finite amount"),
        ({"bid": []}, "bid: an object is wanted"),
        ({"budget": {"total_usd": "-1"}}, "budget.total_usd: 0 to "),
        ({"budget": {"timezone": "Mars/Olympus"}}, "budget.timezone: no such time zone: 'Mars/Olympus'"),
        ({"budget": {"timezone": "America"}}, "budget.timezone: no such time zone"),
        ({"budget": {"pacing": "fast"}}, "budget.pacing: 'fast' is none of even, asap"),
        ({"flight": {"start": "2026-01-01"}}, "flight.start: a time with its zone is wanted"),
        (
            {"flight": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}},
            "flight.end: 2026-01-01T00:00:00Z is not after the start",
        ),
        ({"targeting": {"exchange": {"include": ["nexchange"]}}}, "targeting.exchange.include[0]: 'nexchange' is"),
        ({"targeting": {"country": {"include": ["us"]}}}, "targeting.country.include[0]: ISO 3166-1"),
        ({"targeting": {"country": ["USA"]}}, "targeting.country: an object is wanted"),
        ({"targeting": {"country": {"only": ["USA"]}}}, "targeting.country.only: no such key; there are in"),
        ({"targeting": {"region": {"include": ["QC"]}}}, "targeting.region.include[0]: alpha-2 and code"),
        ({"targeting": {"hour_of_week": [168]}}, "targeting.hour_of_week[0]: an integer from 0 to 167"),
        ({"targeting": {"device_type": {"include": ["4"]}}}, "targeting.device_type.include[0]: an integer"),
        ({"targeting": {"osv": {"min": "12b"}}}, "targeting.osv.min: a version"),
        ({"targeting": {"osv": {"min": "12.1", "max": "12.0.9"}}}, "targeting.osv: min 12.1 is above max 12.0.9"),
        ({"targeting": {"age": {"min": 40, "max": 20}}}, "targeting.age: min 40 is above max 20"),
        ({"targeting": {"radius": [{"lat": 91, "lon": 0, "km": 1}]}}, "targeting.radius[0].lat: a number from -90"),
        ({"targeting": {"radius": [{"lat": 0, "lon": 0, "km": 0}]}}, "targeting.radius[0].km: a number"),
        ({"targeting": {"user_id": "maybe"}}, "targeting.user_id: 'maybe' is none of"),
        ({"multipliers": [{"when": {"radius": []}, "factor": "1"}]}, "multipliers[0].when.radius: no such key"),
        ({"multipliers": [{"when": {}, "factor": "101"}]}, "multipliers[0].factor: a decimal from 0 to 100"),
        ({"multipliers": [{"when": {}, "factor": 0.5}]}, "multipliers[0].factor: a decimal in quotes"),
        ({"frequency": [{"impressions": 0, "per_s": 60}]}, "frequency[0].impressions: an integer from 1"),
        ({"creatives": []}, "creatives: 1 to 1000 entries are wanted, not 0"),
        ({"creatives": [creative(w=0)]}, "creatives[0].w: an integer from 1"),
        ({"creatives": [creative(w=None)]}, "creatives[0].w: missing; a creative of type banner needs it"),
        ({"creatives": [creative(), creative()]}, "creatives[1].id: 'cr-1' is already the id"),
        ({"creatives": [creative(adomain=["https://acme.example"])]}, "creatives[0].adomain[0]: a bare domain"),
        ({"creatives": [creative(landing_url="//acme.example/")]}, "creatives[0].landing_url: an absolute http"),
        ({"creatives": [creative(landing_url="https://acme.example/\r\nX: y")]}, "creatives[0].landing_url: an"),
        ({"creatives": [creative(type="video", adm=None)]}, "creatives[0].video: missing; a creative of type vid"),
        ({"creatives": [creative(approval={"openx": "yes"})]}, "creatives[0].approval.openx: 'yes' is none of"),
    ],
)  # fmt: skip
def test_bad_value_is_named_with_its_place(changes: dict[str, Any], place: str) -> None:
    faults = faults_of(campaign(**changes))
    assert len(faults) == 1
    assert faults[0].startswith(f"line 1: {place}")


@pytest.mark.parametrize("line", ["null", "[]", "7", '"c-1"'])
def test_line_that_is_no_object_is_refused(line: str) -> None:
    assert faults_of(line) == ["line 1: an object is wanted"]


def test_key_that_stands_twice_is_refused() -> None:
    assert faults_of('{"id": "a", "id": "b"}') == [
        "line 1: not a JSON object that can be read: a key stands twice: ['id']"
    ]


def test_absurdly_deep_line_is_refused() -> None:
    assert faults_of("[" * 100_000)[0].startswith("line 1: not a JSON object that can be read")


VIDEO = {
    "id": "v-1",
    "type": "video",
    "landing_url": "https://acme.example/",
    "video": {
        "duration_s": 15,
        "mimes": ["video/mp4"],
        "protocols": [2, 3],
        "skippable": True,
        "media": [{"url": "https://cdn.acme.example/a.mp4", "mime": "video/mp4", "w": 640, "h": 360}],
    },
}
NATIVE = {
    "id": "n-1",
    "type": "native",
    "landing_url": "https://acme.example/",
    "native": {"assets": [{"type": "title", "text": "Look twice"}, {"type": "main"}]},
}
COMPANION = {"url": "https://x/c.png", "mime": "image/png", "w": 1, "h": 1}


def played(**changes: Any) -> dict[str, Any]:
    return campaign(creatives=[VIDEO | {"video": VIDEO["video"] | changes}])  # type: ignore[operator]


def test_video_and_native_creatives_are_kept_as_they_are() -> None:
    """Also without sizes and texts, that bids are made of: what was imported once is imported again."""
    assert body_of(campaign(creatives=[VIDEO, NATIVE]))["creatives"] == [VIDEO, NATIVE]
    bare = {"duration_s": 15, "media": [{"url": "https://x/a.mp4", "mime": "video/mp4"}]}
    (found,) = body_of(campaign(creatives=[VIDEO | {"video": bare}]))["creatives"]
    assert found["video"] == bare | {"skippable": False}


def test_all_that_a_video_can_say_is_kept() -> None:
    more = {
        "skip_after_s": 7, "linearity": 1, "companion": [COMPANION | {"alt": "Acme"}],
        "universal_ad_id": {"registry": "ad-id.org", "value": "CNPA0484000H"},
        "trackers": [{"event": event, "url": "https://m.example/?p=${AUCTION_PRICE:B64}&c={cachebuster}"}
                     for event in ("impression", "click", "error", "start", "skip")],
    }  # fmt: skip
    (found,) = body_of(played(**more))["creatives"]
    assert found["video"] == VIDEO["video"] | more  # type: ignore[operator]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"skip_after_s": 15}, "skip_after_s: 15 is not before the end, 15"),
        ({"skip_after_s": 5, "skippable": False}, "skip_after_s: only for what is skippable"),
        ({"linearity": 2}, "skippable: what is not linear cannot be skipped"),
        ({"linearity": 3}, "linearity: an integer from 1 to 2"),
        ({"media": [COMPANION | {"delivery": "fast"}]}, "media[0].delivery: 'fast' is none of progressive, streaming"),
        ({"companion": [{"url": "https://x/c.png", "mime": "image/png", "w": 1}]}, "companion[0].h: missing"),
        ({"universal_ad_id": {"registry": "x"}}, "universal_ad_id.value: missing"),
        ({"trackers": [{"event": "seen", "url": "https://x/"}]}, "trackers[0].event: 'seen' is none of impression,"),
        ({"trackers": [{"event": "start", "url": "https://x/${AUCTION_PRIZE}"}]},
         "trackers[0].url: no exchange fills ${AUCTION_PRIZE}"),
        ({"trackers": [{"event": "error", "url": "https://x/"}] * 2}, "trackers: VAST has room for one tracker"),
    ],
)  # fmt: skip
def test_what_a_video_cannot_be_is_named_with_its_place(changes: dict[str, Any], place: str) -> None:
    (fault,) = faults_of(played(**changes))
    assert fault.startswith(f"line 1: creatives[0].video.{place}")


@pytest.mark.parametrize(
    ("one", "place"),
    [
        (creative(expdir=[1]), "expdir: what expands has one of the attributes 3, 4, 5"),
        (creative(expdir=[7], attr=[3]), "expdir[0]: an integer from 1 to 6"),
        (VIDEO | {"expdir": [1], "attr": [3]}, "expdir: not for a creative of type video"),
        (NATIVE | {"native": {"assets": [{"type": "title"}], "trackers": [{"event": "start", "url": "https://x/"}]}},
         "native.trackers[0].event: 'start' is none of impression, click"),
        (NATIVE | {"native": {"assets": [{"type": "main", "mime": "png"}]}}, "native.assets[0].mime: a media type"),
    ],
)  # fmt: skip
def test_what_a_creative_cannot_be_is_named_with_its_place(one: dict[str, Any], place: str) -> None:
    (fault,) = faults_of(campaign(creatives=[one]))
    assert fault.startswith(f"line 1: creatives[0].{place}")


def test_an_expandable_banner_is_kept() -> None:
    (found,) = body_of(campaign(creatives=[creative(expdir=[2, 4], attr=[4])]))["creatives"]
    assert (found["expdir"], found["attr"]) == ([2, 4], [4])
