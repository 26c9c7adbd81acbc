"""Bills in suspense are accepted or rejected once, by whom the audit says, and end where a bill in time would have."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from aggregator.postgres import Link
from aggregator.review import ReviewError, Settled, accept, reject
from bidder.cli import context
from bidder.cli.main import main
from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.settings import Settings
from tests.conftest import Databases
from tests.ledgers import ONE_CAMPAIGN, booked, created, empty, run

MINUTE = 29_573_280
EXPIRED = int(NoticeFlag.EXPIRED)


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    yield from created(databases, ONE_CAMPAIGN)


@pytest.fixture
def link(dsn: str) -> Iterator[Link]:
    empty(dsn)
    made = Link(dsn, "test")
    run(
        dsn,
        "UPDATE config.advertiser SET fee_ppm = 0;"
        "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
        " VALUES (1, 'h', now(), '2026-03-25', 1000, now(), now(), 1)",
    )
    yield made
    made.broken()


def query(link: Link, sql: str) -> list[tuple[Any, ...]]:
    with link.connection() as db, db.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def bill(link: Link, number: int, price: int, flags: int = 0, lease: int | None = None) -> Notice:
    newest = query(link, "SELECT max(id) FROM ledger.lease")[0][0] if lease is None else lease
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
        "kind": NoticeKind.BILL,
        "exchange": 1,
        "campaign": 1,
        "os": 3,
    }
    named = {"bid_id": MINUTE.to_bytes(4, "big") + number.to_bytes(8, "big"), "price": price, "flags": flags}
    return Notice(**(numbers | named | {"lease": newest, "bid_price": 900, "taken": 900}))


FACTS = (
    "SELECT debit::text, credit::text, amount_nano FROM ledger.total WHERE reason NOT IN ('suspense', 'accept')",
    "SELECT * FROM rollup.notice_minute",
    "SELECT lease, minute, spent_nano, closed_nano FROM ledger.lease_minute",
    "SELECT * FROM ledger.campaign_day",
    "SELECT * FROM ledger.receipt_hour",
    "SELECT bid_id, kinds, closed, spent_nano FROM ledger.bid",
)


def facts(link: Link) -> list[list[tuple[Any, ...]]]:
    return [sorted(query(link, sql), key=repr) for sql in FACTS]


def test_what_is_accepted_is_booked_as_a_late_bill_of_its_bid_would_have_been(dsn: str, link: Link) -> None:
    late = bill(link, 1, 500, int(NoticeFlag.LATE))
    booked(link, late)
    in_time = facts(link)
    lease = late.lease
    empty(dsn)
    with closing(psycopg2.connect(dsn)) as db, db, db.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger.lease (id, campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
            " OVERRIDING SYSTEM VALUE VALUES (%s, 1, 'h', now(), '2026-03-25', 1000, now(), now(), 1)",
            (lease,),
        )
    ledger = booked(link, bill(link, 1, 500, EXPIRED))
    assert accept(link, ledger, None, "ada", "agreed on the phone") == Settled(1, 500)
    assert facts(link) == in_time
    claims = "SELECT sum(balance_nano)::int FROM ledger.balance WHERE kind IN ('suspense', 'claim')"
    assert query(link, claims) == [(0,)]
    reviewed = query(link, "SELECT state, reviewed_by, note FROM ledger.suspense")
    assert reviewed == [("accepted", "ada", "agreed on the phone")]
    audited = query(link, "SELECT actor, verb, detail->>'nano_usd' FROM ops.audit ORDER BY id DESC LIMIT 1")
    assert audited == [("ada", "ledger accept", "500")]


def test_what_is_rejected_costs_nobody_anything_and_stays_rejected(link: Link) -> None:
    ledger = booked(link, bill(link, 1, 500, EXPIRED), bill(link, 2, 40, EXPIRED))
    one = bill(link, 1, 0).bid_id
    assert reject(link, [one], "ada", "") == Settled(1, 500)
    assert query(link, "SELECT name, balance_nano::int FROM ledger.balance WHERE kind = 'claim'") == [("claim:1", 40)]
    assert query(link, "SELECT count(*) FROM ledger.bid") == [(0,)]
    with pytest.raises(ReviewError, match="is not in suspense, or was reviewed before"):
        accept(link, ledger, [one], "ada", "")
    booked(link, bill(link, 1, 500, EXPIRED))
    assert query(link, "SELECT state FROM ledger.suspense WHERE price_nano = 500") == [("rejected",)]


def test_a_bid_that_was_billed_in_time_as_well_cannot_be_paid_twice(link: Link) -> None:
    ledger = booked(link, bill(link, 1, 500, EXPIRED))
    booked(link, bill(link, 1, 450))
    with pytest.raises(ReviewError, match="was billed in time as well"):
        accept(link, ledger, None, "ada", "")
    assert query(link, "SELECT sum(spent_nano)::int FROM ledger.bid") == [(450,)]


def test_the_campaign_pays_where_the_lease_is_gone(link: Link) -> None:
    ledger = booked(link, bill(link, 1, 500, EXPIRED, lease=987_654_321))
    assert accept(link, ledger, None, "ada", "") == Settled(1, 500)
    paid = query(link, "SELECT debit::text FROM ledger.total WHERE reason = 'media'")
    assert paid == [("campaign:1",)]
    assert query(link, "SELECT sum(balance_nano)::int FROM ledger.balance") == [(0,)]


def test_a_row_of_before_that_has_no_notice_is_booked_by_what_it_says(dsn: str, link: Link) -> None:
    ledger = booked(link, bill(link, 1, 500, EXPIRED))
    with closing(psycopg2.connect(dsn)) as db, db, db.cursor() as cursor:
        cursor.execute("UPDATE ledger.suspense SET notice = NULL")
    assert accept(link, ledger, None, "ada", "") == Settled(1, 500)
    assert query(link, "SELECT bills, spend_nano, os FROM rollup.notice_minute") == [(1, 500, 0)]


class Outbid:
    def __init__(self, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state = state
        self.capsys = capsys

    def __call__(self, *argv: str) -> str:
        assert main([*argv, "--state", str(self.state)]) == 0
        return self.capsys.readouterr().out


@pytest.fixture
def outbid(tmp_path: Path, dsn: str, capsys: pytest.CaptureFixture[str]) -> Outbid:
    state = context.make_state(tmp_path / "state")
    settings = Settings()
    context.save(state, replace(settings, postgres=replace(settings.postgres, dsn=dsn)), "")
    return Outbid(state, capsys)


def test_the_verb_settles_what_it_names(link: Link, outbid: Outbid) -> None:
    booked(link, *(bill(link, number, 10 * number, EXPIRED) for number in (1, 2, 3)))
    ids = [row["bid_id"] for row in json.loads(outbid("report", "suspense", "--json"))]
    assert outbid("ledger", "accept", ids[0], ids[1], "--note", "fine") == "accepted 2 bills, 0.000000030 USD\n"
    assert json.loads(outbid("ledger", "reject", "--all", "--json")) == {
        "bills": 1,
        "nano_usd": 30,
        "usd": "0.000000030",
    }
    states = [row["state"] for row in json.loads(outbid("report", "suspense", "--json"))]
    assert states == ["accepted", "accepted", "rejected"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["accept"], "name the bills, or give --all"),
        (["reject", "--all", "00" * 12], "name the bills, or give --all"),
        (["accept", "abc"], "'abc' is no bid id"),
        (["reject", "00" * 12], "is not in suspense"),
        (["fee", "nobody", "5"], "no advertiser 'nobody'"),
        (["fee", "a", "5.00001"], "a percentage of 0 to 1000"),
        (["fee", "--", "a", "-1"], "a percentage of 0 to 1000"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(
    link: Link, outbid: Outbid, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", argv[0], "--state", str(outbid.state), *argv[1:]]) == 1
    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1


def test_a_fee_that_was_set_is_charged_from_then_on(link: Link, outbid: Outbid) -> None:
    booked(link, bill(link, 1, 500))
    assert outbid("ledger", "fee", "a", "12.5") == "a: charged media cost and 12.5 % from now on\n"
    booked(link, bill(link, 2, 800))
    assert query(link, "SELECT amount_nano FROM ledger.total WHERE reason = 'fee'") == [(100,)]
    assert query(link, "SELECT amount_nano FROM ledger.total WHERE reason = 'charge'") == [(1_400,)]
