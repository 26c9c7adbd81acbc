"""Ledger: one batch of notices into Postgres, in one transaction with the position in their stream.

lock the stream's row -> missing bids are inserted, all bids locked in order -> dedupe.book() -> rows are written
-> the position moves. After a crash at any point the batch is read again and books nothing twice.
Several aggregators may do this at once on one database: every lock is taken in the same order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregator import stage
from aggregator.dedupe import CLICK_WINDOW_MS, SPEND_KINDS, BidState, Booking, book, bookable
from aggregator.postgres import Link
from bidder.events.schema import Notice, NoticeKind
from bidder.events.stream import Mark, Place

_SUSPEND = """
INSERT INTO ledger.suspense (bid_id, received_at, exchange, campaign, creative, lease, price_nano, bid_nano)
VALUES (%s, to_timestamp(%s / 1000.0), %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class StreamBusy(Exception):
    """Another process books this stream, which only one may do at a time."""


class StreamMoved(Exception):
    """Another process books the same stream; whoever sees this reads its position again."""


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
        self._spend_on = dict(spend_on)

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
        """Book it. StreamMoved, UnknownExchange, -Kind, psycopg2.Error: nothing was booked (or the position tells)."""
        self._link.ensure_hours(notice.minute for notice in batch.notices if bookable(notice))
        self._link.ensure_days(notice.minute for notice in batch.notices)
        with self._link.connection() as db, db.cursor() as cursor:
            self._move(cursor, batch)
            _mark(cursor, batch)
            if not batch.notices:
                return Booking()
            states = _lock_bids(cursor, batch.notices)
            booking = book(batch.notices, states, self._rules(cursor), self._click_window_ms)
            _write(cursor, booking)
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

    def _rules(self, cursor: Any) -> dict[int, NoticeKind]:
        cursor.execute("SELECT key, spend_on FROM config.exchange")
        return self._spend_on | {key: SPEND_KINDS[spend_on] for key, spend_on in cursor.fetchall()}


def _mark(cursor: Any, batch: Batch) -> None:
    for shard, mark in sorted(batch.marks.items()):
        cursor.execute(
            "INSERT INTO ops.shard AS s (stream, shard, sequence, ended) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (stream, shard) DO UPDATE"
            " SET sequence = EXCLUDED.sequence, ended = EXCLUDED.ended, updated_at = clock_timestamp()",
            (batch.stream, shard, mark.sequence, mark.ended),
        )


def _bytea_array(values: Iterable[bytes]) -> str:
    return "{" + ",".join(f'"\\\\x{value.hex()}"' for value in values) + "}"


def _lock_bids(cursor: Any, notices: Sequence[Notice]) -> dict[bytes, BidState]:
    """States of all bids of the batch, locked; those that may count have a row afterwards."""
    # The ids as a constant in each statement: then only the leaves of their hours are planned for.
    fresh = {notice.bid_id: notice for notice in notices if bookable(notice)}
    columns = ("bid_id", "exchange", "campaign", "lease", "bid_nano", "taken_nano")
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS stage_bid (bid_id bytea, exchange smallint, campaign bigint, lease bigint,"
        " bid_nano bigint, taken_nano bigint) ON COMMIT DELETE ROWS"
    )
    stage.copy(
        cursor,
        "stage_bid",
        columns,
        ((bid, n.exchange, n.campaign, n.lease, n.bid_price, n.taken) for bid, n in fresh.items()),
    )
    cursor.execute(
        f"INSERT INTO ledger.bid ({', '.join(columns)}) SELECT * FROM stage_bid ORDER BY bid_id ON CONFLICT DO NOTHING"
    )
    cursor.execute(
        "SELECT bid_id, kinds, closed, spent_nano, NULL, (extract(epoch FROM clicked_at) * 1000)::bigint"
        " FROM ledger.bid WHERE bid_id = ANY(%s::bytea[])"
        " ORDER BY bid_id FOR UPDATE",
        (_bytea_array({notice.bid_id for notice in notices}),),
    )
    return {bytes(bid): BidState(*state) for bid, *state in cursor.fetchall()}


def _write(cursor: Any, booking: Booking) -> None:
    """Everything but the position; tables in this order, rows in the order of their keys."""
    _write_bids(cursor, booking.bids)
    stage.add(cursor, stage.NOTICES, booking.rollup)
    stage.add(cursor, stage.FLAGGED, booking.flagged)
    stage.add(cursor, stage.LEASES, booking.leases)
    accounts = sorted({name for transfer in booking.transfers for name in transfer[:2]})
    if accounts:
        cursor.execute(
            "INSERT INTO ledger.account (name) SELECT unnest(%s::text[]) ORDER BY 1 ON CONFLICT DO NOTHING", (accounts,)
        )
    stage.add(cursor, stage.TRANSFERS, booking.transfers)
    for bid, notice in sorted(booking.suspense.items()):
        cursor.execute(
            _SUSPEND,
            (
                *(bid, notice.received_ms, notice.exchange, notice.campaign, notice.creative),
                *(notice.lease, notice.price, notice.bid_price),
            ),
        )


def _write_bids(cursor: Any, bids: Mapping[bytes, BidState]) -> None:
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
        (_bytea_array(bids),),
    )
