"""Auctions of the simulated exchange: who wins, what is paid, and which bids break a rule."""

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.money.units import nano_from_cpm
from bidder.openrtb.macros import EXCHANGE
from bidder.simulator.auction import CENT_CPM, Loss, Offer, Outcome, decide, macros, read
from bidder.simulator.macros import fill
from bidder.simulator.source import UNREADABLE, Asked, ask

CHEAP, DEAR = 0.000_01, 900_000.0  # medians of competitors that never, or always, outbid us


def asked(**changes: Any) -> Asked:
    request = {"id": "r-1", "at": 1, "imp": [{"id": "1", "bidfloor": 0.5}]}
    return ask(json.dumps({**request, **changes}).encode())


def bid(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "b-1",
        "impid": "1",
        "price": 2.345678,
        "adm": "<a></a>",
        "nurl": "http://127.0.0.1/win",
        "cid": "c-1",
    }
    return {**plain, **changes}


def response(*bids: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"id": "r-1", "cur": "USD", "seatbid": [{"seat": "s", "bid": list(bids)}], **changes}).encode()


def outcomes(request: Asked, *bids: dict[str, Any], median: float = CHEAP, late: bool = False) -> list[Outcome]:
    offer = read(request, response(*bids))
    assert isinstance(offer, Offer)
    return decide(request, offer, random.Random(1), median, late)


def test_first_price_winner_pays_its_own_bid_exactly() -> None:
    (outcome,) = outcomes(asked(), bid())
    assert (outcome.loss, outcome.price) == (Loss.WON, 2_345_678)


@pytest.mark.parametrize("at", [{"at": 2}, {"at": None}])
def test_second_price_winner_pays_a_cent_above_the_floor_when_competitors_are_cheap(at: dict[str, Any]) -> None:
    (outcome,) = outcomes(asked(**at), bid())
    assert (outcome.loss, outcome.price) == (Loss.WON, 500_000 + CENT_CPM)


def test_second_price_is_never_above_the_bid() -> None:
    (outcome,) = outcomes(asked(at=2), bid(price=0.505))
    assert (outcome.loss, outcome.price) == (Loss.WON, 505_000)


def test_a_bid_below_the_competition_loses_and_hears_the_winning_price() -> None:
    (outcome,) = outcomes(asked(), bid(), median=DEAR)
    assert outcome.loss is Loss.OUTBID
    assert outcome.price == outcome.competing > 2_345_678


def test_a_deal_has_its_own_floor_and_its_own_price() -> None:
    deals = [{"id": "d-1", "bidfloor": 2, "at": 3}, {"id": "d-2", "bidfloor": 3}]
    request = asked(imp=[{"id": "1", "bidfloor": 0.1, "pmp": {"deals": deals}}])
    assert outcomes(request, bid(dealid="d-1"))[0].price == 2_000_000
    assert outcomes(request, bid(dealid="d-2"))[0].loss is Loss.BELOW_FLOOR
    assert outcomes(request, bid(dealid="d-3"))[0].broken == "dealid"


def test_of_several_bids_for_an_imp_the_highest_wins_and_only_one() -> None:
    found = outcomes(asked(), bid(id="low", price=1), bid(id="high", price=3), bid(id="twin", price=3))
    assert [outcome.loss for outcome in found] == [Loss.OUTBID, Loss.WON, Loss.OUTBID]
    assert found[0].price == 3_000_000


def test_a_late_bid_loses() -> None:
    assert outcomes(asked(), bid(), late=True)[0].loss is Loss.EXPIRED


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"id": ""}, "bid_id"),
        ({"impid": "2"}, "impid"),
        ({"price": 0}, "price"),
        ({"price": -1}, "price"),
        ({"price": 0.49}, "floor"),
        ({"adm": ""}, "adm"),
        ({"adm": None}, "adm"),
        ({"nurl": None}, "notices"),
        ({"dealid": "d-1"}, "dealid"),
    ],
)
def test_a_bid_that_breaks_a_rule_loses_and_the_rule_is_named(changes: dict[str, Any], rule: str) -> None:
    (outcome,) = outcomes(asked(), bid(**changes))
    assert (outcome.broken, outcome.loss is Loss.WON) == (rule, False)


def test_a_floor_in_another_currency_is_not_compared() -> None:
    request = asked(imp=[{"id": "1", "bidfloor": 900, "bidfloorcur": "JPY"}])
    assert outcomes(request, bid())[0].loss is Loss.WON


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"{", "json"),
        (b"\xff", "json"),
        (b"[]", "schema"),
        (response(bid(price=None)), "schema"),
        (response(bid(), id="other"), "id"),
        (response(bid(), cur="EUR"), "currency"),
        (response(), "empty"),
        (b'{"id":"r-1"}', "empty"),
    ],
)
def test_a_response_that_breaks_a_rule_is_named(body: bytes, rule: str) -> None:
    assert read(asked(), body) == rule


@given(st.integers(500_000, 30_000_000), st.sampled_from([1, 2]), st.integers(0, 2**32))
def test_the_price_is_between_floor_and_bid_and_survives_its_text(nano: int, at: int, seed: int) -> None:
    request = asked(at=at)
    price = Decimal(nano) / 1_000_000
    offer = read(request, response(bid(price=0)).replace(b'"price": 0', f'"price": {price}'.encode()))
    assert isinstance(offer, Offer)
    (outcome,) = decide(request, offer, random.Random(seed), 2.0, False)
    values = macros(request, offer, outcome)
    assert nano_from_cpm(values["AUCTION_PRICE"]) == outcome.price
    if outcome.loss is Loss.WON:
        assert outcome.competing < nano
        assert 500_000 <= outcome.price <= nano
    else:
        assert outcome.price >= nano


def test_every_macro_has_a_value_and_unknown_text_stays() -> None:
    request = asked()
    offer = read(request, response(bid(), bidid="b/1"))
    assert isinstance(offer, Offer)
    (outcome,) = decide(request, offer, random.Random(1), CHEAP, False)
    values = macros(request, offer, outcome)
    text = " ".join(f"${{{name}}}" for name in EXCHANGE)
    assert "$" not in fill(text, values, in_url=True)
    assert fill("x?p=${AUCTION_PRICE}&b=${AUCTION_BID_ID}&o=${OTHER}", values, in_url=True) == (
        "x?p=2.345678&b=b%2F1&o=${OTHER}"
    )
    assert fill("${AUCTION_BID_ID}", values, in_url=False) == "b/1"
    assert fill("${AUCTION_PRICE:B64}", values, in_url=True) == "Mi4zNDU2Nzg%3D"
    assert fill("${AUCTION_IMP_TS}", values, in_url=True) == ""


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff\xfe", b"7"])
def test_what_is_no_request_has_nothing_to_sell(body: bytes) -> None:
    assert ask(body) == UNREADABLE


def test_requests_of_all_kinds_are_read() -> None:
    body = b'{"id":7,"test":true,"at":"1","imp":[{"id":1,"bidfloor":"0.7"},null,{"id":"b","pmp":{"deals":[1]}}]}'
    found = ask(body)
    assert (found.id, found.test, found.second_price) == ("7", True, False)
    assert {imp: offer.floor.nano for imp, offer in found.imps.items()} == {"1": 700_000, "b": 0}
