"""Whom exchanges wait for comes first on the processors, work that can wait last.

Linux shares time out between sessions first where it groups them (/proc/<pid>/autogroup: processes that no service
manager has put into a control group of its own), and between processes by their nice values within that.
"""

import contextlib
import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
LOWEST = 1  # of the priorities before all ordinary processes


def go_first() -> None:
    """From here on all threads of this process run as soon as they can (sched(7): SCHED_RR), before every ordinary
    process; what it starts does not. PermissionError without CAP_SYS_NICE or RLIMIT_RTPRIO."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(LOWEST))


def go_last(nice: int) -> None:
    """From here on this process, in a session of its own, takes little of a processor that others want too: at 5 a
    third of what it had, at 10 a tenth; else as much as before."""
    os.nice(nice)
    with contextlib.suppress(PermissionError):  # it leads one already
        os.setsid()
    with contextlib.suppress(OSError):  # a kernel that does not group sessions
        AUTOGROUP.write_text(str(nice), encoding="ascii")
