"""`outbid campaign`: import, list, show, pause, resume, archive, set-budget."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError, Context, postgres
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from bidder.controller.store import Change

NAME = "campaign"
HELP = "Import, look at and change campaigns."
WAIT_S = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    waiting = argparse.ArgumentParser(add_help=False)
    waiting.add_argument(
        "--wait", action="store_true", help="return when every worker of this host serves the change, leases included"
    )
    waiting.add_argument(
        "--timeout",
        type=float,
        default=WAIT_S,
        metavar="S",
        help="give --wait up after so long without progress (default: 30)",
    )
    waiting.add_argument("--json", action="store_true", help="print the result as JSON")
    confirmed = argparse.ArgumentParser(add_help=False)
    confirmed.add_argument("--confirm", action="store_true", help="yes, a budget may rise a hundred times")

    def action(name: str, text: str, *parents: argparse.ArgumentParser, of_one: bool = True) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, parents=parents, help=text[0].lower() + text[1:-1], description=text)
        if of_one:
            parser.add_argument("id", help="of the campaign")
        return parser

    add = action("import", "Create or replace campaigns from a JSON Lines file.", waiting, confirmed, of_one=False)
    add.add_argument("file", type=Path, help="one campaign a line; - for standard input")
    for lists in (
        action("list", "All campaigns.", of_one=False),
        action("show", "One campaign in the import format."),
    ):
        lists.add_argument("--json", action="store_true", help="print JSON, on one line")
    action("pause", "Stop bidding for a campaign.", waiting)
    action("resume", "Bid for a campaign again.", waiting)
    action("archive", "End a campaign.", waiting)
    budget = action("set-budget", "Change parts of a campaign's budget.", waiting, confirmed)
    for part in ("total", "daily", "hourly"):
        budget.add_argument(
            f"--{part}-usd", metavar="USD", help=f"{part} budget in dollars, as 12.50; none: no such limit"
        )
    budget.add_argument(
        "--pacing", choices=["even", "asap"], help="spread over the hours that are left, or spent as it comes"
    )
    budget.add_argument("--timezone", help="IANA name, as America/New_York")


def run(args: argparse.Namespace) -> int:
    """Do it; with --wait, return when it is served."""
    context = load_context(args.state)
    with postgres(context, NAME) as db:
        if args.action == "list":
            return _list(db, args.json)
        if args.action == "show":
            return _show(db, args.id, args.json)
        change = _change(db, context, args)
    if args.wait:
        _wait(context, change.revision, args.timeout)
    _say(args, change)
    return 0


def _change(db: "Connection", context: Context, args: argparse.Namespace) -> "Change":
    from bidder.controller import store

    if args.action == "import":
        return store.import_campaigns(db, _read(args.file, context), confirm=args.confirm)
    if args.action == "set-budget":
        return store.set_budget(db, args.id, _budget(args), confirm=args.confirm)
    status = {"pause": "paused", "resume": "active", "archive": "archived"}[args.action]
    return store.set_status(db, args.id, status)


def _read(path: Path, context: Context) -> list[dict[str, object]]:
    """The file's campaigns; every bad line is named and nothing is imported where there is one."""
    from bidder.campaigns.model import CampaignFileError, normalise, read_lines

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CliError(f"{path}: {error}") from None
    try:
        campaigns = read_lines(text, context.settings.exchanges)
    except CampaignFileError as error:
        raise CliError(f"{path}: nothing was imported\n{error}") from None
    if not campaigns:
        raise CliError(f"{path}: no campaign in it")
    return [normalise(campaign) for campaign in campaigns]


def _budget(args: argparse.Namespace) -> dict[str, object]:
    from bidder.money.units import nano_from_usd

    parts: dict[str, object] = {}
    for name in ("total_usd", "daily_usd", "hourly_usd"):
        text = getattr(args, name)
        if text is None:
            continue
        try:
            if text != "none" and nano_from_usd(text) < 0:
                raise ValueError(f"negative: {text}")
        except ValueError as error:
            raise CliError(f"--{name.replace('_', '-')}: {error}") from None
        parts[name] = None if text == "none" else text
    if args.pacing:
        parts["pacing"] = args.pacing
    if args.timezone:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(args.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise CliError(f"--timezone: no such zone: {args.timezone}") from None
        parts["timezone"] = args.timezone
    if not parts:
        raise CliError("nothing to change: give --total-usd, --daily-usd, --hourly-usd, --pacing or --timezone")
    return parts


def _list(db: "Connection", as_json: bool) -> int:
    from bidder.controller import store

    rows = store.list_campaigns(db)
    if as_json:
        print(json.dumps(rows))
        return 0
    print(f"{'id':<24} {'advertiser':<16} {'status':<8} {'cpm':>8}  budget")
    for row in rows:
        budget = ", ".join(f"{k.removesuffix('_usd')} {v}" for k, v in (row["budget"] or {}).items() if v is not None)
        print(f"{row['id']:<24} {row['advertiser']:<16} {row['status']:<8} {row['cpm_usd']:>8}  {budget}")
    return 0


def _show(db: "Connection", campaign: str, on_one_line: bool) -> int:
    from bidder.controller import store

    print(json.dumps(store.show_campaign(db, campaign), indent=None if on_one_line else 2))
    return 0


def _wait(context: Context, revision: int, timeout_s: float) -> None:
    """Until the supervisor says that all its workers serve `revision`, with leases; very many come in parts."""
    import time

    from bidder.ops.control import ControlError, ask

    deadline = time.monotonic() + timeout_s
    last, before = "the supervisor does not answer", None
    while time.monotonic() < deadline:
        try:
            answer = ask(context.state / "run" / "supervisor.sock", {"do": "serving"}, 2.0)
            if answer["revision"] >= revision and answer["leases_revision"] >= revision and answer["leases_ready"]:
                return
            last = (
                f"workers serve revision {answer['revision']}, leases {answer['leases_revision']}"
                f" ({answer['leases']} of them{'' if answer['leases_ready'] else ', not all'})"
            )
            if last != before:
                deadline, before = time.monotonic() + timeout_s, last
        except ControlError as error:
            last = str(error)
        time.sleep(0.05)
    raise CliError(f"revision {revision} is saved, but was not served, and nothing moved for {timeout_s:g} s: {last}")


def _say(args: argparse.Namespace, change: "Change") -> None:
    if args.json:
        print(json.dumps({"revision": change.revision, "created": change.created, "updated": change.updated}))
    elif args.action == "import":
        print(f"{change.created} created, {change.updated} replaced (revision {change.revision})")
    else:
        print(f"{args.id}: done (revision {change.revision})")
