"""`outbid switch off|on`: stop bidding, or go on, in a second; for all, one exchange or one campaign."""

import argparse
import json
from pathlib import Path

from bidder.cli.context import CliError, ask
from bidder.cli.context import load as load_context

NAME = "switch"
HELP = "Stop bidding (off) or go on (on): for everything, one exchange, or one campaign."


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("position", choices=["off", "on"], help="off: no bids; on: bids again")
    parser.add_argument("--exchange", metavar="X", help="only this exchange")
    parser.add_argument("--campaign", metavar="C", help="only this campaign")
    parser.add_argument("--json", action="store_true", help="print all switches as JSON")


def run(args: argparse.Namespace) -> int:
    """Every worker of the host has it when this returns."""
    request: dict[str, object] = {"do": "switch", "off": args.position == "off"}
    if args.exchange is not None:
        request["exchange"] = args.exchange
    if args.campaign is not None:
        request["campaign"] = _key(args.state, args.campaign)
    answer = ask(args.state, "supervisor", request, 5.0)
    if args.json:
        print(json.dumps(answer))
    else:
        what = args.campaign or args.exchange or "everything"
        print(f"{what}: {args.position}")
    return 0


def _key(state: Path, campaign: str) -> int:
    """The campaign's key, from this host's book: it is there while Postgres is not."""
    from bidder._fast.book import BookError
    from bidder.campaigns import snapshot

    load_context(state)
    try:
        book = snapshot.current(state)
    except BookError as error:
        raise CliError(str(error)) from None
    keys = [] if book is None else [key for key in book.purse_slots() if book.campaign_id(key) == campaign]
    if not keys:
        raise CliError(f"no campaign {campaign!r} runs in this host's book")
    return keys[0]
