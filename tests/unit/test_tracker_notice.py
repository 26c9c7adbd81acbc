"""What a notice's price is worth: the flag, for every way of saying it, and which kinds need one."""

import pytest

from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.money.tokens import Token
from bidder.settings import Exchange
from bidder.tracking.notice import read_loss_reason, read_notice, read_price

PLAIN = Exchange(key=1)
MINUTE = 30_000_000
NOW_MS = MINUTE * 60_000 + 5_000
LATE_MS = 600_000
TTL_MS = 72 * 3_600_000
TOKEN = Token(
    bid_id=MINUTE.to_bytes(4, "big") + b"epochctr",
    exchange=1,
    arm=2,
    format=1,
    os=3,
    country=4,
    w=320,
    h=50,
    campaign=7,
    creative=8,
    deal=9,
    inventory=10,
    lease=11,
    bid_price=2_400_000,
    taken=2_000_000,
)


def read(
    kind: NoticeKind,
    price: str | None = None,
    exchange: Exchange | None = PLAIN,
    reason: str | None = None,
    now_ms: int = NOW_MS,
) -> Notice:
    return read_notice(kind, TOKEN, exchange, price, reason, now_ms, LATE_MS, TTL_MS)


@pytest.mark.parametrize(
    ("text", "nano"), [("2.4", 2_400_000), ("0.000001", 1), ("1", 1_000_000), ("1.5E-1", 150_000), ("2.", 2_000_000)]
)
def test_a_plain_price_up_to_the_bid_is_taken_to_the_nano(text: str, nano: int) -> None:
    assert read_price(text, PLAIN, TOKEN) == (nano, NoticeFlag.NONE)


@pytest.mark.parametrize(
    "text", [None, "", " ", "AUDIT", "${AUCTION_PRICE}", "${AUCTION_PRICE:B64}", "{PRICE}", "%%WINNING_PRICE%%"]
)
def test_a_price_that_was_not_filled_in_is_missing(text: str | None) -> None:
    assert read_price(text, PLAIN, TOKEN) == (0, NoticeFlag.PRICE_MISSING)


@pytest.mark.parametrize(
    "text",
    ["0", "0.0000001", "-1", "+1", "abc", "NaN", "inf", "1,5", "1_0", "0x1", "١", "1 ", "1\n", "1e99", "9" * 40, ".5"],
)
def test_a_price_that_is_no_positive_decimal_is_invalid(text: str) -> None:
    assert read_price(text, PLAIN, TOKEN) == (0, NoticeFlag.PRICE_INVALID)


def test_a_price_one_nano_above_the_bid_is_flagged() -> None:
    assert read_price("2.400001", PLAIN, TOKEN) == (2_400_001, NoticeFlag.PRICE_ABOVE_BID)


@pytest.mark.parametrize("exchange", [Exchange(key=5, price="google"), None])
def test_a_price_that_we_cannot_check_is_unverifiable(exchange: Exchange | None) -> None:
    assert read_price("YWJj", exchange, TOKEN) == (0, NoticeFlag.PRICE_UNVERIFIABLE)
    assert read_price("1.0", exchange, TOKEN) == (0, NoticeFlag.PRICE_UNVERIFIABLE)
    assert read_price("%%WINNING_PRICE%%", exchange, TOKEN) == (0, NoticeFlag.PRICE_MISSING)


@pytest.mark.parametrize(
    ("kind", "spend_on", "flag"),
    [
        (NoticeKind.BILL, "billing", NoticeFlag.PRICE_MISSING),
        (NoticeKind.BILL, "win", NoticeFlag.PRICE_MISSING),
        (NoticeKind.WIN, "win", NoticeFlag.PRICE_MISSING),
        (NoticeKind.WIN, "billing", NoticeFlag.NONE),
        (NoticeKind.IMPRESSION, "impression", NoticeFlag.PRICE_MISSING),
        (NoticeKind.IMPRESSION, "billing", NoticeFlag.NONE),
        (NoticeKind.CLICK, "billing", NoticeFlag.NONE),
        (NoticeKind.LOSS, "billing", NoticeFlag.NONE),
    ],
)
def test_only_kinds_that_book_money_need_a_price(kind: NoticeKind, spend_on: str, flag: NoticeFlag) -> None:
    exchange = Exchange(key=1, spend_on=spend_on)  # type: ignore[arg-type]
    assert read(kind, None, exchange).flags == flag
    assert read(kind, "1.5", exchange).flags == NoticeFlag.NONE
    assert read(kind, "1.5", exchange).price == 1_500_000


def test_a_bad_price_that_nobody_needs_is_ignored() -> None:
    for price in ("abc", "99", "AUDIT"):
        notice = read(NoticeKind.WIN, price)
        assert (notice.price, notice.flags) == (0, NoticeFlag.NONE)


def test_the_price_of_a_loss_is_what_beat_us() -> None:
    notice = read(NoticeKind.LOSS, "9.75", reason="102")
    assert (notice.price, notice.loss_reason, notice.flags) == (9_750_000, 102, NoticeFlag.NONE)


@pytest.mark.parametrize("text", [None, "", "${AUCTION_LOSS}", "-1", "1.0", "9999999"])
def test_a_loss_reason_that_is_no_number_is_none(text: str | None) -> None:
    assert read_loss_reason(text) == 0


def test_a_token_expires_after_its_life_and_not_before() -> None:
    last_ms = (MINUTE + 1) * 60_000 + TTL_MS - 1
    assert read(NoticeKind.BILL, "1", now_ms=last_ms).flags == NoticeFlag.LATE
    expired = read(NoticeKind.BILL, "1", now_ms=last_ms + 1)
    assert (expired.flags, expired.price) == (NoticeFlag.EXPIRED, 1_000_000)
    both = read(NoticeKind.BILL, "", now_ms=last_ms + 1)
    assert both.flags == NoticeFlag.EXPIRED | NoticeFlag.PRICE_MISSING


def test_a_notice_is_late_once_its_reservation_was_given_back() -> None:
    last_ms = (MINUTE + 1) * 60_000 + LATE_MS - 1
    assert read(NoticeKind.BILL, "1", now_ms=last_ms).flags == NoticeFlag.NONE
    late = read(NoticeKind.BILL, "1", now_ms=last_ms + 1)
    assert (late.flags, late.price) == (NoticeFlag.LATE, 1_000_000)


def test_everything_that_the_token_says_is_in_the_notice() -> None:
    assert read(NoticeKind.BILL, "2") == Notice(
        2, 0, TOKEN.bid_id, NOW_MS, 2_000_000, 0, 1, 2, 1, 3, 4, 320, 50, 7, 8, 9, 10, 11, 2_400_000, 2_000_000
    )  # fmt: skip
