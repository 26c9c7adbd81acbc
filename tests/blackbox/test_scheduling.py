"""`bidder.cpu_scheduling = "rr"`: workers go before all ordinary processes, or say that they may not."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidder._fast.board import Board
from tests.conditions import wait_until
from tests.lone_bidder import LoneBidder

pytestmark = pytest.mark.blackbox

PR_CAPBSET_DROP, CAP_SYS_NICE = 24, 23  # <linux/prctl.h>, <linux/capability.h>
WITHOUT_THE_RIGHT = f"""
import ctypes, os, resource, sys
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
ctypes.CDLL(None).prctl({PR_CAPBSET_DROP}, {CAP_SYS_NICE}, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextlib.contextmanager
def bidder(place: Path, before: tuple[str, ...] = ()) -> Iterator[LoneBidder]:
    """One that is to let its worker go first."""
    lone = LoneBidder(place / "state", before, OUTBID_BIDDER_CPU_SCHEDULING="rr")
    try:
        lone.start()
        yield lone
    finally:
        lone.end()


def worker(lone: LoneBidder) -> int:
    """Its pid, once it serves."""
    board = Board(lone.state / "shm" / "board", private=True)
    return wait_until(lambda: next((row.pid for row in board.rows() if row.heartbeat_ms), 0), 10.0, "the worker")


def refused(lone: LoneBidder) -> list[int]:
    """Who says that it may not."""
    lines = map(json.loads, lone.log().splitlines())
    return [line["pid"] for line in lines if "RLIMIT_RTPRIO" in line["msg"]]


def policy(pid: int) -> int:
    return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK


def test_a_worker_goes_first_and_nobody_else_does(tmp_path: Path) -> None:
    with bidder(tmp_path) as lone:
        pid = worker(lone)
        wait_until(lambda: policy(pid) == os.SCHED_RR or refused(lone), 5.0, "the worker to go first")
        if refused(lone):
            pytest.skip("this machine lets us go before nobody: neither CAP_SYS_NICE nor RLIMIT_RTPRIO")
        assert lone.process is not None
        assert policy(lone.process.pid) == os.SCHED_OTHER


def test_a_worker_that_may_not_go_first_says_so_and_serves(tmp_path: Path) -> None:
    with bidder(tmp_path, (sys.executable, "-c", WITHOUT_THE_RIGHT)) as lone:
        pid = worker(lone)
        assert wait_until(lambda: refused(lone), 5.0, "its complaint") == [pid]
        assert policy(pid) == os.SCHED_OTHER
