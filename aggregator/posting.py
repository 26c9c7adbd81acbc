"""Posting: what a batch spent becomes transfers, totals by day of the campaign, and receipts by hour.

One COPY, three statements. post_spends() and post_suspense() are the last that a transaction does: the rows that
they lock are those that several aggregators share. Each statement takes its rows in the order of their keys, so that
nobody waits in a circle.
The leaves of ledger.transfer are there already (Link.ensure_transfers). Money: int nano-USD.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from psycopg2.extras import execute_values

from aggregator import stage
from bidder.events.schema import Notice

COLUMNS = ("campaign", "lease", "exchange", "minute", "hour", "spent", "fee", "late", "bills")
_STAGE = (
    f"CREATE TEMP TABLE IF NOT EXISTS stage_spend ({', '.join(f'{name} bigint' for name in COLUMNS)})"
    " ON COMMIT DELETE ROWS"
)
_DAYS = """
INSERT INTO ledger.campaign_day AS d (campaign, day, exchange, spent_nano, fee_nano, late_nano, bills)
SELECT s.campaign, coalesce(l.day, (to_timestamp(s.minute * 60) AT TIME ZONE coalesce(c.timezone, 'UTC'))::date),
    s.exchange, sum(s.spent)::bigint, sum(s.fee)::bigint, sum(s.late)::bigint, sum(s.bills)::bigint
FROM stage_spend s LEFT JOIN ledger.lease l ON l.id = s.lease LEFT JOIN config.campaign c ON c.key = s.campaign
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (campaign, day, exchange) DO UPDATE SET spent_nano = d.spent_nano + EXCLUDED.spent_nano,
    fee_nano = d.fee_nano + EXCLUDED.fee_nano, late_nano = d.late_nano + EXCLUDED.late_nano,
    bills = d.bills + EXCLUDED.bills
"""
_RECEIPTS = """
INSERT INTO ledger.receipt_hour AS r (hour, exchange, campaign, bills, amount_nano)
SELECT to_timestamp(hour * 3600), exchange, campaign, sum(bills)::bigint, sum(spent)::bigint
FROM stage_spend GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (hour, exchange, campaign) DO UPDATE
SET bills = r.bills + EXCLUDED.bills, amount_nano = r.amount_nano + EXCLUDED.amount_nano
"""
_TRANSFERS = """
INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano)
SELECT CASE WHEN lease > 0 THEN 'lease:' || lease ELSE 'campaign:' || campaign END, 'media:' || exchange, 'media',
    minute, sum(spent)::bigint
FROM stage_spend GROUP BY 1, 2, minute
UNION ALL
SELECT 'advertiser:' || coalesce(c.advertiser, 0), 'campaign:' || s.campaign, 'charge', s.minute,
    sum(s.spent + s.fee)::bigint
FROM stage_spend s LEFT JOIN config.campaign c ON c.key = s.campaign GROUP BY 1, 2, s.minute
UNION ALL
SELECT 'campaign:' || s.campaign, 'fee:' || coalesce(c.advertiser, 0), 'fee', s.minute, sum(s.fee)::bigint
FROM stage_spend s LEFT JOIN config.campaign c ON c.key = s.campaign WHERE s.fee > 0 GROUP BY 1, 2, s.minute
"""
_SUSPEND = """
INSERT INTO ledger.suspense (bid_id, received_at, exchange, campaign, creative, lease, price_nano, bid_nano, notice)
VALUES %s ON CONFLICT DO NOTHING RETURNING exchange, price_nano
"""
_CLAIM = """
INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano)
SELECT %s || exchange, %s || exchange, %s, floor(extract(epoch FROM now()) / 60)::integer, sum(nano)::bigint
FROM unnest(%s::int[], %s::bigint[]) AS c (exchange, nano) GROUP BY exchange ORDER BY exchange
"""


def fees_of(cursor: Any, campaigns: Sequence[int]) -> dict[int, int]:
    """Campaigns with a fee, and what it is in millionths of media cost."""
    cursor.execute(
        "SELECT c.key, a.fee_ppm FROM config.advertiser a JOIN config.campaign c ON c.advertiser = a.key"
        " WHERE a.fee_ppm > 0 AND c.key = ANY(%s)",
        (list(campaigns),),
    )
    return dict(cursor.fetchall())


def post_spends(cursor: Any, spends: Mapping[tuple[int, ...], Sequence[int]]) -> None:
    """Spend by (campaign, lease, exchange, minute, hour of receipt); at most once a transaction."""
    if not spends:
        return
    cursor.execute(_STAGE)
    stage.copy_numbers(cursor, "stage_spend", COLUMNS, spends)
    for statement in (_DAYS, _RECEIPTS, _TRANSFERS):
        cursor.execute(statement)


def post_suspense(cursor: Any, suspense: Mapping[bytes, Notice]) -> None:
    """Bills that nobody has accepted yet: what each exchange claims, once a bid."""
    if not suspense:
        return
    rows = [
        (
            *(bid, n.received_ms / 1000, n.exchange, n.campaign, n.creative, n.lease, n.price, n.bid_price),
            msgspec.msgpack.encode(n),
        )
        for bid, n in sorted(suspense.items())
    ]
    template = "(%s, to_timestamp(%s), %s, %s, %s, %s, %s, %s, %s)"
    claims = execute_values(cursor, _SUSPEND, rows, template, page_size=1_000, fetch=True)
    if claims:
        post_claims(cursor, "suspense", claims)


def post_claims(cursor: Any, reason: str, claims: Sequence[tuple[int, int]]) -> None:
    """(exchange, nano-USD) into suspense, or, where the reason is its review, back out of it."""
    sides = ("suspense:", "claim:") if reason == "suspense" else ("claim:", "suspense:")
    cursor.execute(_CLAIM, (*sides, reason, [exchange for exchange, _ in claims], [nano for _, nano in claims]))
