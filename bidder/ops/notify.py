"""What systemd is told, as sd_notify(3) has it: datagrams to the socket that $NOTIFY_SOCKET names, if it names one.

notify("READY=1", "STATUS=2 workers serve"); a name that begins with @ is an abstract one. Never waits, never fails: a
manager that does not listen is nobody's error but its own.
"""

import contextlib
import os
import socket
import time


def notify(*lines: str) -> bool:
    """Was there somebody to tell?"""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.setblocking(False)
        peer.sendto("\n".join(lines).encode(), f"\0{name[1:]}" if name.startswith("@") else name)
        return True
    return False


def reloading() -> bool:
    """From now on until the next READY=1."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
