"""Alert rules: what is wrong with a host, as conditions on its own metrics. One table, that two read.

RULES -> alerts.Watch: the supervisor looks each second, for hosts that no Prometheus watches
RULES -> `python -m bidder.ops.alert_file`: the rules of Prometheus, deploy/prometheus/alerts.yml
What to do about each stands in docs/runbook.md under its name.
"""

from dataclasses import dataclass
from typing import Literal

Fold = Literal["sum", "max", "min"]
Severity = Literal["page", "ticket"]  # at once, at night too; or by the next working day


@dataclass(frozen=True, slots=True)
class Term:
    """A number of one host: a metric, folded over its series; with `over_s`, what was added to it in that time."""

    metric: str
    fold: Fold = "sum"
    over_s: int = 0
    where: tuple[tuple[str, str], ...] = ()

    def promql(self) -> str:
        """For Prometheus, for each host apart."""
        labels = ",".join(f'{name}="{value}"' for name, value in self.where)
        selector = f"{self.metric}{{{labels}}}" if labels else self.metric
        return f"{self.fold} by (instance) ({f'increase({selector}[{self.over_s}s])' if self.over_s else selector})"


@dataclass(frozen=True, slots=True)
class Rule:
    """`term` (divided by `per`, where that is at least `least`) is `above` or `below` a bound for `for_s`."""

    name: str
    severity: Severity
    says: str
    do: str
    term: Term
    above: float | None = None
    below: float | None = None
    for_s: int = 0
    per: Term | None = None
    least: float = 0.0

    def holds(self, value: float, per: float | None) -> bool:
        """Is the condition true of these?"""
        if self.per is not None:
            if not per or per < self.least:
                return False
            value /= per
        return value > self.above if self.above is not None else value < (self.below or 0.0)

    def promql(self) -> str:
        """The condition, for Prometheus."""
        bound = f"> {self.above:g}" if self.above is not None else f"< {self.below:g}"
        if self.per is None:
            return f"{self.term.promql()} {bound}"
        per = self.per.promql()
        enough = f" and {per} >= {self.least:g}" if self.least else ""
        return f"{self.term.promql()} / {per} {bound}{enough}"


def runbook(name: str) -> str:
    """Where an alert of this name is explained."""
    return f"docs/runbook.md#{name.lower()}"


