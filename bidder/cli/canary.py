"""`outbid canary`: a build on a slice of the traffic, judged against the stable one, and taken or taken back."""

import argparse
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bidder.cli.context import CliError, ask
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.canary.state import Canary
    from bidder.ops.audit import AuditRecord

NAME = "canary"
HELP = "Try a build on a slice of the traffic; it is judged every second, and taken or taken back."
CODES = {"promoted": 0, "rolled back": 2, "inconclusive": 3, "aborted": 3, "failed": 1}
EXIT_CODES = (
    "Exit codes of `wait`, and of `start --wait`: 0 promoted; 2 rolled back; 3 inconclusive, or aborted; 1 it could not"
    " be tried or promoted. (A command line that is wrong also ends with 2, before anything has begun, and says so.)"
)
ASK_S = 10.0
LOOK_S = 0.2
LOST_S = 30.0  # that nobody has written canary.json, while one waits
UNITS = {"s": 1, "m": 60, "h": 3_600}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, epilog: str | None = None) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text[0].lower() + text[1:-1], description=text, epilog=epilog)

    start = action("start", "Give a build a slice of the traffic.", EXIT_CODES)
    start.add_argument("--build", required=True, metavar="NAME", help="as `outbid build add` named it")
    width = start.add_mutually_exclusive_group()
    width.add_argument(
        "--slice", type=_slice, metavar="PERCENT", help="0.01 to 50; the baseline gets as much (default: 1)"
    )
    width.add_argument("--steps", type=_steps, metavar="P,P,...", help="wider and wider slices, as 1,5,25,50")
    start.add_argument("--exchange", metavar="X", help="only requests of this exchange")
    start.add_argument("--country", type=_country, metavar="C", help="only requests of this country (ISO alpha-3)")
    start.add_argument(
        "--max-spend", metavar="USD", help="roll back before the slice can have spent more: billed, or lately offered"
    )
    start.add_argument("--min-time", type=_seconds, metavar="T", help="of each step, as 90s, 5m, 1h (default: 5m)")
    start.add_argument("--auto-promote", action="store_true", help="take the build when it is as good")
    start.add_argument("--shadow", action="store_true", help="compare its answers, and send none of them")
    start.add_argument("--wait", action="store_true", help="until it is over; its exit code says how")
    start.add_argument("--json", action="store_true", help="print the canary as JSON")
    status = action("status", "Canary and baseline side by side, and what the judge says.")
    status.add_argument("--watch", action="store_true", help="every second, until it is over")
    status.add_argument("--json", action="store_true", help="print the canary as JSON")
    wait = action("wait", "Until the canary is over.", EXIT_CODES)
    wait.add_argument("--json", action="store_true", help="print the canary as JSON")
    action("promote", "Take the build of the canary that runs, whatever the judge says so far.")
    abort = action("abort", "End the canary: the stable build answers its slice from the next request on.")
    abort.add_argument("--why", default="", metavar="TEXT", help="for the audit")
    history = action("history", "All canaries, the newest first.")
    history.add_argument("--json", action="store_true", help="print rows as JSON")
    explain = action("explain", "Every decision of one canary, with the figures that it was made from.")
    explain.add_argument("id", help="as `history` has it")
    explain.add_argument("--json", action="store_true", help="print records as JSON")


def run(args: argparse.Namespace) -> int:
    """One action."""
    actions = {
        "start": _start,
        "status": _status,
        "wait": lambda args: _wait(args.state, args.json),
        "promote": _promote,
        "abort": _abort,
        "history": _history,
        "explain": _explain,
    }
    return actions[args.action](args)


def _slice(text: str) -> int:
    """Percent -> buckets of 10,000."""
    match = re.fullmatch(r"(\d{1,2}(?:\.\d{1,2})?) ?%?", text)
    buckets = round(float(match[1]) * 100) if match else 0
    if not 1 <= buckets <= 5_000:
        raise argparse.ArgumentTypeError(f"{text!r}: 0.01 % to 50 % is wanted, as the baseline has as much")
    return buckets


def _steps(text: str) -> list[int]:
    return [_slice(part.strip()) for part in text.split(",")]


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: three letters are wanted, as DEU")
    return text.upper()


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smh]?)", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a time as 90s, 5m or 1h is wanted")
    return int(match[1]) * UNITS[match[2] or "s"]


def _start(args: argparse.Namespace) -> int:
    from bidder.canary.state import Plan
    from bidder.money.units import nano_from_usd

    settings = load_context(args.state).settings
    try:
        max_spend = None if args.max_spend is None else nano_from_usd(args.max_spend)
    except ValueError as error:
        raise CliError(f"--max-spend: {error}") from None
    plan = Plan(
        build=args.build,
        steps=args.steps or [args.slice or 100],
        min_s=args.min_time or settings.canary.min_s,
        exchange=args.exchange,
        country=args.country,
        max_spend=max_spend,
        auto_promote=args.auto_promote,
        shadow=args.shadow,
    )
    answer = ask(args.state, "supervisor", {"do": "canary_start", "plan": msgspec.to_builtins(plan)}, ASK_S)
    if args.wait:
        print(f"outbid {NAME}: {answer['canary']} has begun", file=sys.stderr)
        return _wait(args.state, args.json)
    if args.json:
        print(json.dumps(answer))
    else:
        print(f"canary {answer['canary']} has begun; see `outbid canary status --watch`")
    return 0


