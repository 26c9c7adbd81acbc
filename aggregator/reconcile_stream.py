"""Reconcile a stream: is every notice that was acknowledged booked? What this host's spool holds, against ledger.bid.

records -> those of the bids that are looked at -> as many at a time as a batch has -> difference by kind of trouble
Of very many, one bid in `sample` is looked at, the same in every notice of it. Prices: int nano-USD.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from aggregator.dedupe import bookable
from aggregator.ledger import bytea_array, rules_of
from aggregator.reconcile import Difference, kept_from
from aggregator.sources import READ_BYTES, RECORD_BYTES
from bidder.events.schema import Notice, NoticeKind
from bidder.events.segments import segments
from bidder.events.spool import SpoolReader

AT_ONCE = 5_000
LOOKED_AT = 2_000_000  # notices, about; of more a sample


@dataclass(slots=True)
class _Found:
    """What one pass over the stream saw."""

    missing: int = 0
    missing_nano: int = 0
    right: set[bytes] = field(default_factory=set)  # bids that were paid what one of their notices says
    wrong: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # the others: paid, the most that was said


def stream(dsn: str, spool: Path, spend_on: Mapping[int, NoticeKind], sample: int | None = None) -> list[Difference]:
    """SpoolError where it cannot be read, psycopg2.Error where the database cannot."""
    reader = SpoolReader(spool)
    db = psycopg2.connect(dsn, connect_timeout=5, application_name="outbid reconcile")
    try:
        db.set_session(readonly=True, autocommit=True)
        with db.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(position), 0) FROM ops.stream WHERE stream = %s", (reader.id,))
            booked: int = (cursor.fetchone() or (0,))[0]
            horizon = kept_from(cursor, "bids")
            rules = rules_of(cursor, spend_on)
            durable = reader.durable
            differences = []
            if durable > booked:
                cause = "the aggregator has not read them yet; `outbid status` says why"
                differences.append(
                    Difference(f"stream {reader.id}", "written", durable, "booked", booked, cause, unit="bytes")
                )
            first = min((segment.start for segment in segments(spool)), default=0)
            every = sample or max(1, (booked - first) // (RECORD_BYTES * LOOKED_AT))
            found = _Found()
            for notices in _portions(reader, first, booked, every, horizon):
                _look(cursor, notices, rules, found)
            return [*differences, *_said(reader.id, found, every)]
    finally:
        db.close()


def _portions(reader: SpoolReader, first: int, end: int, every: int, horizon: int) -> Iterator[list[Notice]]:
    """Notices that must have been booked, some thousand at a time."""
    position, waiting = first, list[Notice]()
    while position < end:
        read, after = reader.read(position, READ_BYTES)
        if not read:
            break
        position = after
        waiting += [
            notice
            for at, notice in read
            if at <= end
            and int.from_bytes(notice.bid_id[-3:], "big") % every == 0
            and bookable(notice)
            and notice.minute >= horizon
            and notice.kind != NoticeKind.CONVERSION  # may have come too long after their click
        ]
        while len(waiting) >= AT_ONCE:
            yield waiting[:AT_ONCE]
            waiting = waiting[AT_ONCE:]
    yield waiting


def _look(cursor: Any, notices: Sequence[Notice], spend_on: Mapping[int, NoticeKind], found: _Found) -> None:
    if not notices:
        return
    cursor.execute(
        "SELECT bid_id, kinds, spent_nano FROM ledger.bid WHERE bid_id = ANY(%s::bytea[])",
        (bytea_array({notice.bid_id for notice in notices}),),
    )
    known = {bytes(bid): (kinds, spent) for bid, kinds, spent in cursor.fetchall()}
    for notice in notices:
        kinds, spent = known.get(notice.bid_id, (0, 0))
        spends = notice.kind == spend_on.get(notice.exchange) and notice.price > 0
        if not kinds & (1 << (notice.kind - 1)):
            found.missing += 1
            found.missing_nano += notice.price if spends else 0
        elif spends and notice.bid_id not in found.right:
            if notice.price == spent:
                found.right.add(notice.bid_id)
                found.wrong.pop(notice.bid_id, None)
            else:
                _, said = found.wrong.get(notice.bid_id, (0, 0))
                found.wrong[notice.bid_id] = spent, max(said, notice.price)


def _said(name: str, found: _Found, every: int) -> Iterator[Difference]:
    of = f"stream {name}" if every == 1 else f"stream {name}, one bid in {every}"
    if found.missing:
        cause = "rows of ledger.bid were lost or changed: restored from an older copy?"
        yield Difference(of, "acknowledged notices", found.missing, "booked", 0, cause, unit="notices")
    if found.missing_nano:
        yield Difference(of, "their prices", found.missing_nano, "booked", 0, "the same notices")
    if found.wrong:
        paid, said = (sum(side) for side in zip(*found.wrong.values(), strict=True))
        cause = f"{len(found.wrong)} bids were paid another price than any of their notices says; or by another stream"
        yield Difference(of, "prices of notices", said, "bids", paid, cause)
