"""With memcached, Postgres, controller and aggregator away, bids go on and notices are taken.

When they are there again, every figure is that of an exchange with books of its own.
"""

import os
import resource
import signal
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.blackbox.audit import Audit
from tests.blackbox.exchange import Crowd
from tests.blackbox.lines import ask, campaign, everybody_bids, nobody_bids, request, workers
from tests.conditions import wait_until
from tests.hosts import EXAMPLES, Host, alive, running

pytestmark = pytest.mark.faults

AWAY = ("memcached", "postgres", "controller", "aggregator")
BACK_S = 1.0
POSTGRES_BACK_S = 5.0
DEAL = "away-1"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("faults") / "state", workers=2) as host:
        host.verb("campaign", "import", str(EXAMPLES), "--wait")
        host.campaigns(campaign(DEAL))
        yield host


@pytest.fixture
def audit(host: Host) -> Audit:
    """Of what the load does."""
    return Audit(host)


@pytest.fixture
def load(host: Host, audit: Audit) -> Iterator[Crowd]:
    """Steady, and light: the machine is to be busy with what the test does."""
    bid_netloc, tracker_netloc = (urlsplit(host.ready[door]).netloc for door in ("bid", "tracker"))
    crowd = Crowd(bid_netloc, tracker_netloc, 500, traders=4, every_s=0.02)
    yield crowd
    crowd.finish()


def more_bids(load: Crowd, bids: int) -> None:
    """The crowd gets so many more, and its notices are taken."""
    goal, wins = load.books().bids + bids, load.books().total("wins")
    wait_until(lambda: load.books().bids >= goal and load.books().total("wins") > wins, 10.0, f"{bids} more bids")


def test_bids_go_on_while_everything_behind_the_bidder_is_stopped(host: Host, load: Crowd, audit: Audit) -> None:
    others = ask(host, request(DEAL, test=1))
    more_bids(load, 50)
    for role in AWAY:
        host.verb("stop", role)
    more_bids(load, 200)
    for pid in host.pids("worker"):  # both, so that all bids are those of workers that started alone
        os.kill(pid, signal.SIGKILL)
        wait_until(partial(dead, pid), 5.0, "a worker's death")
    wait_until(lambda: len(host.pids("worker")) == 2, BACK_S, "both workers")
    wait_until(lambda: len(ready_workers(host)) == 2, 5.0, "both workers to be ready")
    newcomers = ask(host, request(DEAL, test=1))
    assert all(newcomers)
    assert workers(newcomers).isdisjoint(workers(others))
    more_bids(load, 200)
    assert set(load.books().answers) == {200, 204}
    for verb in (["report", "spend"], ["campaign", "pause", DEAL]):
        refused = host.try_verb(*verb)
        assert refused.returncode == 1
        assert "Postgres" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    host.verb("switch", "off", "--campaign", DEAL)
    assert not any(ask(host, request(DEAL, test=1)))
    host.verb("switch", "on", "--campaign", DEAL)
    for kind, name in (("advertiser", "acme"), ("feature", "deals")):
        host.verb("switch", "off", f"--{kind}", name)
        assert not any(ask(host, request(DEAL, test=1)))
        host.verb("switch", "on", f"--{kind}", name)
    for role in reversed(AWAY):
        host.verb("start", role)
    more_bids(load, 50)
    audit.check(load.finish())
    host.verb("campaign", "pause", DEAL, "--wait")
    assert nobody_bids(host, DEAL)
    host.verb("campaign", "resume", DEAL, "--wait")
    assert everybody_bids(host, DEAL)


def ready_workers(host: Host) -> list[int]:
    return [row["pid"] for row in host.processes() if row["role"] == "worker" and row["healthy"]]


def test_bids_go_on_while_everything_behind_the_bidder_is_killed(host: Host, load: Crowd, audit: Audit) -> None:
    more_bids(load, 50)
    victims = {row["role"]: row["pid"] for row in host.processes() if row["role"] in AWAY}
    for pid in victims.values():
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    for role in ("aggregator", "controller", "memcached"):
        left = begun + BACK_S - time.monotonic()
        wait_until(partial(replaced, host, role, victims[role]), left, f"another {role}")
    wait_until(lambda: host.ask_postgres("SELECT 1"), POSTGRES_BACK_S, "another Postgres")
    more_bids(load, 200)
    books = load.finish()
    assert set(books.answers) == {200, 204}
    assert books.in_doubt == 0
    audit.check(books)


def dead(pid: int) -> bool:
    return not alive(pid)


def replaced(host: Host, role: str, victim: int) -> bool:
    return [pid for pid in host.pids(role) if pid != victim] != []


def test_a_stopped_tracker_costs_nothing_once_it_is_there_again(host: Host, load: Crowd, audit: Audit) -> None:
    more_bids(load, 50)
    host.verb("stop", "tracker")
    wait_until(lambda: host.get("tracker", "/healthz")[0] == 0, 5.0, "the tracker to be away")
    assert all(ask(host, request(DEAL, test=1)))
    host.verb("start", "tracker")
    more_bids(load, 100)
    audit.check(load.finish())


def test_a_disk_that_takes_no_notices_stops_bidding_until_it_does(host: Host, load: Crowd, audit: Audit) -> None:
    more_bids(load, 50)
    [tracker] = host.pids("tracker")
    limits = resource.prlimit(tracker, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))  # its disk is full
    wait_until(lambda: "no bids: notices could not" in host.try_verb("status").stdout, 20.0, "bidding to stop")
    assert not any(ask(host, request(DEAL, test=1)))
    resource.prlimit(tracker, resource.RLIMIT_FSIZE, limits)
    more_bids(load, 50)
    books = load.finish()  # every notice was told until it was taken
    assert audit.reports().spend == books.by_campaign()
