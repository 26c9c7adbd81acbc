"""`outbid report`: what was spent, delivered and not bid on, as analysts see it.

arguments -> reporting.queries.Question -> rows -> table, CSV or JSON on stdout.
Exit codes: 0 done, 1 Postgres or the question (or accounts that do not add up to zero), 3 --flush did not see
everything arrive in time.
"""

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidder.cli.context import CliError
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.settings import Settings
    from reporting.queries import Question
    from reporting.reading import Goal, Reader

NAME = "report"
HELP = "Spend, delivery and no-bids from Postgres; budgets, balances, freshness."
FLUSH_S = 60.0
ASK_S = 10.0  # for a process to close its window or sync its spool
RESTART_S = 3.0  # for `outbid up` to bring back a role that has just died
RECOVERY_S = 10.0  # for Postgres that has, and reads its log first
NOT_REACHED = 3

_LISTS = {
    "budget": "budgets of all campaigns and what was spent of them",
    "accounts": "balances of all accounts of the ledger",
    "suspense": "bills that came after the life of their token, and what became of them",
    "canaries": "builds that were tried on a slice of the traffic, and what became of them",
    "audit": "the last 500 things that were done, newest first: by whom, to what, with which figures",
    "status": "how far the facts reach, and what is missing",
}
_BALANCED = ("ledger", "accounts")  # reports that also say whether the ledger adds up


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every report."""
    kinds = parser.add_subparsers(dest="report", metavar="REPORT", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--format", choices=("table", "csv", "json"), default="table", help="(default: table)")
    shared.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    shared.add_argument("--tz", default="UTC", metavar="ZONE", help="zone of hours, days and times without one")
    shared.add_argument(
        "--flush", action="store_true", help="first wait until all that was acknowledged before is in Postgres"
    )
    shared.add_argument("--timeout", type=float, default=FLUSH_S, metavar="S", help="of --flush (default: 60)")
    for kind, default, text in (
        ("spend", "campaign", "what campaigns spent, most first"),
        ("delivery", "total", "requests, bids, wins, impressions, clicks, conversions, spend"),
        ("nobids", "reason", "requests without a bid, by reason"),
        ("caps", "campaign", "impressions under frequency caps, and those beyond one"),
        ("ledger", "campaign", "granted, returned, spent, late, overspent, in suspense, charged"),
    ):
        asked = kinds.add_parser(kind, parents=[shared], help=text, description=_description(kind))
        asked.add_argument("--by", metavar="DIM[,DIM]", help=f"dimensions; total: none (default: {default})")
        if kind != "nobids":
            asked.add_argument("--with", dest="more", metavar="FIGURE[,FIGURE]", help=_more(kind))
        asked.add_argument("--since", default="24h", metavar="T", help="30m, 24h, 7d, or a time (default: 24h)")
        asked.add_argument("--until", metavar="T", help="likewise, not included (default: no end)")
        asked.add_argument(
            "--where", action="append", default=[], metavar="DIM=VALUE", help="only these; may be given several times"
        )
    for kind, text in _LISTS.items():
        kinds.add_parser(kind, parents=[shared], help=text, description=text[0].upper() + text[1:] + ".")


def _description(kind: str) -> str:
    from reporting.queries import KINDS

    return f"Dimensions: {', '.join(sorted(KINDS[kind].dimensions))}."


def _more(kind: str) -> str:
    from reporting.queries import KINDS

    return f"figures beside the usual ones: {', '.join(KINDS[kind].more)}"


def run(args: argparse.Namespace) -> int:
    """Print one report."""
    from reporting.printing import render, with_dollars
    from reporting.queries import ReportError, zone
    from reporting.reading import Reader

    context = load_context(args.state)
    try:
        zone_name = zone(args.tz)
        question = _question(args, zone_name) if args.report not in _LISTS else None
        patience = min(args.timeout, RECOVERY_S) if args.flush else 0.0
        with Reader(context.analyst_dsn or context.dsn, patience) as reader:
            if args.flush and not _flush(args.state, context.settings, reader, args.timeout):
                return NOT_REACHED
            columns, rows = reader.listing(args.report) if question is None else reader.answer(question)
            balance = reader.balance() if args.report in _BALANCED else None
    except ReportError as error:
        raise CliError(str(error)) from None
    print(render(*with_dollars(columns, rows), args.format, zone_name))
    return 0 if balance is None else _balanced(*balance, args.format)


def _balanced(total_nano: int, accounts: int, form: str) -> int:
    """The line below a table of balances; exit code."""
    from bidder.money.units import usd_text

    if total_nano != 0:
        print(f"outbid {NAME}: all {accounts} accounts add up to {usd_text(total_nano)}, not to zero", file=sys.stderr)
        return 1
    if form == "table":
        print(f"\nAll {accounts} accounts add up to {usd_text(total_nano)}.")
    return 0


def _question(args: argparse.Namespace, zone_name: str) -> "Question":
    from reporting.queries import Question, dimensions, filters, moment, more_figures

    now = datetime.now(UTC)
    return Question(
        kind=args.report,
        by=dimensions(args.report, args.by),
        since=moment("--since", args.since, now, zone_name),
        until=None if args.until is None else moment("--until", args.until, now, zone_name),
        zone=zone_name,
        more=more_figures(args.report, getattr(args, "more", None)),
        where=filters(args.report, args.where),
    )


def _flush(state: Path, settings: "Settings", reader: "Reader", timeout_s: float) -> bool:
    """Close what is open, wait for it; False (and a line on stderr) if it does not arrive in time."""
    deadline = time.monotonic() + timeout_s
    goals = [*_counters_goals(state, deadline), *_money_goals(state, settings, deadline)]
    left = reader.wait_for(goals, max(0.0, deadline - time.monotonic()))
    for goal in left:
        print(
            f"outbid {NAME}: after {timeout_s:g} s {goal.name} has not reached {goal.position} in Postgres; "
            "see `outbid report status`, and `outbid status` whether the aggregator runs",
            file=sys.stderr,
        )
    return not left


def _counters_goals(state: Path, deadline: float) -> "list[Goal]":
    from reporting.reading import Goal

    answer = _ask(state, "supervisor", deadline)
    if answer is None:
        print(f"outbid {NAME}: no supervisor runs; counters may still be in its outbox", file=sys.stderr)
        return []
    return [Goal(str(answer["producer"]), int(answer["epoch"]), int(answer["seq"]))]


def _money_goals(state: Path, settings: "Settings", deadline: float) -> "list[Goal]":
    """Also without a tracker: what it acknowledged lies in its spool, or where other hosts have it too."""
    from bidder.events.spool import SpoolError, SpoolReader
    from reporting.reading import Goal

    answer = _ask(state, "tracker", deadline)
    if answer is not None:
        shards = answer.get("shards")
        if shards is None:
            return [Goal(str(answer["stream"]), None, int(answer["position"]))]
        return [Goal(f"{answer['stream']}/{shard}", None, int(sequence)) for shard, sequence in shards.items()]
    if settings.stream.backend != "spool":
        print(f"outbid {NAME}: no tracker runs; what it sent last may not be booked yet", file=sys.stderr)
        return []
    print(f"outbid {NAME}: no tracker runs; waiting for what its spool holds", file=sys.stderr)
    try:
        spool = SpoolReader(state / "spool")
        return [Goal(spool.id, None, spool.durable)]
    except SpoolError as error:
        print(f"outbid {NAME}: {error}", file=sys.stderr)
        return []


def _ask(state: Path, role: str, deadline: float) -> dict[str, Any] | None:
    """The role's answer to a flush; None if it does not run and nobody is bringing it back."""
    from bidder.ops.control import ControlError, ask
    from bidder.ops.presence import present

    began = time.monotonic()
    while True:
        try:
            return ask(state / "run" / f"{role}.sock", {"do": "flush"}, ASK_S)
        except ControlError as error:
            now = time.monotonic()
            alive = any(process["role"] == role for process in present(state))
            if not alive and (now - began >= RESTART_S or not _looked_after(state)):
                return None
            if now >= deadline:
                raise CliError(str(error)) from None
            time.sleep(0.1)


def _looked_after(state: Path) -> bool:
    """Does an `outbid up` run here, who brings back what dies?"""
    from bidder.ops.control import ControlError, ask

    try:
        ask(state / "run" / "up.sock", {"do": "pids"}, ASK_S)
    except ControlError:
        return False
    return True
