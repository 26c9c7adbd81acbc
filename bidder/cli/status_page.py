"""The page of `outbid status`: what is wrong and what to do on top, then the host in figures, then every process. Pure.

page(status, now) -> lines; fit(lines, width, height) cuts them to a window.
"""

import time
from collections.abc import Iterator
from typing import Any

REASONS = 4  # of no-bids that are named
EXCHANGES = 5
NONE = "-"


def page(status: dict[str, Any], now: float) -> list[str]:
    """`status`: as `outbid status --json` has it; `now`: unix seconds."""
    rows = status["processes"]
    supervisor = next((row for row in rows if row["role"] == "supervisor"), None)
    lines = [*_trouble(rows, supervisor), *_host(supervisor or {})]
    return [*lines, *([""] if lines else []), *_processes(rows, now)]


def fit(lines: list[str], width: int, height: int) -> list[str]:
    """No line wider, and no more lines: the last one says how many are hidden."""
    if len(lines) > height > 0:
        lines = [*lines[: height - 1], f"... {len(lines) - height + 1} lines more"]
    return [line if len(line) <= width else f"{line[: max(0, width - 1)]}…" for line in lines]


def _trouble(rows: list[dict[str, Any]], supervisor: dict[str, Any] | None) -> Iterator[str]:
    if supervisor is None:
        yield "!! no supervisor runs: nothing is bid on this host, and nobody watches it (page)"
        yield "   read the end of log/supervisor.log; `outbid start supervisor`, or `outbid up`"
    for alert in (supervisor or {}).get("alerts") or []:
        mark = "!!" if alert["severity"] == "page" else " !"
        yield f"{mark} {alert['name']}, for {span(alert['for_s'])}: {alert['says']}"
        yield f"   {alert['do']} ({alert['runbook']})"
    if supervisor is not None and supervisor.get("held"):
        yield f"!! no bids: notices could not be acknowledged: {supervisor['held']}"
    for row in rows:
        if not row["healthy"]:
            yield f"!! {row['role']} {row['pid']} cannot do its job"


def _host(supervisor: dict[str, Any]) -> Iterator[str]:
    live = supervisor.get("live")
    if live:
        yield f"bids       {_rates(live)}"
        if live["nobid_reasons_per_s"]:
            yield f"no bid     {_shares(live['nobid_reasons_per_s'], REASONS)}"
        if live["exchanges"]:
            per_s = {name: rates["requests_per_s"] for name, rates in live["exchanges"].items()}
            yield f"exchanges  {_shares(per_s, EXCHANGES)}"
    if supervisor.get("canary"):
        yield f"canary     {_canary(supervisor['canary'])}"
    for override in supervisor.get("overrides") or []:
        state = f"refused: {override['error']}" if override["error"] else "in force"
        yield f"override   {override['file']} ({override['campaign']}): {state}"
    yield from _switched_off(supervisor.get("switches") or {})
    if supervisor.get("metrics"):
        yield f"metrics    {supervisor['metrics']}"


def _canary(canary: dict[str, Any]) -> str:
    build = canary.get("plan", {}).get("build")
    if canary.get("outcome"):
        return f"build {build} {canary['outcome']}: {canary.get('because')}"
    return f"build {build} {canary.get('phase')}, {canary.get('buckets', 0) / 100:g} % of the traffic"


def _switched_off(switches: dict[str, Any]) -> Iterator[str]:
    for flip in switches.get("flips", []):
        if flip["off"]:
            what = "everything" if flip["kind"] == "all" else f"{flip['kind']} {flip['name']}"
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(flip["at_ms"] / 1_000))
            yield f"off        {what}, since {since} UTC by {flip['who']}"
    if switches.get("refused"):
        yield f"switches   refused: {switches['refused']}"


def _rates(live: dict[str, Any]) -> str:
    requests, bids = live["requests_per_s"], live["bids_per_s"]
    share = f", {bids / requests:.1%} with a bid" if requests else ""
    latency = live["latency_us"]
    within = f"; p50 {_within(latency['p50'])}, p99 {_within(latency['p99'])}" if latency["p50"] else ""
    return f"{requests:,.0f} requests/s{share}{within}; spending ${live['spend_usd_per_s'] * 60:,.2f} a minute"


def _within(us: int) -> str:
    return f"< {us} us" if us < 1_000 else f"< {us / 1_000:.0f} ms"


def _shares(per_s: dict[str, float], most: int) -> str:
    total = sum(per_s.values())
    ranked = sorted(per_s.items(), key=lambda pair: -pair[1])
    named = [f"{name} {n / total:.0%}" for name, n in ranked[:most] if n > 0]
    return ", ".join(named) + (f", {len(ranked) - most} more" if len(ranked) > most else "")


def _processes(rows: list[dict[str, Any]], now: float) -> Iterator[str]:
    yield (
        f"{'role':<12} {'pid':>8}  {'healthy':<8} {'age':>6} {'memory':>8} {'lag, most':>10} {'log':>6} {'conns':>6} "
        f"{'book':>6}  {'build':<12} address"
    )
    for row in rows:
        vitals = row.get("vitals") or {}
        arm = f" arm {row['arm']}" if row.get("arm") else ""
        yield (
            f"{row['role'] + arm:<12} {row['pid']:>8}  {'yes' if row['healthy'] else 'NO':<8} "
            f"{span(now - row['started']) if row.get('started') else NONE:>6} "
            f"{_megabytes(vitals.get('rss_bytes')):>8} {_milliseconds(vitals.get('lag_max_s')):>10} "
            f"{_lost(vitals.get('log')):>6} {_known(row.get('connections')):>6} {_known(row.get('book_revision')):>6}  "
            f"{row.get('build') or '':<12} {row.get('address') or ''}"
        ).rstrip()


def _known(value: int | None) -> str:
    return NONE if value is None else str(value)


def _megabytes(value: int | None) -> str:
    return NONE if value is None else f"{value / 2**20:.0f} MB"


def _milliseconds(value: float | None) -> str:
    return NONE if value is None else f"{value * 1_000:.1f} ms"


def _lost(log: dict[str, int] | None) -> str:
    """Records that nobody could read."""
    if log is None:
        return NONE
    return f"-{log['dropped']}" if log["dropped"] else "ok"


def span(seconds: float) -> str:
    """An age, as a person says it."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def redraw(lines: list[str]) -> str:
    """Over what the terminal shows, without a flicker."""
    return "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J"


def head(state: str, now: float) -> str:
    """The first line of a page that is watched."""
    return f"outbid, {state}, {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC; Ctrl-C ends this"
