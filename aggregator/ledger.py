"""Ledger: one batch of notices into Postgres, in one transaction with the position in their stream.

lock the stream's row, and move it -> bids that are known are locked, in order -> dedupe.book() -> rows are written,
new bids first. After a crash at any point the batch is read again and books nothing twice.
Several aggregators may do this at once on one database: every lock is taken in the same order. Where another one was
first with a bid that was new to both, the batch is done once more, with nobody beside it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from aggregator import posting, stage
from aggregator.dedupe import CLICK_WINDOW_MS, SPEND_KINDS, BidState, Booking, book, bookable
from aggregator.postgres import BOOKING_LOCK, Link
from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.events.stream import Mark, Place

minute_of = attrgetter("minute")


class StreamBusy(Exception):
    """Another process books this stream, which only one may do at a time."""


class StreamMoved(Exception):
    """Another process books the same stream; whoever sees this reads its position again."""


class _NotFirst(Exception):
    """Another aggregator has just inserted a bid that was new to us."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Notices of one stream, from where it stood to where it will stand."""

    stream: str
    before: int
    after: int
    notices: Sequence[Notice]
    checked_s_ago: float | None = None  # so long ago, all that was durable ended at `after`; None: there is more
    marks: Mapping[str, Mark] = field(default_factory=dict)  # of shards that were read further

    def __post_init__(self) -> None:
        if self.after < self.before or (self.notices and self.after == self.before):
            raise ValueError(f"stream {self.stream}: from {self.before} to {self.after}")


