"""What the decision answers, takes and counts."""

import json
from pathlib import Path

import pytest

from bidder.events.schema import Kind, Row
from bidder.money.tokens import BidIds, Token, TokenClass
from bidder.openrtb.codes import os_key, pack3
from bidder.outcome import Reason
from tests.worlds import DOLLAR, MINUTE, NOW_S, PUBLIC_URL, World, banner, campaign, imp, request

PRICE = 2_500_000  # of worlds.campaign
DEVICE = {"os": "Android", "geo": {"country": "USA"}}


def token_of(world: World, url: str) -> Token:
    token = url.removeprefix(PUBLIC_URL).split("?")[0].split("/")[2]
    opened = world.opener.open(token, TokenClass.NOTICE)
    assert opened is not None
    return opened


def test_a_bid_answers_request_and_imp_in_their_own_words(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(targeting={"deal": {"include": ['d"7\\é']}})])
    body = request([imp("ü\\1", pmp={"deals": [{"id": 'd"7\\é'}]})], id='r "1" \u2028')
    answer = json.loads(world.ask(body, "pubmatic").body)
    assert (answer["id"], answer["cur"]) == ('r "1" \u2028', "USD")
    (seatbid,) = answer["seatbid"]
    assert seatbid["seat"] == 'our "seat"'
    (bid,) = seatbid["bid"]
    assert (bid["impid"], bid["dealid"], bid["price"]) == ("ü\\1", 'd"7\\é', 2.5)
    assert (bid["cid"], bid["crid"], bid["mtype"], bid["w"], bid["h"]) == ("c-1", "cr-1", 1, 320, 50)


def test_a_numeric_request_id_comes_back_as_a_string(tmp_path: Path) -> None:
    assert json.loads(World(tmp_path, [campaign()]).ask(request(id=77)).body)["id"] == "77"


@pytest.mark.parametrize(
    ("cpm", "text"),
    [
        ("2.5", b"2.5"),
        ("1", b"1"),
        ("0.000001", b"0.000001"),
        ("12.345678", b"12.345678"),
        ("1000", b"1000"),
        ("0.1", b"0.1"),
    ],
)
def test_prices_are_cpm_to_the_last_decimal(tmp_path: Path, cpm: str, text: bytes) -> None:
    assert b'"price":' + text + b"," in World(tmp_path, [campaign(cpm=cpm)]).ask(request()).body


def test_tokens_say_what_was_bid_and_where_it_was_taken(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(targeting={"deal": {"include": ["d-7"]}})])
    (bid,) = world.ask(request([imp(pmp={"deals": [{"id": "d-7"}]})], device=DEVICE)).bids
    token = token_of(world, bid["nurl"])
    assert token == Token(
        bid_id=bytes.fromhex(bid["id"]),
        exchange=2,
        format=1,
        os=os_key("android"),
        country=pack3("USA"),
        w=320,
        h=50,
        campaign=100,
        creative=1_000,
        deal=10_000 + sum(b"d-7"),
        lease=7_100,
        bid_price=PRICE,
        taken=PRICE,
    )
    assert (token.minute, token.test) == (MINUTE, False)
    assert token == token_of(world, bid["burl"]) == token_of(world, bid["lurl"])
    page = bid["adm"].split("/click/")[1][:124]
    assert world.opener.open(page, TokenClass.PAGE) == token
    assert world.opener.open(page, TokenClass.NOTICE) is None
    assert f"{PUBLIC_URL}/imp/{page}" in bid["adm"]


def test_a_bid_takes_its_price_from_the_purse_and_is_counted(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(targeting={"bundle": {"include": ["com.game"]}})])
    answer = world.ask(request(device=DEVICE, app={"bundle": "com.Game"}))
    assert world.left("c-1") == DOLLAR - PRICE
    common = {"exchange": 2, "arm": 0, "minute": MINUTE, "n": 1}
    place = {"os": os_key("android"), "country": pack3("USA"), "inventory": 20_000}
    none = {"reason": 0, "format": 0, "w": 0, "h": 0, "campaign": 0, "creative": 0, "deal": 0, "amount": 0}
    made = none | {"format": 1, "w": 320, "h": 50, "campaign": 100, "creative": 1_000, "amount": PRICE}
    assert answer.counted(Kind.REQUEST) == [Row(kind=Kind.REQUEST, **common, **place, **none)]
    assert answer.counted(Kind.BID) == [Row(kind=Kind.BID, **common, **place, **made)]
    assert answer.counted(Kind.NOBID) == []
    latency = none | {"os": 0, "country": 0, "inventory": 0}
    assert answer.counted(Kind.LATENCY) == [Row(kind=Kind.LATENCY, **common, **latency)]


