"""What a host is told of its leases: what changed since it last heard, or a listing of all of them; page by page.

`seen`, which the host hands back, is epoch.position.last.next.turn. Position: a transaction id; every row of an older
transaction had been told then. Rows of younger ones are told, by id of the lease; in the middle of that, `last` is
where it stands and `next` the position once it is done. A listing tells all that is open, from position 0.
`turn` counts the answers given to the host: what it wants counts only if it has heard the last of them.
An epoch lasts as long as the office's connection, for in another database, or in one restored from a copy, the ids
of transactions mean something else.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bidder.money.wire import Lease

PAGE = 4_000  # leases in one answer

_LEASES = """
SELECT l.id, l.campaign, l.amount_nano, l.hour, l.take_until, l.settle_until, c.even, coalesce(m.spent, 0), m.minutes,
    m.closed, l.plan_nano, l.elsewhere_nano, c.price_nano,
    l.limit_nano, NOT c.even AND c.hourly_nano IS NULL, l.tilt
FROM ledger.lease l JOIN config.campaign c ON c.key = l.campaign
LEFT JOIN LATERAL (
    SELECT sum(spent_nano)::bigint AS spent,
        array_agg(minute) FILTER (WHERE minute >= %(open_minute)s AND closed_nano > 0) AS minutes,
        array_agg(closed_nano) FILTER (WHERE minute >= %(open_minute)s AND closed_nano > 0) AS closed
    FROM ledger.lease_minute WHERE lease = l.id
) m ON true
WHERE l.host = %(host)s AND l.closed_at IS NULL AND """
_IN_ORDER = "l.id > %(last)s ORDER BY l.id LIMIT %(page)s"
_LISTING = _LEASES + _IN_ORDER
_CHANGES = (
    _LEASES
    + """l.id IN (
    SELECT id FROM ledger.lease WHERE host = %(host)s AND changed >= %(position)s
    UNION
    SELECT lease FROM ledger.lease_minute WHERE changed >= %(position)s
) AND """
    + _IN_ORDER
)
_ENDED = (
    "SELECT id, campaign FROM ledger.lease WHERE host = %(host)s AND changed >= %(position)s AND closed_at IS NOT NULL"
)
_POSITION = """
SELECT CASE WHEN oldest = ours THEN ours + 1 ELSE oldest END FROM (VALUES (
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_current_xact_id_if_assigned()::text::bigint
)) AS running (oldest, ours)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a host has heard. `last` 0: all that was to be told from `position` on is yet to be."""

    epoch: str
    position: int = 0
    last: int = 0
    next: int = 0
    turn: int = 0

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}.{self.last}.{self.next}.{self.turn}"

    def at(self, turn: int) -> "Seen":
        """The same place, in another answer."""
        return replace(self, turn=turn)

    @staticmethod
    def read(text: str, epoch: str) -> "Seen":
        """Where a host stands that hands this back; at the beginning, if it is not of this epoch."""
        theirs, *numbers = text.split(".")
        if theirs != epoch or len(numbers) != 4 or not all(n.isascii() and n.isdigit() for n in numbers):
            return Seen(epoch)
        return Seen(epoch, *map(int, numbers))


@dataclass(frozen=True, slots=True)
class Told:
    """The part of an answer that is about leases; see bidder.money.wire.LeaseState."""

    leases: list[Lease]
    ended: list[tuple[int, int]]
    begins: bool
    ends: bool
    seen: Seen
    more: bool


def position(cursor: Any) -> int:
    """Whatever was written by transactions with lower ids, ours among them, is seen by later statements of ours."""
    cursor.execute(_POSITION)
    found: int = cursor.fetchone()[0]
    return found


def tell(cursor: Any, host: str, seen: Seen, now: datetime, open_minute: int, page: int | None) -> Told:
    """The next part of what `seen` has not, after all that this transaction writes. `page` None: all in one."""
    here = position(cursor)
    ask = {"host": host, "open_minute": open_minute, "last": seen.last, "page": page, "position": seen.position}
    listing, first = seen.position == 0, seen.last == 0
    leases = _leases(cursor, _LISTING if listing else _CHANGES, ask, now)
    ended: list[tuple[int, int]] = []
    if first and not listing:
        cursor.execute(_ENDED, ask)
        ended = cursor.fetchall()
    next_position = here if first else seen.next
    if page is None or len(leases) < page:
        reached = Seen(seen.epoch, next_position)
        return Told(leases, ended, begins=listing and first, ends=listing, seen=reached, more=False)
    reached = Seen(seen.epoch, seen.position, leases[-1].id, next_position)
    return Told(leases, ended, begins=listing and first, ends=False, seen=reached, more=True)


def _leases(cursor: Any, sql: str, ask: dict[str, object], now: datetime) -> list[Lease]:
    cursor.execute(sql, ask)
    return [_lease(*row, now=now) for row in cursor]


def _lease(
    lease: int, campaign: int, amount: int, hour: datetime, take_until: datetime, settle_until: datetime, even: bool,
    spent: int, minutes: list[int] | None, closed: list[int] | None, plan: int, elsewhere: int, price: int,
    limit: int, passes_on: bool, tilt: float, *, now: datetime,
) -> Lease:  # fmt: skip
    return Lease(
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
        tilt=tilt,
        plan=plan,
        elsewhere=elsewhere,
        price=price,
        limit=limit,
        passes_on=passes_on,
    )
