"""`outbid worker`: one bid worker, started by its supervisor."""

import argparse

from bidder.cli.context import role_settings

NAME = "worker"
HELP = "Run one bid worker; the supervisor starts it."


def configure(parser: argparse.ArgumentParser) -> None:
    """What only the supervisor knows."""
    parser.add_argument("--row", type=int, required=True, help="of the board")
    parser.add_argument("--fd", type=int, required=True, help="of the listening socket")


def run(args: argparse.Namespace) -> int:
    """Bid until told to stop."""
    from bidder import worker

    worker.run(args.state, role_settings(args.state, args.settings), args.row, args.fd)
    return 0
