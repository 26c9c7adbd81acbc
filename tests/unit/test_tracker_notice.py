"""What a notice's price is worth: the flag, for every way of saying it, and which kinds need one."""

import msgspec
import pytest

from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.money.tokens import Token
from bidder.settings import Exchange, Tracking
from bidder.tracking.notice import (
    MAX_VALUE,
    OF_MONEY,
    Lives,
    Said,
    read_loss_reason,
    read_notice,
    read_price,
    read_value,
)

PLAIN = Exchange(key=1)
MINUTE = 30_000_000
NOW_MS = MINUTE * 60_000 + 5_000
LATE_MS = 600_000
TTL_MS = 72 * 3_600_000
LIVES = Lives.of(Tracking(), 600)
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
    return read_notice(kind, TOKEN, exchange, Said(price, reason), now_ms, LIVES)


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
        (NoticeKind.LOSS, "billing", NoticeFlag.NONE),
    ],
)
def test_only_kinds_that_book_money_need_a_price(kind: NoticeKind, spend_on: str, flag: NoticeFlag) -> None:
    exchange = Exchange(key=1, spend_on=spend_on)  # type: ignore[arg-type]
    assert read(kind, None, exchange).flags == flag
    assert read(kind, "1.5", exchange).flags == NoticeFlag.NONE
    assert read(kind, "1.5", exchange).price == 1_500_000


@pytest.mark.parametrize("kind", set(NoticeKind) - OF_MONEY)
def test_what_pages_and_players_tell_has_no_price(kind: NoticeKind) -> None:
    for spend_on in ("billing", "win", "impression"):
        notice = read(kind, "1.5", Exchange(key=1, spend_on=spend_on))  # type: ignore[arg-type]
        assert (notice.price, notice.flags) == (0, NoticeFlag.NONE)


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


def test_what_would_have_won_is_kept_in_nano_usd_of_the_bid() -> None:
    def said(text: str | None, token: Token = TOKEN, exchange: Exchange | None = PLAIN) -> int:
        told = Said("1", "102", min_to_win=text)
        return read_notice(NoticeKind.LOSS, token, exchange, told, NOW_MS, LIVES).min_to_win

    assert said("2.5") == 2_500_000
    assert [said(text) for text in (None, "", "${AUCTION_MIN_TO_WIN}", "abc", "-1", "NaN")] == [0] * 6
    assert said("4.6", msgspec.structs.replace(TOKEN, bid_price=1_000_000, asked=920_000)) == 5_000_000
    assert said("9e18", msgspec.structs.replace(TOKEN, bid_price=2**32 - 1, asked=1)) == 0
    assert said("4e12", msgspec.structs.replace(TOKEN, bid_price=2**32 - 1, asked=1)) == 2**62
    assert said("1", exchange=None) == 0


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        *[("12.50", 12_500_000_000), ("0.000000001", 1), ("100000", MAX_VALUE), ("100000.01", 0)],
        *[(None, 0), ("", 0), ("-5", 0), ("{value}", 0), ("1,50", 0), ("NaN", 0), ("9e99", 0)],
    ],
)
def test_a_conversion_is_worth_what_it_says_in_dollars(text: str | None, nano: int) -> None:
    assert read_value(text) == nano
    notice = read_notice(NoticeKind.CONVERSION, TOKEN, PLAIN, Said(price="9", value=text), NOW_MS, LIVES)
    assert (notice.price, notice.flags) == (nano, NoticeFlag.NONE)


def test_formats_may_have_lives_of_their_own() -> None:
    lives = Lives.of(Tracking(token_ttl_s=3_600, video_ttl_s=7_200), 600)
    after_ms = (MINUTE + 1) * 60_000 + 3_600_000
    for mtype, flag in ((1, NoticeFlag.EXPIRED), (2, NoticeFlag.LATE), (0, NoticeFlag.LATE)):
        token = msgspec.structs.replace(TOKEN, format=mtype)
        assert read_notice(NoticeKind.BILL, token, PLAIN, Said("1"), after_ms, lives).flags == flag


def test_a_conversion_expires_when_no_click_could_be_that_late() -> None:
    lives = Lives.of(Tracking(token_ttl_s=3_600, click_window_s=86_400, view_window_s=1_800), 600)
    end_ms = (MINUTE + 1) * 60_000
    for life_ms, viewed in ((90_000_000, False), (1_800_000, True)):
        for ms, flag in ((life_ms - 1, NoticeFlag.NONE), (life_ms, NoticeFlag.EXPIRED)):
            kind, said = NoticeKind.CONVERSION, Said()
            assert read_notice(kind, TOKEN, PLAIN, said, end_ms + ms, lives, viewed=viewed).flags == flag


def test_only_what_is_about_money_can_be_late() -> None:
    late_ms = (MINUTE + 1) * 60_000 + LATE_MS
    for kind in NoticeKind:
        flag = NoticeFlag.LATE if kind in OF_MONEY else NoticeFlag.NONE
        assert read(kind, "1", now_ms=late_ms).flags == flag
