"""Descriptors: room for them, made before anybody waits for an answer, and what to do where there are none.

The kernel doubles a process's table of descriptors when it is full, and where the process has threads it first waits
until every processor has been through its scheduler: 10 to 20 ms at 64, at 256, at 512 ... in which a worker that takes
connections over answers nobody.
"""

import errno
import fcntl
import os
import resource
import socket
from typing import Any

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RETRY_S = 0.2  # accepting again after the process or host ran out of something
MOST = 1 << 16  # half a MiB of the kernel's memory; a table that has to grow beyond stalls as it did


class ExhaustedError(OSError):
    """Somebody waits at the socket, and there is no descriptor or memory for them now."""


def accept(listener: socket.socket) -> tuple[socket.socket, Any] | None:
    """Who waits, with their address; None: nobody does now. ExhaustedError: they wait on, and the socket stays
    readable, so a loop is not to look at it again before RETRY_S."""
    try:
        return listener.accept()
    except (BlockingIOError, InterruptedError, ConnectionAbortedError):
        return None  # another process was faster, or the client is gone again
    except OSError as error:
        if error.errno not in EXHAUSTED:
            raise
        raise ExhaustedError(error.errno, error.strerror) from None


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
