"""What the database itself refuses: to the role that the aggregator works as, and to the owner of the tables."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import errors

from aggregator.migrate import DIRECTORY, migrate
from aggregator.postgres import BOOKKEEPER, Link
from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from tests.conftest import Databases
from tests.ledgers import booked, created, linked, run

AS_BOOKKEEPER = f"-c role={BOOKKEEPER}"
MINUTE = 29_000_000
TRANSFER = "INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano) VALUES "
BEFORE = "0007"  # older files are those of a database that knows nothing of this


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    yield from created(
        databases,
        "INSERT INTO config.advertiser (id, fee_ppm) VALUES ('acme', 150000), ('plain', 0);"
        "INSERT INTO config.campaign (id, advertiser, status, body, timezone, revision) VALUES"
        " ('c', 1, 'active', '{}', 'Asia/Kathmandu', 1), ('p', 2, 'active', '{}', 'UTC', 1)",
    )


@pytest.fixture
def link(dsn: str) -> Iterator[Link]:
    yield from linked(dsn)


def bill(number: int, price: int, campaign: int = 1, **changes: Any) -> Notice:
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
        "kind": NoticeKind.BILL,
        "exchange": 1,
        "campaign": campaign,
    }
    bid_id = changes.pop("minute", MINUTE).to_bytes(4, "big") + number.to_bytes(8, "big")
    return Notice(**(numbers | {"bid_id": bid_id, "price": price, "bid_price": 900} | changes))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.transfer SET amount_nano = 1",
        "DELETE FROM ledger.transfer",
        "TRUNCATE ledger.transfer",
        "DROP TABLE ledger.transfer",
        "ALTER TABLE ledger.transfer DISABLE TRIGGER ALL",
        "UPDATE ledger.total SET amount_nano = 1",
        "INSERT INTO ledger.total VALUES ('campaign:1', 'media:1', 'media', 5, 1)",
        "DELETE FROM ledger.total",
        "TRUNCATE ledger.total",
        "DELETE FROM ledger.bid",
        "DELETE FROM ledger.campaign_day",
        "UPDATE ledger.lease SET amount_nano = amount_nano * 2",
        "DELETE FROM ledger.suspense",
        "UPDATE ops.audit SET actor = 'somebody else'",
        "DELETE FROM ops.audit",
        "UPDATE config.campaign SET daily_nano = NULL",
        "UPDATE config.advertiser SET fee_ppm = 0",
        "DELETE FROM rollup.notice_minute",
    ],
)
def test_the_aggregators_role_cannot_change_what_was_booked(dsn: str, link: Link, statement: str) -> None:
    booked(link, bill(1, 500))
    with pytest.raises(errors.InsufficientPrivilege):
        run(dsn, statement, options=AS_BOOKKEEPER)
    assert run(dsn, "SELECT sum(amount_nano)::int FROM ledger.transfer WHERE reason = 'media'") == [(500,)]


def test_nor_can_it_write_past_the_table_into_a_leaf(dsn: str, link: Link) -> None:
    booked(link, bill(1, 500))
    leaf = run(dsn, "SELECT tableoid::regclass::text FROM ledger.transfer LIMIT 1")[0][0]
    for statement in (f"INSERT INTO {leaf} SELECT * FROM {leaf}", f"UPDATE {leaf} SET amount_nano = 1"):
        with pytest.raises(errors.InsufficientPrivilege):
            run(dsn, statement, options=AS_BOOKKEEPER)


@pytest.mark.parametrize("what", ["UPDATE {} SET amount_nano = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_even_the_owner_is_refused_until_he_lifts_the_rule(dsn: str, link: Link, what: str) -> None:
    booked(link, bill(1, 500))
    with pytest.raises(errors.RestrictViolation, match="what is posted stays as it is"):
        run(dsn, what.format("ledger.transfer"))
    if not what.startswith("TRUNCATE"):
        leaf = run(dsn, "SELECT tableoid::regclass::text FROM ledger.transfer LIMIT 1")[0][0]
        with pytest.raises(errors.RestrictViolation):
            run(dsn, what.format(leaf))


@pytest.mark.parametrize(
    ("row", "refusal"),
    [
        ("('lease:1', 'media:1', 'media', 5, -10)", errors.CheckViolation),
        ("('lease:1', 'media:1', 'media', 5, 0)", errors.CheckViolation),
        ("('lease:1', NULL, 'media', 5, 10)", errors.NotNullViolation),
        ("('lease:1', 'lease:1', 'media', 5, 10)", errors.CheckViolation),
        ("('pocket:1', 'media:1', 'media', 5, 10)", errors.CheckViolation),
        ("('media:1', 'campaign:1', 'media', 5, 10)", errors.CheckViolation),
        ("('campaign:1', 'lease:1', 'gift', 5, 10)", errors.CheckViolation),
        ("('lease:1', 'media:1', 'media', 5, 9223372036854775808)", errors.NumericValueOutOfRange),
        ("('lease:1', 'media:1', 'media', 5, 10)", errors.IntegrityConstraintViolation),
        ("('advertiser:1', 'campaign:1', 'charge', 5, 10)", errors.IntegrityConstraintViolation),
        (
            "('advertiser:1', 'campaign:1', 'charge', 5, 11), ('campaign:1', 'media:1', 'media', 5, 10)",
            errors.IntegrityConstraintViolation,
        ),
    ],
)
def test_a_posting_that_does_not_add_up_is_refused(dsn: str, link: Link, row: str, refusal: type[Exception]) -> None:
    booked(link, bill(1, 500))
    for options in (AS_BOOKKEEPER, ""):
        with pytest.raises(refusal):
            run(dsn, TRANSFER + row, options=options)
    assert run(dsn, "SELECT sum(balance_nano)::int FROM ledger.balance") == [(0,)]


def test_totals_follow_whatever_is_posted(dsn: str, link: Link) -> None:
    booked(link, bill(1, 500), bill(2, 300))
    booked(link, bill(3, 100))
    kept = "SELECT debit::text, credit::text, reason, amount_nano, transfers FROM ledger.total ORDER BY 1, 2"
    summed = "SELECT debit::text, credit::text, reason, sum(amount_nano)::bigint, count(*) FROM ledger.transfer"
    assert run(dsn, kept) == run(dsn, summed + " GROUP BY 1, 2, 3 ORDER BY 1, 2")
    assert run(dsn, "SELECT count(*) FROM ledger.transfer WHERE reason = 'media'") == [(2,)]


def test_an_advertiser_is_charged_media_cost_and_the_fee_rounded_once_a_bid(dsn: str, link: Link) -> None:
    booked(link, *(bill(number, 10) for number in range(4)), bill(9, 700, campaign=2))
    balances = dict(run(dsn, "SELECT name, balance_nano::int FROM ledger.balance"))
    fee = 4 * 2  # 15 % of 10 is 1.5, four times
    assert balances == {
        **{"advertiser:1": -40 - fee, "campaign:1": 0, "fee:1": fee, "media:1": 740},
        **{"advertiser:2": -700, "campaign:2": 0},
    }


def test_spend_posts_to_the_day_of_its_bid_and_to_the_hour_of_its_receipt(dsn: str, link: Link) -> None:
    midnight = 29_000_000 - 29_000_000 % 1_440 - 345  # 00:00 in Kathmandu, 5 h 45 min ahead
    later = 1_790_000_000_000
    booked(link, bill(1, 500, minute=midnight - 1), bill(2, 300, minute=midnight))
    booked(link, bill(3, 70, minute=midnight - 1, received_ms=later, flags=int(NoticeFlag.LATE)))
    days = run(dsn, "SELECT day - '1970-01-01', spent_nano, late_nano, bills FROM ledger.campaign_day ORDER BY day")
    day = (midnight + 345) // 1_440
    assert days == [(day - 1, 570, 70, 2), (day, 300, 0, 1)]
    hours = run(
        dsn, "SELECT extract(epoch FROM hour)::bigint, amount_nano, bills FROM ledger.receipt_hour ORDER BY hour"
    )
    assert hours == [(0, 800, 2), (later // 3_600_000 * 3_600, 70, 1)]


def test_with_a_lease_spend_posts_to_the_leases_day(dsn: str, link: Link) -> None:
    lease = run(
        dsn,
        "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
        " VALUES (1, 'h', now(), '2020-02-29', 1000, now(), now(), 1) RETURNING id",
    )[0][0]
    booked(link, bill(1, 1_200, lease=lease))
    run(dsn, "UPDATE ledger.lease SET closed_at = now()")
    figures = "granted_nano_usd, returned_nano_usd, spent_nano_usd, overspend_nano_usd, balance_nano_usd"
    (total,) = run(
        dsn,
        "SELECT " + ", ".join(f"sum({name})::int" for name in figures.split(", ")) + " FROM report.money"
        " WHERE day = '2020-02-29'",
    )
    assert total == (1_000, 0, 1_200, 200, -200)


def test_a_bill_past_its_tokens_life_is_a_claim_and_no_spend(dsn: str, link: Link) -> None:
    expired = bill(1, 500, flags=int(NoticeFlag.EXPIRED))
    booked(link, expired)
    booked(link, expired, bill(2, 40, flags=int(NoticeFlag.EXPIRED)))
    balances = dict(run(dsn, "SELECT name, balance_nano::int FROM ledger.balance"))
    assert balances == {"suspense:1": -540, "claim:1": 540}
    assert run(dsn, "SELECT sum(suspense_nano_usd)::int, sum(spent_nano_usd)::int FROM report.money") == [(540, 0)]


def test_a_database_of_before_keeps_its_money_and_its_reports(database: str, tmp_path: Path) -> None:
    old = Path(shutil.copytree(DIRECTORY, tmp_path / "old"))
    for path in old.glob("*.sql"):
        if path.name >= BEFORE:
            path.unlink()
    migrate(database, old)
    run(
        database,
        "INSERT INTO config.exchange (key, name) VALUES (1, 'openx');"
        "INSERT INTO config.advertiser (id) VALUES ('a');"
        "INSERT INTO config.campaign (id, advertiser, status, body, revision) VALUES ('c', 1, 'active', '{}', 1);"
        "INSERT INTO ledger.lease (campaign, host, hour, day, amount_nano, take_until, settle_until, revision) VALUES"
        " (1, 'h', now(), '2026-01-02', 1000, now(), now(), 1),"
        " (1, 'h', now() - interval '1 h', '2026-01-01', 90, now(), now(), 1);"
        "SELECT ops.ensure_partition('ledger.bid', 'bid_x', '\\x00000000', '\\xffffffff');"
        "INSERT INTO ledger.bid SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), 2, true, 1, 1, n % 3, 9, 9, 10 * n,"
        " now() FROM generate_series(1, 9) n;"
        "INSERT INTO ledger.lease_minute SELECT lease, 0, sum(spent_nano), 0 FROM ledger.bid WHERE lease > 0 GROUP BY 1"
        ";"
        "INSERT INTO ledger.account (name) VALUES ('media:1') ON CONFLICT DO NOTHING;"
        "INSERT INTO ledger.transfer SELECT CASE WHEN lease > 0 THEN 'lease:' || lease ELSE 'campaign:1' END,"
        " 'media:1', 'media', 0, sum(spent_nano), '2026-01-02 12:00Z' FROM ledger.bid GROUP BY lease;"
        "INSERT INTO ledger.suspense VALUES ('\\x000000000000000000000063', now(), 1, 1, 1, 1, 70, 80);"
        "UPDATE ledger.lease SET closed_at = now() WHERE id = 2",
    )
    before = dict(run(database, "SELECT name, balance_nano::int FROM ledger.balance"))
    migrate(database)
    after = dict(run(database, "SELECT name, balance_nano::int FROM ledger.balance"))
    assert after == before | {
        **{"advertiser:1": -450, "campaign:1": before["campaign:1"] + 450, "suspense:1": -70, "claim:1": 70}
    }
    days = run(
        database,
        "SELECT day::text, exchange, spent_nano, granted_nano, returned_nano FROM ledger.campaign_day ORDER BY 1, 2",
    )
    spent = {lease: sum(10 * n for n in range(1, 10) if n % 3 == lease) for lease in range(3)}
    assert days == [
        ("1970-01-01", 1, spent[0], 0, 0),
        ("2026-01-01", 0, 0, 90, 0),
        ("2026-01-01", 1, spent[2], 0, 0),
        ("2026-01-02", 0, 0, 1_000, 0),
        ("2026-01-02", 1, spent[1], 0, 0),
    ]
    assert run(database, "SELECT sum(amount_nano)::int, sum(bills)::int FROM ledger.receipt_hour") == [(450, 9)]
    assert run(database, "SELECT account, advertiser FROM report.ledger WHERE kind = 'advertiser'") == [
        ("advertiser:1", "a")
    ]
