"""What is old is given up, while others write; money and what may still come stay."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from aggregator import retention
from aggregator.ledger import Batch
from aggregator.postgres import DAILY, EPOCH, Link
from aggregator.reconcile import books
from aggregator.retention import GivenUp, keep
from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.settings import Retention, Settings, SettingsError, parse
from tests.conftest import Databases
from tests.ledgers import ONE_CAMPAIGN, booked, created, linked, run

NOW = datetime(2026, 3, 25, 12, 30, tzinfo=UTC)
CLICK_WINDOW_DAYS = 30
KEPT = Retention(bids_days=10, leases_days=20, rollup_days=100, transfers_days=0)


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    yield from created(databases, ONE_CAMPAIGN)


@pytest.fixture
def link(dsn: str) -> Iterator[Link]:
    for parent in ("ledger.bid", "rollup.notice_minute", "rollup.flagged_minute"):
        for (leaf,) in run(
            dsn, f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{parent}'::regclass"
        ):
            run(dsn, f"DROP TABLE {leaf}")
    run(dsn, "UPDATE ops.horizon SET minute = 0")
    yield from linked(dsn)


def settings(**changes: int) -> Settings:
    return replace(Settings(), retention=replace(KEPT, **changes))


def minute(days_ago: float) -> int:
    return (NOW - timedelta(days=days_ago) - EPOCH) // timedelta(minutes=1)


def notice(number: int, days_ago: float, kind: NoticeKind = NoticeKind.BILL, **changes: int) -> Notice:
    at = minute(days_ago)
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {"kind": kind, "exchange": 1, "campaign": 1}
    named = {"bid_id": at.to_bytes(4, "big") + number.to_bytes(8, "big"), "received_ms": at * 60_000}
    return Notice(**(numbers | named | {"price": 100 if kind == NoticeKind.BILL else 0} | changes))


def leaves(dsn: str) -> list[str]:
    return [
        leaf.removeprefix("ledger.bid_")
        for (leaf,) in run(
            dsn, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'ledger.bid'::regclass ORDER BY 1"
        )
    ]


def bids(dsn: str) -> list[int]:
    return [number for (number,) in run(dsn, "SELECT get_byte(bid_id, 11) FROM ledger.bid ORDER BY 1")]


def test_bids_go_when_their_notices_cannot_come_any_more_and_their_money_stays(dsn: str, link: Link) -> None:
    booked(link, notice(1, 41), notice(2, 11), notice(3, 9), notice(4, 0))
    before = run(dsn, "SELECT * FROM ledger.balance ORDER BY name")
    given_up = keep(dsn, settings(), NOW)
    assert given_up == GivenUp(shrunk=("bid_2026031412",), dropped=("bid_2026021212",))
    assert bids(dsn) == [3, 4]
    assert run(dsn, "SELECT * FROM ledger.balance ORDER BY name") == before
    for days_ago in (41, 11, 9):
        assert books(dsn, (NOW - timedelta(days=days_ago)).date()) == []
    assert keep(dsn, settings(), NOW) == GivenUp()


def test_a_conversion_counts_once_as_long_as_its_click_may_bring_it(dsn: str, link: Link) -> None:
    clicked = notice(1, 11, NoticeKind.CLICK)
    booked(link, notice(1, 11), clicked, notice(2, 11))
    booked(link, notice(5, 41, NoticeKind.CLICK))
    keep(dsn, settings(), NOW)
    assert bids(dsn) == [1]
    after_click = {"received_ms": clicked.received_ms + 1_000}
    for _ in range(2):
        booked(link, notice(1, 11, NoticeKind.CONVERSION, **after_click))
        booked(link, notice(5, 41, NoticeKind.CONVERSION, **after_click))
    assert run(dsn, "SELECT sum(conversions)::int FROM rollup.notice_minute") == [(1,)]
    assert run(dsn, "SELECT sum(n)::int FROM rollup.flagged_minute") == [(2,)]
    assert bids(dsn) == [1]


def test_a_bill_that_lay_in_a_stream_until_its_bid_was_given_up_is_not_paid_twice(dsn: str, link: Link) -> None:
    ledger = booked(link, notice(1, 11))
    keep(dsn, settings(), NOW)
    at = ledger.place("s").position
    ledger.commit(Batch("s", at, at + 2, [notice(1, 11), notice(2, 0)]))
    assert run(dsn, "SELECT sum(amount_nano)::int FROM ledger.total WHERE reason = 'media'") == [(200,)]
    assert run(dsn, "SELECT state, price_nano FROM ledger.suspense") == [("open", 100)]
    assert run(dsn, "SELECT flags, n FROM rollup.flagged_minute") == [(int(NoticeFlag.EXPIRED), 1)]


def test_a_night_that_broke_off_between_two_steps_is_ended_by_the_next(
    dsn: str, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked(link, notice(1, 11), notice(1, 11, NoticeKind.CLICK), notice(2, 11), notice(3, 45))
    with monkeypatch.context() as patch:
        patch.setattr(retention, "_replace", _break_off)
        patch.setattr(retention, "_drop", lambda *_: [])
        with pytest.raises(psycopg2.OperationalError):
            keep(dsn, settings(), NOW)
    assert leaves(dsn) == ["2026020812"]
    given_up = keep(dsn, settings(), NOW)
    assert given_up == GivenUp(shrunk=("bid_2026031412",), dropped=("bid_2026020812",))
    assert bids(dsn) == [1]


def _break_off(*_: object) -> None:
    raise psycopg2.OperationalError("the connection was cut")


def test_rollups_go_day_by_day(dsn: str, link: Link) -> None:
    booked(link, notice(1, 102), notice(2, 99))
    given_up = keep(dsn, settings(), NOW)
    assert sorted(leaf for leaf in given_up.dropped if not leaf.startswith("bid")) == sorted(
        f"{table}_20251213" for table in DAILY
    )
    assert run(dsn, "SELECT sum(spend_nano)::int FROM rollup.notice_minute") == [(100,)]
    assert run(dsn, "SELECT sum(spent_nano)::int FROM ledger.campaign_day") == [(200,)]


def test_transfers_go_and_what_they_added_up_to_stays(dsn: str, link: Link) -> None:
    booked(link, notice(1, 0))
    later = datetime.now(UTC) + timedelta(days=30)
    before = run(dsn, "SELECT * FROM ledger.balance ORDER BY name")
    given_up = keep(dsn, settings(bids_days=0, rollup_days=0, leases_days=0, transfers_days=20), later)
    assert any(leaf.startswith("transfer_") for leaf in given_up.dropped)
    assert run(dsn, "SELECT count(*) FROM ledger.transfer") == [(0,)]
    assert run(dsn, "SELECT * FROM ledger.balance ORDER BY name") == before
    assert books(dsn, NOW.date()) == []
    link.broken()
    booked(link, notice(2, 0))


def lease(dsn: str, number: int, amount: int, closed_days_ago: float | None = None) -> None:
    run(
        dsn,
        "INSERT INTO ledger.lease (id, campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
        f" OVERRIDING SYSTEM VALUE VALUES ({number}, 1, 'h', to_timestamp({number}), '2026-01-01', {amount},"
        " now(), now(), 1)",
    )
    if closed_days_ago is not None:
        closed = NOW - timedelta(days=closed_days_ago)
        run(dsn, f"UPDATE ledger.lease SET closed_at = '{closed}' WHERE id = {number}")


def test_leases_closed_long_ago_are_folded_into_their_campaigns(dsn: str, link: Link) -> None:
    lease(dsn, 1, 1_000)
    lease(dsn, 2, 150)
    lease(dsn, 3, 500)
    lease(dsn, 4, 300)
    booked(link, notice(1, 1, lease=1), notice(2, 1, lease=2), notice(3, 1, lease=3), notice(4, 1, lease=4))
    for number, days in ((1, 25), (2, 25), (3, 5)):
        run(dsn, f"UPDATE ledger.lease SET closed_at = '{NOW - timedelta(days=days)}' WHERE id = {number}")
    late = int(NoticeFlag.LATE)
    booked(link, notice(5, 1, lease=2, flags=late), notice(6, 1, lease=1, flags=late))
    figures = ("granted", "returned", "spent", "late", "overspend")
    asked = "SELECT " + ", ".join(f"sum({name}_nano_usd)::int" for name in figures) + " FROM report.money"
    media = "SELECT sum(balance_nano)::int FROM ledger.balance WHERE kind = 'media'"
    before = run(dsn, asked), run(dsn, media)
    assert before[0] == [(1_950, 1_350, 600, 200, 50)]
    assert keep(dsn, settings(), NOW).leases == 2
    assert (run(dsn, asked), run(dsn, media)) == before
    assert run(dsn, "SELECT id FROM ledger.lease ORDER BY id") == [(3,), (4,)]
    balances = dict(run(dsn, "SELECT name, balance_nano::int FROM ledger.balance"))
    assert balances == {"advertiser:1": -600, "media:1": 600, "campaign:1": -200, "lease:3": 0, "lease:4": 200}
    settled = run(
        dsn, "SELECT debit::text, credit::text, amount_nano FROM ledger.transfer WHERE reason = 'settle' ORDER BY 2"
    )
    assert settled == [("campaign:1", "lease:1", 100), ("campaign:1", "lease:2", 100)]
    assert books(dsn, NOW.date() - timedelta(days=1)) == []


def test_whoever_books_meanwhile_does_not_wait_for_the_night(dsn: str, link: Link) -> None:
    """A reader holds the old leaf, so that the night has to wait; the aggregator goes on."""
    booked(link, notice(1, 11), notice(2, 0))
    reader = psycopg2.connect(dsn)
    night = threading.Thread(target=keep, args=(dsn, settings(), NOW))
    with closing(reader), reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger.bid")
        night.start()
        while not run(
            dsn, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%DETACH%CONCURRENTLY' AND wait_event_type = 'Lock'"
        ):
            assert night.is_alive()
        link.connection().cursor().execute("SET lock_timeout = '5s'")
        booked(link, notice(3, 0), notice(4, 10 - 1))
        assert night.is_alive()
        reader.rollback()
    night.join(30)
    assert bids(dsn) == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ({"bids_days": 3}, "retention.bids_days: 4 at least"),
        ({"leases_days": 14}, "retention.leases_days: 15 at least"),
        ({"rollup_days": 14}, "retention.rollup_days: longer than bids_days"),
        ({"transfers_days": -1}, "retention.transfers_days: longer than bids_days"),
    ],
)
def test_settings_that_would_lose_money_are_refused(text: dict[str, int], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        parse({"retention": text}, "file")


def test_a_night_at_no_time_of_day_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"nightly\.at: a time of the day"):
        parse({"nightly": {"at": "3am"}}, "file")
    assert parse({"nightly": {"at": ""}}, "file").nightly.at == ""


@pytest.mark.parametrize("key", ["video_ttl_s", "view_window_s"])
def test_bids_are_kept_as_long_as_any_notice_of_them_is_in_time(key: str) -> None:
    with pytest.raises(SettingsError, match="bids_days: 31 at least"):
        parse({"tracking": {key: 30 * 86_400}}, "file")
    assert parse({"tracking": {key: 13 * 86_400}}, "file")
