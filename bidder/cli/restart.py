"""`outbid restart`: this host's bidder becomes another build, or newer code of the same, without losing a request.

Of a host that `outbid up` runs, also one other role: it ends, and begins anew from the current build.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from bidder.cli.context import CliError, ask

NAME = "restart"
HELP = "Renew the bidder under load: its workers one by one, then the supervisor; a build that fails changes nothing."
ROLES = ("bidder", "tracker", "controller", "aggregator", "monitor")
ASK_S = 5.0
ROLE_S = 40.0
WITHIN_S = 600.0
AWAY_S = 20.0  # that the supervisor may be between two builds
LOOK_S = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("role", nargs="?", choices=ROLES, default="bidder", help="default: bidder")
    parser.add_argument("--build", metavar="NAME", help="of `outbid build list` (default: the current one)")
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")


def run(args: argparse.Namespace) -> int:
    """0 where the host runs the build, 1 where it was given up: stderr says why, and nothing has changed."""
    if args.role != "bidder":
        return _renew(args)
    number = ask(args.state, "supervisor", {"do": "restart", "build": args.build}, ASK_S)["number"]
    record = follow(args.state, number)
    if args.json:
        print(json.dumps(record))
    if record["failure"]:
        raise CliError(f"build {record['build']} was given up: {record['failure']}")
    return 0


def _renew(args: argparse.Namespace) -> int:
    if args.build is not None:
        raise CliError("--build goes with the bidder; the other roles are started from the current build")
    said = ask(args.state, "up", {"do": "restart", "role": args.role}, ROLE_S)
    if args.json:
        print(json.dumps(said))
    if not said["ready"]:
        raise CliError(f"{args.role} runs build {said['build']}, but is not ready yet; see `outbid status`")
    return 0


def follow(state: Path, number: int) -> dict[str, Any]:
    """The restart when it has ended; its steps go to stderr as they are made."""
    lines: list[str] = []
    heard = time.monotonic()
    deadline = heard + WITHIN_S
    while True:
        try:
            record = ask(state, "supervisor", {"do": "restarting", "after": len(lines)}, ASK_S)
        except CliError:  # it is between two builds; one that has died comes back and knows of no restart
            if time.monotonic() > heard + AWAY_S:
                raise
            time.sleep(LOOK_S)
            continue
        heard = time.monotonic()
        if record["number"] != number:
            raise CliError("the supervisor died in the middle of the restart, and has begun anew; see `outbid status`")
        for line in record["lines"]:
            print(f"outbid restart: {line}", file=sys.stderr, flush=True)
        lines += record["lines"]
        if record["done"]:
            return record | {"lines": lines}
        if heard > deadline:
            raise CliError(f"not done after {WITHIN_S:g} s; `outbid status` shows where it stands")
        time.sleep(LOOK_S)
