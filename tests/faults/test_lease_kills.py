"""Whoever keeps the money is killed again and again under bids: what is spent never exceeds the budget.

A campaign with a small budget, an exchange with books of its own; it wins most of its bids and tells us of all.
"""

import contextlib
import http.client
import os
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.blackbox.audit import Audit
from tests.blackbox.exchange import Trader
from tests.blackbox.lines import campaign, request
from tests.conditions import wait_until
from tests.hosts import Host, alive, running

pytestmark = pytest.mark.faults

DEAL = "kills-1"
BUDGET_NANO = 600_000_000
CPM_USD = "5.00"
PRICE_NANO = 5_000_000
TIMES = 3


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("kills") / "state", workers=2) as host:
        host.campaigns(campaign(DEAL, budget={"total_usd": "0.60"}, bid={"cpm_usd": CPM_USD}))
        yield host


def deal(trader: Trader) -> bool:
    """One request, and all that follows; False: no bid, or nobody there."""
    try:
        bids = trader.ask(request(DEAL), "generic")
    except (OSError, http.client.HTTPException):
        return False
    for bid in bids:
        trader.trade(bid)
    return bool(bids)


def kill(host: Host, role: str) -> None:
    for pid in host.pids(role):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not alive(pid), 5.0, f"the death of {role}")  # type: ignore[misc]


def test_a_budget_is_spent_and_not_overspent_whoever_is_killed_while_it_is(host: Host) -> None:
    audit = Audit(host)
    bid_netloc, tracker_netloc = (urlsplit(host.ready[door]).netloc for door in ("bid", "tracker"))
    trader = Trader(bid_netloc, tracker_netloc, seed=5)
    try:
        for _ in range(TIMES):
            for role in ("supervisor", "controller"):
                assert sum(deal(trader) for _ in range(10)) > 0
                kill(host, role)
                wait_until(lambda: deal(trader), 15.0, f"bids after the death of {role}")
        for role in ("aggregator", "tracker"):
            kill(host, role)
            wait_until(lambda: deal(trader), 15.0, f"bids after the death of {role}")
        spent, idle = -1, 0
        while idle < 3:  # until nothing comes back any more
            dealt = sum(deal(trader) for _ in range(20))
            before, spent = spent, trader.books.total("spend_nano_usd")
            idle = idle + 1 if dealt == 0 and spent == before else 0
            host.report("spend")  # all that was acknowledged is booked; a sync later it is settled
    finally:
        trader.close()
    doubtful = trader.books.in_doubt
    assert BUDGET_NANO - (2 + doubtful) * PRICE_NANO < spent <= BUDGET_NANO
    audit.check(trader.books)
    (leases,) = host.ask_postgres(
        "SELECT sum(amount_nano) FILTER (WHERE closed_at IS NULL), sum(spent)::bigint FROM ledger.lease"
        " LEFT JOIN LATERAL (SELECT sum(spent_nano) AS spent FROM ledger.lease_minute WHERE lease = id) m ON true"
    )
    assert leases[0] <= BUDGET_NANO
    assert leases[1] == spent
