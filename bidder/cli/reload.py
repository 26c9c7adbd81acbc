"""`outbid reload`: this host's settings are read again, and used, without losing a request."""

import argparse
import json
import sys

from bidder.cli.context import CliError, ask
from bidder.cli.restart import follow

NAME = "reload"
HELP = (
    "Read the settings again; the bidder's processes are renewed with them. Bad ones are refused, and change nothing."
)
WITHIN_S = 30.0
OTHERS = "tracker, controller, aggregator and monitor read theirs when they are renewed: outbid restart ROLE"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--json", action="store_true", help="print what has changed as JSON")


def run(args: argparse.Namespace) -> int:
    """0 where the settings are in force (or have not changed), 1 where they are refused, by name."""
    asked = "up" if (args.state / "run" / "up.sock").exists() else "supervisor"
    said = ask(args.state, asked, {"do": "reload"}, WITHIN_S)
    record = follow(args.state, said["number"]) if said["number"] else {"failure": ""}
    if args.json:
        print(json.dumps({"changed": said["changed"]} | record))
    if record["failure"]:
        raise CliError(f"the settings were given up: {record['failure']}")
    if not args.json:
        print(f"changed: {', '.join(said['changed'])}" if said["changed"] else "nothing has changed")
    if said["changed"]:
        print(f"outbid reload: {OTHERS}", file=sys.stderr)
    return 0
