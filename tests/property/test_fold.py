"""Notices and counters in real Postgres equal the slow truth, whatever is repeated, flagged or interrupted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator import posting
from aggregator.fold import Loss
from aggregator.inbox import Inbox
from aggregator.ledger import Batch, Ledger
from aggregator.migrate import migrate
from aggregator.postgres import Link
from aggregator.writer import Writer
from bidder.events.schema import Deltas, Kind, Notice, NoticeKind, Row
from tests.conftest import Databases
from tests.ledgers import empty
from tests.reference.booking import keep_books

WINDOW_MS = 1_000
RULES = {1: NoticeKind.BILL, 2: NoticeKind.WIN, 3: NoticeKind.IMPRESSION}
MINUTE = 29_000_000
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Crash(Exception):
    """What a test throws where a process would die."""


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    made = databases.create()
    migrate(made)
    yield made
    databases.drop(made)


@pytest.fixture(scope="module")
def link(dsn: str) -> Iterator[Link]:
    made = Link(dsn, "test")
    yield made
    made.broken()


def query(link: Link, sql: str) -> list[tuple[Any, ...]]:
    with link.connection() as db, db.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """Of few bids, so that kinds and repeats meet. All that a bid's token says is the same in all its notices."""
    bid = draw(st.integers(0, 11))
    minute = MINUTE + bid % 3 * 40  # of two hours
    kind = draw(st.sampled_from(list(NoticeKind)))
    flags = draw(st.sampled_from([0] * 6 + [1, 2, 4, 8, 16, 32, 48]))
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
        **{"exchange": bid % 3 + 1, "campaign": bid % 4 + 1, "creative": bid + 1, "lease": bid % 5, "w": 300, "h": 250},
        **{"kind": int(kind), "flags": flags, "received_ms": 1_700_000_000_000, "bid_price": 900, "taken": 700 + bid},
    }
    if kind in (NoticeKind.CLICK, NoticeKind.CONVERSION):
        numbers["received_ms"] += draw(st.integers(0, 2 * WINDOW_MS))
    spends = kind in (NoticeKind.BILL, NoticeKind.WIN, NoticeKind.IMPRESSION, NoticeKind.CONVERSION)
    price = draw(st.integers(1, 900)) if spends else 0
    named = {"bid_id": minute.to_bytes(4, "big") + bid.to_bytes(8, "big"), "price": price}
    return Notice(**(numbers | named))


def check_books(link: Link, sent: list[Notice]) -> None:
    """Every table against the truth."""
    truth = keep_books(sent, RULES, WINDOW_MS)
    kinds = ("wins", "bills", "losses", "impressions", "clicks", "conversions", "viewable")
    kinds += ("starts", "first_quartiles", "midpoints", "third_quartiles", "completes")
    counts: Counter[tuple[int, int]] = Counter()
    spend: Counter[int] = Counter()
    value: Counter[int] = Counter()
    columns = f"campaign, spend_nano, conversion_nano, {', '.join(kinds)}"
    for campaign, spent, worth, *row in query(link, f"SELECT {columns} FROM rollup.notice_minute"):
        counts.update({(campaign, number): n for number, n in enumerate(row, 1)})
        spend[campaign] += spent
        value[campaign] += worth
    assert +counts == truth.counts
    assert +spend == truth.spend
    assert +value == truth.value
    leases = {
        (lease, minute): [s, c]
        for lease, minute, s, c in query(link, "SELECT lease, minute, spent_nano, closed_nano FROM ledger.lease_minute")
    }
    assert leases == dict(truth.leases)
    assert Counter(
        dict(query(link, "SELECT (kind, flags)::text, sum(n)::int FROM rollup.flagged_minute GROUP BY 1"))
    ) == (Counter({f"({kind},{flags})": n for (kind, flags), n in truth.flagged.items()}))
    assert {bytes(bid) for (bid,) in query(link, "SELECT bid_id FROM ledger.suspense")} == set(truth.suspense)
    media = dict(query(link, "SELECT ref, balance_nano::bigint FROM ledger.balance WHERE kind = 'media'"))
    assert media == truth.media
    assert query(link, "SELECT coalesce(sum(balance_nano), 0)::bigint FROM ledger.balance") == [(0,)]
    spent = [(truth.spend.total(),)]
    for kept in (
        "spent_nano) FROM ledger.bid",
        "spent_nano) FROM ledger.campaign_day",
        "amount_nano) FROM ledger.receipt_hour",
    ):
        assert query(link, f"SELECT coalesce(sum({kept}".replace(") FROM", "), 0)::bigint FROM")) == spent
    claims = query(link, "SELECT coalesce(sum(balance_nano), 0)::bigint FROM ledger.balance WHERE kind = 'claim'")
    assert claims == [(sum(truth.suspense.values()),)]


@FEW
@given(sent=st.lists(notices(), max_size=60), data=st.data())
def test_notices_in_batches_that_crash_and_come_again_equal_the_books(
    dsn: str, link: Link, sent: list[Notice], data: st.DataObject
) -> None:
    empty(dsn)
    ledger = Ledger(link, RULES, WINDOW_MS)
    position = ledger.place("s").position
    while position < len(sent):
        after = data.draw(st.integers(position + 1, len(sent)))
        batch = Batch("s", position, after, sent[position:after])
        if data.draw(st.booleans()):
            with pytest.MonkeyPatch.context() as patch, suppress(Crash):
                patch.setattr(posting, "post_spends", _write_then_crash(posting.post_spends))
                ledger.commit(batch)
            assert ledger.place("s").position == position
        ledger.commit(batch)
        position = ledger.place("s").position
    check_books(link, sent)


