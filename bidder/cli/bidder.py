"""`outbid bidder`: one role, until SIGTERM or Ctrl-C."""

import argparse

from bidder.cli.context import CliError, host_id, make_state, role_settings

NAME = "bidder"
HELP = "Run the bidder of this host: a supervisor and its workers, on the bid port."


def configure(parser: argparse.ArgumentParser) -> None:
    """What only the code before knows."""
    parser.add_argument("--handover", type=int, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from bidder import supervisor
    from bidder.ops.control import ControlError

    state = make_state(args.state)
    try:
        supervisor.run(state, role_settings(state, args.settings), host_id(state), args.settings, args.handover)
    except (supervisor.StartError, ControlError) as error:
        raise CliError(str(error)) from None
    return 0
