"""Work that can wait takes its turn behind the bids."""

import os
import subprocess
import sys

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
