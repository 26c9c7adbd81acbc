"""`outbid report`: what was spent, delivered and not bid on, as analysts see it.

arguments -> reporting.queries.Question -> rows -> table, CSV or JSON on stdout.
Exit codes: 0 done, 1 Postgres or the question, 3 --flush did not see everything arrive in time.
"""

import argparse
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from reporting.reading import Goal, Reader, Rows

NAME = "report"
HELP = "Spend, delivery and no-bids from Postgres; budgets, balances, freshness."
FLUSH_S = 60.0
ASK_S = 10.0  # for a process to close its window or sync its spool
NOT_REACHED = 3

_LISTS = {
    "budget": "budgets of all campaigns and what was spent of them",
    "ledger": "balances of all accounts",
    "status": "how far the facts reach, and what is missing",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every report."""
    kinds = parser.add_subparsers(dest="report", metavar="REPORT", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--format", choices=("table", "csv", "json"), default="table")
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
    ):
        asked = kinds.add_parser(kind, parents=[shared], help=text, description=_description(kind))
        asked.add_argument("--by", metavar="DIM[,DIM]", help=f"dimensions; total: none (default: {default})")
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


def run(args: argparse.Namespace) -> int:
    """Print one report."""
    from reporting.printing import render, with_dollars
    from reporting.queries import ReportError, zone
    from reporting.reading import Reader

    context = load_context(args.state)
    try:
        zone_name = zone(args.tz)
        question = _question(args, zone_name) if args.report not in _LISTS else None
        with Reader(context.analyst_dsn or context.dsn) as reader:
            if args.flush and not _flush(args.state, reader, args.timeout):
                return NOT_REACHED
            columns, rows = reader.listing(args.report) if question is None else reader.answer(question)
    except ReportError as error:
        raise CliError(str(error)) from None
    print(render(*with_dollars(columns, rows), args.format, zone_name))
    return 0
