"""A host as its metrics see it, without a process: what its processes and its supervisor say, and its windows."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bidder.events.schema import Deltas, Row
from bidder.events.totals import Totals
from bidder.ops.metrics import COUNTER, AnyFamily, Family
from bidder.telemetry.gather import Sight, gather

EXCHANGES = {1: "openx", 2: "xandr"}
SWITCHES = {"everything": False, "advertisers": [], "campaigns": [], "features": [], "flips": [], "refused": None}


def vitals(role: str, at: float, **changes: Any) -> dict[str, Any]:
    """One healthy process."""
    facts: dict[str, dict[str, Any]] = {
        "worker": {"connections": 12, "unread": 0, "refused": 0, "generation": 7},
        "tracker": {"position": 900, "durable": 900, "underway": 0, "commits": 3},
        "aggregator": {
            "counters_age_s": 0.2, "money_age_s": 0.1, "windows_waiting": 0, "position": 900, "shards": False,
        },
        "up": {"deaths": {"tracker": 0, "supervisor": 0}, "missing": []},
    }  # fmt: skip
    said = {
        "role": role, "pid": 7, "seat": 0, "arm": 0, "python": "3.11.7", "started": 1.0, "fd_limit": 1_000, "at": at,
        "cpu_s": 1.5, "rss_bytes": 50 << 20, "fds": 20, "lag_p50_s": 0.0001, "lag_max_s": 0.002, "gc_max_s": 0.0,
        "gc_s": 0.1, "gc_collections": 4, "log": {"written": 5, "dropped": 0, "suppressed": 0, "waiting": 0},
        "facts": facts.get(role, {}),
    }  # fmt: skip
    return said | changes


def status() -> dict[str, Any]:
    """What the supervisor of a healthy host answers."""
    return {
        "workers": [{"arm": 0, "ready": True, "book_revision": 7, "connections": 12, "unread_connections": 0}],
        "book_revision": 7, "book_age_s": 0.3, "leases": 240, "leases_age_s": 0.2, "worker_deaths": 0,
        "outbox": {"windows": 9, "overflowed": 0, "busy": 0, "unheard": 0}, "tracker_healthy": True, "held": None,
        "users": {"confirmed": 3}, "overrides": [], "switches": SWITCHES | {"exchanges": []},
    }  # fmt: skip


@dataclass
class Watched:
    """Change what you like, and ask for its families. `now`: monotonic seconds."""

    now: float = 1_000.0
    said: dict[str, Any] = field(default_factory=status)
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)
    disk: tuple[int, int] = (50, 100)
    canary: dict[str, Any] = field(default_factory=dict)
    jumps: Family = field(default_factory=lambda: Family("outbid_clock_jumps_total", COUNTER, "Jumps."))
    totals: Totals = field(default_factory=lambda: Totals(EXCHANGES))
    seq: int = 0

    def __post_init__(self) -> None:
        self.jumps.set(0)
        self.processes = {role: vitals(role, self.now) for role in ("worker", "tracker", "aggregator", "up")}

    def count(self, kind: int, n: int, **fields: int) -> None:
        """One window with one row."""
        self.seq += 1
        zeros = dict.fromkeys(Row.__struct_fields__, 0) | {"exchange": 1}
        self.totals.add(Deltas("host/bidder", 1, self.seq, 0, [Row(**(zeros | {"kind": kind, "n": n} | fields))]))

    def families(self) -> list[AnyFamily]:
        """As the supervisor has them."""
        sight = Sight(self.now, list(self.processes.values()), Counter({("worker", "b1"): 1}), self.disk, self.canary)
        return [*self.totals.families(), *gather(sight, self.said), self.jumps]

    def second(self) -> list[AnyFamily]:
        """Another second later: processes have said how they are, but for those that are frozen."""
        self.now += 1.0
        for said in self.processes.values():
            if not said.get("frozen"):
                said["at"] = self.now
        return self.families()
