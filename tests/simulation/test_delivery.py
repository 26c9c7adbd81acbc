"""Delivery: hours of the day that `scripts/simulate --delivery` plays, with faults and many hosts."""

from tests.simulation.delivery import Case, holds, simulate


def test_hosts_that_share_a_budget_follow_its_plan_whatever_fails() -> None:
    """The faults kill each supervisor and reboot a host, some of them while nothing was to be spent for a moment."""
    outcome = simulate(Case(hosts=4, delay_s=10, faults=True, hours=6))
    assert holds(outcome)
    assert outcome.rmse < 4
    assert outcome.under < 2
