"""Several aggregators and a controller on one database at a time: nobody waits in a circle, all is booked once."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest

from aggregator import ledger as ledger_module
from aggregator.dedupe import Booking
from aggregator.ledger import Batch, Ledger
from aggregator.postgres import Link
from aggregator.reconcile import books
from bidder.events.schema import Notice, NoticeKind
from tests.conftest import Databases
from tests.ledgers import created, empty, run
from tests.reference.booking import keep_books

MINUTE = 29_573_280
RULES = {1: NoticeKind.BILL, 2: NoticeKind.WIN}
CAMPAIGNS = 20


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    yield from created(
        databases,
        "INSERT INTO config.exchange VALUES (1, 'openx', 'billing'), (2, 'xandr', 'win');"
        "INSERT INTO config.advertiser (id, fee_ppm) VALUES ('a', 70000), ('b', 0);"
        "INSERT INTO config.campaign (id, advertiser, status, body, revision)"
        f" SELECT 'c' || n, n % 2 + 1, 'active', '{{}}', 1 FROM generate_series(1, {CAMPAIGNS}) n",
    )


def notices(chance: random.Random, bids: int) -> list[Notice]:
    """Each kind of each bid once or twice, in any order; a price depends on its bid alone."""
    made = []
    for bid in range(bids):
        numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
            **{"exchange": bid % 2 + 1, "campaign": bid % CAMPAIGNS + 1, "lease": bid % CAMPAIGNS + 1, "taken": 900},
            **{"bid_id": (MINUTE + bid % 3).to_bytes(4, "big") + bid.to_bytes(8, "big"), "bid_price": 900},
        }
        for kind in (NoticeKind.WIN, NoticeKind.BILL, NoticeKind.IMPRESSION):
            price = 0 if kind == NoticeKind.IMPRESSION else 100 + bid % 700
            made += [Notice(**(numbers | {"kind": kind, "price": price}))] * chance.randint(1, 2)
    chance.shuffle(made)
    return made


def test_several_that_bring_the_same_bids_book_each_once_while_leases_come_and_go(dsn: str) -> None:
    empty(dsn)
    leases = "INSERT INTO ledger.lease (id, campaign, host, hour, day, amount_nano, take_until, settle_until, revision)"
    leases += (
        " OVERRIDING SYSTEM VALUE SELECT n, (n - 1) % 20 + 1, 'h' || n, to_timestamp(0), '2026-03-25', 10^9, now(),"
    )
    leases += " now(), 1"
    run(dsn, f"{leases} FROM generate_series(1, {CAMPAIGNS}) n")
    sent = notices(random.Random(5), 600)
    failures: list[BaseException] = []
    booking = threading.Event()

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run_it() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=run_it)

    def aggregator(name: str, seed: int) -> Callable[[], None]:
        def work() -> None:
            mine = list(sent)
            random.Random(seed).shuffle(mine)
            link = Link(dsn, name)
            ledger = Ledger(link, RULES)
            position = ledger.place(name).position
            while position < len(mine):
                after = min(len(mine), position + 150)
                ledger.commit(Batch(name, position, after, mine[position:after]))
                position = after
            link.broken()

        return work

    def controller() -> None:
        number = 1_000
        while not booking.is_set():
            number += 20
            run(dsn, f"{leases} FROM generate_series({number}, {number + 19}) n")
            run(dsn, f"UPDATE ledger.lease SET amount_nano = amount_nano / 2 WHERE id >= {number}")
            run(dsn, f"UPDATE ledger.lease SET closed_at = now() WHERE id >= {number}")
            run(dsn, "SELECT ledger.retire_leases(now() + interval '1 day', 10)")

    aggregators = [guarded(aggregator(name, seed)) for seed, name in enumerate(("one", "two", "three"))]
    office = guarded(controller)
    for thread in (office, *aggregators):
        thread.start()
    for thread in aggregators:
        thread.join()
    booking.set()
    office.join()
    assert failures == []
    truth = keep_books(sent, RULES)
    spent = run(dsn, "SELECT sum(amount_nano)::int FROM ledger.total WHERE reason = 'media'")
    assert spent == [(truth.spend.total(),)]
    assert run(dsn, "SELECT sum(wins)::int, sum(bills)::int, sum(impressions)::int FROM rollup.notice_minute") == [
        (600,) * 3
    ]
    assert books(dsn, date(2026, 3, 25)) == []


def test_who_was_not_first_with_a_bid_books_alone(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    empty(dsn)
    held: list[str] = []
    insert = ledger_module._insert_bids

    def beaten_once(cursor: Any, booking: Booking) -> None:
        cursor.execute("SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        held.extend(mode for (mode,) in cursor.fetchall())
        if len(held) == 1:
            raise ledger_module._NotFirst
        insert(cursor, booking)

    monkeypatch.setattr(ledger_module, "_insert_bids", beaten_once)
    link = Link(dsn, "test")
    ledger = Ledger(link, RULES)
    ledger.commit(Batch("s", ledger.place("s").position, 1, notices(random.Random(1), 1)[:1]))
    assert held == ["ShareLock", "ExclusiveLock"]
    assert run(dsn, "SELECT position, notices FROM ops.stream") == [(1, 1)]
    link.broken()
