"""Alerts: each trouble that a host can have is injected, and raises its own alert, once, and no other."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bidder.events.schema import Fallback, Kind, LintResult
from bidder.ops.alert_file import prometheus_rules
from bidder.ops.alert_rules import RULES, Rule, Term
from bidder.ops.alerts import KEEP_S, Watch
from bidder.ops.metrics import COUNTER, GAUGE, Family
from bidder.outcome import Reason
from tests.watched import Watched

CHECKOUT = Path(__file__).resolve().parents[2]
Trouble = Callable[[Watched, int], None]  # what one more second (from 0) does to the host


class Told:
    """What a watch says; `step` looks a second later."""

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self.host = Watched()
        self.said: list[tuple[str, bool]] = []
        self.watch = Watch(lambda rule, is_on: self.said.append((rule.name, is_on)), rules)
        self.watch.look(self.host.now, self.host.families())

    def step(self) -> None:
        families = self.host.second()
        self.watch.look(self.host.now, families)

    def on(self) -> list[str]:
        return [alert["name"] for alert in self.watch.on(self.host.now)]


def process(role: str, **changes: object) -> Trouble:
    def trouble(host: Watched, second: int) -> None:
        host.processes[role] |= changes

    return trouble


def facts(role: str, **changes: object) -> Trouble:
    def trouble(host: Watched, second: int) -> None:
        host.processes[role]["facts"] |= changes

    return trouble


def says(**changes: object) -> Trouble:
    def trouble(host: Watched, second: int) -> None:
        host.said |= changes

    return trouble


def worker_crash_loop(host: Watched, second: int) -> None:
    host.said["worker_deaths"] = min(second, 5)


def role_crash_loop(host: Watched, second: int) -> None:
    host.processes["up"]["facts"]["deaths"]["tracker"] = min(second // 20, 3)


def log_dropped(host: Watched, second: int) -> None:
    host.processes["worker"]["log"]["dropped"] = 20 * (second == 5) or host.processes["worker"]["log"]["dropped"]


def no_bids(host: Watched, second: int) -> None:
    host.count(Kind.REQUEST, 10)
    host.count(Kind.NOBID, 10, reason=Reason.OFF)


def overload_shed(host: Watched, second: int) -> None:
    host.count(Kind.REQUEST, 100)
    host.count(Kind.BID, 20)
    host.count(Kind.NOBID, 6, reason=Reason.OVERLOAD)


def fallback_share(host: Watched, second: int) -> None:
    host.count(Kind.REQUEST, 10, arm=1)
    host.count(Kind.BID, 2, arm=1)
    host.count(Kind.FALLBACK, 2, arm=1, reason=Fallback.LATE)


def answers_invalid(host: Watched, second: int) -> None:
    if second == 3:
        host.count(Kind.LINT, 1, reason=LintResult.INVALID)


def clock_jumped(host: Watched, second: int) -> None:
    if second == 3:
        host.jumps.add(1)


def unheard(host: Watched, second: int) -> None:
    host.said["outbox"]["unheard"] = second


def overflowed(host: Watched, second: int) -> None:
    host.said["outbox"]["overflowed"] = 4 if second > 3 else 0


def disk(host: Watched, second: int) -> None:
    host.disk = (4, 100)


def switched_off(host: Watched, second: int) -> None:
    host.said["switches"]["exchanges"] = ["openx"]


def refused(host: Watched, second: int) -> None:
    host.said["switches"]["refused"] = "no JSON"


def rolled_back(host: Watched, second: int) -> None:
    host.canary = {"phase": "ended", "outcome": "rolled back", "buckets": 0}


TROUBLES: dict[str, Trouble] = {
    "WorkerCrashLoop": worker_crash_loop,
    "RoleCrashLoop": role_crash_loop,
    "RoleMissing": facts("up", missing=["tracker"]),
    "ProcessSilent": process("worker", frozen=True),
    "LoopLag": process("worker", lag_max_s=0.5),
    "BidsHeld": says(held="disk full"),
    "TrackerAway": says(tracker_healthy=False),
    "NoBids": no_bids,
    "OverloadShed": overload_shed,
    "BookStale": says(book_age_s=130.0),
    "LeasesStale": says(leases_age_s=31.0),
    "ReportsStale": facts("aggregator", money_age_s=70.0),
    "CountersUnheard": unheard,
    "WindowsLost": overflowed,
    "DiskAlmostFull": disk,
    "LogDropped": log_dropped,
    "AnswersInvalid": answers_invalid,
    "FallbackShare": fallback_share,
    "CanaryRolledBack": rolled_back,
    "SwitchLeftOff": switched_off,
    "SwitchesRefused": refused,
    "OverrideRefused": says(overrides=[{"file": "x.json", "campaign": "c", "error": "no price"}]),
    "ClockJumped": clock_jumped,
    "FilesRunOut": process("tracker", fds=950),
}


def test_a_healthy_host_under_load_raises_none() -> None:
    told = Told()
    for _ in range(400):
        told.host.count(Kind.REQUEST, 100)
        told.host.count(Kind.BID, 30)
        told.host.count(Kind.NOBID, 70, reason=Reason.FLOOR)
        told.step()
    assert told.said == []


def test_every_rule_has_its_trouble() -> None:
    assert set(TROUBLES) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", sorted(TROUBLES))
def test_a_trouble_raises_its_own_alert_once(name: str) -> None:
    told = Told()
    rule = next(rule for rule in RULES if rule.name == name)
    seconds = 0
    while not told.said and seconds < rule.for_s + 70:
        TROUBLES[name](told.host, seconds)
        told.step()
        seconds += 1
        if not told.said:
            assert seconds < rule.for_s + 65, f"{name} does not come"
    assert seconds > rule.for_s
    for more in range(20):  # while it lasts, nothing more is said
        TROUBLES[name](told.host, seconds + more)
        told.step()
    assert told.said == [(name, True)]
    assert told.on() == [name]
    assert told.watch.family().values[(name, rule.severity)] == 1


def test_an_alert_ends_once_and_only_when_the_trouble_stays_away() -> None:
    told = Told()
    for _ in range(8):
        told.host.said["tracker_healthy"] = False
        told.step()
    for second in range(int(KEEP_S) * 3):  # it comes and goes: no second alert
        told.host.said["tracker_healthy"] = second % 10 != 0
        told.step()
    assert told.said == [("TrackerAway", True)]
    for _ in range(int(KEEP_S) + 2):
        told.host.said["tracker_healthy"] = True
        told.step()
    assert told.said == [("TrackerAway", True), ("TrackerAway", False)]
    assert told.on() == []


def test_a_counter_that_begins_anew_is_no_loss_and_a_process_that_is_new_no_jump() -> None:
    rule = Rule("R", "ticket", "s", "d", Term("outbid_x_total", over_s=10), above=5)
    told: list[bool] = []
    watch = Watch(lambda _, is_on: told.append(is_on), (rule,))
    family = Family("outbid_x_total", COUNTER, "x", ("role",))
    for now, value in enumerate([1_000, 1_002, 2, 3]):  # 2 more, then 2 after a restart, then 1
        family.set(value, "tracker")
        watch.look(float(now), [family])
    assert told == []
    family.set(1, "worker")
    watch.look(4.0, [family])
    assert told == [True]  # six within ten seconds


def test_alerts_that_wake_people_come_first() -> None:
    rules = tuple(
        Rule(name, severity, "s", "d", Term("outbid_x"), above=0)  # type: ignore[arg-type]
        for name, severity in (("A", "ticket"), ("B", "page"))
    )
    watch = Watch(lambda rule, is_on: None, rules)
    family = Family("outbid_x", GAUGE, "x")
    family.set(1)
    watch.look(10.0, [family])
    shown = watch.on(12.0)
    assert [alert["name"] for alert in shown] == ["B", "A"]
    assert shown[0] == {
        "name": "B", "severity": "page", "says": "s", "do": "d", "for_s": 2, "runbook": "docs/runbook.md#b",
    }  # fmt: skip


def test_the_rules_of_prometheus_are_those_of_the_table() -> None:
    text = (CHECKOUT / "deploy" / "prometheus" / "alerts.yml").read_text()
    assert text == prometheus_rules(), "python -m bidder.ops.alert_file > deploy/prometheus/alerts.yml"
    [group] = yaml.safe_load(text)["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert names == ["OutbidHostAway", *(f"Outbid{rule.name}" for rule in RULES)]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+s", rule["for"])
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_metric_and_label_that_a_rule_names_exists() -> None:
    host = Watched()
    families = {family.name: family for family in host.families()}
    for rule in RULES:
        for term in filter(None, (rule.term, rule.per)):
            assert term.metric in families, rule.name
            assert {label for label, _ in term.where} <= set(families[term.metric].labels), rule.name


def test_every_alert_has_a_paragraph_in_the_runbook() -> None:
    text = (CHECKOUT / "docs" / "runbook.md").read_text()
    paragraphs = dict(re.findall(r"^### (\w+)\n+(\S[^#]+)", text, flags=re.MULTILINE))
    assert set(paragraphs) == {"HostAway", *(rule.name for rule in RULES)}
    assert all(len(paragraph) > 100 for paragraph in paragraphs.values())
