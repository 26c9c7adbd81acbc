"""`outbid stop ROLE` and `start ROLE`: what was stopped stays away, what died comes back, whatever the role."""

import os
import signal
import time

import pytest

from tests.blackbox.lines import campaign, everybody_bids
from tests.conditions import wait_until
from tests.hosts import ROLES, Host, alive

pytestmark = [pytest.mark.blackbox, pytest.mark.faults]

BACK_S = 1.0
POSTGRES_BACK_S = 5.0
AWAY_S = 1.5  # longer than anything that died is away
ORDER = ("monitor", "aggregator", "controller", "memcached", "postgres", "tracker", "worker", "supervisor")
DEAL = "roles-1"


@pytest.fixture(scope="module", autouse=True)
def deal(host: Host) -> None:
    host.campaigns(campaign(DEAL))


def present(host: Host) -> set[str]:
    return {row["role"] for row in host.processes()}


def healthy(host: Host) -> bool:
    rows = host.processes()
    return {row["role"] for row in rows} == ROLES and all(row["healthy"] for row in rows)


@pytest.mark.parametrize("role", ORDER)
def test_a_role_is_stopped_and_started(host: Host, role: str) -> None:
    before = host.pids(role)
    host.verb("stop", role)
    gone = {role, "worker"} if role == "supervisor" else {role}
    assert not any(alive(pid) for pid in before)
    assert present(host) == ROLES - gone
    host.verb("start", role)
    assert wait_until(lambda: host.pids(role), 5.0, f"{role} to be there") != before
    wait_until(lambda: healthy(host), 10.0, "everything to be healthy")
    assert everybody_bids(host, DEAL)


def test_what_was_stopped_stays_away_until_it_is_started(host: Host) -> None:
    for role in ORDER:
        host.verb("stop", role)
    until = time.monotonic() + AWAY_S
    while time.monotonic() < until:
        assert host.processes() == []
        assert set(host.listening()) == set()
    for role in reversed(ORDER):
        host.verb("start", role)
    wait_until(lambda: healthy(host), 15.0, "everything to be healthy")
    wait_until(lambda: everybody_bids(host, DEAL), 5.0, "bids")


@pytest.mark.parametrize("role", ORDER)
def test_a_role_that_is_killed_is_back_in_time(host: Host, role: str) -> None:
    (victim, *others) = host.pids(role)
    os.kill(victim, signal.SIGKILL)
    if role == "postgres":
        wait_until(lambda: not alive(victim) and host.ask_postgres("SELECT 1"), POSTGRES_BACK_S, "another Postgres")
    else:
        wait_until(lambda: successor(host, role, {victim, *others}), BACK_S, f"another {role}")
    wait_until(lambda: healthy(host), 10.0, "everything to be healthy")
    assert everybody_bids(host, DEAL)


def successor(host: Host, role: str, former: set[int]) -> bool:
    """Does one that was not there before do its job?"""
    return any(row["role"] == role and row["healthy"] and row["pid"] not in former for row in host.processes())
