"""How long after its click a conversion counts, by what the campaign says, in a real ledger."""

import json
from pathlib import Path

import psycopg2

from aggregator.ledger import Batch, Ledger
from aggregator.migrate import migrate
from aggregator.postgres import Link
from bidder.campaigns.model import read_lines
from bidder.events.schema import Notice, NoticeKind
from tests.worlds import campaign

MINUTE = 29_000_000


def told(kind: NoticeKind, campaign_key: int, received_ms: int) -> Notice:
    numbers = dict.fromkeys(Notice.__struct_fields__, 0) | {"exchange": 1, "campaign": campaign_key}
    bid_id = MINUTE.to_bytes(4, "big") + campaign_key.to_bytes(8, "big")
    return Notice(**(numbers | {"kind": int(kind), "bid_id": bid_id, "received_ms": received_ms}))


def test_a_campaign_with_a_window_of_its_own_keeps_to_it(database: str, tmp_path: Path) -> None:
    migrate(database)
    bodies = [campaign("c-1", conversion={"click_window_s": 60}), campaign("c-2")]
    found = read_lines("\n".join(map(json.dumps, bodies)), ["openx"])
    db = psycopg2.connect(database)
    with db, db.cursor() as cursor:
        cursor.execute("INSERT INTO config.exchange VALUES (1, 'generic', 'billing')")
        cursor.execute("INSERT INTO config.advertiser (id) VALUES ('acme') RETURNING key")
        [(advertiser,)] = cursor.fetchall()
        for one in found:
            cursor.execute(
                "INSERT INTO config.campaign (id, advertiser, status, body, revision) VALUES (%s, %s, 'active', %s, 1)",
                (one.body["id"], advertiser, json.dumps(one.body)),
            )
        cursor.execute("SELECT key FROM config.campaign ORDER BY id")
        (short,), (long,) = cursor.fetchall()
    db.close()
    link = Link(database, "test")
    ledger = Ledger(link, {})
    clicks = [told(NoticeKind.CLICK, key, 1_000) for key in (short, long)]
    conversions = [told(NoticeKind.CONVERSION, key, 61_001) for key in (short, long)]
    position = ledger.place("s").position
    ledger.commit(Batch("s", position, position + 1, clicks))
    ledger.commit(Batch("s", position + 1, position + 2, conversions))
    with link.connection() as booked, booked.cursor() as cursor:
        cursor.execute("SELECT campaign, conversions FROM rollup.notice_minute ORDER BY 1")
        assert cursor.fetchall() == [(short, 0), (long, 1)]
        cursor.execute("SELECT campaign, n FROM rollup.flagged_minute")
        assert cursor.fetchall() == [(short, 1)]
    link.broken()
