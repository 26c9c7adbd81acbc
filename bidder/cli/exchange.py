"""`outbid exchange play`: an exchange to test against, with auctions, notices and books of its own."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError, role_settings
from bidder.settings import address

if TYPE_CHECKING:
    from bidder.simulator.summary import Summary

NAME = "exchange"
HELP = "Play an exchange: send bid requests, run auctions, fire notices, keep books."
UNCLEAN = 3

_EXIT_CODES = """Exit codes: 0 done; 1 nothing could be played; 3 played, but requests went
unanswered, bids broke rules, or notices were not acknowledged: the summary says which."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    play = actions.add_parser(
        "play",
        help="send requests at a fixed rate and trade on the answers",
        description="Sends bid requests at a fixed rate and trades on the answers. Plays to this machine only.",
        epilog=_EXIT_CODES,
    )
    play.add_argument(
        "source", nargs="?", type=Path, metavar="SOURCE.jsonl", help="bodies, one a line (default: synthetic traffic)"
    )
    play.add_argument("--url", help="of the bidder (default: that of the host in --state)")
    play.add_argument("--exchange", default="generic", metavar="NAME", help="requests go to /bid/NAME")
    play.add_argument("--rate", type=float, default=500, metavar="N", help="requests a second (default: 500)")
    length = play.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, metavar="S", help="how long (default: 30)")
    length.add_argument("--requests", type=int, metavar="N", help="how many instead")
    play.add_argument("--connections", type=int, default=16, metavar="N", help="of each process (default: 16)")
    play.add_argument("--processes", type=int, default=1, metavar="N", help="that share the rate (default: 1)")
    play.add_argument("--seed", type=int, default=1, metavar="N", help="of traffic, schedule and prices")
    play.add_argument(
        "--win-median-cpm", type=float, default=4.0, metavar="USD", help="median of competing prices (default: 4)"
    )
    play.add_argument("--deadline-ms", type=float, default=100, metavar="MS", help="later answers lose (default: 100)")
    play.add_argument("--rendered", type=float, default=0.97, metavar="SHARE", help="of wins (default: 0.97)")
    play.add_argument("--click-rate", type=float, default=0.02, metavar="SHARE", help="of impressions (default: 0.02)")
    play.add_argument("--duplicates", type=float, default=0, metavar="SHARE", help="of notices that are sent twice")
    play.add_argument("--late", type=float, default=0, metavar="SHARE", help="of billing notices that are sent late")
    play.add_argument("--late-s", type=float, default=15, metavar="S", help="how late (default: 15)")
    play.add_argument("--forged", type=float, default=0, metavar="SHARE", help="of notices, damaged and sent too")
    play.add_argument(
        "--lint-per-s",
        type=int,
        default=500,
        metavar="N",
        help="answers that each process holds against the linter, at most (default: 500; 0: none)",
    )
    play.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Play, print the summary."""
    from bidder.simulator.options import Options, PlayError
    from bidder.simulator.play import play
    from bidder.simulator.printing import Ticker, lines

    try:
        options = Options(
            url=args.url or _bidder_url(args),
            exchange=args.exchange,
            source=args.source,
            rate=args.rate,
            seconds=args.seconds,
            requests=args.requests,
            connections=args.connections,
            seed=args.seed,
            processes=args.processes,
            win_median_cpm=args.win_median_cpm,
            deadline_ms=args.deadline_ms,
            rendered=args.rendered,
            click_rate=args.click_rate,
            duplicates=args.duplicates,
            late=args.late,
            late_s=args.late_s,
            forged=args.forged,
            lint_per_s=args.lint_per_s,
        )
        with Ticker(sys.stderr) as ticker:
            summary = play(options, ticker.show)
    except PlayError as error:
        raise CliError(str(error)) from None
    print(json.dumps(summary.document()) if args.json else "\n".join(lines(summary)))
    return _code(summary)


def _bidder_url(args: argparse.Namespace) -> str:
    """Of the host in --state, which is asked for an exchange that it has."""
    settings = role_settings(args.state, args.settings)
    names = sorted(settings.exchanges)
    if args.exchange not in names:
        raise CliError(f"--exchange {args.exchange}: no such exchange; there are {', '.join(names)}")
    host, port = address(settings.bidder.listen)
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"


def _code(summary: "Summary") -> int:
    return 0 if summary.clean else UNCLEAN