def test_a_no_bid_is_counted_once_with_its_reason(tmp_path: Path) -> None:
    answer = World(tmp_path, [campaign()]).ask(request([imp("1", bidfloor=9), imp("2", bidfloor=9)]))
    assert (answer.status, answer.body) == (204, b"")
    assert [row.n for row in answer.counted(Kind.REQUEST)] == [1]
    assert [(row.reason, row.n) for row in answer.counted(Kind.NOBID)] == [(Reason.FLOOR, 1)]


def test_several_imps_get_a_bid_each(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    answer = world.ask(request([imp("1"), imp("2", bidfloor=9), imp("3")]))
    assert [bid["impid"] for bid in answer.bids] == ["1", "3"]
    assert len({bid["id"] for bid in answer.bids}) == 2
    assert [row.n for row in answer.counted(Kind.BID)] == [2]
    assert answer.reason is None
    assert world.left("c-1") == DOLLAR - 2 * PRICE


def test_a_test_request_is_bid_on_marked_and_not_booked(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    answer = world.ask(request(test=1))
    (bid,) = answer.bids
    token = token_of(world, bid["nurl"])
    assert (token.test, token.taken, token.lease, token.bid_price) == (True, 0, 0, PRICE)
    assert answer.rows == []
    assert world.left("c-1") == DOLLAR


def test_a_test_request_does_not_bid_on_a_purse_that_is_too_thin(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.fund("c-1", PRICE - 1)
    answer = world.ask(request(test=1))
    assert (answer.status, answer.rows) == (204, [])


def test_the_next_campaign_wins_when_the_purse_of_the_best_is_used_up(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("dear", "3"), campaign("cheap", "1")])
    world.fund("dear", 2 * 3_000_000 + 2_999_999)
    assert [world.ask(request()).bids[0]["cid"] for _ in range(4)] == ["dear", "dear", "cheap", "cheap"]
    assert world.left("dear") == 2_999_999


def test_the_purse_is_never_overdrawn_by_one_request_with_many_imps(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.fund("c-1", 3 * PRICE)
    assert len(world.ask(request([imp(str(n)) for n in range(9)])).bids) == 3
    assert world.left("c-1") == 0


def test_dozens_of_campaigns_with_empty_purses_do_not_hide_one_that_can_pay(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(f"c-{n}", f"{50 - n}") for n in range(40)])
    for n in range(39):
        world.fund(f"c-{n}", 1)
    assert world.ask(request()).bids[0]["cid"] == "c-39"


def test_pacing_lowers_the_price_and_rounds_it_down(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(cpm="0.000003")])
    world.pace("c-1", multiplier=32_768)
    assert world.ask(request()).bids[0]["price"] == 0.000001
    world.pace("c-1", multiplier=1)
    assert world.ask(request()).bids[0]["price"] == 0.000001


def test_a_deal_of_agreed_price_is_bid_at_its_floor(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign(targeting={"deal": {"include": ["d-7"]}})])
    agreed = {"id": "d-7", "at": 3, "bidfloor": 1.25}
    assert world.ask(request([imp(pmp={"deals": [agreed]})])).bids[0]["price"] == 1.25
    assert world.ask(request([imp(pmp={"deals": [agreed | {"at": 1}]})])).bids[0]["price"] == 2.5
    assert world.ask(request([imp(pmp={"deals": [{"id": "d-7", "at": 3}]})])).bids[0]["price"] == 2.5
    assert world.left("c-1") == DOLLAR - 1_250_000 - 2 * PRICE