class Ledger:
    """Notices into one database, by one thread."""

    def __init__(self, link: Link, spend_on: Mapping[int, NoticeKind], click_window_ms: int = CLICK_WINDOW_MS) -> None:
        """`spend_on`: of this host's settings, for exchanges that the controller has not copied yet."""
        self._link = link
        self._click_window_ms = click_window_ms
        self._spend_on = spend_on
        self._horizon = (0, 0)  # minutes: bids before the first, and clicks before the second, were given up

    def place(self, stream: str, exclusive: bool = False) -> Place:
        """Where to read on. `exclusive`: hold the stream while this connection lives; StreamBusy if another does."""
        with self._link.connection() as db, db.cursor() as cursor:
            if exclusive:
                cursor.execute("SELECT pg_try_advisory_lock(hashtext('outbid stream'), hashtext(%s))", (stream,))
                if cursor.fetchone() != (True,):
                    raise StreamBusy(stream)
            cursor.execute(
                "INSERT INTO ops.stream AS s (stream) VALUES (%s)"
                " ON CONFLICT (stream) DO UPDATE SET updated_at = clock_timestamp() RETURNING position",
                (stream,),
            )
            found = cursor.fetchone()
            assert found is not None
            cursor.execute("SELECT shard, sequence, ended FROM ops.shard WHERE stream = %s", (stream,))
            return Place(int(found[0]), {shard: Mark(int(at), ended) for shard, at, ended in cursor.fetchall()})

    def commit(self, batch: Batch) -> Booking:
        """Book it. StreamMoved, UnknownExchange or -Kind, psycopg2.Error: nothing was booked, or the position tells."""
        self._ensure_leaves(batch.notices)
        try:
            return self._commit(batch, alone=False)
        except _NotFirst:
            return self._commit(batch, alone=True)

    def _commit(self, batch: Batch, alone: bool) -> Booking:
        with self._link.connection() as db, db.cursor() as cursor:
            self._move(cursor, batch)
            _mark(cursor, batch)
            if not batch.notices:
                return Booking()
            _enter(cursor, alone)
            self._horizon = _horizon(cursor)
            return self._book(cursor, self._in_time(batch.notices))

    def book_by_hand(self, notices: Sequence[Notice], also: Callable[[Any, Booking], None]) -> None:
        """Book notices that no stream brings, however old, and do `also` in the same transaction."""
        self._ensure_leaves(notices)
        with self._link.connection() as db, db.cursor() as cursor:
            _enter(cursor, alone=True)
            also(cursor, self._book(cursor, notices))

    def _ensure_leaves(self, notices: Sequence[Notice]) -> None:
        self._link.ensure_hours(notice.minute for notice in self._in_time(notices) if bookable(notice))
        self._link.ensure_days(notice.minute for notice in notices)
        if notices:
            self._link.ensure_transfers()

    def _in_time(self, notices: Sequence[Notice]) -> Sequence[Notice]:
        """What speaks of bids that were given up counts as expired: whether it is the first nobody knows any more."""
        bids, clicks = self._horizon
        if min(map(minute_of, notices), default=bids) >= bids:
            return notices
        return [
            replace(notice, flags=notice.flags | NoticeFlag.EXPIRED)
            if notice.minute < (clicks if notice.kind == NoticeKind.CONVERSION else bids)
            else notice
            for notice in notices
        ]

    def _book(self, cursor: Any, notices: Sequence[Notice]) -> Booking:
        """Everything but the position; tables in this order, rows in the order of their keys."""
        states = _lock_bids(cursor, notices)
        fees = posting.fees_of(cursor, list({notice.campaign for notice in notices}))
        windows = _click_windows(
            cursor, {notice.campaign for notice in notices if notice.kind == NoticeKind.CONVERSION}
        )
        booking = book(notices, states, rules_of(cursor, self._spend_on), self._click_window_ms, fees, windows)
        _insert_bids(cursor, booking)
        _update_bids(cursor, {bid: state for bid, state in booking.bids.items() if bid not in booking.fresh})
        stage.add(cursor, stage.NOTICES, booking.rollup)
        stage.add(cursor, stage.FLAGGED, booking.flagged)
        stage.add(cursor, stage.MIN_TO_WIN, booking.min_to_win)
        stage.add(cursor, stage.LEASES, booking.leases)
        posting.post_spends(cursor, booking.spends)
        posting.post_suspense(cursor, booking.suspense)
        return booking

    def _move(self, cursor: Any, batch: Batch) -> None:
        """The position, compared and set; its row stays locked until the end."""
        cursor.execute(
            "UPDATE ops.stream SET position = %s, notices = notices + %s, updated_at = clock_timestamp(),"
            " checked_at = coalesce(clock_timestamp() - make_interval(secs => %s), checked_at)"
            " WHERE stream = %s AND position = %s",
            (batch.after, len(batch.notices), batch.checked_s_ago, batch.stream, batch.before),
        )
        if cursor.rowcount != 1:
            raise StreamMoved(f"stream {batch.stream} is no longer at {batch.before}")


def rules_of(cursor: Any, spend_on: Mapping[int, NoticeKind]) -> dict[int, NoticeKind]:
    """Which kind books an exchange's spend; what the controller has copied goes before `spend_on`."""
    cursor.execute("SELECT key, spend_on FROM config.exchange")
    return dict(spend_on) | {key: SPEND_KINDS[kind] for key, kind in cursor.fetchall()}


def _mark(cursor: Any, batch: Batch) -> None:
    for shard, mark in sorted(batch.marks.items()):
        cursor.execute(
            "INSERT INTO ops.shard AS s (stream, shard, sequence, ended) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (stream, shard) DO UPDATE"
            " SET sequence = EXCLUDED.sequence, ended = EXCLUDED.ended, updated_at = clock_timestamp()",
            (batch.stream, shard, mark.sequence, mark.ended),
        )


