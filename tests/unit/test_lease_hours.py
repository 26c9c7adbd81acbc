"""From one budget hour into the next: office, keeper and purses together, on a clock that the test turns."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection

from bidder._fast.purses import Purses
from bidder.controller import store
from bidder.controller.leases import LeaseOffice
from bidder.money.leases import LeaseKeeper
from bidder.money.units import NANO_PER_USD
from bidder.money.wire import LeaseSync
from bidder.settings import Money

START = datetime(2026, 3, 10, 12, 59, 30, tzinfo=UTC)
STEP_S = 0.5
PRICE = NANO_PER_USD // 1000


@pytest.mark.parametrize(
    "budget",
    [
        {"daily_usd": "10"},  # as fast as possible: the hour hands over what it will not need before it ends
        {"daily_usd": "100", "pacing": "even"},
        {"hourly_usd": "10"},
        {"total_usd": "10"},
        {},
    ],
)
@pytest.mark.parametrize("take_for_s", [3_600, 20])
def test_bidding_goes_on_in_the_next_budget_hour(
    db: Connection, tmp_path: Path, budget: dict[str, str], take_for_s: int
) -> None:
    creative = {"id": "cr-1", "type": "banner", "w": 1, "h": 1, "adm": "x", "landing_url": "https://a.example/"}
    body = {
        "id": "c-1", "advertiser": "acme", "status": "active", "bid": {"cpm_usd": "1"}, "budget": budget,
        "creatives": [creative],
    }  # fmt: skip
    store.import_campaigns(db, [body])
    office, now_s = LeaseOffice(Money(take_for_s=take_for_s)), 0.0
    purses = Purses(tmp_path / "purses", 4)
    keeper = LeaseKeeper(purses, release_after_s=600, clock=lambda: START.timestamp() + now_s)
    slot = purses.slot_of(1)
    refused, taken = [], 0
    while now_s < 40.0:
        healthy = keeper.surveyed
        question = LeaseSync("host", healthy, 0, [], keeper.ceilings(now_s), keeper.seen, keeper.wants(now_s))
        keeper.apply(office.sync(db, question, START + timedelta(seconds=now_s)), now_s, complete=healthy)
        keeper.tick(now_s)
        if now_s >= 2.0:
            if purses.take(slot, PRICE, int((START.timestamp() + now_s) // 60)) is None:
                refused.append(now_s)
            else:
                taken += PRICE
        now_s += STEP_S
    assert refused == []
    with db, db.cursor() as cursor:
        cursor.execute("SELECT sum(amount_nano) FROM ledger.lease")
        (out,) = cursor.fetchone() or (0,)
        cursor.execute("SELECT coalesce(sum(balance_nano), 0) FROM ledger.balance")
        (balance,) = cursor.fetchone() or (1,)
    total = budget.get("daily_usd") or budget.get("total_usd")
    assert taken <= out
    assert total is None or out <= int(total) * NANO_PER_USD
    assert balance == 0
