"""`outbid status`: every process of this host, and how it is."""

import argparse
import contextlib
import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bidder.cli.context import load as load_context
from bidder.cli.context import no_host
from bidder.cli.status_page import fit, head, page, redraw
from bidder.settings import address

NAME = "status"
HELP = "Show how this host is: alerts and what to do, traffic, switches, and every process."
ASK_S = 2.0
EVERY_S = 1.0
WORKER_FACTS = ("arm", "book_revision", "connections", "unread_connections")
SUPERVISOR_FACTS = (
    "alerts",
    "live",
    "metrics",
    "book_revision",
    "overrides",
    "switches",
    "tracker_healthy",
    "held",
    "users",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON")
    how.add_argument(
        "--watch", action="store_true", help="draw it anew each second until Ctrl-C; one page where that is no terminal"
    )


def run(args: argparse.Namespace) -> int:
    """0 where everything is healthy, 1 where something is not, or nothing runs."""
    if args.watch and sys.stdout.isatty():
        return _watch(args.state)
    status = _status(args.state)
    if args.json:
        print(json.dumps(status))
    elif status["processes"]:
        print("\n".join(page(status, time.time())))
    else:
        print(f"outbid status: nothing runs in {args.state}", file=sys.stderr)
    return _code(status)


def _code(status: dict[str, Any]) -> int:
    return 0 if status["processes"] and all(row["healthy"] for row in status["processes"]) else 1


def _watch(state: Path) -> int:
    """Until Ctrl-C; how things were at the end is the exit code."""
    code = 1
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write("\x1b[2J")
        while True:
            due = time.monotonic() + EVERY_S
            status = _status(state)
            code = _code(status)
            width, height = shutil.get_terminal_size()
            lines = [head(str(state), time.time()), "", *page(status, time.time())]
            sys.stdout.write(redraw(fit(lines, width, height - 1)))
            sys.stdout.flush()
            time.sleep(max(0.0, due - time.monotonic()))
    return code


def _status(state: Path) -> dict[str, Any]:
    from bidder.ops.control import ControlError, ask
    from bidder.ops.presence import present
    from bidder.ops.vitals import read_all
    from bidder.telemetry.gather import canary_of

    if not (state / "run").is_dir():
        raise no_host(state)
    rows = present(state)
    details: dict[str, Any] = {}
    dsn = ""
    with contextlib.suppress(ControlError):  # no supervisor runs: its absence shows in the rows
        details = ask(state / "run" / "supervisor.sock", {"do": "status"}, ASK_S)
    with contextlib.suppress(ControlError):  # not started by `outbid up`
        pids = ask(state / "run" / "up.sock", {"do": "pids"}, ASK_S)
        context = load_context(state)
        dsn = context.settings.postgres.dsn
        ports = {"postgres": context.settings.postgres.port, "memcached": context.settings.memcached.port}
        rows += [
            {"role": role, "pid": pid, "address": f"127.0.0.1:{port}", "build": None, "digest": None}
            for role, port in ports.items()
            for pid in pids[role]
        ]
    workers = {row["pid"]: row for row in details.get("workers", [])}
    vitals = {said["pid"]: said for said in read_all(state)}
    with ThreadPoolExecutor(max(1, len(rows))) as threads:  # several that hang are waited for once
        healthy = list(threads.map(lambda row: _healthy(row, workers, state, dsn), rows))
    for row, is_healthy in zip(rows, healthy, strict=True):
        row["healthy"] = is_healthy
        row["vitals"] = vitals.get(row["pid"])
        if row["role"] == "worker":
            row |= {key: workers.get(row["pid"], {}).get(key) for key in WORKER_FACTS}
        if row["role"] == "supervisor":
            row |= {key: details.get(key) for key in SUPERVISOR_FACTS} | {"canary": canary_of(state / "canary.json")}
    return {"processes": sorted(rows, key=lambda row: (row["role"], row["pid"]))}


def _healthy(row: dict[str, Any], workers: dict[int, Any], state: Path, dsn: str) -> bool:
    """Can it do its job? A worker by the board, a service by its port, the others by what they say themselves."""
    import socket
    import urllib.request

    import psycopg2

    from bidder.ops.control import ControlError, ask

    try:
        match row["role"]:
            case "worker":
                return bool(workers.get(row["pid"], {}).get("ready"))
            case "aggregator":
                return bool(ask(state / "run" / "aggregator.sock", {"do": "health"}, ASK_S)["healthy"])
            case "postgres":
                psycopg2.connect(dsn, connect_timeout=int(ASK_S)).close()
                return True
            case "memcached":
                socket.create_connection(address(row["address"]), ASK_S).close()
                return True
        with urllib.request.urlopen(f"{row['address']}/readyz", timeout=ASK_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ControlError, psycopg2.OperationalError):
        return False
