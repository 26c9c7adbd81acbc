"""Everything that is known of a host, as families of metrics. Pure, but for `look`, which reads files.

look(state) -> Sight: vitals and presence of every process, the canary, room on the disk
gather(Sight, status of the supervisor) -> families: with those of `Totals` they are the answer to a scrape
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidder.ops import presence, vitals
from bidder.ops.metrics import COUNTER, GAUGE, AnyFamily, Family, Kind

CANARY_STATES = ("checking", "starting", "running", "rolled-back", "inconclusive", "promoted")
SWITCHED = ("everything", "exchanges", "advertisers", "campaigns", "features")
BY_PROCESS = ("role", "seat", "arm")

Said = dict[str, Any]  # the vitals of one process

PROCESS: tuple[tuple[str, Kind, str, Callable[[Said], float]], ...] = (
    ("start_time_seconds", GAUGE, "When the process began, unix seconds.", lambda v: v["started"]),
    ("cpu_seconds_total", COUNTER, "Time on a processor.", lambda v: v["cpu_s"]),
    ("resident_bytes", GAUGE, "Memory in use.", lambda v: v["rss_bytes"]),
    ("fds", GAUGE, "Open descriptors.", lambda v: v["fds"]),
    ("fds_share", GAUGE, "Open descriptors, as a share of those it may have.", lambda v: v["fds"] / v["fd_limit"]),
    ("loop_lag_p50_seconds", GAUGE, "How late its loop is, of the last second.", lambda v: v["lag_p50_s"]),
    ("loop_lag_max_seconds", GAUGE, "The longest that its loop was late in the last second.", lambda v: v["lag_max_s"]),
    ("gc_pause_max_seconds", GAUGE, "The longest garbage collection of the last second.", lambda v: v["gc_max_s"]),
    ("gc_seconds_total", COUNTER, "Time that garbage collections took.", lambda v: v["gc_s"]),
    ("gc_collections_total", COUNTER, "Garbage collections.", lambda v: v["gc_collections"]),
)
LOG = ("written", "dropped", "suppressed")


@dataclass(frozen=True, slots=True)
class Sight:
    """What lies in the state directory, at one moment (monotonic s)."""

    at: float
    vitals: list[dict[str, Any]]
    builds: Counter[tuple[str, str]]  # role and build: processes
    disk: tuple[int, int]  # bytes that are free to us, and all
    canary: dict[str, Any] = field(default_factory=dict)


def look(state: Path, now: float) -> Sight:
    """Reads some twenty small files: for a thread, as the disk may be slow."""
    room = os.statvfs(state)
    present = presence.present(state)
    return Sight(
        at=now,
        vitals=vitals.read_all(state),
        builds=Counter((said["role"], str(said["build"])) for said in present),
        disk=(room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize),
        canary=_canary(state / "canary.json"),
    )


def _canary(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def gather(sight: Sight, status: dict[str, Any]) -> list[AnyFamily]:
    """`status`: what the supervisor answers at its control socket."""
    return [*_processes(sight), *_roles(sight, status), *_bidder(status), *_reports(sight), *_host(sight)]


def _youngest(sight: Sight) -> list[dict[str, Any]]:
    """One process a seat: beside one that drains, its successor counts."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for said in sorted(sight.vitals, key=lambda said: float(said["started"])):
        found[_where(said)] = said
    return list(found.values())


def _where(said: dict[str, Any]) -> tuple[str, str, str]:
    return said["role"], str(said["seat"]), str(said["arm"])


def _processes(sight: Sight) -> list[AnyFamily]:
    seats = _youngest(sight)
    families: list[AnyFamily] = []
    for name, kind, text, value in PROCESS:
        family = Family(f"outbid_process_{name}", kind, text, BY_PROCESS)
        for said in seats:
            family.set(value(said), *_where(said))
        families.append(family)
    age = Family("outbid_process_vitals_age_seconds", GAUGE, "Since its loop last said how it is.", BY_PROCESS)
    waiting = Family("outbid_log_waiting", GAUGE, "Log records that wait for their disk.", BY_PROCESS)
    connections = Family("outbid_connections", GAUGE, "Open connections.", BY_PROCESS)
    refused = Family("outbid_refused_total", COUNTER, "Requests that were not read to their end.", BY_PROCESS)
    unread = Family("outbid_connections_unread", GAUGE, "Of these, not read for a while: overload.", BY_PROCESS)
    logged = {name: Family(f"outbid_log_{name}_total", COUNTER, f"Log records {name}.", BY_PROCESS) for name in LOG}
    for said in seats:
        age.set(max(0.0, sight.at - said["at"]), *_where(said))
        waiting.set(said["log"]["waiting"], *_where(said))
        for name, family in logged.items():
            family.set(said["log"][name], *_where(said))
        if "connections" in said["facts"]:
            connections.set(said["facts"]["connections"], *_where(said))
        if "unread" in said["facts"]:
            unread.set(said["facts"]["unread"], *_where(said))
            refused.set(said["facts"]["refused"], *_where(said))
    return [*families, age, waiting, *logged.values(), connections, unread, refused]


