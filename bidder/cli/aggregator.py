"""`outbid aggregator`: one role, until SIGTERM or Ctrl-C."""

import argparse

from bidder.cli.context import CliError, make_state, role_dsn, role_settings

NAME = "aggregator"
HELP = "Run the aggregator: counters and money events into Postgres."


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes nothing but --state and --settings."""


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from aggregator import process
    from bidder.ops.control import ControlError

    state = make_state(args.state)
    settings = role_settings(state, args.settings)
    dsn = role_dsn(settings)
    try:
        process.run(state, settings, dsn)
    except (ControlError, OSError) as error:
        raise CliError(str(error)) from None
    return 0
