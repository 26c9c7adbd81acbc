"""`outbid explain`: why a request gets no bid, campaign by campaign, or who wins it at which price."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError, role_settings
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.explain.account import Account, ImpAccount
    from bidder.explain.stage import Stage

NAME = "explain"
HELP = "Explain why a bid request gets no bid: of each campaign the first predicate that failed; or who wins."
CLOSEST = 10
UNUSABLE = 2
_EPILOG = """Nothing is taken, counted or written. Exit codes: 0 there is a bid (with --campaign: of that campaign);
1 there is none; 2 the request, the campaigns or the host cannot be used."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("request", metavar="REQUEST.json", help="an OpenRTB bid request; -: standard input")
    parser.add_argument(
        "--exchange", default="generic", metavar="NAME", help="as if posted to /bid/NAME (default: generic)"
    )
    parser.add_argument("--campaign", metavar="ID", help="this campaign only")
    parser.add_argument(
        "--campaigns", type=Path, metavar="FILE", help="campaigns of this file instead of the host's; no host is needed"
    )
    parser.add_argument("--all", action="store_true", help=f"every campaign, not only the {CLOSEST} closest")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """0 a bid, 1 none, 2 unusable."""
    try:
        return _explain(args)
    except CliError as error:
        print(f"outbid explain: {error}", file=sys.stderr)
        return UNUSABLE


def _explain(args: argparse.Namespace) -> int:
    from bidder.explain.account import explain
    from bidder.outcome import Reason

    body = _body(args.request)
    stage = _stage(args)
    only = None
    if args.campaign is not None:
        only = stage.slot_of(args.campaign)
        if only is None:
            raise CliError(f"campaign {args.campaign!r}: {stage.not_running.get(args.campaign, 'does not run here')}")
    try:
        account = explain(stage, args.exchange, body, most=None if args.all else CLOSEST, only=only)
    except KeyError:
        raise CliError(f"no exchange {args.exchange!r}; there are {', '.join(stage.exchanges.values())}") from None
    if account.reason is Reason.MALFORMED:
        raise CliError(f"{args.request}: MALFORMED, {account.predicate}")
    if args.json:
        print(json.dumps(account.document()))
    else:
        _print(account)
    if args.campaign is not None:
        return 0 if any(win.campaign == args.campaign for imp in account.imps for win in imp.wins) else 1
    return 0 if account.reason is Reason.NONE else 1


def _body(source: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise CliError(f"{source}: {error.strerror}") from None


def _stage(args: argparse.Namespace) -> "Stage":
    from bidder._fast.book import BookError
    from bidder._fast.mapping import MappingError
    from bidder.campaigns.compile import BookCompileError
    from bidder.campaigns.model import CampaignFileError, read_lines
    from bidder.explain import stage

    try:
        if args.campaigns is None:
            return stage.of_host(args.state, load_context(args.state).settings)
        settings = role_settings(args.state, args.settings)
        text = args.campaigns.read_text(encoding="utf-8")
        return stage.of_campaigns(read_lines(text, settings.exchanges), settings)
    except CampaignFileError as error:
        more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
        raise CliError(f"{args.campaigns}: {error.faults[0]}{more}") from None
    except (BookError, BookCompileError, MappingError) as error:
        raise CliError(str(error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{args.campaigns}: {getattr(error, 'strerror', None) or error}") from None


def _print(account: "Account") -> None:
    print(f"{account.exchange}, book {account.revision} of {account.campaigns} campaigns: {_end(account)}")
    for imp in account.imps:
        _print_imp(imp)


def _end(account: "Account") -> str:
    bids = sum(len(imp.wins) for imp in account.imps)
    if bids:
        return f"{bids} bid{'s' if bids > 1 else ''}"
    return f"no bid, {account.reason.name}" + (f": {account.predicate}" if account.predicate else "")


def _print_imp(imp: "ImpAccount") -> None:
    if not imp.wins:
        print(f"imp {imp.id}: no bid, {imp.reason.name}" + (f": {imp.predicate}" if imp.predicate else ""))
    for win in imp.wins:
        through = f" through deal {win.deal}" if win.deal is not None else ""
        print(f"imp {imp.id}: {win.campaign} wins with {win.creative} at {win.price_cpm} USD CPM{through}")
    if imp.may_bid:
        print(f"  {imp.may_bid:>8}  may bid")
    for reason, name, count in imp.tally:
        print(f"  {count:>8}  {reason.name:<15} {name}")
    for one in imp.verdicts:
        print(
            f"    {one.campaign}: {one.outcome if one.outcome != 'falls' else one.reason.name}"
            + (f", {one.predicate}" if one.predicate else "")
        )
