"""`outbid stop ROLE` and `start ROLE`: what was stopped stays away until it is started, whatever the role.

What comes back by itself is in tests/faults/test_host_processes.py.
"""

import time

import pytest

from tests.blackbox.lines import campaign, everybody_bids
from tests.conditions import wait_until
from tests.hosts import ROLES, Host, alive

pytestmark = pytest.mark.blackbox

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
