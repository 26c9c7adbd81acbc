"""Finds the verb, gives it its arguments, turns known failures into one line and an exit code.

Exit codes: 0 done, 1 failed (the line on stderr says why), 2 wrong usage, 130 interrupted. What else a verb may end
with stands in its help.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bidder.cli.context import CliError, begin_role
from bidder.settings import SettingsError

VERBS = (
    "up",
    "campaign",
    "report",
    "ledger",
    "stream",
    "reconcile",
    "sql",
    "status",
    "build",
    "restart",
    "reload",
    "canary",
    "switch",
    "experiment",
    "segment",
    "keys",
    "explain",
    "stop",
    "start",
    "exchange",
    "lint",
    "simulate",
    "bidder",
    "worker",
    "tracker",
    "controller",
    "aggregator",
    "monitor",
)
WRONG_USAGE = 2
ROLES = {name: name for name in ("worker", "tracker", "controller", "aggregator", "monitor")} | {"bidder": "supervisor"}
HIDDEN = {"worker"}  # started by its supervisor, with sockets that only that one has


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; takes no option by half its name, which a later option could make ambiguous."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def _leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers that a command line can end in."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        return [parser]
    return [leaf for action in nested for child in dict.fromkeys(action.choices.values()) for leaf in _leaves(child)]


def build_parser(names: Sequence[str] = VERBS) -> argparse.ArgumentParser:
    """The grammar of these verbs; every one also takes --state and --settings."""
    parser = Parser(
        prog="outbid",
        description="A real-time bidder: `outbid up` starts everything on this host.",
        epilog="Every verb has --help. Exit codes: 0 done, 1 failed, 2 wrong usage. Guide: README.md and docs/.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in names:
        module = importlib.import_module(f"bidder.cli.{name}")
        shown = {} if name in HIDDEN else {"help": module.HELP}
        verb = verbs.add_parser(name, description=module.HELP, **shown)
        module.configure(verb)
        verb.set_defaults(run=module.run)
        for leaf in _leaves(verb):
            leaf.set_defaults(prog=leaf.prog)
            leaf.add_argument(
                "--state",
                type=Path,
                default=Path(os.environ.get("OUTBID_STATE", ".outbid")),
                metavar="DIR",
                help="state directory (default: .outbid)",
            )
            leaf.add_argument(
                "--settings", type=Path, metavar="FILE", help="TOML settings (default: those the host was started with)"
            )
    return parser


def main(argv: list[str]) -> int:
    """Run one command line; returns its exit code."""
    from bidder._fast import freshness

    named = argv[:1] if argv[:1] and argv[0] in VERBS else VERBS  # one verb's arguments are all that one verb needs
    parser = build_parser(named)
    if argv[:1] and not argv[0].startswith("-") and argv[0] not in VERBS:
        parser.error(f"no such verb: {argv[0]}; there are {', '.join(verb for verb in VERBS if verb not in HIDDEN)}")
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        print(f"{args.prog}: not understood: {' '.join(unknown)}; see `{args.prog} --help`", file=sys.stderr)
        return WRONG_USAGE
    try:
        freshness.check()
        if args.verb in ROLES and not getattr(args, "check", False):  # a check looks, says, and goes
            return _run_role(args, argv)
        code: int = args.run(args)
    except (CliError, SettingsError, freshness.NotBuiltError) as error:
        print(f"outbid {args.verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone, as in `outbid report | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _run_role(args: argparse.Namespace, argv: list[str]) -> int:
    """A process that stays; why it cannot is said to the terminal, and kept in its log."""
    from bidder import builds
    from bidder.ops import log as logs

    role = ROLES[args.verb]
    # A worker's build is its supervisor's choice, one that takes a process over is who was chosen.
    if args.verb != "worker" and getattr(args, "handover", None) is None:
        try:
            builds.enter_current(args.state, argv)
        except builds.BuildError as error:
            raise CliError(str(error)) from None
    begin_role(role, args.state, args.settings)
    try:
        code: int = args.run(args)
    except (CliError, SettingsError, SystemExit) as error:
        if str(error):
            logs.get(role).fatal("cannot start", why=str(error))
        raise
    return code
