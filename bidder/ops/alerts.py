"""Alerts of one host: its rules, looked at each second, told once when they begin and once when they end.

Watch.look(now, families) -> changed(rule, is_on); on() for status, family() for /metrics
An alert begins when its condition has held for `for_s`, and ends when it has not for KEEP_S: one trouble is one alert.
Pure; times are monotonic seconds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bidder.ops.alert_rules import RULES, Rule, Term, runbook
from bidder.ops.metrics import GAUGE, AnyFamily, Family, Labels

KEEP_S = 30.0

FOLDS: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max, "min": min}


class _Counted:
    """What was added to the series of a counter lately. A counter that fell began anew."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._before: dict[Labels, float] | None = None
        self._steps: deque[tuple[float, Labels, float]] = deque()

    def look(self, now: float, values: Mapping[Labels, float]) -> dict[Labels, float]:
        """By series, within the time of the term; what was counted before the first look is not known."""
        before, self._before = self._before, dict(values)
        for labels, value in values.items():
            was = value if before is None else before.get(labels, 0.0)
            if value != was:
                self._steps.append((now, labels, value - was if value > was else value))
        while self._steps and self._steps[0][0] <= now - self._term.over_s:
            self._steps.popleft()
        added = dict.fromkeys(values, 0.0)
        for _, labels, step in self._steps:
            added[labels] = added.get(labels, 0.0) + step
        return added


@dataclass(slots=True)
class _State:
    """Of one rule. `since`: the condition has held without a break; `kept_until`: of an alert that is on."""

    since: float | None = None
    on_since: float | None = None
    kept_until: float = 0.0


class Watch:
    """Looks at one host. `changed(rule, is_on)` is called once when an alert begins and once when it ends."""

    def __init__(self, changed: Callable[[Rule, bool], None], rules: Iterable[Rule] = RULES) -> None:
        self._changed = changed
        self._rules = tuple(rules)
        self._states = {rule.name: _State() for rule in self._rules}
        self._terms = {term for rule in self._rules for term in (rule.term, rule.per) if term is not None}
        self._counted = {term: _Counted(term) for term in self._terms if term.over_s}

    def look(self, now: float, families: Iterable[AnyFamily]) -> None:
        """Once a second or so."""
        by_name = {family.name: family for family in families if isinstance(family, Family)}
        values = {term: self._value(term, now, by_name.get(term.metric)) for term in self._terms}
        for rule in self._rules:
            value, per = values[rule.term], None if rule.per is None else values[rule.per]
            self._turn(rule, self._states[rule.name], now, value is not None and rule.holds(value, per))

    def _value(self, term: Term, now: float, family: Family | None) -> float | None:
        if family is None:
            return None
        at = [(family.labels.index(name), value) for name, value in term.where]
        values = {key: value for key, value in family.values.items() if all(key[i] == want for i, want in at)}
        if term.over_s:
            values = self._counted[term].look(now, values)
        return FOLDS[term.fold](values.values()) if values else None

    def _turn(self, rule: Rule, state: _State, now: float, holds: bool) -> None:
        if holds:
            state.since = now if state.since is None else state.since
            state.kept_until = now + KEEP_S
            if state.on_since is None and now - state.since >= rule.for_s:
                state.on_since = now
                self._changed(rule, True)
        else:
            state.since = None
            if state.on_since is not None and now >= state.kept_until:
                state.on_since = None
                self._changed(rule, False)

    def on(self, now: float) -> list[dict[str, Any]]:
        """Alerts that are on, those that wake people first: for status."""
        found = [(rule, self._states[rule.name].on_since) for rule in self._rules]
        return [
            {
                "name": rule.name, "severity": rule.severity, "says": rule.says, "do": rule.do,
                "for_s": round(now - since), "runbook": runbook(rule.name),
            }
            for rule, since in sorted(found, key=lambda pair: pair[0].severity)
            if since is not None
        ]  # fmt: skip

    def names(self) -> list[str]:
        """Of those that are on."""
        return [rule.name for rule in self._rules if self._states[rule.name].on_since is not None]

    def family(self) -> Family:
        """The same for /metrics: 1 is on."""
        family = Family("outbid_alert", GAUGE, "1 while the host itself sees this alert.", ("name", "severity"))
        for rule in self._rules:
            family.set(self._states[rule.name].on_since is not None, rule.name, rule.severity)
        return family
