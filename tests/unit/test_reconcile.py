"""Differences that were put into a real database, a real spool and an invoice are found, with their size and cause."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import psycopg2
import pytest

from aggregator.invoice import InvoiceError, read
from aggregator.ledger import Batch, Ledger
from aggregator.nightly import Nightly, seconds_until
from aggregator.postgres import Link
from aggregator.reconcile import Difference, books
from aggregator.reconcile_stream import stream
from bidder.cli import context
from bidder.cli.main import main
from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.events.spool import Spool
from bidder.ops import log
from bidder.settings import Settings
from tests.conftest import Databases
from tests.ledgers import ONE_CAMPAIGN, created, empty, run

MINUTE = 29_573_280  # 2026-03-25 00:00 UTC
DAY = date(2026, 3, 25)
RECEIVED_MS = MINUTE * 60_000 + 5_000
RULES = {1: NoticeKind.BILL, 2: NoticeKind.WIN}
TWO_RULES_AND_A_FEE = (
    "INSERT INTO config.exchange VALUES (2, 'xandr', 'win'); UPDATE config.advertiser SET fee_ppm = 100000"
)


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    yield from created(databases, ONE_CAMPAIGN + TWO_RULES_AND_A_FEE)


class Host:
    """A spool, what is booked of it, and a state directory for the verb."""

    def __init__(self, directory: Path, dsn: str) -> None:
        self.state = context.make_state(directory / "state")
        settings = Settings()
        context.save(self.state, replace(settings, postgres=replace(settings.postgres, dsn=dsn)), "")
        self.dsn = dsn
        self.spool = Spool(self.state / "spool")
        self.link = Link(dsn, "test")
        self.ledger = Ledger(self.link, RULES)

    def write(self, *notices: Notice) -> None:
        for notice in notices:
            self.spool.append(msgspec.msgpack.encode(notice)).result(10)

    def book(self, *notices: Notice) -> None:
        self.write(*notices)
        at = self.ledger.place(self.spool.id).position
        self.ledger.commit(Batch(self.spool.id, at, self.spool.durable, notices))

    def found(self) -> list[tuple[str, str, str, int]]:
        return short([*books(self.dsn, DAY), *stream(self.dsn, self.state / "spool", RULES)])


def short(differences: list[Difference]) -> list[tuple[str, str, str, int]]:
    return [(d.what, d.left, d.right, d.size) for d in differences]


@pytest.fixture
def host(tmp_path: Path, dsn: str) -> Iterator[Host]:
    empty(dsn)
    made = Host(tmp_path, dsn)
    run(
        dsn,
        "INSERT INTO ledger.lease (id, campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
        " OVERRIDING SYSTEM VALUE VALUES (7, 1, 'h', '2026-03-25', '2026-03-25', 1000, now(), now(), 1)",
    )
    yield made
    made.link.broken()
    made.spool.close()


def bill(number: int, price: int = 100, exchange: int = 1, **changes: int) -> Notice:
    kind = NoticeKind.BILL if exchange == 1 else NoticeKind.WIN
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {"kind": kind, "exchange": exchange, "campaign": 1}
    bid_id = changes.pop("minute", MINUTE).to_bytes(4, "big") + number.to_bytes(8, "big")
    named = {"bid_id": bid_id, "price": price, "bid_price": 900, "received_ms": RECEIVED_MS, "lease": 7}
    return Notice(**(numbers | named | changes))


def test_books_that_nobody_touched_agree(host: Host) -> None:
    host.book(bill(1), bill(2, 250, exchange=2), bill(3, lease=0), bill(1), bill(4, flags=int(NoticeFlag.EXPIRED)))
    host.book(bill(5, minute=MINUTE - 1), bill(6, flags=int(NoticeFlag.LATE)))
    assert host.found() == []
    assert main(["reconcile", "--day", str(DAY), "--state", str(host.state)]) == 0


def test_a_bill_that_comes_again_with_another_price_long_after_it_was_paid_is_no_difference(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.reconcile_stream.AT_ONCE", 1)  # each is looked at by itself
    host.book(bill(1))
    host.book(bill(1, 90))
    assert host.found() == []


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (
            "UPDATE ledger.bid SET spent_nano = spent_nano + 5 WHERE exchange = 2",
            [
                ("exchange xandr, campaign c 2026-03-25", "bids", "rollups", 5),
                ("exchange xandr 2026-03-25", "bids", "transfers", 5),
                ("stream {id}", "prices of notices", "bids", -5),
            ],
        ),
        (
            "DELETE FROM ledger.bid WHERE exchange = 2",
            [
                ("exchange xandr, campaign c 2026-03-25", "bids", "rollups", -250),
                ("exchange xandr 2026-03-25", "bids", "transfers", -250),
                ("stream {id}", "acknowledged notices", "booked", 1),
                ("stream {id}", "their prices", "booked", 250),
            ],
        ),
        (
            "DELETE FROM rollup.notice_minute WHERE exchange = 1",
            [
                ("exchange openx 2026-03-25", "transfers", "rollups", 100),
                ("exchange openx, campaign c 2026-03-25", "bids", "rollups", 100),
            ],
        ),
        ("UPDATE ledger.lease_minute SET spent_nano = 349", [("lease:7", "transfers", "leases", 1)]),
        (
            "UPDATE ledger.receipt_hour SET amount_nano = 0 WHERE exchange = 1",
            [("exchange openx", "transfers", "receipts", 100)],
        ),
        (
            "UPDATE ledger.campaign_day SET spent_nano = spent_nano - 50 WHERE exchange = 2",
            [("exchange xandr", "transfers", "days", 50), ("campaign c", "transfers", "days", 50)],
        ),
        (
            "UPDATE ledger.total SET amount_nano = amount_nano + 9 WHERE reason = 'charge'",
            [("campaign c", "transfers", "days", 9)],
        ),
    ],
)
def test_what_was_changed_behind_the_books_is_found(
    host: Host, harm: str, found: list[tuple[str, str, str, int]]
) -> None:
    host.book(bill(1), bill(2, 250, exchange=2))
    run(host.dsn, harm)
    assert host.found() == [(what.format(id=host.spool.id), *rest) for what, *rest in found]


def test_what_waits_in_the_stream_is_said_and_not_called_lost(host: Host) -> None:
    host.book(bill(1))
    booked = host.spool.durable
    host.write(bill(2))
    assert host.found() == [(f"stream {host.spool.id}", "written", "booked", host.spool.durable - booked)]


def test_the_stream_is_looked_at_in_portions_and_samples(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.reconcile_stream.AT_ONCE", 3)
    host.book(*(bill(number) for number in range(1, 12)))
    run(host.dsn, "DELETE FROM ledger.bid")
    whole, sampled = (stream(host.dsn, host.state / "spool", RULES, every) for every in (1, 5))
    assert [d.size for d in whole] == [11, 1_100]
    assert [(d.what, d.size) for d in sampled] == [
        (f"stream {host.spool.id}, one bid in 5", 2),
        (f"stream {host.spool.id}, one bid in 5", 200),
    ]


def test_another_spool_of_the_stream_may_be_looked_at(host: Host, tmp_path: Path) -> None:
    host.book(bill(1), bill(2))
    copy = shutil.copytree(host.state / "spool", tmp_path / "copy")
    run(host.dsn, "DELETE FROM ledger.bid")
    argv = ["reconcile", "--day", "2026-03-20", "--state", str(host.state)]
    assert main([*argv, "--no-stream"]) == 0
    assert main([*argv, "--spool", str(copy)]) == 1


def invoice(host: Host, *rows: str) -> Path:
    path = host.state / "invoice.csv"
    path.write_text("\n".join(["date,exchange,campaign,impressions,amount", *rows]))
    return path


@pytest.mark.parametrize(
    ("rows", "sizes", "cause"),
    [
        (["2026-03-25,openx,,2,0.0000002"], [], ""),
        (["2026-03-25,openx,c,2,0.0000002"], [], ""),
        (["2026-03-25,openx,,2,0.00000025"], [50], "as many impressions, another price"),
        (["2026-03-25,openx,,1,0.0000001"], [-100], "1 of our bills are not on it"),
        (["2026-03-25,openx,,5,0.0000005"], [300], "bills that came after the life of their token"),
        (["2026-03-25,openx,,9,0.0000009"], [700], "7 bills more than we booked; 3 notices had no usable price"),
        (["2026-03-25,openx,x,2,0.0000002"], [-200, 200], "not invoiced (yet)"),
        (["2026-03-25,index,,2,0.0000002"], [200], "nothing of it reached us"),
        (["2026-03-24,openx,,2,0.0000002", "2026-03-25,openx,,0,0"], [200, -200], "another time zone"),
        (["2026-03-24,openx,,0,0", "2026-03-26,openx,,0,0"], [-200], "not invoiced (yet)"),
    ],
)
def test_an_invoice_is_held_against_what_was_received(
    host: Host, rows: list[str], sizes: list[int], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    host.book(bill(1), bill(2, minute=MINUTE - 100), bill(3, 400, flags=int(NoticeFlag.EXPIRED)))
    host.book(bill(4, 5, flags=int(NoticeFlag.PRICE_ABOVE_BID)), bill(5, 0, flags=int(NoticeFlag.PRICE_MISSING)))
    argv = ["reconcile", "--invoice", str(invoice(host, *rows)), "--tolerance-usd", "0", "--state", str(host.state)]
    assert main([*argv, "--json"]) == (1 if sizes else 0)
    said = json.loads(capsys.readouterr().out)
    assert [difference["size"] for difference in said] == sizes
    assert cause in (said[0]["cause"] if said else "")
    main(argv)
    assert len(capsys.readouterr().out.splitlines()) == len(sizes) + 1


def test_an_invoice_of_another_zone_has_other_days(host: Host) -> None:
    host.book(bill(1))
    path = invoice(host, "2026-03-24,openx,,1,0.0000001")
    argv = ["reconcile", "--invoice", str(path), "--tolerance-usd", "0", "--state", str(host.state)]
    assert main([*argv, "--tz", "America/New_York"]) == 0
    assert main(argv) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("date,exchange,amount\n", "the header lacks impressions"),
        ("date,exchange,impressions,amount\n", "no row in it"),
        ("date,exchange,impressions,amount\n25.3.2026,openx,1,1\n", ":2: "),
        ("date,exchange,impressions,amount\n2026-03-25,openx,1,much\n", ":2: not a decimal amount"),
        ("date,exchange,impressions,amount\n2026-03-25,openx,1\n", ":2: "),
        ("date,exchange,impressions,amount\n2026-03-25,a,1,1\n2026-03-25,a,1,1\n", ":3: 2026-03-25 a  is there twice"),
    ],
)
def test_a_file_that_is_no_invoice_is_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "invoice.csv"
    path.write_text(text)
    with pytest.raises(InvoiceError) as failure:
        read(path)
    assert complaint in str(failure.value)


def test_a_night_is_done_once_by_one_host_and_by_every_host_for_its_stream(host: Host) -> None:
    host.book(bill(1))
    run(host.dsn, "UPDATE ledger.lease_minute SET spent_nano = 349; DELETE FROM ledger.bid")
    settings = Settings()
    now = datetime(2026, 3, 26, 3, 10, tzinfo=UTC)
    nights = [Nightly(host.state, settings, host.dsn, RULES, log.get("test"), name) for name in ("one", "two")]
    of_stream = [(f"stream {host.spool.id}", size) for size in (1, 100)]
    first, second = ([(d.what, d.size) for d in night.night(now)] for night in nights)
    assert first[0] == ("lease:7", -249)
    assert first[-2:] == second == of_stream
    with closing(psycopg2.connect(host.dsn)) as db, db, db.cursor() as cursor:
        cursor.execute(
            "SELECT day::text, host, differences, ended_at IS NOT NULL, report->0->>'size' FROM report.night"
        )
        assert cursor.fetchall() == [("2026-03-25", "one", len(first) - 2, True, "-249")]


def test_a_night_that_broke_off_is_tried_again(host: Host) -> None:
    night = Nightly(host.state, Settings(), "postgresql://nobody@127.0.0.1:1/none", RULES, log.get("test"), "one")
    assert night.attempt() is False


def test_the_night_comes_once_a_day() -> None:
    assert seconds_until("03:10", datetime(2026, 3, 25, 3, 9, 30, tzinfo=UTC)) == 30
    assert seconds_until("03:10", datetime(2026, 3, 25, 3, 10, tzinfo=UTC)) == 86_400
