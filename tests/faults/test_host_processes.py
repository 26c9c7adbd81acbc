"""Processes of a host are killed under load: traffic goes on, they are back, and no figure is wrong at the end.

The load is an exchange with books of its own; it sends notices again until they are answered, as exchanges do.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.blackbox.audit import Audit
from tests.blackbox.exchange import Crowd
from tests.conditions import wait_until
from tests.hosts import EXAMPLES, ROLES, Host, alive, running

pytestmark = pytest.mark.faults

BACK_S = 1.0
POSTGRES_BACK_S = 5.0
HEALTHY_S = 10.0
TRADERS = 12


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("faults") / "state", workers=2) as host:
        host.verb("campaign", "import", str(EXAMPLES), "--wait")
        yield host


def crowd(host: Host, seed: int, traders: int = TRADERS, every_s: float = 0.03) -> Crowd:
    bid_netloc, tracker_netloc = (urlsplit(host.ready[door]).netloc for door in ("bid", "tracker"))
    return Crowd(bid_netloc, tracker_netloc, seed, traders, every_s)


def kill(host: Host, role: str) -> int:
    """-9, for the first of the role."""
    pid = host.pids(role)[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), 5.0, f"the death of {role}")
    return pid


def served(crowd: Crowd, requests: int) -> None:
    """So many more are answered."""
    goal = crowd.answered() + requests
    wait_until(lambda: crowd.answered() >= goal, 10.0, f"{requests} more answers")


def comes_back(host: Host, role: str, count: int, dead: int) -> None:
    """Its successor is there within a second, and does its job soon after."""

    def successors(healthy_only: bool) -> list[int]:
        rows = [row for row in host.processes() if row["role"] == role]
        return [row["pid"] for row in rows if row["pid"] != dead and (row["healthy"] or not healthy_only)]

    wait_until(lambda: len(successors(healthy_only=False)) == count, BACK_S, f"another {role}")
    wait_until(lambda: len(successors(healthy_only=True)) == count, HEALTHY_S, f"the new {role} to be healthy")


def test_a_worker_killed_under_load_costs_its_connections_and_nothing_else(host: Host) -> None:
    audit = Audit(host)
    load = crowd(host, seed=100)
    try:
        served(load, 200)
        for _ in range(3):
            doubtful = load.books().in_doubt
            dead = kill(host, "worker")
            served(load, 50)
            comes_back(host, "worker", 2, dead)
            served(load, 200)
            assert load.books().in_doubt - doubtful <= TRADERS  # what was on its connections, once each
    finally:
        books = load.finish()
    assert set(books.answers) == {200, 204}
    assert books.total("wins") > 100
    audit.check(books)


def test_each_other_process_killed_under_load_is_back_and_no_figure_is_wrong(host: Host) -> None:
    audit = Audit(host)
    load = crowd(host, seed=200, traders=4, every_s=0.02)
    try:
        for role in ("supervisor", "tracker", "aggregator", "controller", "memcached", "monitor"):
            served(load, 50)
            dead = kill(host, role)
            comes_back(host, role, 1, dead)
        served(load, 50)
        kill(host, "postgres")
        wait_until(lambda: host.ask_postgres("SELECT 1"), POSTGRES_BACK_S, "another Postgres")
        served(load, 200)
    finally:
        books = load.finish()
    assert set(books.answers) == {200, 204}
    assert books.total("wins") > 100
    audit.check(books)


def test_every_process_killed_in_one_go_comes_back_and_no_figure_is_wrong(host: Host) -> None:
    audit = Audit(host)
    load = crowd(host, seed=250, traders=4)
    try:
        served(load, 100)
        for row in host.processes():
            with contextlib.suppress(ProcessLookupError):  # workers go with their supervisor
                os.kill(row["pid"], signal.SIGKILL)
        served(load, 100)
    finally:
        books = load.finish()
    audit.check(books)
    wait_until(lambda: {row["role"] for row in host.processes() if row["healthy"]} == ROLES, 10.0, "every role")


def test_nothing_is_lost_when_figures_are_asked_for_right_after_a_death(host: Host) -> None:
    audit = Audit(host)
    for role in ("worker", "supervisor", "tracker", "aggregator"):
        load = crowd(host, seed=300, traders=2, every_s=0.005)
        try:
            served(load, 100)
        finally:
            books = load.finish()
        os.kill(host.pids(role)[0], signal.SIGKILL)
        audit.check(books)
        wait_until(lambda: host.get("bid", "/readyz")[0] == 200, 5.0, "bids")
