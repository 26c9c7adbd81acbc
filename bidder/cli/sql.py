"""`outbid sql`: psql as an analyst, read only, on schema `report`.

The password travels in the environment, not in the command line, where every user of the machine could read it.
"""

import argparse
import os
import shutil
from collections.abc import Mapping

from bidder.cli.context import CliError
from bidder.cli.context import load as load_context

NAME = "sql"
HELP = "psql as an analyst: read only, on schema report. What psql is to get besides these options stands after --."

_FLAGS = (
    ("-A", "--no-align", "without aligned columns"),
    ("-t", "--tuples-only", "rows only"),
    ("-x", "--expanded", "a column a line"),
    ("-q", "--quiet", "no messages"),
    (None, "--csv", "as CSV"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of psql that people use, and all others after --."""
    parser.add_argument("-c", "--command", action="append", default=[], metavar="SQL", help="run this, then exit")
    parser.add_argument("-f", "--file", action="append", default=[], metavar="FILE", help="run this file, then exit")
    for short, long, text in _FLAGS:
        parser.add_argument(*filter(None, (short, long)), dest=long, action="store_true", help=text)
    parser.add_argument("rest", nargs="*", metavar="-- ...", help="further arguments of psql")


def run(args: argparse.Namespace) -> int:
    """Becomes psql."""
    from psycopg2.extensions import make_dsn, parse_dsn

    from reporting.reading import OPTIONS

    context = load_context(args.state)
    known = parse_dsn(context.analyst_dsn or context.dsn)
    environ = dict(os.environ) | {"PGOPTIONS": f"{OPTIONS} -c search_path=report"}
    password = known.pop("password", None)
    if password is not None:
        environ["PGPASSWORD"] = password
    psql = _psql(environ)
    os.execve(psql, [psql, "-d", make_dsn(**known), *_arguments(args)], environ)


def _arguments(args: argparse.Namespace) -> list[str]:
    options = [long for _, long, _ in _FLAGS if getattr(args, long)]
    options += [f"--command={command}" for command in args.command] + [f"--file={file}" for file in args.file]
    return [*options, *args.rest]


def _psql(environ: Mapping[str, str]) -> str:
    """The one that belongs to our Postgres, else the one of the system."""
    from bidder.embedded.child import EmbeddedError
    from bidder.embedded.programs import postgres_bin

    try:
        psql = postgres_bin(environ, None) / "psql"
        if psql.exists():
            return str(psql)
        trouble = f"{psql} is missing"
    except EmbeddedError as error:
        trouble = str(error)
    found = shutil.which("psql", path=environ.get("PATH"))
    if found is None:
        raise CliError(f"no psql: {trouble}")
    return found
