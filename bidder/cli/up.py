"""`outbid up`: everything on one host, for a laptop, a demo, or a small installation."""

import argparse
import asyncio
import dataclasses
import json
import sys

from bidder.cli.context import CliError, host_id, make_state, save

NAME = "up"
HELP = "Start everything on this host, with Postgres and memcached of its own; Ctrl-C stops it."


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--workers", type=int, metavar="N", help="bid workers (default: one a core, less one)")
    parser.add_argument(
        "--port-base", type=int, metavar="P", help="move every port to P plus its last three digits (8001 -> P+1)"
    )


def run(args: argparse.Namespace) -> int:
    """Until Ctrl-C or SIGTERM."""
    from aggregator.migrate import migrate
    from bidder.cli.port_base import with_port_base
    from bidder.embedded.child import EmbeddedError
    from bidder.host import Host, HostError, only_one
    from bidder.ops.control import ControlError
    from bidder.settings import Settings, load

    if args.workers is not None and not 1 <= args.workers <= 126:
        raise CliError(f"--workers {args.workers}: 1 to 126 is wanted")

    def read() -> Settings:
        settings = load(args.settings)
        if args.port_base is not None:
            settings = with_port_base(settings, args.port_base)
        if args.workers is not None:
            settings = dataclasses.replace(settings, bidder=dataclasses.replace(settings.bidder, workers=args.workers))
        return settings

    settings = read()
    state = make_state(args.state)
    host_id(state)

    def progress(text: str) -> None:
        print(f"outbid up: {text}", file=sys.stderr, flush=True)

    try:
        with only_one(state):
            host = Host(state, settings, migrate, lambda final, analyst: save(state, final, analyst), progress, read)
            try:
                host.start_services()
                host.start_roles()
                asyncio.run(host.run(lambda line: print(json.dumps(line), flush=True)))
            finally:
                host.stop_services()
    except (HostError, EmbeddedError, ControlError) as error:
        raise CliError(str(error)) from None
    return 0
