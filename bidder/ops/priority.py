"""Work that can wait leaves the processors to those whom exchanges wait for.

Linux shares time out between sessions first where it groups them (/proc/<pid>/autogroup: processes that no service
manager has put into a control group of its own), and between processes by their nice values within that.
"""

import contextlib
import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def go_last(nice: int) -> None:
    """From here on this process, in a session of its own, takes little of a processor that others want too: at 5 a
    third of what it had, at 10 a tenth; else as much as before."""
    os.nice(nice)
    with contextlib.suppress(PermissionError):  # it leads one already
        os.setsid()
    with contextlib.suppress(OSError):  # a kernel that does not group sessions
        AUTOGROUP.write_text(str(nice), encoding="ascii")
