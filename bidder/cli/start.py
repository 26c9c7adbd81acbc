"""`outbid start ROLE`: acts on one role of the host that `outbid up` runs."""

import argparse

from bidder.cli.context import ask

NAME = "start"
HELP = "Start a role that was stopped."


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument(
        "role", help="supervisor (or bidder), worker, tracker, controller, aggregator, monitor, postgres, memcached"
    )


def run(args: argparse.Namespace) -> int:
    """Returns when it is done."""
    answer = ask(args.state, "up", {"do": "start", "role": args.role}, 40.0)
    print(f"{args.role}: started" + ("" if answer["ready"] else ", but not ready yet; see `outbid status`"))
    return 0