def _read(state: Path) -> "Canary":
    from bidder.canary.state import read

    load_context(state)
    try:
        canary = read(state)
    except ValueError as error:
        raise CliError(str(error)) from None
    if canary is None:
        raise CliError(f"there has been no canary in {state}: outbid canary start --build NAME")
    return canary


def _print(canary: "Canary", as_json: bool) -> None:
    from bidder.canary.words import status

    if as_json:
        document = msgspec.to_builtins(canary)
        document.pop("judge")  # what it goes on from; the verdict has its figures
        print(json.dumps(document))
    else:
        print(status(canary))


def _status(args: argparse.Namespace) -> int:
    while True:
        canary = _read(args.state)
        if args.watch and not args.json and sys.stdout.isatty():
            print("\x1b[H\x1b[J", end="")
        _print(canary, args.json)
        sys.stdout.flush()
        if not args.watch or not canary.under_way:
            return 0
        _expect_supervisor(canary)
        time.sleep(1.0)


def _wait(state: Path, as_json: bool) -> int:
    """Until it is over; the exit code that stands for how."""
    while True:
        canary = _read(state)
        if canary.outcome is not None:
            _print(canary, as_json)
            return CODES[canary.outcome]
        _expect_supervisor(canary)
        time.sleep(LOOK_S)


def _expect_supervisor(canary: "Canary") -> None:
    silent_s = time.time() - canary.seen_ms / 1000
    if silent_s > LOST_S:
        raise CliError(f"canary {canary.id}: nobody has looked after it for {silent_s:.0f} s; see `outbid status`")


def _promote(args: argparse.Namespace) -> int:
    answer = ask(args.state, "supervisor", {"do": "canary_promote"}, ASK_S)
    print(f"build {answer['build']} is being taken; see `outbid canary status`, or wait with `outbid canary wait`")
    return 0


def _abort(args: argparse.Namespace) -> int:
    answer = ask(args.state, "supervisor", {"do": "canary_abort", "why": args.why}, ASK_S)
    print(f"canary {answer['canary']} is over: the stable build answers all requests")
    return 0


def _history(args: argparse.Namespace) -> int:
    from reporting.printing import render

    columns, rows = _listed(args.state)
    print(render(columns, rows, "json" if args.json else "table"))
    return 0


def _listed(state: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """From Postgres, or from what this host itself still has."""
    from bidder.canary.words import time_of
    from reporting.queries import ReportError
    from reporting.reading import Reader

    context = load_context(state)
    try:
        with Reader(context.analyst_dsn or context.dsn) as reader:
            return reader.listing("canaries")
    except (ReportError, CliError) as error:
        _say_local(state, error)
    columns = ["canary", "build", "stable", "started_at", "ended_at", "outcome", "because", "widest_slice"]
    found: dict[str, dict[str, Any]] = {}
    for record in _records(state):
        row = found.setdefault(record.subject, dict.fromkeys(columns) | {"canary": record.subject, "widest_slice": 0})
        match record.verb:
            case "canary start":
                row |= {"build": record.detail["build"], "stable": record.detail["stable"]}
                row["started_at"] = time_of(record.at_ms)
            case "canary slice":
                row["widest_slice"] = max(row["widest_slice"], record.detail["buckets"] / 10_000)
            case "canary end":
                row |= {"ended_at": time_of(record.at_ms), "outcome": record.detail["outcome"]}
                row["because"] = record.detail["because"]
    return columns, [tuple(row.values()) for row in reversed(found.values())]


def _say_local(state: Path, error: Exception) -> None:
    print(f"outbid {NAME}: {error}; what {state} itself still has:", file=sys.stderr)


def _records(state: Path) -> "list[AuditRecord]":
    from bidder.ops.audit import AuditTrail

    return [record for record in AuditTrail(state).read() if record.verb.startswith("canary ")]


def _explain(args: argparse.Namespace) -> int:
    from bidder.canary.words import decision

    found = _decisions(args.state, args.id)
    if not found:
        raise CliError(f"no canary {args.id!r}; see `outbid canary history`")
    if args.json:
        names = ("at", "actor", "verb", "detail")
        print(json.dumps([dict(zip(names, (row[0].isoformat(), *row[1:]), strict=True)) for row in found]))
        return 0
    before = None
    for at, actor, verb, detail in found:
        says = [finding["says"] for finding in detail.get("findings", ())]
        print(decision(at.timestamp(), actor, verb, detail, table=verb != "canary verdict" or says != before))
        before = says if verb == "canary verdict" else before
    return 0


def _decisions(state: Path, canary: str) -> list[tuple[datetime, str, str, dict[str, Any]]]:
    """(at, actor, verb, detail) of its records: Postgres and this host have the same, each may have more of them."""
    from reporting.queries import ReportError
    from reporting.reading import Reader

    context = load_context(state)
    local = [
        (datetime.fromtimestamp(record.at_ms / 1000, UTC), record.actor, record.verb, record.detail)
        for record in _records(state)
        if record.subject == canary
    ]
    try:
        with Reader(context.analyst_dsn or context.dsn) as reader:
            stored = reader.decisions(canary)
    except (ReportError, CliError) as error:
        _say_local(state, error)
        return local
    return stored if len(stored) >= len(local) else local
