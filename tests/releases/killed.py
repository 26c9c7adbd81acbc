"""A canary that is killed under load: no request is lost, and each is counted once, in the arm of its own bucket.

Every request has a user of its own, and is sent once and in order, so how many belong to the canary is known before.
"""

import json
import os
import random
import signal
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from bidder._fast.slice import bucket
from tests.conditions import wait_until
from tests.hosts import Host
from tests.releases.slices import READY_S, status

BUCKETS = 500  # 5 %
WITHIN = 0.002  # of all requests: how far their part may be from 5 %
SEED = 3
PATIENT = {"OUTBID_CANARY_CRASHES": "1000", "OUTBID_CANARY_ERRORS": "0.99"}  # or the first death would end the canary
ARMS = ("canary", "baseline", "stable")


def people(count: int) -> list[str]:
    """An ifa each."""
    dice = random.Random(SEED)
    return [str(uuid.UUID(int=dice.getrandbits(128), version=4)) for _ in range(count)]


def request(ifa: str) -> bytes:
    """A small one that is bid on."""
    body = {
        "id": ifa[:8],
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "app": {"bundle": "com.game.acme"},
        "device": {"ifa": ifa, "os": "android", "geo": {"country": "USA"}},
    }
    return json.dumps(body, separators=(",", ":")).encode()


def canary_workers(host: Host) -> list[int]:
    """Pids of arm 1."""
    return [row["pid"] for row in host.processes() if row["role"] == "worker" and row.get("arm") == 1]


def kill(host: Host) -> None:
    """One of its workers, in the middle of whatever it does; another one comes."""
    before = canary_workers(host)
    os.kill(before[0], signal.SIGKILL)

    def back() -> bool:
        status(host)
        now = canary_workers(host)
        return before[0] not in now and len(now) == len(before)

    wait_until(back, READY_S, "another")


class Sums(NamedTuple):
    """Requests by arm, as the report has them, and as they were sent."""

    sent: int
    expected: int  # of those, with buckets of the canary
    canary: int
    baseline: int
    stable: int

    @property
    def share(self) -> float:
        """The canary's part of all."""
        return self.canary / max(1, self.sent)

    @property
    def wrong(self) -> list[str]:
        """What does not add up, in words."""
        found = []
        if self.canary + self.baseline + self.stable != self.sent:
            counted = self.canary + self.baseline + self.stable
            found.append(f"{counted:,} requests are counted, {self.sent:,} were sent")
        if self.canary != self.expected:
            found.append(f"the canary's arm has {self.canary:,} requests, {self.expected:,} are in its buckets")
        if abs(self.share - BUCKETS / 10_000) > WITHIN:
            found.append(f"the canary's share is {self.share:.3%}")
        return found


def counted(host: Host) -> dict[str, int]:
    """Requests by arm, as the report has them."""
    rows = host.report("delivery", "--by", "arm")
    found = dict.fromkeys(ARMS, 0) | {row["arm"]: row["requests"] for row in rows}
    assert found.keys() == set(ARMS), f"arms that nobody made: {found}"
    return found


def sums(host: Host, before: dict[str, int], everybody: Sequence[str], sent: int) -> Sums:
    """Of what was sent since `before` was counted."""
    now = counted(host)
    expected = sum(bucket(ifa.encode()) < BUCKETS for ifa in everybody[:sent])
    return Sums(sent, expected, *(now[arm] - before[arm] for arm in ARMS))
