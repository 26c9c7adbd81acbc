"""Ports of this host: is one free, and where is room for a whole `outbid up`.

`--port-base B` puts every door of outbid on B + its last three digits (0 to 432).
"""

import errno
import random
import socket
import time

SPAN = 500  # a base owns the ports below base + SPAN
FIRST, LAST = 10_000, 31_500  # below the ports that the kernel deals out for outgoing connections


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Could a server listen there now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def becomes_free(port: int, within_s: float) -> bool:
    """Free now, or as soon as a server that is just ending lets go of it."""
    deadline = time.monotonic() + within_s
    while not is_free(port):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def free_base(rng: random.Random) -> int:
    """A base for `--port-base` with all its ports free; LookupError where there is none.

    Two callers at once may get the same one; drawing at random makes that rare.
    """
    bases = list(range(FIRST, LAST, SPAN))
    rng.shuffle(bases)
    for base in bases:
        if all(is_free(port) for port in range(base, base + SPAN)):
            return base
    raise LookupError(f"no {SPAN} free ports in a row from {FIRST} to {LAST} on 127.0.0.1")
