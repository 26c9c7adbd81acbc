"""The alert rules as Prometheus reads them (2.42 or later).

`python -m bidder.ops.alert_file > deploy/prometheus/alerts.yml`
"""

import json
import sys
from collections.abc import Iterable

from bidder.ops.alert_rules import RULES, Rule, runbook
from bidder.ops.alerts import KEEP_S

HOST_AWAY = "`outbid status` on that host; start it with `outbid up`, or the service that runs it"


def prometheus_rules(rules: Iterable[Rule] = RULES) -> str:
    """The rule file, as Prometheus reads it (2.42 or later)."""
    lines = [
        "# Made by `python -m bidder.ops.alert_file`. Scrape /metrics of each host every 5 s, as the job `outbid`.",
        "groups:",
        "  - name: outbid",
        "    interval: 5s",
        "    rules:",
    ]
    lines += _written("HostAway", 'up{job="outbid"} == 0', 10, "page", "a host does not answer", HOST_AWAY)
    for rule in rules:
        lines += _written(rule.name, rule.promql(), rule.for_s, rule.severity, rule.says, rule.do)
    return "\n".join(lines) + "\n"


def _written(name: str, expression: str, for_s: int, severity: str, says: str, do: str) -> list[str]:
    return [
        f"      - alert: Outbid{name}",
        f"        expr: {json.dumps(expression)}",
        f"        for: {for_s}s",
        f"        keep_firing_for: {KEEP_S:g}s",
        f"        labels: {{severity: {severity}}}",
        "        annotations:",
        f"          summary: {json.dumps('{{ $labels.instance }}: ' + says)}",
        f"          description: {json.dumps(do)}",
        f"          runbook: {runbook(name)}",
    ]


if __name__ == "__main__":
    sys.stdout.write(prometheus_rules())
