"""`outbid build add|list|use|remove|check`: the builds of this host, and which one new processes are started from."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bidder.cli.context import CliError, host_id, make_state

NAME = "build"
HELP = "Know builds of outbid by name: a checkout, an environment, or a wheel; see also `outbid restart`."


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, (help_text, run_it) in VERBS.items():
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        if name != "list":
            verb.add_argument("name", metavar="NAME", help="of the build: a-z, 0-9, `.`, `_`, `-`")
        if name == "add":
            verb.add_argument(
                "path",
                type=Path,
                metavar="PATH",
                help="a directory that holds the packages, an environment, or a wheel",
            )
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(run_build=run_it)


def run(args: argparse.Namespace) -> int:
    """0 where it is done, 1 where it is refused: the line on stderr says why."""
    from bidder.builds import BuildError
    from bidder.ops.audit import AuditTrail, actor

    state = make_state(args.state)
    host_id(state)  # the trail names it
    run_it: Callable[[argparse.Namespace, Path], dict[str, Any]] = args.run_build
    try:
        said = run_it(args, state)
    except BuildError as error:
        raise CliError(str(error)) from None
    if args.what in ("add", "use", "remove"):
        digest = said.get("digest", "")
        AuditTrail(state).record(actor(), f"build {args.what}", args.name, digest=digest, path=said.get("path", ""))
    if args.json:
        print(json.dumps(said))
    return 0


def _add(args: argparse.Namespace, state: Path) -> dict[str, Any]:
    from bidder import builds

    build = builds.add(state, args.name, args.path)
    if not args.json:
        print(f"{build.name}: {build.path}, digest {build.digest}")
    return build.as_dict()


def _list(args: argparse.Namespace, state: Path) -> dict[str, Any]:
    from bidder import builds

    found, current = builds.listed(state), builds.current(state)
    name = None if current is None else current.name
    if not args.json:
        for build in found:
            added = time.strftime("%Y-%m-%d %H:%M", time.gmtime(build.added))
            print(f"{'*' if build.name == name else ' '} {build.name:<16} {build.digest}  {added}  {build.path}")
    return {"current": name, "builds": [build.as_dict() for build in found]}


def _use(args: argparse.Namespace, state: Path) -> dict[str, Any]:
    from bidder import builds

    build = builds.use(state, args.name)
    if not args.json:
        print(f"{build.name}: new processes are started from it; those that run stay as they are: `outbid restart`")
    return build.as_dict()


def _remove(args: argparse.Namespace, state: Path) -> dict[str, Any]:
    from bidder import builds
    from bidder.ops.presence import present

    users = [f"{row['role']} (pid {row['pid']})" for row in present(state) if row.get("build") == args.name]
    if users:
        raise CliError(f"build {args.name} runs: {', '.join(users)}")
    builds.remove(state, args.name)
    if not args.json:
        print(f"{args.name}: removed")
    return {"removed": args.name}


def _check(args: argparse.Namespace, state: Path) -> dict[str, Any]:
    from bidder import builds

    build = builds.load(state, args.name).verified()
    said = builds.check(state, build, args.settings)
    if not args.json:
        print(f"{build.name}: ready, digest {build.digest}")
    return said


VERBS = {
    "add": ("Know the build at PATH by NAME; it takes the place of one of that name.", _add),
    "list": ("Show all builds, and which is the current one.", _list),
    "use": ("Start new processes from this build.", _use),
    "remove": ("Forget a build that nothing runs from.", _remove),
    "check": ("Start it beside everything, have it bid in private, and say whether it can serve this host.", _check),
}
