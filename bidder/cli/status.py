"""`outbid status`: every process of this host, and how it is."""

import argparse
import contextlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bidder.cli.context import load as load_context
from bidder.cli.context import no_host
from bidder.settings import address

NAME = "status"
HELP = "Show every process of this host: role, pid, address, build, book revision, health."
ASK_S = 2.0
WORKER_FACTS = ("arm", "book_revision", "connections", "unread_connections")
SUPERVISOR_FACTS = ("book_revision", "overrides", "switches", "tracker_healthy", "held", "users")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """0 where everything is healthy, 1 where something is not, or nothing runs."""
    status = _status(args.state)
    if args.json:
        print(json.dumps(status))
    elif status["processes"]:
        _table(status)
    else:
        print(f"outbid status: nothing runs in {args.state}", file=sys.stderr)
    return 0 if status["processes"] and all(row["healthy"] for row in status["processes"]) else 1


def _status(state: Path) -> dict[str, Any]:
    from bidder.ops.control import ControlError, ask
    from bidder.ops.presence import present

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
    for row in rows:
        row["healthy"] = _healthy(row, workers, state, dsn)
        if row["role"] == "worker":
            row |= {key: workers.get(row["pid"], {}).get(key) for key in WORKER_FACTS}
        if row["role"] == "supervisor":
            row |= {key: details.get(key) for key in SUPERVISOR_FACTS}
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


def _table(status: dict[str, Any]) -> None:
    print(f"{'role':<12} {'pid':>8}  {'healthy':<8} {'book':>8}  {'build':<12} {'digest':<12}  address")
    for row in status["processes"]:
        print(
            f"{row['role']:<12} {row['pid']:>8}  {'yes' if row['healthy'] else 'NO':<8} "
            f"{row.get('book_revision') or '':>8}  {row.get('build') or '':<12} {(row.get('digest') or '')[:12]:<12}  "
            f"{row.get('address') or ''}"
        )
    for row in status["processes"]:
        for override in row.get("overrides") or []:
            state = f"refused: {override['error']}" if override["error"] else "in force"
            print(f"override {override['file']} ({override['campaign']}): {state}")
        switches = row.get("switches") or {}
        off = [flip for flip in switches.get("flips", []) if flip["off"]]
        if row.get("held"):
            print(f"no bids: notices could not be acknowledged: {row['held']}")
        for flip in off:
            what = "everything" if flip["kind"] == "all" else f"{flip['kind']} {flip['name']}"
            since = f"{datetime.fromtimestamp(flip['at_ms'] / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
            print(f"switched off: {what}, since {since} by {flip['who']}")
        if switches.get("refused"):
            print(f"switches refused: {switches['refused']}")