RULES = (
    Rule(
        "WorkerCrashLoop", "page", "workers die again and again",
        "read the `fatal` lines of log/supervisor.log; abort a canary, or go back to the build of before",
        Term("outbid_worker_deaths_total", over_s=60), above=2.5,
    ),
    Rule(
        "RoleCrashLoop", "page", "a role dies again and again",
        "read the last lines of log/<role>.log: the role stands in `outbid status`",
        Term("outbid_role_deaths_total", fold="max", over_s=300), above=2.5,
    ),
    Rule(
        "RoleMissing", "page", "a role that should run does not",
        "`outbid status` names it; read its log, and `outbid start ROLE`",
        Term("outbid_roles_missing"), above=0, for_s=10,
    ),
    Rule(
        "ProcessSilent", "page", "a process lives, but its loop stands still",
        "look with `outbid status` which; what it waits for is in /proc/<pid>/stack; kill it, it comes back",
        Term("outbid_process_vitals_age_seconds", fold="max"), above=5,
    ),
    Rule(
        "LoopLag", "ticket", "the loop of a process is late for seconds",
        "look which in `outbid status`: too many requests, a long collection, or a disk",
        Term("outbid_process_loop_lag_max_seconds", fold="max"), above=0.25, for_s=10,
    ),
    Rule(
        "BidsHeld", "page", "no bids: notices could not be acknowledged",
        "look at the disk of the spool, or Kinesis: `outbid status` has the reason",
        Term("outbid_held"), above=0, for_s=5,
    ),
    Rule(
        "TrackerAway", "page", "the tracker does not answer, or cannot write",
        "read log/tracker.log; exchanges repeat their notices, and bids end with the leases that are left",
        Term("outbid_tracker_healthy", fold="min"), below=1, for_s=5,
    ),
    Rule(
        "NoBids", "page", "requests come, and none gets a bid",
        "look at the reasons in `outbid status`: a switch, leases, the book, the clock",
        Term("outbid_bids_total", over_s=60), below=0.001, for_s=60,
        per=Term("outbid_requests_total", over_s=60), least=60,
    ),
    Rule(
        "OverloadShed", "page", "more than 5 % of the requests are refused unread",
        "add workers or hosts, or ask exchanges for less: docs/overload.md",
        Term("outbid_nobids_total", over_s=60, where=(("reason", "overload"),)),
        above=0.05, for_s=30, per=Term("outbid_requests_total", over_s=60), least=60,
    ),
    Rule(
        "BookStale", "ticket", "nobody could say for minutes whether the book is the newest",
        "look at the controller and its Postgres; bids go on with the book that is there",
        Term("outbid_book_age_seconds"), above=120,
    ),
    Rule(
        "LeasesStale", "page", "leases have not been renewed for a while",
        "look at the controller and its Postgres; bids end with the leases that are left",
        Term("outbid_leases_age_seconds"), above=30,
    ),
    Rule(
        "ReportsStale", "ticket", "counters or money of the last minute are not in Postgres",
        "look at the aggregator and Postgres; nothing is lost, it waits in outbox and spool",
        Term("outbid_reports_age_seconds", fold="max"), above=60, for_s=10,
    ),
    Rule(
        "CountersUnheard", "ticket", "nobody listens to the counters of this host",
        "look at the aggregator, and its setting bus.hosts; windows wait in the outbox for ten minutes",
        Term("outbid_windows_unheard_total", over_s=60), above=45,
    ),
    Rule(
        "WindowsLost", "ticket", "counters arrived without their details, for want of room",
        "too many keys in a second: fewer exchanges, countries or campaigns a worker; totals are right",
        Term("outbid_windows_overflowed_total", over_s=300), above=0,
    ),
    Rule(
        "DiskAlmostFull", "page", "less than 5 % of the disk of the state directory is free",
        "make room: older logs, the archive of the spool (docs/stream.md)",
        Term("outbid_disk_free_bytes"), below=0.05, for_s=10, per=Term("outbid_disk_bytes"),
    ),
    Rule(
        "LogDropped", "ticket", "a process had more to say than its log could take",
        "look at the disk of log/, then for the message that floods it",
        Term("outbid_log_dropped_total", over_s=60), above=0,
    ),
    Rule(
        "AnswersInvalid", "page", "bids break rules of exchanges",
        "`a bid breaks a rule` in log/supervisor.log names rule and exchange; switch that off, abort a canary",
        Term("outbid_linted_total", over_s=300, where=(("result", "invalid"),)), above=0,
    ),
    Rule(
        "FallbackShare", "ticket", "the canary does not answer a tenth of what it is given",
        "`outbid canary status` has the reasons; abort it",
        Term("outbid_fallbacks_total", over_s=60, where=(("arm", "canary"),)),
        above=0.1, for_s=10, per=Term("outbid_requests_total", over_s=60, where=(("arm", "canary"),)), least=60,
    ),
    Rule(
        "CanaryRolledBack", "ticket", "a canary was taken back by its guards",
        "`outbid canary history` has the verdict; it ends with the next canary",
        Term("outbid_canary", where=(("state", "rolled back"),)), above=0,
    ),
    Rule(
        "SwitchLeftOff", "ticket", "something has been switched off for an hour",
        "`outbid status` shows what; `outbid switch on` when its reason is gone",
        Term("outbid_switched_off"), above=0, for_s=3600,
    ),
    Rule(
        "SwitchesRefused", "page", "switches.json was edited, and cannot be used",
        "`outbid status` says why; mend it, the switches of before stay in force until then",
        Term("outbid_switches_refused"), above=0, for_s=5,
    ),
    Rule(
        "OverrideRefused", "ticket", "a file in override/ cannot be used",
        "`outbid status` says why; mend or remove it",
        Term("outbid_overrides", where=(("state", "refused"),)), above=0, for_s=10,
    ),
    Rule(
        "ClockJumped", "page", "the clock of this host was set",
        "let it be slewed, not stepped (chrony); nothing is given back to purses for ten minutes",
        Term("outbid_clock_jumps_total", over_s=300), above=0,
    ),
    Rule(
        "FilesRunOut", "ticket", "a process has used 90 % of the descriptors that it may have",
        "raise LimitNOFILE of the service, or find who opens so many connections",
        Term("outbid_process_fds_share", fold="max"), above=0.9, for_s=10,
    ),
)  # fmt: skip
