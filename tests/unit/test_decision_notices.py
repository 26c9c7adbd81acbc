"""What a bid lets us hear of later: notices, the pixel that is money, players, placements; by exchange and request."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bidder.outcome import Reason
from bidder.settings import Exchange
from bidder.simulator import macros, page
from tests.unit.test_decision_formats import native, placement, player, video
from tests.worlds import PUBLIC_URL, World, banner, campaign, imp, request

MIN = "&min=${AUCTION_MIN_TO_WIN}"
PATHS = ("start", "q1", "mid", "q3", "complete", "error", "view")
TAG = '<div id="ad"></div><script>new Image().src="{imp_url}";</script>'


def world(directory: Path, creative: dict[str, Any], **changes: Any) -> World:
    return World(directory, [campaign(creatives=[creative])], exchanges={"openx": Exchange(key=2, **changes)})


def followed(adm: str) -> set[str]:
    return {path for path in PATHS if re.search(rf"{PUBLIC_URL}/{path}/[\w-]{{124}}", adm)}


def test_wins_and_losses_ask_what_would_have_won_where_the_exchange_tells(tmp_path: Path) -> None:
    (bid,) = world(tmp_path / "tells", banner()).ask(request()).bids
    assert bid["nurl"].endswith("?price=${AUCTION_PRICE}" + MIN)
    assert bid["lurl"].endswith("?reason=${AUCTION_LOSS}&price=${AUCTION_PRICE}" + MIN)
    assert bid["burl"].endswith("?price=${AUCTION_PRICE}")
    (bid,) = world(tmp_path / "not", banner(), min_to_win_macro="").ask(request()).bids
    assert "min=" not in bid["nurl"] + bid["lurl"]


def test_a_notice_url_without_room_for_it_does_without(tmp_path: Path) -> None:
    (bid,) = world(tmp_path / "any", banner()).ask(request()).bids
    whole = len(bid["lurl"])
    (fits,) = world(tmp_path / "fits", banner(), notice_url_chars=whole).ask(request()).bids
    assert len(fits["lurl"]) == whole
    (short,) = world(tmp_path / "short", banner(), notice_url_chars=whole - 1).ask(request()).bids
    assert len(short["lurl"]) == whole - len(MIN)
    assert short["nurl"].endswith(MIN)


@pytest.mark.parametrize("protocols", [[2], [3], [7], [11], [13]])
def test_players_tell_us_how_far_they_play_unless_the_answer_has_a_limit(tmp_path: Path, protocols: list[int]) -> None:
    ask = player(protocols=protocols)
    (bid,) = world(tmp_path / "any", video()).ask(ask).bids
    assert followed(bid["adm"]) == set(PATHS) - (set() if protocols[0] >= 7 else {"view"})
    (bid,) = world(tmp_path / "capped", video(), response_bytes=60_000).ask(ask).bids
    assert followed(bid["adm"]) == set()
    assert bid["protocol"] == protocols[0]


def test_what_is_left_out_where_there_is_a_limit_takes_no_room(tmp_path: Path) -> None:
    ask = player(protocols=[13])
    whole = len(world(tmp_path / "capped", video(), response_bytes=60_000).ask(ask).body)
    assert len(world(tmp_path / "fits", video(), response_bytes=whole + 25).ask(ask).body) == whole
    assert world(tmp_path / "short", video(), response_bytes=whole - 1).ask(ask).status == 204


@pytest.mark.parametrize(
    ("offers", "events"),
    [
        ([{"event": 1, "methods": [1]}, {"event": 2, "methods": [1, 2]}], [1, 2]),
        ([{"event": 2, "methods": [1]}, {"event": 1, "methods": [1]}], [1, 2]),
        ([{"event": 1, "methods": [1]}, {"event": 2, "methods": [2]}], [1]),
        ([{"event": 1, "methods": [1]}, {"event": 3, "methods": [1]}], [1]),
        ([{"event": 2, "methods": [1]}], None),
        ([], None),
    ],
)
def test_a_placement_tells_us_of_views_where_it_offers_to(
    tmp_path: Path, offers: list[dict[str, Any]], events: list[int] | None
) -> None:
    ask = placement({"title": {"len": 25}})
    wanted = json.loads(ask["imp"][0]["native"]["request"]) | {"eventtrackers": offers}
    ask["imp"][0]["native"]["request"] = json.dumps(wanted)
    (bid,) = world(tmp_path, native()).ask(ask).bids
    answer = json.loads(bid["adm"])
    assert [one["event"] for one in answer.get("eventtrackers", ())] == (events or [])
    assert ("imptrackers" in answer) == (events is None)
    assert followed(bid["adm"]) == ({"view"} if events == [1, 2] else set())


@pytest.mark.parametrize(
    ("macro", "shown"), [("${AUCTION_PRICE}", "1.25"), ("${AUCTION_PRICE:B64}", "MS4yNQ=="), ("", "")]
)
def test_an_exchange_without_notices_gets_a_tag_whose_pixel_says_what_was_paid(
    tmp_path: Path, macro: str, shown: str
) -> None:
    here = world(tmp_path, banner(adm=TAG), notices=(), spend_on="impression", price_macro=macro)
    (bid,) = here.ask(request()).bids
    assert not bid.keys() & {"nurl", "burl", "lurl"}
    adm = macros.fill(bid["adm"], {"AUCTION_PRICE": "1.25"}, in_url=False)
    [url] = re.findall(r'new Image\(\)\.src="([^"]+)"', adm)
    assert re.fullmatch(rf"{PUBLIC_URL}/imp/[\w-]{{124}}\?price={re.escape(shown)}", url)
    assert adm.count("/imp/") == 1
    assert page.read(adm).images == ()


def test_the_tag_is_a_script_in_place_of_the_pixel_and_carries_the_price_likewise(tmp_path: Path) -> None:
    here = world(tmp_path, banner(adm="<b>ad</b>{tag}"), notices=(), spend_on="impression")
    (bid,) = here.ask(request()).bids
    script = rf'<b>ad</b><script src="{PUBLIC_URL}/tag/[\w-]{{124}}\?price=\$\{{AUCTION_PRICE\}}" async></script>'
    assert re.fullmatch(script, bid["adm"])
    assert here.ask(request([imp(banner={"format": [{"w": 320, "h": 50}], "btype": [3]})])).reason == Reason.BTYPE
