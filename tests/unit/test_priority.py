"""Work that can wait takes its turn behind the bids, and bids before everything where that is allowed."""

import os
import subprocess
import sys

import pytest

from bidder.ops.priority import AUTOGROUP

PROGRAM = """
import os, sys
from bidder.ops.priority import AUTOGROUP, go_last
print(os.getsid(0))
go_last(7)
print(os.getpriority(os.PRIO_PROCESS, 0), os.getsid(0), os.getpid())
print(AUTOGROUP.read_text() if AUTOGROUP.exists() else "")
"""


def test_it_has_a_session_of_its_own_and_a_nice_value_in_it_and_as_a_whole() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after, group, *_ = [*done.stdout.splitlines(), ""]
    nice, session, pid = after.split()
    assert int(before) == os.getsid(0)
    assert int(nice) == os.getpriority(os.PRIO_PROCESS, 0) + 7
    assert session == pid
    if AUTOGROUP.exists():
        assert group.endswith("nice 7")


FIRST = """
import os, subprocess, sys, threading
from bidder.ops.priority import go_first
done = threading.Event()
threading.Thread(target=done.wait).start()
try:
    go_first()
    threads = {os.sched_getscheduler(int(thread)) & ~os.SCHED_RESET_ON_FORK for thread in os.listdir("/proc/self/task")}
    child = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
    print(threads == {os.SCHED_RR}, subprocess.run(child, capture_output=True, text=True).stdout.strip())
except PermissionError:
    print("may not")
finally:
    done.set()
"""


def test_who_goes_first_does_so_with_all_its_threads_and_without_what_it_starts() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    if done.stdout.strip() == "may not":
        pytest.skip("this machine lets us go before nobody: neither CAP_SYS_NICE nor RLIMIT_RTPRIO")
    assert done.stdout.split() == ["True", str(os.SCHED_OTHER)]
