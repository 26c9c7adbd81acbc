"""`outbid segment import|pixel`: users into segments of our own, from a list, or by the pixel of a page."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bidder.cli.context import CliError
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.users.importing import Row

NAME = "segment"
HELP = "Segments of our own: import a list of users, or print the pixel that sets one."
SHOWN = 20  # bad lines that are named one by one
EVERY = 10_000  # lines between two lines of progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser(
        "import", description="Put users into segments. Exit code 1 where a line could not be used."
    )
    listed.add_argument("file", type=Path, help="JSON Lines or CSV of id_type, id, segment, ttl_s; - for stdin")
    listed.add_argument("--json", action="store_true", help="print what was done as JSON")
    pixel = actions.add_parser(
        "pixel", description="Print the address of the pixel that puts a visitor into a segment."
    )
    pixel.add_argument("owner", help="whose pages they are: an advertiser's id")
    pixel.add_argument("segment", help="s- and 1 to 14 letters, digits, - or _")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    return _pixel(args) if args.action == "pixel" else _import(args)


def _pixel(args: argparse.Namespace) -> int:
    from bidder.users.keys import user_secret
    from bidder.users.pixels import OWNER, SEGMENT, signature

    context = load_context(args.state)
    if not OWNER.fullmatch(args.owner):
        raise CliError("owner: 1 to 64 letters, digits, ., - or _ are wanted")
    if not SEGMENT.fullmatch(args.segment):
        raise CliError("segment: s- and 1 to 14 letters, digits, - or _ are wanted")
    signed = signature(user_secret(context.state), args.owner, args.segment)
    print(f"{context.settings.tracking.public_url}/visit/{quote(args.owner)}/{args.segment}?sig={signed}")
    return 0


def _import(args: argparse.Namespace) -> int:
    from bidder.users import importing
    from bidder.users.importing import Bad
    from bidder.users.keys import user_keys
    from bidder.users.people import People
    from bidder.users.store import open_store

    context = load_context(args.state)
    store = open_store(context.settings)
    if store is None:
        raise CliError("no memcached is set: there is no place to keep users in")
    bad: list[Bad] = []
    try:
        lines = sys.stdin if str(args.file) == "-" else args.file.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CliError(f"{args.file}: {error.strerror}") from None

    def good() -> "Iterator[Row]":
        for row in importing.read(lines, context.settings.exchanges, context.settings.users.segment_ttl_s):
            if isinstance(row, Bad):
                bad.append(row)
            else:
                yield row

    def progress(done: int) -> None:
        if done % EVERY == 0:
            print(f"{done:,} lines", file=sys.stderr)

    async def all_of_it() -> int:
        people = People(store, user_keys(context.state), context.settings.users)
        return await importing.store(good(), people, progress)

    with lines:
        try:
            done = asyncio.run(all_of_it())
        except importing.StoreAwayError as error:
            raise CliError(str(error)) from None
        finally:
            store.close()
    for line in bad[:SHOWN]:
        print(f"line {line.line}: {line.why}", file=sys.stderr)
    if len(bad) > SHOWN:
        print(f"and {len(bad) - SHOWN:,} more lines", file=sys.stderr)
    if args.json:
        print(json.dumps({"stored": done, "refused": len(bad)}))
    else:
        print(f"{done:,} lines stored, {len(bad):,} refused")
    return 1 if bad else 0
