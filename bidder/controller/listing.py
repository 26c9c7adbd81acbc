"""What a host is told of its leases: what changed since it last heard, or a listing of all of them, page by page.

`seen`, which the host hands back, is epoch.position.last. Position: a transaction id; every row of an older transaction
had been told then. Rows of younger ones are told (again). An epoch lasts as long as the office's connection, for in
another database, or in one restored from a copy, the ids of transactions mean something else.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bidder.money.wire import Lease

PAGE = 4_000

_LEASES = """
SELECT l.id, l.campaign, l.amount_nano, l.hour, l.take_until, l.settle_until, c.even, coalesce(m.spent, 0), m.minutes,
    m.closed
FROM ledger.lease l JOIN config.campaign c ON c.key = l.campaign
LEFT JOIN LATERAL (
    SELECT sum(spent_nano)::bigint AS spent,
        array_agg(minute) FILTER (WHERE minute >= %(open_minute)s AND closed_nano > 0) AS minutes,
        array_agg(closed_nano) FILTER (WHERE minute >= %(open_minute)s AND closed_nano > 0) AS closed
    FROM ledger.lease_minute WHERE lease = l.id
) m ON true
WHERE l.host = %(host)s AND l.closed_at IS NULL AND """
_PAGE = _LEASES + "l.id > %(last)s ORDER BY l.id LIMIT %(page)s"
_CHANGED = (
    _LEASES
    + """l.id IN (
    SELECT id FROM ledger.lease WHERE host = %(host)s AND changed >= %(position)s
    UNION
    SELECT lease FROM ledger.lease_minute WHERE changed >= %(position)s
)"""
)
_ENDED = (
    "SELECT id, campaign FROM ledger.lease WHERE host = %(host)s AND changed >= %(position)s AND closed_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a host has heard."""

    epoch: str
    position: int
    last: int | None = None  # in the middle of a listing: id of the last lease named

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}.{'' if self.last is None else self.last}"

    @staticmethod
    def read(text: str, epoch: str) -> "Seen | None":
        """None: not of this epoch."""
        theirs, _, numbers = text.partition(".")
        position, _, last = numbers.partition(".")
        if theirs != epoch or not position.isascii() or not position.isdigit():
            return None
        return Seen(epoch, int(position), int(last) if last.isascii() and last.isdigit() else None)


@dataclass(frozen=True, slots=True)
class Told:
    """The part of an answer that is about leases; see bidder.money.wire.LeaseState."""

    leases: list[Lease]
    ended: list[tuple[int, int]]
    begins: bool
    ends: bool
    seen: Seen | None
    more: bool


def position(cursor: Any) -> int:
    """All transactions with lower ids have ended, and later statements of ours see them."""
    cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    found: int = cursor.fetchone()[0]
    return found


def tell(cursor: Any, host: str, seen: Seen | None, here: Seen | None, now: datetime, open_minute: int) -> Told:
    """`seen`: None begins a listing. `here`: the position taken before anything was read; None: all in one answer."""
    ask = {"host": host, "open_minute": open_minute, "last": 0, "page": None}
    if here is None:
        return Told(_leases(cursor, _PAGE, ask, now), [], begins=True, ends=True, seen=None, more=False)
    if seen is not None and seen.last is None:
        ask["position"] = seen.position
        leases = _leases(cursor, _CHANGED, ask, now)
        cursor.execute(_ENDED, ask)
        return Told(leases, cursor.fetchall(), begins=False, ends=False, seen=here, more=False)
    start = here.position if seen is None else seen.position
    ask |= {"last": 0 if seen is None else seen.last, "page": PAGE}
    leases = _leases(cursor, _PAGE, ask, now)
    ends = len(leases) < PAGE
    reached = Seen(here.epoch, start, None if ends else leases[-1].id)
    return Told(leases, [], begins=seen is None, ends=ends, seen=reached, more=not ends)


def _leases(cursor: Any, sql: str, ask: dict[str, object], now: datetime) -> list[Lease]:
    cursor.execute(sql, ask)
    return [
        Lease(
            id=lease,
            campaign=campaign,
            amount=amount,
            begins_in_s=(hour - now).total_seconds(),
            take_for_s=(take_until - now).total_seconds(),
            settle_for_s=(settle_until - now).total_seconds(),
            hour_s=3600.0,
            even=even,
            spent=spent,
            closed=list(zip(minutes or (), closed or (), strict=True)),
        )
        for lease, campaign, amount, hour, take_until, settle_until, even, spent, minutes, closed in cursor
    ]
