"""Booking of notices, without a database."""

import pytest

from aggregator.dedupe import CLICK_WINDOW_MS, BidState, Booking, UnknownExchange, UnknownKind, book
from bidder.events.schema import Notice, NoticeFlag, NoticeKind

MINUTE = 29_000_000
RULES = {1: NoticeKind.BILL, 2: NoticeKind.WIN, 3: NoticeKind.IMPRESSION}


def bid(number: int = 1, minute: int = MINUTE) -> bytes:
    return minute.to_bytes(4, "big") + number.to_bytes(8, "big")


def notice(kind: NoticeKind, price: int = 0, flags: int = 0, number: int = 1, exchange: int = 1) -> Notice:
    named = {"kind": kind, "flags": flags, "bid_id": bid(number), "received_ms": 5_000, "price": price}
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {"exchange": exchange, "campaign": 4, "lease": 8}
    return Notice(**(numbers | {"bid_price": 900, "taken": 700} | named))


def booked(*notices: Notice, states: dict[bytes, BidState] | None = None) -> Booking:
    return book(notices, states or {}, RULES)


def measures(booking: Booking) -> list[int]:
    return [sum(column) for column in zip(*booking.rollup.values(), strict=True)]


def test_the_first_of_each_kind_counts_and_the_second_does_not() -> None:
    booking = booked(notice(NoticeKind.WIN), notice(NoticeKind.BILL, 500), notice(NoticeKind.BILL, 500))
    assert measures(booking) == [1, 1, *[0] * 11, 500]
    assert booking.leases == {(8, MINUTE): [500, 700]}
    assert booking.spends == {(4, 8, 1, MINUTE, 0): [500, 0, 0, 1]}


def test_what_an_earlier_batch_booked_is_not_booked_again() -> None:
    first = booked(notice(NoticeKind.BILL, 500))
    again = booked(notice(NoticeKind.BILL, 500), states=first.bids)
    assert again == Booking()


@pytest.mark.parametrize("exchange", [1, 2, 3])
def test_spend_is_booked_on_the_kind_that_the_exchange_names(exchange: int) -> None:
    kinds = (NoticeKind.BILL, NoticeKind.WIN, NoticeKind.IMPRESSION)
    for kind in kinds:
        spent = measures(booked(notice(kind, 500, exchange=exchange)))[-1]
        assert spent == (500 if RULES[exchange] == kind else 0)


def test_a_loss_closes_the_reservation_and_a_bill_after_it_still_spends() -> None:
    booking = booked(notice(NoticeKind.LOSS), notice(NoticeKind.BILL, 500))
    assert booking.leases == {(8, MINUTE): [500, 700]}


def test_a_loss_after_the_bill_closes_nothing_more() -> None:
    first = booked(notice(NoticeKind.BILL, 500))
    assert booked(notice(NoticeKind.LOSS), states=first.bids).leases == {}


def test_a_flagged_notice_books_nothing_and_uses_up_no_key() -> None:
    booking = booked(notice(NoticeKind.BILL, 950, NoticeFlag.PRICE_ABOVE_BID), notice(NoticeKind.BILL, 500))
    assert measures(booking)[-1] == 500
    assert booking.flagged == {(MINUTE, 1, 4, NoticeKind.BILL, NoticeFlag.PRICE_ABOVE_BID): [1]}


def test_a_late_notice_books() -> None:
    assert measures(booked(notice(NoticeKind.BILL, 500, NoticeFlag.LATE)))[-1] == 500


def test_an_expired_bill_with_a_price_goes_to_suspense() -> None:
    booking = booked(notice(NoticeKind.BILL, 500, NoticeFlag.EXPIRED))
    assert (list(booking.suspense), booking.rollup) == ([bid()], {})


@pytest.mark.parametrize(
    "expired",
    [
        notice(NoticeKind.CLICK, 0, NoticeFlag.EXPIRED),
        notice(NoticeKind.WIN, 500, NoticeFlag.EXPIRED),
        notice(NoticeKind.BILL, 950, NoticeFlag.EXPIRED | NoticeFlag.PRICE_ABOVE_BID),
    ],
)
def test_nothing_else_that_expired_goes_to_suspense(expired: Notice) -> None:
    assert booked(expired).suspense == {}


