"""Bids and floors in other currencies: what is asked, what the token says of it, what is booked."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.campaigns.rates import Rates
from bidder.events.schema import NoticeFlag, NoticeKind
from bidder.money.tokens import Token, TokenClass
from bidder.money.units import nano_from_cpm
from bidder.openrtb.codes import pack3
from bidder.outcome import Reason
from bidder.settings import Exchange, Tracking
from bidder.tracking.notice import Lives, Said, read_notice, read_price
from tests.worlds import NOW_S, PUBLIC_URL, World, campaign, imp, request

PER_USD = {"EUR": (23, 25), "JPY": (3_147, 20), "KWD": (307, 1_000)}
DAY = 20_717  # 2026-09-21
PLAIN = Exchange(key=2)
LIVES = Lives.of(Tracking(), 600)


def rates(until_s: int = NOW_S + 1, **per_usd: tuple[int, int]) -> Rates:
    return Rates("2026-09-21", until_s, per_usd or PER_USD)


def world(directory: Path, cpm: str = "2.5", **options: Any) -> World:
    return World(directory, [campaign(cpm=cpm)], **({"rates": rates()} | options))


def token_of(here: World, bid: dict[str, Any]) -> Token:
    opened = here.opener.open(bid["burl"].removeprefix(PUBLIC_URL).split("?")[0].split("/")[2], TokenClass.NOTICE)
    assert opened is not None
    return opened


@pytest.mark.parametrize(
    ("cur", "said", "price"),
    [
        (None, "USD", 2.5),
        ([], "USD", 2.5),
        (["EUR", "USD"], "USD", 2.5),
        (["EUR"], "EUR", 2.3),
        (["XAU", "jpy", "EUR"], "JPY", 393.375),
    ],
)
def test_an_answer_is_in_usd_where_it_may_and_else_in_the_first_currency_with_a_rate(
    tmp_path: Path, cur: list[str] | None, said: str, price: float
) -> None:
    answer = world(tmp_path).ask(request() if cur is None else request(cur=cur))
    assert json.loads(answer.body)["cur"] == said
    assert answer.bids[0]["price"] == price
    assert [row.amount for row in answer.rows if row.amount] == [2_500_000]


def test_a_token_says_currency_day_of_the_rate_and_what_was_asked(tmp_path: Path) -> None:
    here = world(tmp_path)
    token = token_of(here, here.ask(request(cur=["JPY"])).bids[0])
    assert (token.currency, token.rate_version, token.asked) == (pack3("JPY"), DAY, 393_375_000)
    assert (token.bid_price, token.taken) == (2_500_000, 2_500_000)
    token = token_of(here, here.ask(request()).bids[0])
    assert (token.currency, token.rate_version, token.asked) == (0, 0, 0)


def test_without_a_rate_there_is_no_bid_in_that_currency(tmp_path: Path) -> None:
    here = world(tmp_path)
    assert here.ask(request(cur=["XAU"])).reason == Reason.CURRENCY
    assert here.ask(request([imp(bidfloor=0.1, bidfloorcur="XAU")])).reason == Reason.FLOOR_CURRENCY


def test_rates_end_while_the_book_is_served(tmp_path: Path) -> None:
    here = world(tmp_path, rates=rates(until_s=NOW_S + 60))
    foreign = request([imp(bidfloor=0.1, bidfloorcur="EUR")])
    assert here.ask(foreign).status == here.ask(request(cur=["EUR"])).status == 200
    here.clock.wall += 60 * 1_000_000_000
    assert here.ask(foreign).reason == Reason.FLOOR_CURRENCY
    assert here.ask(request(cur=["EUR"])).reason == Reason.CURRENCY
    assert here.ask(request([imp(bidfloor=0.1)])).status == 200
    assert here.book is not None
    assert here.book.rates_until_s == NOW_S + 60


def test_a_price_below_the_smallest_part_of_a_currency_is_no_bid(tmp_path: Path) -> None:
    here = world(tmp_path, cpm="0.000003")
    assert here.ask(request(cur=["KWD"])).reason == Reason.CURRENCY
    assert here.ask(request(cur=["EUR"])).bids[0]["price"] == 0.000002


def test_a_price_of_the_currency_with_the_most_units_is_written_whole(tmp_path: Path) -> None:
    here = world(tmp_path, cpm="1000", rates=rates(IRR=(10**9 - 1, 1)))
    assert here.ask(request(cur=["IRR"])).bids[0]["price"] == 1000 * (10**9 - 1)
    assert here.ask(request([imp(bidfloor=10**12, bidfloorcur="IRR")])).reason == Reason.FLOOR


def test_an_agreed_price_is_asked_as_it_was_agreed(tmp_path: Path) -> None:
    body = campaign(cpm="9", targeting={"deal": {"include": ["d"]}})
    here = World(tmp_path, [body], rates=rates())
    deal = {"id": "d", "at": 3, "bidfloor": 501.000001, "bidfloorcur": "JPY"}
    answer = here.ask(request([imp(pmp={"deals": [deal]})], cur=["JPY"]))
    assert answer.bids[0]["price"] == 501.000001
    assert token_of(here, answer.bids[0]).bid_price == math.ceil(501_000_001 / Fraction(*PER_USD["JPY"]))


fractions = st.tuples(st.integers(1, 10**9), st.integers(1, 10**6))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("currencies")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(fractions, min_size=2, max_size=2),
    st.integers(1, 10**9),
    st.lists(st.tuples(st.sampled_from(["USD", "EUR", "GBP"]), st.integers(0, 3), st.integers(-2, 2)), max_size=12),
    st.sampled_from(["USD", "EUR", "GBP"]),
)
def test_no_bid_is_below_its_floor_or_above_its_campaign(
    directory: Path,
    per_usd: list[tuple[int, int]],
    price: int,
    floors: list[tuple[str, int, int]],
    cur: str,
) -> None:
    """Floors lie around the price, in each currency, where rounding decides."""
    known = {"USD": Fraction(1), "EUR": Fraction(*per_usd[0]), "GBP": Fraction(*per_usd[1])}
    given_rates = rates(**{name: (rate.numerator, rate.denominator) for name, rate in known.items() if name != "USD"})
    cpm = f"{price // 10**6}.{price % 10**6:06d}"
    here = World(directory / str(len(list(directory.iterdir()))), [campaign(cpm=cpm)], rates=given_rates)
    for currency, part, off in floors:
        here.fund("c-1", 2**40)
        floor = max(1, math.floor(price * known[currency]) * 2 // (part + 1) + off)
        text = f"{floor // 10**6}.{floor % 10**6:06d}"
        body = json.dumps(request([imp()], cur=[cur])).replace(
            '"id": "1"', f'"id": "1", "bidfloor": {text}, "bidfloorcur": "{currency}"'
        )
        answer = here.ask(body.encode())
        worth = floor / known[currency]
        if answer.bids:
            asked = nano_from_cpm(str(json.loads(answer.body, parse_float=str)["seatbid"][0]["bid"][0]["price"]))
            assert worth <= asked / known[cur] <= price
            assert asked >= floor or currency != cur
            token = token_of(here, answer.bids[0])
            assert (token.bid_price, token.in_usd(asked)) == (price, price)
        elif math.floor(price * known[cur]):
            assert answer.reason == Reason.FLOOR
            step = 1 / known[cur] + 2  # what whole numbers of both currencies cannot say
            assert worth > price - step


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**50), st.data())
def test_what_is_booked_is_our_price_in_the_proportion_that_is_paid(bid: int, asked: int, data: st.DataObject) -> None:
    token = Token(b"minuteepochc", exchange=2, currency=pack3("EUR"), bid_price=bid, asked=asked)
    paid = data.draw(st.integers(1, asked))
    exact = Fraction(paid * bid, asked)
    assert abs(token.in_usd(paid) - exact) <= Fraction(1, 2)
    assert 0 <= token.in_usd(paid) <= token.in_usd(asked) == bid


def test_notices_of_bids_in_other_currencies_book_usd() -> None:
    token = Token(b"minuteepochc", exchange=2, currency=pack3("EUR"), bid_price=2_500_000, asked=2_300_000)
    assert read_price("2.3", PLAIN, token) == (2_500_000, NoticeFlag.NONE)
    assert read_price("1.15", PLAIN, token) == (1_250_000, NoticeFlag.NONE)
    assert read_price("2.300001", PLAIN, token) == (2_500_001, NoticeFlag.PRICE_ABOVE_BID)
    assert read_price("2.4", PLAIN, token)[1] == NoticeFlag.PRICE_ABOVE_BID  # though it is below the bid in USD
    loss = read_notice(NoticeKind.LOSS, token, PLAIN, Said("4.6", "102"), 0, LIVES)
    assert (loss.price, loss.bid_price) == (5_000_000, 2_500_000)
