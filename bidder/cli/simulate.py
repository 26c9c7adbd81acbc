"""`outbid simulate`: replay an auction log with a bidding strategy, or make a log."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError

if TYPE_CHECKING:
    from bidder.simulator.auction_log import Auction
    from bidder.simulator.replay import Outcome, Rules, Strategy

NAME = "simulate"
HELP = "Replay a second-price auction log with a bidding strategy and a budget, or make such a log."
_FORM = """A log has one auction a line, `click market_price pctr`, separated by spaces (the iPinYou form). The virtual
clock gives each auction a second; nothing of a host is needed, or touched. See docs/replay.md."""
_NEEDED = ("episode", "budget", "max_bid")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = _FORM
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--log", type=Path, metavar="FILE", help="replay this log")
    what.add_argument("--make", type=Path, metavar="FILE", help="write a synthetic log")
    parser.add_argument("--strategy", choices=("mcpc", "lin", "outbid"), default="outbid", help="(default: outbid)")
    parser.add_argument("--episode", type=int, metavar="N", help="auctions that share a budget")
    parser.add_argument("--budget", type=int, metavar="B", help="of an episode, in the log's unit")
    parser.add_argument("--max-bid", type=int, metavar="M", help="no bid is higher")
    parser.add_argument(
        "--max-cpc", type=float, metavar="V", help="mcpc: a click's worth (default: its cost in --train)"
    )
    parser.add_argument("--base-bid", type=float, metavar="V", help="lin: the bid at the average click rate")
    parser.add_argument("--average-ctr", type=float, metavar="V", help="lin: that rate (default: of --train)")
    parser.add_argument("--train", type=Path, metavar="FILE", help="a log of earlier days to learn from")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of --make")
    parser.add_argument("--auctions", type=int, default=100_000, metavar="N", help="to make (default: 100000)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Replay, or make."""
    from bidder.simulator.auction_log import LogError

    try:
        return _make(args) if args.make is not None else _replay(args)
    except (LogError, ValueError) as error:
        raise CliError(str(error)) from None


def _make(args: argparse.Namespace) -> int:
    from bidder.simulator.auction_log import lines, made

    if args.auctions < 1:
        raise CliError(f"--auctions {args.auctions}: at least 1 is wanted")
    try:
        with args.make.open("w", encoding="ascii") as file:
            file.writelines(lines(made(args.seed, args.auctions)))
    except OSError as error:
        raise CliError(f"{args.make}: {error.strerror}") from None
    if args.json:
        print(json.dumps({"file": str(args.make), "auctions": args.auctions, "seed": args.seed}))
    else:
        print(f"{args.auctions:,} auctions in {args.make}")
    return 0


def _replay(args: argparse.Namespace) -> int:
    from bidder.simulator.auction_log import read
    from bidder.simulator.replay import Rules, replay

    missing = [f"--{name.replace('_', '-')}" for name in _NEEDED if getattr(args, name) is None]
    if missing:
        raise CliError(f"--log needs {', '.join(missing)}")
    rules = Rules(args.episode, args.budget, args.max_bid)
    train = read(args.train) if args.train is not None else []
    outcome = replay(read(args.log), _strategy(args, rules, train), rules)
    if args.json:
        print(json.dumps(_document(args.strategy, outcome)))
    else:
        print("\n".join(_lines(args.strategy, outcome)))
    return 0


def _strategy(args: argparse.Namespace, rules: "Rules", train: list["Auction"]) -> "Strategy":
    from bidder.simulator.replay import Lin, Mcpc, Outbid

    clicks = sum(auction.click for auction in train)
    if args.strategy == "mcpc":
        cost = sum(auction.price for auction in train)
        return Mcpc(_given(args, "max_cpc", cost / clicks if clicks else None))
    if args.strategy == "lin":
        if args.base_bid is None:
            raise CliError("--strategy lin needs --base-bid")
        return Lin(args.base_bid, _given(args, "average_ctr", clicks / len(train) if clicks else None))
    return Outbid(rules, train=train)


def _given(args: argparse.Namespace, name: str, learned: float | None) -> float:
    value = getattr(args, name) if getattr(args, name) is not None else learned
    option = f"--{name.replace('_', '-')}"
    if value is None:
        raise CliError(f"--strategy {args.strategy} needs {option}, or clicks in --train")
    if not value > 0:
        raise CliError(f"{option} {value:g}: more than 0 is wanted")
    return float(value)


def _document(strategy: str, outcome: "Outcome") -> dict[str, object]:
    return {
        "strategy": strategy,
        "auctions": outcome.auctions,
        "episodes": outcome.episodes,
        "budget": outcome.budget,
        "impressions": outcome.impressions,
        "clicks": outcome.clicks,
        "cost": outcome.cost,
        "win_rate": outcome.win_rate,
        "ecpc": outcome.ecpc,
        "expected_clicks": outcome.expected_clicks,
        "spend_curve": outcome.curve,
    }


def _lines(strategy: str, outcome: "Outcome") -> list[str]:
    ecpc = "none" if outcome.ecpc is None else f"{outcome.ecpc:,.1f}"
    return [
        f"strategy     {strategy}",
        f"auctions     {outcome.auctions:,} in {outcome.episodes:,} episodes",
        f"impressions  {outcome.impressions:,} (win rate {outcome.win_rate:.2%})",
        f"clicks       {outcome.clicks:,} (by pctr {outcome.expected_clicks:,.1f})",
        f"cost         {outcome.cost:,} of {outcome.budget:,} ({outcome.cost / outcome.budget:.1%})",
        f"eCPC         {ecpc}",
        "spent by     " + " ".join(f"{5 * (at + 1)}%" for at in range(3, len(outcome.curve), 4)) + " of an episode",
        "             " + " ".join(f"{outcome.curve[at]:.0%}" for at in range(3, len(outcome.curve), 4)),
    ]
