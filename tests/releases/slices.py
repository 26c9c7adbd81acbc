"""A canary's slice: begun and ended by the verbs, changed as the supervisor does it, by its words of the board."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from bidder._fast.board import Board
from bidder.canary.state import Canary, read
from tests.conditions import wait_until
from tests.hosts import Host

READY_S = 60.0
ALL = 10_000  # buckets
CANARY, BASELINE = 1, 2  # arms
CHANGE_S = 0.05  # that a slice lasts


def status(host: Host) -> Canary:
    """The canary that was begun last. AssertionError with the reason where it is over.

    From its file: the verb, asked again and again, would take time of the processor that the host needs.
    """
    found = read(host.state)
    assert found is not None, "there has been no canary"
    assert found.under_way, f"canary {found.outcome}: {found.because}"
    return found


def begin(host: Host, build: str, buckets: int) -> None:
    """A canary of this build that nothing ends by itself for an hour; returns when it has its slice."""
    host.verb("canary", "start", "--build", build, "--slice", f"{buckets / 100:g}%", "--min-time", "1h")
    wait_until(lambda: status(host).buckets == buckets, READY_S, "the slice")


@contextlib.contextmanager
def widest(hosts: Sequence[Host], build: str) -> Iterator[None]:
    """The widest slice on each of them, where requests cost the most: half go to a canary, half to its baseline."""
    for host in hosts:
        begin(host, build, ALL // 2)
    yield
    for host in hosts:
        end(host)


def change(host: Host, buckets: int) -> None:
    """Another width, for the next request."""
    board = Board(host.state / "shm" / "board")
    board.set_arm(CANARY, begin=0, end=buckets)
    board.set_arm(BASELINE, begin=ALL - buckets, end=ALL)
    threading.Event().wait(CHANGE_S)


def end(host: Host) -> None:
    """The stable build answers all; returns when the workers of the others are gone."""
    host.verb("canary", "abort")
    board = Board(host.state / "shm" / "board")
    wait_until(lambda: all(row.arm == 0 for row in board.rows()), READY_S, "the end of the canary's workers")
