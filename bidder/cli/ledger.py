"""`outbid ledger`: accept or reject bills in suspense, set an advertiser's fee. The audit table has what was done."""

import argparse
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from bidder.cli.context import CliError, Context
from bidder.cli.context import load as load_context
from bidder.ops.audit import actor
from bidder.ops.log import first_line

if TYPE_CHECKING:
    from aggregator.review import Settled

NAME = "ledger"
HELP = "Accept or reject bills in suspense; set what advertisers are charged beyond media cost."
BID_ID_BYTES = 12
PPM_PER_PERCENT = 10_000
MOST_PPM = 10_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text in (
        ("accept", "Book bills that came after the life of their token, to the minute of their bid."),
        ("reject", "Refuse bills that came after the life of their token."),
    ):
        action = actions.add_parser(name, help=text[0].lower() + text[1:-1], description=text)
        action.add_argument("bids", nargs="*", metavar="BID_ID", help="as `outbid report suspense` has them")
        action.add_argument("--all", action="store_true", help="all that are open")
        action.add_argument("--note", default="", help="why; kept with them")
        action.add_argument("--json", action="store_true", help="print the result as JSON")
    text = "Add this much of media cost to what an advertiser is charged, for bids that are booked from now on."
    fee = actions.add_parser("fee", help=text[0].lower() + text[1:-1], description=text)
    fee.add_argument("advertiser", help="as campaigns name it")
    fee.add_argument("percent", help="0 to 1000, four decimals at most, as 15 or 12.5")


def run(args: argparse.Namespace) -> int:
    """Do it; one line says what was done."""
    import psycopg2

    context = load_context(args.state)
    try:
        if args.action == "fee":
            return _fee(context, args.advertiser, args.percent)
        settled = _review(context, args)
    except psycopg2.Error as error:
        raise CliError(f"Postgres: {first_line(error)}") from None
    _say(args, settled)
    return 0


def _review(context: Context, args: argparse.Namespace) -> "Settled":
    from aggregator.dedupe import UnknownExchange, spend_rules
    from aggregator.ledger import Ledger
    from aggregator.postgres import Link
    from aggregator.review import ReviewError, accept, reject

    if bool(args.bids) == args.all:
        raise CliError("name the bills, or give --all")
    bids = None if args.all else [_bid_id(text) for text in args.bids]
    link = Link(context.dsn, f"outbid {NAME}")
    try:
        if args.action == "reject":
            return reject(link, bids, actor(), args.note)
        return accept(link, Ledger(link, spend_rules(context.settings.exchanges)), bids, actor(), args.note)
    except (ReviewError, UnknownExchange) as error:
        raise CliError(str(error)) from None
    finally:
        link.broken()


def _bid_id(text: str) -> bytes:
    try:
        bid = bytes.fromhex(text)
    except ValueError:
        bid = b""
    if len(bid) != BID_ID_BYTES:
        raise CliError(f"{text!r} is no bid id: {2 * BID_ID_BYTES} hex digits are wanted")
    return bid


def _say(args: argparse.Namespace, settled: "Settled") -> None:
    from bidder.money.units import usd_text

    if args.json:
        print(json.dumps({"bills": settled.bills, "nano_usd": settled.nano, "usd": usd_text(settled.nano)}))
    else:
        print(f"{args.action}ed {settled.bills} bills, {usd_text(settled.nano)} USD")


def _fee(context: Context, advertiser: str, percent: str) -> int:
    import psycopg2

    try:
        ppm = Decimal(percent) * PPM_PER_PERCENT
    except InvalidOperation:
        ppm = Decimal("NaN")
    if not ppm.is_finite() or ppm != ppm.to_integral_value() or not 0 <= ppm <= MOST_PPM:
        raise CliError(f"{percent!r}: a percentage of 0 to 1000 with four decimals at most is wanted")
    db = psycopg2.connect(context.dsn, connect_timeout=5, application_name=f"outbid {NAME}")
    try:
        with db, db.cursor() as cursor:
            cursor.execute("UPDATE config.advertiser SET fee_ppm = %s WHERE id = %s", (int(ppm), advertiser))
            if cursor.rowcount != 1:
                raise CliError(f"no advertiser {advertiser!r}")
            cursor.execute(
                "INSERT INTO ops.audit (actor, verb, subject, detail) VALUES (%s, 'ledger fee', %s, %s)",
                (actor(), f"advertiser {advertiser}", json.dumps({"ppm": int(ppm)})),
            )
    finally:
        db.close()
    print(f"{advertiser}: charged media cost and {Decimal(percent):f} % from now on")
    return 0
