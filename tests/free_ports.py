"""Ports for the servers that tests start: free now, and not handed to another test run at the same time."""

import fcntl
import random
import tempfile
from pathlib import Path
from typing import IO

from bidder.embedded import ports

_held: list[IO[bytes]] = []  # locks of the bases that this test run uses; let go when it ends
_spare: list[int] = []  # single ports of the last base


def free_port_base() -> int:
    """A base for `outbid up --port-base`: it and the 499 ports above are ours until this run ends."""
    rng = random.Random()
    for _ in range(100):
        base = ports.free_base(rng)
        lock = Path(tempfile.gettempdir(), f"outbid-test-ports-{base}.lock").open("ab")  # noqa: SIM115 - held
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        return base
    raise LookupError("every free base is held by another test run")


def free_port() -> int:
    """One port of a base of our own."""
    if not _held or not _spare:
        base = free_port_base()
        _spare.extend(range(base, base + ports.SPAN))
    while True:
        port = _spare.pop()
        if ports.is_free(port):
            return port
