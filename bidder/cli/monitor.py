"""`outbid monitor`: one role, until SIGTERM or Ctrl-C."""

import argparse

from bidder.cli.context import CliError, make_state, role_settings

NAME = "monitor"
HELP = "Run the live page."


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes nothing but --state and --settings."""


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from reporting import monitor

    state = make_state(args.state)
    try:
        monitor.run(state, role_settings(state, args.settings))
    except OSError as error:
        raise CliError(str(error)) from None
    return 0
