"""Bids that reserve less than their price: what is left is exact, and overspend stays within its bound."""

import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.money.wire import Lease
from tests.reference.account import Account, Bid
from tests.unit.test_leases import CAMPAIGN, START, Host

RELEASE_S = 600
OFTEN = ["take"] * 6 + ["wait"] * 3
STEP = st.tuples(
    st.sampled_from([*OFTEN, "bill", "lose", "share", "pause", "hear", "stale", "restart"]), st.integers(0, 10**6)
)


def totals(account: Account, now: float) -> Lease:
    """Of the lease, as a controller says them."""
    first = int((START + now - RELEASE_S) // 60) - 1
    closed: dict[int, int] = {}
    for bid in account.bids:
        if bid.closed and bid.minute >= first:
            closed[bid.minute] = closed.get(bid.minute, 0) + bid.taken
    return Lease(
        7, CAMPAIGN, account.amount, -now - 1, 1e6, 2e6, 1e6, False, account.cost, sorted(closed.items())
    )  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=20, max_size=120), st.builds(random.Random, st.integers(0, 2**32)))
def test_overspend_is_late_bills_and_what_the_last_bids_had_not_reserved(
    steps: list[tuple[str, int]], chance: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as place:
        host, account, share = Host(Path(place)), Account(1_500), 0

        fresh_at = host.now

        def hear(stale: bool = False) -> None:
            nonlocal fresh_at
            account.hear()
            host.hear(totals(account, host.now), stale=stale)
            if not stale:
                fresh_at = host.now
                account.release(int((START + host.now - RELEASE_S) // 60) - 1)

        hear()
        for step, value in steps:
            out: list[Bid] = [bid for bid in account.bids if not bid.closed]
            if step == "take":
                price = value % 400 + 1
                taken = host.purses.take(host.slot, price, host.minute)
                if taken is not None:
                    assert taken[1] == price - (price * share >> 16)
                    account.take(price, taken[1], host.minute)
            elif step in ("bill", "lose") and out:
                bid = chance.choice(out)
                account.bill(bid, value % bid.price + 1 if step == "bill" else 0)
            elif step == "share":
                share = value % 65_536
                host.purses.set_unreserved(host.slot, share)
            elif step == "wait":
                host.now += value % 170  # minutes are expired before their bucket comes round again
                hear()
            elif step == "pause" and host.now < fresh_at + 100:
                host.now += value % 60
            elif step in ("hear", "stale"):
                hear(stale=step == "stale")
                assert step == "stale" or host.left == account.left
            elif step == "restart":
                host = Host(Path(place), now=host.now)
                hear()
                assert host.left == account.left
            assert account.cost - account.amount <= account.bound
        for bid in account.bids:  # and at worst all that are out are billed in full
            account.bill(bid, bid.price)
        assert account.cost - account.amount <= account.bound
