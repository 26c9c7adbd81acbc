"""`outbid tracker`: one role, until SIGTERM or Ctrl-C."""

import argparse

from bidder.cli.context import CliError, make_state, role_settings

NAME = "tracker"
HELP = "Run the tracker: win, billing and loss notices, impressions, clicks."


def configure(parser: argparse.ArgumentParser) -> None:
    """What only `outbid up` knows."""
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from bidder.ops.control import ControlError
    from bidder.tracking import server

    state = make_state(args.state)
    try:
        server.run(state, role_settings(state, args.settings), args.fd)
    except ControlError as error:
        raise CliError(str(error)) from None
    return 0
