"""Review: bills that came after the life of their token are accepted or rejected by hand.

suspense (open) -> accept(): booked as if it had been in time, to the minute and day of its bid, late | reject()
Either way the claim is taken back from the suspense account, once, and ops.audit says who did it.
Where the lease is given up already, the campaign itself pays.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from aggregator import posting
from aggregator.dedupe import SPEND_KINDS, Booking
from aggregator.ledger import Ledger
from aggregator.postgres import Link
from bidder.events.schema import Notice, NoticeFlag

_OPEN = """
SELECT s.bid_id, s.received_at, s.exchange, s.campaign, s.creative, s.lease, s.price_nano, s.bid_nano, s.notice,
    e.spend_on, l.id IS NOT NULL, coalesce(b.spent_nano, 0)
FROM ledger.suspense s
LEFT JOIN config.exchange e ON e.key = s.exchange
LEFT JOIN ledger.lease l ON l.id = s.lease
LEFT JOIN ledger.bid b ON b.bid_id = s.bid_id
WHERE s.state = 'open' AND (%(all)s OR s.bid_id = ANY(%(bids)s)) ORDER BY s.bid_id
"""
_SETTLE = """
UPDATE ledger.suspense SET state = %s, reviewed_at = clock_timestamp(), reviewed_by = %s, note = %s
WHERE bid_id = ANY(%s) AND state = 'open' RETURNING exchange, price_nano
"""


class ReviewError(Exception):
    """It cannot be settled like this; the message says why, in one line. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What one review did."""

    bills: int
    nano: int


def accept(link: Link, ledger: Ledger, bids: Sequence[bytes] | None, actor: str, note: str) -> Settled:
    """Book these (None: all that are open). ReviewError where one is not open, or its bid was billed in time too."""
    notices = []
    for row in _open(link, bids):
        *_, leased, spent = row
        if spent:
            raise ReviewError(f"{row[0].hex()} was billed in time as well, by another notice: reject this one")
        notices.append(_notice(row) if leased else replace(_notice(row), lease=0))
    if not notices:
        return Settled(0, 0)
    settled = []

    def settle(cursor: Any, booking: Booking) -> None:
        if sum(spend[0] for spend in booking.spends.values()) != sum(notice.price for notice in notices):
            raise ReviewError("one of them was billed while you reviewed it; look again")
        settled.append(_settle(cursor, "accepted", "accept", [n.bid_id for n in notices], actor, note))

    ledger.book_by_hand(notices, settle)
    return settled[0]


def reject(link: Link, bids: Sequence[bytes] | None, actor: str, note: str) -> Settled:
    """Nobody pays these (None: all that are open)."""
    rows = _open(link, bids)
    if not rows:
        return Settled(0, 0)
    link.ensure_transfers()
    with link.connection() as db, db.cursor() as cursor:
        return _settle(cursor, "rejected", "reject", [row[0] for row in rows], actor, note)


def _open(link: Link, bids: Sequence[bytes] | None) -> list[Any]:
    with link.connection() as db, db.cursor() as cursor:
        cursor.execute(_OPEN, {"all": bids is None, "bids": list(bids or ())})
        rows = [(bytes(bid), *rest) for bid, *rest in cursor.fetchall()]
    missing = set(bids or ()) - {row[0] for row in rows}
    if missing:
        raise ReviewError(
            f"{min(missing).hex()} is not in suspense, or was reviewed before; see `outbid report suspense`"
        )
    return rows


def _notice(row: Any) -> Notice:
    """As it would have been in time; of those of older builds only what concerns money is known."""
    bid_id, received_at, exchange, campaign, creative, lease, price, bid_price, packed, spend_on, *_ = row
    if packed is not None:
        return replace(msgspec.msgpack.decode(bytes(packed), type=Notice), flags=int(NoticeFlag.LATE))
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {
        **{"kind": int(SPEND_KINDS[spend_on or "billing"]), "flags": int(NoticeFlag.LATE)},
        **{"lease": lease, "price": price},
        **{"exchange": exchange, "campaign": campaign, "creative": creative, "bid_price": bid_price},
        "received_ms": int(received_at.timestamp() * 1000),
    }
    return Notice(**(numbers | {"bid_id": bid_id}))


def _settle(cursor: Any, state: str, reason: str, bids: list[bytes], actor: str, note: str) -> Settled:
    cursor.execute(_SETTLE, (state, actor, note, bids))
    claims = cursor.fetchall()
    if len(claims) != len(bids):
        raise ReviewError("one of them was reviewed by somebody else just now; look again")
    posting.post_claims(cursor, reason, claims)
    total = sum(nano for _, nano in claims)
    cursor.execute(
        "INSERT INTO ops.audit (actor, verb, subject, detail) VALUES (%s, %s, %s, %s)",
        (
            *(actor, f"ledger {reason}", f"{len(bids)} bills in suspense"),
            json.dumps({"nano_usd": total, "note": note, "bids": [bid.hex() for bid in bids]}),
        ),
    )
    return Settled(len(bids), total)
