"""A whole host and a worker of arm 1: who answers, its death, its going, and what analysts see of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder._fast.board import Board
from tests.blackbox.lines import campaign, request
from tests.conditions import wait_until
from tests.hosts import CHECKOUT, Host, running

pytestmark = pytest.mark.faults

ROW = 40


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("arms") / "state", workers=1) as host:
        host.campaigns(campaign("arms-1"))
        yield host


def worker_of_arm(host: Host) -> "subprocess.Popen[bytes]":
    argv = ["worker", "--row", str(ROW), "--arm", "1", "--state", str(host.state)]
    process = subprocess.Popen([sys.executable, "-m", "bidder", *argv], cwd=CHECKOUT)
    board = Board(host.state / "shm" / "board")
    wait_until(lambda: any(r.row == ROW and r.ready and r.pid == process.pid and r.arm == 1 for r in board.rows()))
    return process


def ask(host: Host, n: int) -> list[int]:
    """Statuses of so many requests on one connection."""
    connection = host.connect()
    statuses = []
    for _ in range(n):
        connection.request("POST", "/bid/generic", request("arms-1"))
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    return statuses


def report(host: Host) -> dict[str, int]:
    host.report("delivery", "--by", "total")  # what was answered so far is in Postgres
    columns = "requests, answered_by_its_build, answered_by_stable, late + gone + busy + price + broken"
    ((*found,),) = host.ask_postgres(
        f"SELECT {', '.join(f'coalesce(sum({c}), 0)::int' for c in columns.split(', '))} FROM report.arms"
    )
    return dict(zip(("requests", "own", "stable", "why"), found, strict=True))


def test_requests_of_an_arm_are_answered_by_its_worker_or_by_the_stable_build_and_all_are_counted(host: Host) -> None:
    board = Board(host.state / "shm" / "board")
    process = worker_of_arm(host)
    try:
        board.set_arm(1, begin=0, end=10_000, doors=[ROW], wait_us=500_000)
        assert set(ask(host, 50)) == {200}
        found = report(host)
        assert found == {"requests": 50, "own": 50, "stable": 0, "why": 0}
        assert Path(host.state / "run" / f"arm-1.{ROW}.sock").exists()

        os.kill(process.pid, signal.SIGSTOP)  # it takes requests, and does not answer them
        board.set_arm(1, wait_us=20_000)
        assert set(ask(host, 10)) == {200}
        process.kill()
        process.wait()
        assert set(ask(host, 10)) == {200}
        found = report(host)
        assert found == {"requests": 70, "own": 50, "stable": 20, "why": 20}

        board.release(ROW)
        process = worker_of_arm(host)
        board.set_arm(1, wait_us=500_000)
        wait_until(lambda: set(ask(host, 1)) == {200} and report(host)["own"] > 50)
        process.terminate()
        assert process.wait(10) == 0
        assert not Path(host.state / "run" / f"arm-1.{ROW}.sock").exists()
        assert set(ask(host, 10)) == {200}
    finally:
        board.set_arm(1, begin=0, end=0, doors=())
        process.kill()
        process.wait()
    before = report(host)["requests"]
    assert set(ask(host, 10)) == {200}
    assert report(host)["requests"] == before
