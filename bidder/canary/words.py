"""A canary in words: what stands where, side by side, for the terminal of whoever watches it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bidder.canary.measures import OFFERED, SPEND
from bidder.canary.state import BUCKETS, Canary, Phase
from bidder.money.units import usd_text

MONEY = {OFFERED.name, SPEND.name}  # nano-USD; all other measures are rates
SMALL = 0.01  # a rate below it is no scale for differences
HEAD = f"{'measure':<26} {'canary':>10} {'baseline':>10} {'difference':>11}  {'at the level of the test':<26} says"


def status(canary: Canary) -> str:
    """The canary as it stands, a line for each measure."""
    plan = canary.plan
    lines = [f"canary {canary.id}: build {plan.build} against {canary.stable}, {_where(canary)}", _terms(canary)]
    verdict = canary.verdict
    if verdict:
        lines += [f"after {verdict['at_s']} s judged: {verdict['word']}: {verdict['because']}", _money(canary)]
        lines += ["", *findings(verdict)]
    if canary.outcome is not None:
        lines += ["", f"{canary.outcome} at {time_of(canary.ended_ms or 0)}: {canary.because}"]
    return "\n".join(lines)


def _where(canary: Canary) -> str:
    steps = canary.plan.steps
    step = f"step {canary.step + 1} of {len(steps)}, " if len(steps) > 1 else ""
    if canary.phase is Phase.RUNNING:
        return f"{step}on {share(canary.buckets)} of the traffic" + (", as a shadow" if canary.plan.shadow else "")
    return f"{step}{canary.phase}"


def _terms(canary: Canary) -> str:
    plan = canary.plan
    only = [f"only {name}" for name in (plan.exchange, plan.country) if name]
    terms = [
        f"started {time_of(canary.started_ms)} by {canary.actor}",
        *only,
        f"steps of {plan.min_s} s at least: {', '.join(map(share, plan.steps))}",
        "promotes itself" if plan.auto_promote else "promotes nothing by itself",
    ]
    return "; ".join(terms)


def _money(canary: Canary) -> str:
    billed, exposed = usd_text(canary.verdict["spent_nano"]), usd_text(canary.verdict["exposed_nano"])
    most = canary.plan.max_spend
    limit = "" if most is None else f"; {usd_text(most)} USD may be"
    return f"billed {billed} USD; {exposed} USD with what was offered lately{limit}"


def findings(verdict: Mapping[str, Any]) -> list[str]:
    """The table of a verdict."""
    return [HEAD, *map(_finding, verdict.get("findings", ()))]


def _finding(row: Mapping[str, Any]) -> str:
    name, ours, theirs, low, high = (row[key] for key in ("measure", "canary", "baseline", "low", "high"))
    of = theirs if abs(theirs) >= SMALL else 0.0
    between = "not known yet" if low is None or high is None else f"{_apart(low, of)} to {_apart(high, of)}"
    apart = _apart(ours - theirs, of)
    return f"{name:<26} {_value(name, ours):>10} {_value(name, theirs):>10} {apart:>11}  {between:<26} {row['says']}"


def _value(name: str, value: float) -> str:
    return f"{value / 1e9:.4f} USD" if name in MONEY else f"{value:.3%}"


def _apart(delta: float, base: float) -> str:
    """Of the baseline; in points of a hundred where that is too small to be a scale."""
    return f"{delta / abs(base):+.1%}" if base else f"{delta * 100:+.2f} pt"


def share(buckets: int) -> str:
    """Of the traffic."""
    return f"{buckets * 100 / BUCKETS:g} %"


def time_of(ms: int) -> str:
    """Wall clock, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def decision(at_s: float, actor: str, verb: str, detail: Mapping[str, Any], *, table: bool) -> str:
    """One record of a canary's audit (`at_s`: Unix time); `table`: with the figures of its verdict."""
    what = verb.removeprefix("canary ")
    match what:
        case "start":
            text = f"of build {detail.get('build')} against {detail.get('stable')}: {' '.join(detail.get('argv', []))}"
        case "slice":
            text = f"{share(int(detail['buckets']))} of the traffic"
        case "verdict" | "promote":
            text = f"{detail.get('word', 'none yet')}: {detail.get('because', '')}"
        case "end":
            text = f"{detail.get('outcome')}: {detail.get('because')}"
        case _:
            text = str(dict(detail))
    lines = [f"{time_of(int(at_s * 1000))}  {actor:<12} {what:<8} {text}"]
    verdict = detail.get("verdict") or detail
    if table and verdict.get("findings"):
        lines += [f"    {line}" for line in findings(verdict)]
    return "\n".join(lines)
