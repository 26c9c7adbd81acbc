"""However a host ends, nothing of it stays behind, and the next one goes on where it was."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.blackbox.audit import Audit
from tests.blackbox.exchange import Crowd
from tests.conditions import wait_until
from tests.hosts import CHECKOUT, EXAMPLES, Host, running

pytestmark = pytest.mark.faults

GONE_S = 15.0


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("ends") / "state", workers=2) as host:
        host.verb("campaign", "import", str(EXAMPLES), "--wait")
        yield host


@pytest.fixture
def host(started: Host) -> Host:
    """Up, whatever the test before did to it."""
    if started.process is None:
        started.start()
    return started


def crowd(host: Host, seed: int) -> Crowd:
    bid_netloc, tracker_netloc = (urlsplit(host.ready[door]).netloc for door in ("bid", "tracker"))
    return Crowd(bid_netloc, tracker_netloc, seed, traders=4, every_s=0.01)


def served(load: Crowd, requests: int) -> None:
    """So many more are answered."""
    goal = load.answered() + requests
    wait_until(lambda: load.answered() >= goal, 15.0, f"{requests} more answers")


def assert_nothing_is_left(host: Host) -> None:
    wait_until(lambda: not host.family(), GONE_S, f"every process to end; there are still {host.family()}")
    wait_until(lambda: not host.listening(), 1.0, "every port to be free")


def assert_no_trace_of_life(host: Host) -> None:
    """After an orderly end: no socket and no process file."""
    assert list((host.state / "run").iterdir()) == []


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "when all is gone"])
def test_a_killed_host_leaves_nothing_running_and_the_next_one_loses_nothing(host: Host, at_once: bool) -> None:
    audit = Audit(host)
    load = crowd(host, seed=600)
    try:
        served(load, 200)
        assert host.process is not None
        host.process.kill()
        host.process.communicate()
        if not at_once:
            assert_nothing_is_left(host)
        host.start()
        served(load, 200)
    finally:
        books = load.finish()
    assert set(books.answers) == {200, 204}
    audit.check(books)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_host_that_is_asked_to_end_leaves_nothing_and_loses_nothing(host: Host, number: signal.Signals) -> None:
    audit = Audit(host)
    load = crowd(host, seed=700)
    try:
        served(load, 200)
        assert host.end(number) == 0
        assert_nothing_is_left(host)
        assert_no_trace_of_life(host)
        host.start()
        served(load, 200)
    finally:
        books = load.finish()
    assert set(books.answers) == {200, 204}
    audit.check(books)


@pytest.mark.parametrize(
    ("number", "progress"),
    [
        (signal.SIGINT, "starting Postgres"),
        (signal.SIGTERM, "bringing tables up to date"),
        (signal.SIGKILL, "starting memcached"),
        (signal.SIGTERM, "tracker is ready"),
        (signal.SIGKILL, "controller is ready"),
    ],
)
def test_a_host_that_ends_while_it_starts_leaves_nothing_running(
    started: Host, number: signal.Signals, progress: str
) -> None:
    if started.process is not None:
        started.end()
    process = started.process = started.launch()
    assert process.stderr is not None
    assert any(progress in line for line in process.stderr)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=30)
    started.process = None
    assert_nothing_is_left(started)
    assert "Traceback" not in complaint


INTERRUPTED_FORK = """
import os, signal
from pathlib import Path
from bidder.embedded.child import run, spawn
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
common = {"cwd": Path("/"), "environ": os.environ, "account": None}
for start in (
    lambda: spawn(["/bin/true"], log=None, on_orphaned=signal.SIGKILL, **common),
    lambda: run(["/bin/true"], **common),
):
    try:
        start()
    except KeyboardInterrupt:
        print("heard")
"""


def test_a_ctrl_c_in_the_middle_of_a_fork_is_not_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_FORK], cwd=CHECKOUT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout.split() == ["heard", "heard"], done.stderr


def test_after_all_that_it_starts_and_bids(host: Host) -> None:
    load = crowd(host, seed=800)
    try:
        served(load, 100)
    finally:
        books = load.finish()
    assert books.bids > 0


def test_a_second_host_on_the_same_state_says_so_and_leaves_the_first_alone(host: Host) -> None:
    before = host.processes()
    begun = time.monotonic()
    second = host.launch()
    said, complaint = second.communicate(timeout=20)
    assert second.returncode == 1
    assert said == ""
    assert "already runs" in complaint
    assert str(host.state) in complaint
    assert len(complaint.splitlines()) == 1
    assert time.monotonic() - begun < 5.0
    assert [row["pid"] for row in host.processes()] == [row["pid"] for row in before]


@pytest.mark.parametrize("offset", [0, 432])
def test_a_port_that_another_program_has_is_named_and_nothing_is_left(tmp_path: Path, offset: int) -> None:
    stranded = Host(tmp_path / "state")
    try:
        with socket.create_server(("127.0.0.1", stranded.base + offset)):
            process = stranded.launch()
            said, complaint = process.communicate(timeout=60)
        assert process.returncode == 1
        assert said == ""
        assert f"port {stranded.base + offset} on 127.0.0.1 is taken" in complaint
        assert "Traceback" not in complaint
        assert_nothing_is_left(stranded)
    finally:
        stranded.erase()


def test_the_state_directory_is_its_owners_alone(host: Host) -> None:
    assert host.state.stat().st_mode & 0o077 == 0
    secrets = [host.state / "settings.json", *(host.state / "keys").iterdir()]
    assert len(secrets) >= 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
    assert json.loads((host.state / "settings.json").read_text())["settings"]["bidder"]["workers"] == host.workers