def _write_then_crash(write: Any) -> Any:
    def crash(cursor: Any, spends: Any) -> None:
        write(cursor, spends)
        raise Crash

    return crash


@settings(FEW, max_examples=15)
@given(first=st.lists(notices(), max_size=30), second=st.lists(notices(), max_size=30))
def test_two_streams_that_speak_of_the_same_bids_book_each_once(
    dsn: str, link: Link, first: list[Notice], second: list[Notice]
) -> None:
    empty(dsn)
    other = Link(dsn, "test other")
    with closing(_Closing(other)):
        for stream, via, sent in (("a", link, first), ("b", other, second)):
            ledger = Ledger(via, RULES, WINDOW_MS)
            ledger.commit(Batch(stream, ledger.place(stream).position, len(sent), sent))
    check_books(link, [*first, *second])


class _Closing:
    def __init__(self, link: Link) -> None:
        self.close = link.broken


def window(seq: int) -> Deltas:
    """Rows that follow from the number alone."""
    numbers = dict.fromkeys(Row.__struct_fields__, 0) | {"exchange": 1, "minute": MINUTE + seq // 10}
    return Deltas(
        *("host-1", 5, seq, 1_000 * seq),
        [
            Row(**(numbers | {"kind": Kind.REQUEST, "n": seq})),
            Row(**(numbers | {"kind": Kind.BID, "campaign": seq % 2 + 1, "n": 1, "amount": seq * 7})),
            Row(**(numbers | {"kind": Kind.NOBID, "reason": 24, "n": seq - 1})),
            Row(**(numbers | {"kind": Kind.LATENCY, "reason": seq % 5, "n": seq})),
        ],
    )


@FEW
@given(data=st.data(), last=st.integers(1, 30), lost=st.sets(st.integers(1, 29), max_size=4))
def test_windows_in_any_order_with_repeats_and_gaps_count_exactly_what_was_not_lost(
    dsn: str, link: Link, data: st.DataObject, last: int, lost: set[int]
) -> None:
    """The bus loses and repeats, the producer sends again all but `lost`; every few steps the aggregator restarts."""
    empty(dsn)
    kept = [seq for seq in range(1, last + 1) if seq not in lost or seq == last]
    live = [seq for seq in kept if data.draw(st.booleans())] + [last]
    arriving = data.draw(st.permutations(live)) + data.draw(st.lists(st.sampled_from(kept), max_size=5))
    writer, inbox, now = Writer(link), Inbox(), 0.0
    for seq in arriving:
        inbox.offer(window(seq), now)
        if data.draw(st.booleans()):
            inbox.learn(writer.marks(inbox.unknown()))
            if ready := inbox.take([], 100):
                inbox.learn(writer.apply(ready, []))
        if data.draw(st.integers(0, 5)) == 0:
            inbox = Inbox()  # killed and started again
    inbox.offer(window(last), now)
    while query(link, "SELECT seq FROM ops.progress") != [(last,)]:
        assert now < 1_000.0, "it neither had everything nor gave it up"
        inbox.learn(writer.marks(inbox.unknown()))
        for ask in inbox.due(now):
            for seq in range(ask.first, ask.last + 1):
                if seq in kept:
                    inbox.offer(window(seq), now)
        losses = inbox.losses(now)
        if ready := inbox.take(losses, 100):
            inbox.learn(writer.apply(ready, losses))
        now += 1.0
        inbox.offer(window(last), now)
    declared = {
        seq
        for first, final in query(link, "SELECT first_seq, last_seq FROM ops.gap")
        for seq in range(first, final + 1)
    }
    assert declared == lost - {last} - {seq for seq in lost if seq > last}
    counted = query(
        link,
        "SELECT sum(requests)::int, sum(bids)::int, sum(nobids)::int, sum(bid_nano)::int FROM rollup.traffic_minute",
    )
    assert counted == [(sum(kept), len(kept), sum(kept) - len(kept), 7 * sum(kept))]
    assert query(link, "SELECT sum(n)::int FROM rollup.latency_minute") == [(sum(kept),)]


def test_two_aggregators_that_hear_the_same_host_count_each_window_once(dsn: str, link: Link) -> None:
    empty(dsn)
    other = Link(dsn, "test other")
    with closing(_Closing(other)):
        one, two = Writer(link), Writer(other)
        assert one.apply([window(1), window(2)], []) == {("host-1", 5): 2}
        assert two.apply([window(1), window(2), window(3)], []) == {("host-1", 5): 3}
        assert one.apply([window(3), window(5)], [Loss("host-1", 5, 4, 4)]) == {("host-1", 5): 5}
    assert query(link, "SELECT sum(requests)::int FROM rollup.traffic_minute") == [(1 + 2 + 3 + 5,)]


def test_what_failed_half_way_leaves_no_trace(dsn: str, link: Link) -> None:
    empty(dsn)
    broken = Row(**(dict.fromkeys(Row.__struct_fields__, 0) | {"kind": Kind.REQUEST, "exchange": 70_000, "n": 1}))
    with pytest.raises(psycopg2.Error):
        Writer(link).apply([window(1), Deltas("host-1", 5, 2, 0, [broken])], [])
    assert query(link, "SELECT count(*) FROM ops.progress") == [(0,)]
