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
    from bidder.ops.listening import StartError
    from bidder.settings import Settings

    state = make_state(args.state)

    def read() -> Settings:
        return role_settings(state, args.settings)

    try:
        supervisor.run(state, read, host_id(state), args.settings, args.handover)
    except (StartError, ControlError) as error:
        raise CliError(str(error)) from None
    return 0
