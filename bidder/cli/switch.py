"""`outbid switch off|on|list`: stop bidding, or go on, at once, for all or one thing of a kind."""

import argparse
import json
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidder.cli.context import CliError, host_id, no_host
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.ops.switches import Flip

NAME = "switch"
HELP = "Stop bidding (off) or go on (on): for everything, or one exchange, advertiser, campaign or feature; list."
NOT_TAKEN = 3
ASK_S = 5.0

_DESCRIPTION = """Stops bidding (off) or goes on (on): for everything, one exchange, one advertiser, one campaign, or
one feature of the bidder. Every worker of this host has it when this returns, the hosts in bus.hosts within a
second. It needs neither controller nor Postgres, and lasts until it is flipped again. `list`, or nothing, shows
what is off."""
_EXIT_CODES = """Exit codes: 0 done; 1 no such thing; 3 written into switches.json, but the supervisor does not answer:
it will take the file over when it does."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    from bidder.features import NAMES

    parser.description, parser.epilog = _DESCRIPTION, _EXIT_CODES
    parser.add_argument(
        "position",
        choices=["off", "on", "list"],
        nargs="?",
        default="list",
        help="off: no bids; on: bids again; list (default): what is off, and who flipped what when",
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--exchange", metavar="X", help="only this exchange")
    only.add_argument("--advertiser", metavar="A", help="only the campaigns of this advertiser")
    only.add_argument("--campaign", metavar="C", help="only this campaign")
    only.add_argument("--feature", metavar="F", help=f"only this feature: {', '.join(NAMES)}")
    parser.add_argument("--json", action="store_true", help="print all switches as JSON")


def run(args: argparse.Namespace) -> int:
    """See `_EXIT_CODES`."""
    from bidder.ops.audit import actor

    if not (args.state / "run").is_dir():
        raise no_host(args.state)
    named = {kind: getattr(args, kind) for kind in ("exchange", "advertiser", "campaign", "feature")}
    request = {kind: name for kind, name in named.items() if name is not None}
    if args.position == "list":
        if request:
            raise CliError("list shows all switches: name none")
        return _list(args.state, args.json)
    who = f"{actor()}@{socket.gethostname()}"
    answer, silent = _flip(args.state, {**request, "off": args.position == "off", "who": who})
    if args.json:
        print(json.dumps(answer))
    elif not silent:
        print(f"{next(iter(request.values()), 'everything')}: {args.position}")
    if silent:
        print(f"outbid switch: {silent}; switches.json has it, and it holds once a supervisor runs", file=sys.stderr)
    return NOT_TAKEN if silent else 0


def _flip(state: Path, request: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """All switches afterwards, and why the supervisor has not taken this one over; empty: it has."""
    from bidder.ops.control import ControlError, Refused, ask

    try:
        return ask(state / "run" / "supervisor.sock", {"do": "switch", **request}, ASK_S), ""
    except Refused as error:
        raise CliError(str(error)) from None
    except ControlError as error:
        return _write(state, request), str(error)


def _write(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Into the file, past a supervisor that does not answer."""
    from bidder.ops.switches import Flip, SwitchError, Switches, SwitchFile, asked

    file = SwitchFile(state)
    try:
        kind, name = asked(request)
        _check(state, kind, name)
        with file.locked():
            switches = Switches(file.read())
            flip = Flip(kind, bool(request["off"]), name, int(time.time() * 1000), request["who"], host_id(state))
            switches.merge([switches.next(flip)])
            file.write(switches.flips, in_force=False)
    except (SwitchError, OSError) as error:
        raise CliError(str(error)) from None
    return {**switches.as_dict(), "refused": None}


def _check(state: Path, kind: str, name: str) -> None:
    """As the supervisor would: SwitchError where this host has nothing of the kind by that name."""
    from bidder._fast.book import BookError
    from bidder.campaigns import snapshot
    from bidder.ops.switches import SwitchError

    exchanges = load_context(state).settings.exchanges
    if kind == "exchange" and name not in exchanges:
        raise SwitchError(f"no exchange {name!r}; there are {', '.join(sorted(exchanges))}")
    if kind not in ("campaign", "advertiser"):
        return
    try:
        book = snapshot.current(state)
    except BookError as error:
        raise SwitchError(str(error)) from None
    if book is not None and (name not in book.advertisers if kind == "advertiser" else book.campaign_key(name) is None):
        raise SwitchError(f"no {kind} {name!r} in this host's book")


def _list(state: Path, as_json: bool) -> int:
    from bidder.ops.control import ControlError, ask
    from bidder.ops.switches import Flip, SwitchError, Switches, SwitchFile

    try:
        answer = ask(state / "run" / "supervisor.sock", {"do": "switches"}, ASK_S)
    except ControlError as error:
        print(f"outbid switch: {error}; this is what switches.json says", file=sys.stderr)
        try:
            answer = {**Switches(SwitchFile(state).read()).as_dict(), "refused": None}
        except SwitchError as unreadable:
            raise CliError(str(unreadable)) from None
    if as_json:
        print(json.dumps(answer))
        return 0
    flips = [Flip(**flip) for flip in answer["flips"]]
    _table(sorted(flips, key=lambda flip: (not flip.off, -flip.at_ms)))
    if answer["refused"]:
        print(f"refused: {answer['refused']}")
    return 0


def _table(flips: "list[Flip]") -> None:
    if not flips:
        print("everything is on, and always was")
        return
    print(f"{'switch':<32} {'is':<4} {'since (UTC)':<20} {'flipped by':<32} on host")
    for flip in flips:
        since = f"{datetime.fromtimestamp(flip.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" if flip.at_ms else ""
        print(f"{flip!s:<32} {'off' if flip.off else 'on':<4} {since:<20} {flip.who:<32} {flip.host}")
