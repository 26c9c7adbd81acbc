"""Room for descriptors, made before anybody waits for an answer.

The kernel doubles a process's table of descriptors when it is full, and where the process has threads it first waits
until every processor has been through its scheduler: 10 to 20 ms at 64, at 256, at 512 ... in which a worker that takes
connections over answers nobody.
"""

import errno
import fcntl
import os
import resource

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})  # it passes; accept() later again
MOST = 1 << 16  # half a MiB of the kernel's memory; a table that has to grow beyond stalls as it did


def make_room() -> int:
    """For as many as this process may have open, 65,536 at most: how many. Best before there are threads."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = MOST if limit == resource.RLIM_INFINITY else min(MOST, limit)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, room - 1))
    finally:
        os.close(null)
    return room
