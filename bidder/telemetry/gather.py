"""Everything that is known of a host, as families of metrics. Pure, but for `look`, which reads files.

look(state) -> Sight: vitals and presence of every process, the canary, room on the disk
gather(Sight, status of the supervisor) -> families: with those of `Totals` they are the answer to a scrape
"""

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidder.events.totals import arm_name
from bidder.ops import presence, vitals
from bidder.ops.metrics import COUNTER, GAUGE, AnyFamily, Family, Kind, counter, gauge

SWITCHED = ("everything", "exchanges", "advertisers", "campaigns", "features")
BY_PROCESS = ("role", "seat", "arm")

Said = dict[str, Any]  # the vitals of one process

# name, kind, text; where the vitals have it. A process of another build may say less.
PROCESS: tuple[tuple[str, Kind, str, str], ...] = (
    ("outbid_process_start_time_seconds", GAUGE, "When the process began, unix seconds.", "started"),
    ("outbid_process_cpu_seconds_total", COUNTER, "Time on a processor.", "cpu_s"),
    ("outbid_process_resident_bytes", GAUGE, "Memory in use.", "rss_bytes"),
    ("outbid_process_fds", GAUGE, "Open descriptors.", "fds"),
    ("outbid_process_fds_share", GAUGE, "Open descriptors, as a share of those it may have.", "fds_share"),
    ("outbid_process_loop_lag_p50_seconds", GAUGE, "How late its loop is, of the last second.", "lag_p50_s"),
    ("outbid_process_loop_lag_max_seconds", GAUGE, "The longest that its loop was late in that second.", "lag_max_s"),
    ("outbid_process_gc_pause_max_seconds", GAUGE, "The longest garbage collection of the last second.", "gc_max_s"),
    ("outbid_process_gc_seconds_total", COUNTER, "Time that garbage collections took.", "gc_s"),
    ("outbid_process_gc_collections_total", COUNTER, "Garbage collections.", "gc_collections"),
    ("outbid_process_vitals_age_seconds", GAUGE, "Since its loop last said how it is.", "age_s"),
    ("outbid_log_waiting", GAUGE, "Log records that wait for their disk.", "log.waiting"),
    ("outbid_log_written_total", COUNTER, "Log records written.", "log.written"),
    ("outbid_log_dropped_total", COUNTER, "Log records that a full queue dropped.", "log.dropped"),
    ("outbid_log_suppressed_total", COUNTER, "Log records kept back as repeats.", "log.suppressed"),
    ("outbid_connections", GAUGE, "Open connections.", "facts.connections"),
    ("outbid_connections_unread", GAUGE, "Of these, not read for a while: overload.", "facts.unread"),
    ("outbid_refused_total", COUNTER, "Requests that were not read to their end.", "facts.refused"),
)


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
        canary=canary_of(state / "canary.json"),
    )


def canary_of(path: Path) -> dict[str, Any]:
    """What `canary.json` says, of whatever build; nothing where there is none, or none that can be read."""
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
    return [found[where] for where in sorted(found)]


def _where(said: dict[str, Any]) -> tuple[str, str, str]:
    return said["role"], str(said["seat"]), arm_name(said["arm"])


def _processes(sight: Sight) -> list[AnyFamily]:
    families: list[AnyFamily] = []
    seats = [
        said | {"age_s": max(0.0, sight.at - said["at"]), "fds_share": said["fds"] / said["fd_limit"]}
        for said in _youngest(sight)
    ]
    for name, kind, text, place in PROCESS:
        family = Family(name, kind, text, BY_PROCESS)
        for said in seats:
            value = _find(said, place)
            if value is not None:
                family.set(value, *_where(said))
        families.append(family)
    return families


def _find(said: Said, place: str) -> Any:
    """`log.dropped` -> said["log"]["dropped"]; None where that is not said."""
    found: Any = said
    for name in place.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _roles(sight: Sight, status: dict[str, Any]) -> list[AnyFamily]:
    build = Family("outbid_build_info", GAUGE, "Processes of each build.", ("role", "build"))
    for (role, name), n in sight.builds.items():
        build.set(n, role, name)
    deaths = Family("outbid_role_deaths_total", COUNTER, "Deaths of roles that were wanted.", ("role",))
    workers = counter("outbid_worker_deaths_total", "Deaths of workers that were wanted.", status["worker_deaths"])
    missing = Family("outbid_roles_missing", GAUGE, "Roles that should run here and do not.")
    for said in sight.vitals:
        if said["role"] == "up":
            for role, n in (_find(said, "facts.deaths") or {}).items():
                deaths.set(n, role)
            missing.set(len(_find(said, "facts.missing") or ()))
    return [build, workers, deaths, missing]


def _bidder(status: dict[str, Any]) -> list[AnyFamily]:
    workers = Family("outbid_workers", GAUGE, "Workers that live.", ("arm", "state"))
    for worker in status["workers"]:
        workers.add(1, arm_name(worker.get("arm", 0)), "ready" if worker["ready"] else "waiting")
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
    durable = [_find(said, "facts.durable") or 0 for said in sight.vitals if said["role"] == "tracker"]
    for said in sight.vitals:
        if said["role"] != "aggregator":
            continue
        facts = said["facts"]
        for family, fact, labels in (
            (age, "counters_age_s", ("counters",)), (age, "money_age_s", ("money",)), (waiting, "windows_waiting", ()),
        ):  # fmt: skip
            if fact in facts:
                family.set(facts[fact], *labels)
        position = facts.get("position")  # in the spool of this host, where that is the stream
        if durable and position is not None and not facts.get("shards"):
            unbooked.set(max(0, max(durable) - position))
    return [age, waiting, unbooked]


def _host(sight: Sight) -> list[AnyFamily]:
    canary = Family(
        "outbid_canary", GAUGE, "1: where the last canary of this host stands, or how it ended.", ("state",)
    )
    if sight.canary:
        canary.set(1, str(sight.canary.get("outcome") or sight.canary.get("phase")))
    buckets = sight.canary.get("buckets", 0)
    return [
        gauge("outbid_disk_free_bytes", "Free on the disk of the state directory.", sight.disk[0]),
        gauge("outbid_disk_bytes", "Size of that disk.", sight.disk[1]),
        canary,
        gauge("outbid_canary_buckets", "Of 10,000, that the canary has.", buckets),
    ]
