"""`outbid reconcile`: do stream, ledger, rollups and an exchange's invoice say the same? Differences, and why.

Exit codes: 0 everything agrees, 1 it does not (or could not be looked at).
"""

import argparse
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError, Context
from bidder.cli.context import load as load_context
from bidder.ops.log import first_line

if TYPE_CHECKING:
    from aggregator.reconcile import Difference

NAME = "reconcile"
HELP = "Hold stream, ledger, rollups and an exchange's invoice against each other; exit code 1 where they differ."
TOLERANCE_USD = "0.005"


def configure(parser: argparse.ArgumentParser) -> None:
    """What to look at."""
    parser.add_argument("--day", metavar="DATE", help="the UTC day whose bids are added up (default: yesterday)")
    parser.add_argument(
        "--spool", type=Path, metavar="DIR", help="whose notices to look for (default: this host's spool)"
    )
    parser.add_argument("--no-stream", action="store_true", help="look for no notices")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="look at one bid of the stream in N (default: by its size)"
    )
    parser.add_argument(
        "--invoice", type=Path, metavar="CSV", help="an exchange's, instead of all else (docs/ledger.md)"
    )
    parser.add_argument("--tz", default="UTC", metavar="ZONE", help="of the invoice's days (default: UTC)")
    parser.add_argument(
        "--tolerance-usd",
        default=TOLERANCE_USD,
        metavar="USD",
        help=f"by which a row may differ (default: {TOLERANCE_USD})",
    )
    parser.add_argument("--json", action="store_true", help="print the differences as JSON")


def run(args: argparse.Namespace) -> int:
    """Print every difference."""
    import psycopg2

    from aggregator.invoice import InvoiceError
    from bidder.events.stream import StreamError

    context = load_context(args.state)
    try:
        found = _invoice(context, args) if args.invoice is not None else _books(context, args)
    except psycopg2.Error as error:
        raise CliError(f"Postgres: {first_line(error)}") from None
    except (InvoiceError, StreamError, OSError) as error:
        raise CliError(str(error)) from None
    if args.json:
        print(json.dumps([difference.as_json() for difference in found]))
    else:
        print("\n".join([*map(_text, found), _end(found)]))
    return 1 if found else 0


def _books(context: Context, args: argparse.Namespace) -> "list[Difference]":
    from aggregator.dedupe import spend_rules
    from aggregator.reconcile import books
    from aggregator.reconcile_stream import stream

    try:
        day = date.fromisoformat(args.day) if args.day else datetime.now(UTC).date() - timedelta(days=1)
    except ValueError:
        raise CliError(f"--day {args.day}: a date as 2026-01-31 is wanted") from None
    found = books(context.dsn, day)
    if args.spool or (not args.no_stream and context.settings.stream.backend == "spool"):
        rules = spend_rules(context.settings.exchanges)
        found += stream(context.dsn, args.spool or args.state / "spool", rules, args.sample)
    return found


def _invoice(context: Context, args: argparse.Namespace) -> "list[Difference]":
    from aggregator import invoice
    from bidder.money.units import nano_from_usd
    from reporting.queries import ReportError, zone

    try:
        tolerance = nano_from_usd(args.tolerance_usd)
        zone_name = zone(args.tz)
    except (ValueError, ReportError) as error:
        raise CliError(str(error)) from None
    return invoice.compare(context.dsn, invoice.read(args.invoice), zone_name, tolerance)


def _text(difference: "Difference") -> str:
    from bidder.money.units import usd_text

    def figure(value: int) -> str:
        return f"{usd_text(value)} USD" if difference.unit == "nano_usd" else f"{value:,} {difference.unit}"

    return (
        f"{difference.what}: {difference.left} {figure(difference.left_value)}, {difference.right} "
        f"{figure(difference.right_value)}, apart {figure(difference.size)}: {difference.cause}"
    )


def _end(found: "list[Difference]") -> str:
    return f"{len(found)} differences" if found else "everything agrees"