def _enter(cursor: Any, alone: bool) -> None:
    """From here to the end of the transaction horizons stay where they are and, if `alone`, nobody else books."""
    cursor.execute(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(%s)", (BOOKING_LOCK,))


def _horizon(cursor: Any) -> tuple[int, int]:
    cursor.execute("SELECT minute FROM ops.horizon WHERE what IN ('bids', 'clicks') ORDER BY what")
    (bids,), (clicks,) = cursor.fetchall()
    return bids, clicks


def _click_windows(cursor: Any, campaigns: Collection[int]) -> dict[int, int]:
    """Of campaigns that say how long after a click a conversion counts, ms."""
    if not campaigns:
        return {}
    cursor.execute(
        "SELECT key, (body->'conversion'->>'click_window_s')::bigint * 1000 FROM config.campaign"
        " WHERE key = ANY(%s) AND body->'conversion' ? 'click_window_s'",
        (list(campaigns),),
    )
    return dict(cursor.fetchall())


def bytea_array(values: Iterable[bytes]) -> str:
    """As a parameter for `::bytea[]`; psycopg2 would write each as a constant of its own."""
    return "{" + ",".join(f'"\\\\x{value.hex()}"' for value in values) + "}"


def _lock_bids(cursor: Any, notices: Sequence[Notice]) -> dict[bytes, BidState]:
    """States of those bids of the batch that are known, locked."""
    # The ids as a constant in each statement: then only the leaves of their hours are planned for.
    cursor.execute(
        "SELECT bid_id, kinds, closed, spent_nano, NULL, (extract(epoch FROM clicked_at) * 1000)::bigint"
        " FROM ledger.bid WHERE bid_id = ANY(%s::bytea[])"
        " ORDER BY bid_id FOR UPDATE",
        (bytea_array({notice.bid_id for notice in notices}),),
    )
    return {bytes(bid): BidState(*state) for bid, *state in cursor.fetchall()}


def _insert_bids(cursor: Any, booking: Booking) -> None:
    """Bids that were not known, as they are after this batch; _NotFirst where one is known meanwhile."""
    if not booking.fresh:
        return
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS stage_bid (bid_id bytea, exchange smallint, campaign bigint, lease bigint,"
        " bid_nano bigint, taken_nano bigint, kinds smallint, closed boolean, spent_nano bigint, spent_ms bigint,"
        " clicked_ms bigint) ON COMMIT DELETE ROWS"
    )
    columns = ("bid_id", "exchange", "campaign", "lease", "bid_nano", "taken_nano", "kinds", "closed", "spent_nano")
    rows = (
        (
            *(bid, n.exchange, n.campaign, n.lease, n.bid_price, n.taken),
            *(s.kinds, s.closed, s.spent, s.spent_ms, s.clicked_ms),
        )
        for bid, n in booking.fresh.items()
        for s in (booking.bids[bid],)
    )
    stage.copy(cursor, "stage_bid", (*columns, "spent_ms", "clicked_ms"), rows)
    cursor.execute(
        f"INSERT INTO ledger.bid ({', '.join(columns)}, spent_at, clicked_at) SELECT {', '.join(columns)},"
        " to_timestamp(spent_ms / 1000.0), to_timestamp(clicked_ms / 1000.0)"
        " FROM stage_bid ORDER BY bid_id ON CONFLICT DO NOTHING"
    )
    if cursor.rowcount != len(booking.fresh):
        raise _NotFirst


def _update_bids(cursor: Any, bids: Mapping[bytes, BidState]) -> None:
    if not bids:
        return
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS stage_state (bid_id bytea, kinds smallint, closed boolean, spent_nano bigint,"
        " spent_ms bigint, clicked_ms bigint) ON COMMIT DELETE ROWS"
    )
    rows = ((bid, s.kinds, s.closed, s.spent, s.spent_ms, s.clicked_ms) for bid, s in bids.items())
    stage.copy(cursor, "stage_state", ("bid_id", "kinds", "closed", "spent_nano", "spent_ms", "clicked_ms"), rows)
    cursor.execute(
        "UPDATE ledger.bid b SET kinds = s.kinds, closed = s.closed, spent_nano = s.spent_nano,"
        " spent_at = coalesce(to_timestamp(s.spent_ms / 1000.0), b.spent_at),"
        " clicked_at = coalesce(to_timestamp(s.clicked_ms / 1000.0), b.clicked_at)"
        " FROM stage_state s WHERE b.bid_id = s.bid_id AND b.bid_id = ANY(%s::bytea[])",
        (bytea_array(bids),),
    )
