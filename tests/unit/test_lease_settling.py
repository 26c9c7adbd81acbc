"""A notice may land on any host: the ledger settles the lease that its bid took from, wherever that is."""

import random
from datetime import timedelta
from pathlib import Path

from psycopg2.extensions import connection as Connection

from aggregator.ledger import Batch, Ledger
from aggregator.postgres import Link
from bidder.controller import store
from bidder.controller.leases import LeaseOffice
from bidder.events.schema import Notice, NoticeKind
from bidder.settings import Money
from tests.unit.test_controller_leases import campaign
from tests.unit.test_lease_sharing import PRICE, START, Host

PAID = PRICE * 7 // 10


class Aggregator:
    """Of one host: its stream into the ledger that all share."""

    def __init__(self, dsn: str, stream: str) -> None:
        self._ledger = Ledger(Link(dsn, f"aggregator of {stream}"), {1: NoticeKind.BILL})
        self._stream = stream
        self._position = self._ledger.place(stream).position

    def book(self, *notices: Notice) -> None:
        """All there is in the stream."""
        after = self._position + len(notices)
        self._ledger.commit(Batch(self._stream, self._position, after, notices, 0.0))
        self._position = after


def notice(kind: NoticeKind, number: int, lease: int, minute: int, taken: int) -> Notice:
    bid_id = minute.to_bytes(4, "big") + number.to_bytes(8, "big")
    price = PAID if kind == NoticeKind.BILL else 0
    return Notice(
        *(kind, 0, bid_id, int(START.timestamp() * 1000), price, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0),
        *(lease, PRICE, taken),
    )


def used(host: Host) -> int:
    """Spent or reserved of the lease that is taken from, as the host has it."""
    slot = host.purses.slot_of(1)
    half = host.purses.half(slot, host.purses.purse(slot).active)
    return half.amount - half.left


def test_a_lease_is_settled_by_notices_at_another_host_and_by_each_once(
    db: Connection, database: str, tmp_path: Path
) -> None:
    store.import_campaigns(db, [campaign(budget={"hourly_usd": "1"})])
    office = LeaseOffice(Money())
    ours, theirs = Host(db, office, tmp_path / "a", "a"), Host(db, office, tmp_path / "b", "b")
    aggregators = [Aggregator(database, "stream of a"), Aggregator(database, "stream of b")]

    def sync(until: float) -> None:
        while ours.now < until:
            now = min(until, ours.now + 2.0)
            for aggregator in aggregators:
                aggregator.book()
            ours.sync(now)
            theirs.sync(now)

    sync(20.0)
    slot = ours.purses.slot_of(1)
    minute = int((START + timedelta(seconds=20)).timestamp() // 60)
    bids = [got for _ in range(50) if (got := ours.purses.take(slot, PRICE, minute)) is not None]
    assert len(bids) == 50
    sync(24.0)
    assert used(ours) == 50 * PRICE
    notices = [
        notice(kind, number, lease, minute, taken)
        for number, (lease, taken) in enumerate(bids)
        for kind in [NoticeKind.BILL] * (number < 20) + [NoticeKind.LOSS] * (15 <= number < 40)
    ]
    random.Random(1).shuffle(notices)
    aggregators[1].book(*notices, *notices[:10])  # the other host hears them, some twice
    aggregators[0].book(*notices[30:])  # and this one some of the same
    theirs.sync(24.0)
    ours.sync(24.5)
    assert ours.keeper.overspent == 0
    assert used(ours) == 20 * PAID + 10 * PRICE
    with db, db.cursor() as cursor:
        cursor.execute("UPDATE ops.stream SET checked_at = clock_timestamp() - interval '1 minute' WHERE stream ~ 'b$'")
    for step in range(0, 720, 60):  # nothing comes back by its time while the other host's totals are behind
        aggregators[0].book()
        ours.sync(25.0 + step)
        assert used(ours) == 20 * PAID + 10 * PRICE
    sync(760.0)
    with db, db.cursor() as cursor:
        cursor.execute("SELECT sum(amount_nano) <= 10^9 FROM ledger.lease")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT sum(spent_nano) FROM ledger.campaign_day")
        assert cursor.fetchone() == (20 * PAID,)
    assert used(ours) == 20 * PAID
