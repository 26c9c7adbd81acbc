"""`outbid worker`: one bid worker, started by its supervisor; or the check of its build."""

import argparse
import json
import signal

from bidder.builds import CHECK_S
from bidder.cli.context import role_settings

NAME = "worker"
HELP = "Run one bid worker; the supervisor starts it."


def configure(parser: argparse.ArgumentParser) -> None:
    """What only the supervisor knows."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--row", type=int, help="of the board")
    what.add_argument(
        "--check", action="store_true", help="bid in private, say in a line of JSON whether it can, and end"
    )
    parser.add_argument("--fd", type=int, help="of the listening socket")


def run(args: argparse.Namespace) -> int:
    """Bid until told to stop."""
    settings = role_settings(args.state, args.settings)
    if args.check:
        signal.alarm(CHECK_S)
        from bidder import supervisor, worker  # noqa: F401 - what it would run is imported, whatever that does
        from bidder.readiness import check

        said = check(args.state, settings)
        print(json.dumps(said))
        return 0 if said["ok"] else 1

    from bidder import worker

    worker.run(args.state, settings, args.row, args.fd)
    return 0