def test_equal_campaigns_share_and_so_do_creatives_of_one(tmp_path: Path) -> None:
    two = [banner(id="a"), banner(id="b")]
    world = World(tmp_path, [campaign("left", creatives=two), campaign("right", creatives=two)])
    served = [(bid["cid"], bid["crid"]) for _ in range(400) for bid in world.ask(request()).bids]
    shares = {who: served.count(who) for who in set(served)}
    assert set(shares) == {(cid, crid) for cid in ("left", "right") for crid in ("a", "b")}
    assert all(60 < share < 140 for share in shares.values())


def test_the_same_seed_decides_the_same(tmp_path: Path) -> None:
    campaigns = [campaign(f"c-{n}") for n in range(5)]
    runs = []
    for name in ("one", "two"):
        world = World(tmp_path / name, campaigns, seed=42)
        runs.append([world.ask(request()).bids[0]["cid"] for _ in range(30)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 1


def test_switches_stop_all_or_one_exchange(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.board.set_exchange_off(2, True)
    assert (world.ask(request(), "openx").reason, world.ask(request(), "pubmatic").status) == (Reason.OFF, 200)
    world.board.set_exchange_off(2, False)
    world.board.off = True
    assert (world.ask(request(), "openx").reason, world.ask(request(), "pubmatic").reason) == (Reason.OFF, Reason.OFF)
    world.board.off = False
    assert world.ask(request()).status == 200


@pytest.mark.parametrize("name", ["nobody", "closed", "", "openx/", "open", "OPENX"])
def test_an_exchange_that_is_not_served_is_unknown_and_not_counted(tmp_path: Path, name: str) -> None:
    answer = World(tmp_path, [campaign()]).ask(request(), name)
    assert (answer.status, answer.body, answer.rows) == (404, b"", [])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id":"1"}x', b"\xff"])
def test_a_malformed_body_is_counted_and_answered_400(tmp_path: Path, body: bytes) -> None:
    answer = World(tmp_path, [campaign()]).ask(body)
    assert (answer.status, answer.body, answer.reason) == (400, b"", Reason.MALFORMED)
    assert [row.n for row in answer.counted(Kind.REQUEST)] == [1]


@pytest.mark.parametrize("body", [b"{}", b'{"id":"1"}', b'{"id":"1","imp":[]}', b'{"imp":[{"id":"1"}]}'])
def test_a_request_without_what_a_bid_needs_is_answered_204(tmp_path: Path, body: bytes) -> None:
    answer = World(tmp_path, [campaign()]).ask(body)
    assert (answer.status, answer.reason) == (204, Reason.INVALID_REQUEST)


def test_a_new_book_is_served_from_the_next_request_on(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign("old")])
    assert world.ask(request()).bids[0]["cid"] == "old"
    world.publish([campaign("new"), campaign("old", "1")])
    world.fund("new", DOLLAR)
    assert world.ask(request()).bids[0]["cid"] == "new"
    world.publish([])
    assert world.ask(request()).reason == Reason.TARGETING


def test_without_a_book_there_is_no_bid(tmp_path: Path) -> None:
    world = World(tmp_path, [], book=False)
    assert world.ask(request()).reason == Reason.NO_BOOK


def test_a_bid_that_cannot_get_an_id_gives_its_money_back(tmp_path: Path) -> None:
    epochs = iter([b"first"])  # and no other
    world = World(tmp_path, [campaign()], bid_ids=BidIds(lambda n: next(epochs)[:n], first=2**24 - 1))
    assert world.ask(request()).status == 200
    assert world.ask(request()).reason == Reason.BROKEN
    assert world.left("c-1") == DOLLAR - PRICE


def test_latency_is_counted_in_powers_of_two_of_a_microsecond(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    assert [row.reason for row in world.ask(request()).counted(Kind.LATENCY)] == [0]  # this clock stands still


def test_bids_and_requests_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    for body in (request(), request(test=1), request([imp("1"), imp("2")]), request(bseat=["outbid"])):
        world.ask(body)
    world.ask(request(), "nobody")
    assert (world.decider.requests, world.decider.bids) == (4, 4)


def test_minutes_follow_the_clock(tmp_path: Path) -> None:
    world = World(tmp_path, [campaign()])
    world.clock.wall = (NOW_S + 3_600) * 1_000_000_000
    answer = world.ask(request())
    assert {row.minute for row in answer.rows} == {MINUTE + 60}
    assert token_of(world, answer.bids[0]["nurl"]).minute == MINUTE + 60
