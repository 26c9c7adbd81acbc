"""`outbid stop ROLE`: acts on one role of the host that `outbid up` runs."""

import argparse

from bidder.cli.context import ask

NAME = "stop"
HELP = "Stop one role of the host that `outbid up` runs; it stays away until started again."


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument(
        "role", help="supervisor (or bidder), worker, tracker, controller, aggregator, monitor, postgres, memcached"
    )


def run(args: argparse.Namespace) -> int:
    """Returns when it is done."""
    ask(args.state, "up", {"do": "stop", "role": args.role}, 40.0)
    print(f"{args.role}: stopped")
    return 0
