"""`outbid worker`: one bid worker, started by its supervisor; or the check of its build."""

import argparse
import json
import signal
import sys

from bidder.builds import CHECK_S
from bidder.cli.context import role_settings
from bidder.ops.priority import go_last

NAME = "worker"
ARMS = (1, 2)  # that have workers of their own
NICE = 10  # of a check: it bids beside workers that bid for money
HELP = "Run one bid worker; the supervisor starts it."


def configure(parser: argparse.ArgumentParser) -> None:
    """What only the supervisor knows."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--row", type=int, help="of the board")
    what.add_argument(
        "--check", action="store_true", help="bid in private, say in a line of JSON whether it can, and end"
    )
    parser.add_argument("--fd", type=int, help="of the listening socket; without one, the worker answers for --arm")
    parser.add_argument("--arm", type=int, default=0, help="1 (canary) or 2 (baseline), of a worker without --fd")


def run(args: argparse.Namespace) -> int:
    """Bid until told to stop."""
    settings = role_settings(args.state, args.settings)
    if not args.check and (args.fd is None) == (args.arm not in ARMS):
        print("outbid worker: either --fd, or --arm 1 or 2", file=sys.stderr)
        return 2
    if args.check:
        signal.alarm(CHECK_S)
        go_last(NICE)
        from bidder import supervisor, worker  # noqa: F401 - what it would run is imported, whatever that does
        from bidder.readiness import check

        said = check(args.state, settings)
        print(json.dumps(said))
        return 0 if said["ok"] else 1

    from bidder import worker

    worker.run(args.state, settings, args.row, args.fd, args.arm)
    return 0