def test_an_expired_repeat_of_a_bill_that_was_booked_is_not_in_suspense() -> None:
    first = booked(notice(NoticeKind.BILL, 500))
    assert booked(notice(NoticeKind.BILL, 500, NoticeFlag.EXPIRED), states=first.bids).suspense == {}


def test_a_bid_spends_once_even_where_its_exchange_changes_its_rule() -> None:
    first = book([notice(NoticeKind.BILL, 500)], {}, {1: NoticeKind.BILL})
    then = book([notice(NoticeKind.WIN, 400)], first.bids, {1: NoticeKind.WIN})
    assert measures(then) == [1, *[0] * 13]


def test_without_a_lease_the_campaign_pays() -> None:
    numbers = {name: getattr(notice(NoticeKind.BILL, 500), name) for name in Notice.__struct_fields__}
    booking = booked(Notice(**(numbers | {"lease": 0})))
    assert list(booking.spends) == [(4, 0, 1, MINUTE, 0)]
    assert booking.leases == {}


def test_an_exchange_without_a_rule_stops_the_batch() -> None:
    with pytest.raises(UnknownExchange, match="exchange 9 is not in config"):
        booked(notice(NoticeKind.WIN, exchange=9))


def test_states_that_are_passed_in_are_left_as_they_are() -> None:
    states = {bid(): BidState()}
    booked(notice(NoticeKind.BILL, 500), states=states)
    assert states == {bid(): BidState()}


def conversion(received_ms: int, price: int = 0) -> Notice:
    numbers = {name: getattr(notice(NoticeKind.CONVERSION, price), name) for name in Notice.__struct_fields__}
    return Notice(**(numbers | {"received_ms": received_ms}))


def test_a_conversion_counts_with_its_value_until_its_click_is_too_long_ago() -> None:
    clicked = booked(notice(NoticeKind.CLICK))  # at 5,000 ms
    in_time, too_late = conversion(5_000 + CLICK_WINDOW_MS, 30), conversion(5_001 + CLICK_WINDOW_MS, 30)
    assert measures(booked(in_time, states=clicked.bids))[-2:] == [30, 0]
    late = booked(too_late, states=clicked.bids)
    assert (late.rollup, late.bids, late.spends) == ({}, {}, {})
    assert late.flagged == {(MINUTE, 1, 4, NoticeKind.CONVERSION, NoticeFlag.EXPIRED): [1]}


def test_a_campaign_may_have_a_shorter_window_and_no_longer_one() -> None:
    clicked = booked(notice(NoticeKind.CLICK)).bids  # at 5,000 ms, of campaign 4
    for window, after_ms, counts in ((100, 100, 1), (100, 101, 0), (2 * CLICK_WINDOW_MS, CLICK_WINDOW_MS + 1, 0)):
        booking = book([conversion(5_000 + after_ms)], clicked, RULES, click_windows_ms={4: window, 5: 1})
        assert len(booking.bids) == counts


def test_a_conversion_whose_click_is_booked_by_another_host_only_later_counts() -> None:
    assert measures(booked(conversion(9_000 + 2 * CLICK_WINDOW_MS)))[NoticeKind.CONVERSION - 1] == 1


def test_players_are_counted_by_what_they_say_and_spend_nothing() -> None:
    kinds = [NoticeKind.VIEWABLE, NoticeKind.START, NoticeKind.FIRST_QUARTILE, NoticeKind.COMPLETE]
    booking = booked(*(notice(kind, 500) for kind in kinds for _ in range(2)))
    assert measures(booking) == [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0]
    assert (booking.leases, booking.spends) == ({}, {})


def test_a_notice_of_a_kind_of_later_builds_stops_the_batch() -> None:
    later = {name: getattr(notice(NoticeKind.WIN), name) for name in Notice.__struct_fields__} | {"kind": 13}
    with pytest.raises(UnknownKind, match="kind 13 need a newer build"):
        booked(Notice(**later))
