"""A few hundred requests a second, sent when they are due whether or not earlier ones have been answered in time.

Latency counts from when a request was due, so waiting in our own sender counts too. Times: seconds.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from bidder.simulator.traffic import requests
from tests.blackbox.bid_port import Asker
from tests.hosts import Host

pytestmark = pytest.mark.blackbox

SENDERS, RATE, SECONDS = 4, 400, 3.0
LATE_S = 0.250  # the longest tmax in this traffic
TOLERATED = 0.005  # of all: the machine also runs the senders


def send(port: int, number: int) -> tuple[Counter[int], list[float]]:
    """One sender's share: statuses, latencies."""
    every = SENDERS / RATE
    bodies = list(islice(requests(500 + number), int(SECONDS / every)))
    statuses: Counter[int] = Counter()
    latencies = []
    with Asker(port) as asker:
        began = time.monotonic() + number * every / SENDERS
        for n, body in enumerate(bodies):
            due = began + n * every
            time.sleep(max(0.0, due - time.monotonic()))
            statuses[asker.ask(body).status] += 1
            latencies.append(time.monotonic() - due)
    return statuses, latencies


def test_every_request_at_a_few_hundred_a_second_is_answered_in_time(host: Host) -> None:
    with ThreadPoolExecutor(SENDERS) as pool:
        shares = list(pool.map(lambda number: send(host.base, number), range(SENDERS)))
    statuses = sum((share[0] for share in shares), Counter())
    latencies = sorted(latency for share in shares for latency in share[1])
    late = sum(latency > LATE_S for latency in latencies)
    figures = (
        f"{statuses}, {late} late, p99 {latencies[len(latencies) * 99 // 100]:.4f} s, longest {latencies[-1]:.4f} s"
    )
    assert set(statuses) == {200, 204}, figures
    assert statuses[200] > 0.3 * statuses.total(), figures
    assert late <= TOLERATED * len(latencies), figures