def _roles(sight: Sight, status: dict[str, Any]) -> list[AnyFamily]:
    build = Family("outbid_build_info", GAUGE, "Processes of each build.", ("role", "build"))
    for (role, name), n in sight.builds.items():
        build.set(n, role, name)
    deaths = Family("outbid_role_deaths_total", COUNTER, "Deaths of roles that were wanted.", ("role",))
    workers = Family("outbid_worker_deaths_total", COUNTER, "Deaths of workers that were wanted.")
    workers.set(status["worker_deaths"])
    missing = Family("outbid_roles_missing", GAUGE, "Roles that should run here and do not.")
    for said in sight.vitals:
        if said["role"] == "up":
            for role, n in said["facts"]["deaths"].items():
                deaths.set(n, role)
            missing.set(len(said["facts"]["missing"]))
    return [build, workers, deaths, missing]


def _bidder(status: dict[str, Any]) -> list[AnyFamily]:
    def gauge(name: str, text: str, value: float) -> Family:
        family = Family(name, GAUGE, text)
        family.set(value)
        return family

    def counter(name: str, text: str, value: float) -> Family:
        family = Family(name, COUNTER, text)
        family.set(value)
        return family

    workers = Family("outbid_workers", GAUGE, "Workers that live.", ("arm", "state"))
    for worker in status["workers"]:
        workers.add(1, str(worker.get("arm", 0)), "ready" if worker["ready"] else "waiting")
    overrides = Family("outbid_overrides", GAUGE, "Files in override/.", ("state",))
    for override in status["overrides"]:
        overrides.add(1, "refused" if override["error"] else "in-force")
    off = Family("outbid_switched_off", GAUGE, "What operators have switched off.", ("what",))
    for what in SWITCHED:
        switched = status["switches"][what]
        off.set(len(switched) if isinstance(switched, list) else int(switched), what)
    users = Family("outbid_users_total", COUNTER, "What became of users and caps: docs/users.md.", ("event",))
    for event, n in status["users"].items():
        users.set(n, event)
    served = [worker["book_revision"] for worker in status["workers"] if worker["ready"]]
    return [
        workers,
        overrides,
        off,
        users,
        gauge("outbid_switches_refused", "1 while switches.json cannot be used.", bool(status["switches"]["refused"])),
        gauge("outbid_book_revision", "The newest book of this host.", status["book_revision"]),
        gauge("outbid_book_served_revision", "The oldest book that a worker serves.", min(served, default=0)),
        gauge("outbid_book_age_seconds", "Since this book was last known to be the newest.", status["book_age_s"]),
        gauge("outbid_leases", "Leases that this host holds.", status["leases"]),
        gauge("outbid_leases_age_seconds", "Since leases were last renewed.", status["leases_age_s"]),
        gauge("outbid_tracker_healthy", "1 while notices can be acknowledged.", bool(status["tracker_healthy"])),
        gauge("outbid_held", "1 while nothing is bid, as no notice could be acknowledged.", bool(status["held"])),
        gauge("outbid_outbox_windows", "Windows kept for who missed them.", status["outbox"]["windows"]),
        counter("outbid_windows_overflowed_total", "Counts without their details.", status["outbox"]["overflowed"]),
        counter("outbid_windows_busy_total", "Tables that had to wait for a window.", status["outbox"]["busy"]),
        counter("outbid_windows_unheard_total", "Windows that nobody listened to.", status["outbox"]["unheard"]),
    ]


def _reports(sight: Sight) -> list[AnyFamily]:
    """What the aggregators of this host say, and how much of its spool they have not booked."""
    age = Family("outbid_reports_age_seconds", GAUGE, "Since all there was, was in Postgres.", ("what",))
    waiting = Family("outbid_reports_windows_waiting", GAUGE, "Windows that the aggregator has not written.")
    unbooked = Family("outbid_spool_unbooked_bytes", GAUGE, "Notices of the spool that are not in Postgres.")
    durable = max((said["facts"]["durable"] for said in sight.vitals if said["role"] == "tracker"), default=None)
    for said in sight.vitals:
        if said["role"] != "aggregator":
            continue
        facts = said["facts"]
        age.set(facts["counters_age_s"], "counters")
        age.set(facts["money_age_s"], "money")
        waiting.set(facts["windows_waiting"])
        if durable is not None and facts["position"] is not None and not facts["shards"]:
            unbooked.set(max(0, durable - facts["position"]))
    return [age, waiting, unbooked]


def _host(sight: Sight) -> list[AnyFamily]:
    free = Family("outbid_disk_free_bytes", GAUGE, "Free on the disk of the state directory.")
    size = Family("outbid_disk_bytes", GAUGE, "Size of that disk.")
    canary = Family("outbid_canary", GAUGE, "1 for the state that the canary of this host is in.", ("state",))
    free.set(sight.disk[0])
    size.set(sight.disk[1])
    if state := sight.canary.get("state"):
        canary.set(1, str(state))
    return [free, size, canary]
