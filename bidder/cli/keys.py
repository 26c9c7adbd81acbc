"""`outbid keys`: the keys of tokens, and their rotation without losing a notice (docs/tracking.md)."""

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidder.cli.context import CliError
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.money.keyfile import Line
    from bidder.settings import Tracking

NAME = "keys"
HELP = "Keys of tokens: list, rotate, or each step of a rotation by itself."
WAIT_S = 15.0
ASK_S = 2.0
POLL_S = 0.1
STEPS = {
    "list": "all keys: which one seals, and how long tokens of the others live",
    "add": "a new key, which opens everywhere before it seals",
    "promote": "let a key seal, once all trackers have it",
    "remove": "take away a key whose last token has expired",
    "rotate": "add, wait until this host's tracker has the key, promote",
}
TIMES = ("added", "sealing", "sealed", "live_until")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    verbs = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    steps = {
        name: verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for name, text in STEPS.items()
    }
    steps["list"].add_argument("--json", action="store_true", help="print JSON")
    for name in ("promote", "remove"):
        steps[name].add_argument("kid", type=int, help="number of the key, from `outbid keys list`")
    steps["remove"].add_argument(
        "--force", action="store_true", help="though tokens of it may still come: they are refused"
    )
    steps["rotate"].add_argument("--here", action="store_true", help="also where the settings name several hosts")


def run(args: argparse.Namespace) -> int:
    """One step, or a whole rotation of a single host."""
    from bidder.money import keyfile
    from bidder.money.tokens import KeyFileError

    settings = load_context(args.state).settings
    path = args.state / keyfile.FILE
    life = timedelta(seconds=longest_life_s(settings.tracking))
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        match args.step:
            case "list":
                _list(keyfile.read_lines(path), life, args.json)
            case "add":
                print(f"kid {keyfile.add(path, now)} opens; once all trackers have it: outbid keys promote KID")
            case "promote":
                _check_known(args.state, args.kid)
                keyfile.promote(path, args.kid, now)
                print(f"kid {args.kid} seals")
            case "remove":
                keyfile.remove(path, args.kid, now, life, args.force)
                print(f"kid {args.kid} is gone")
            case _:
                if len(settings.bus.hosts) > 1 and not args.here:
                    raise CliError(
                        f"the settings name {len(settings.bus.hosts)} hosts: add here, copy the file to all, promote, "
                        "copy again (docs/tracking.md); --here rotates this host's file all the same"
                    )
                _rotate(args.state, path, now)
    except (KeyFileError, OSError) as error:
        raise CliError(str(error)) from None
    return 0


def longest_life_s(tracking: "Tracking") -> int:
    """Of any token: a click id's, which may begin with the last click that counts."""
    return tracking.longest_ttl_s + max(tracking.click_window_s, tracking.view_window_s)


def _rotate(state: Path, path: Path, now: datetime) -> None:
    from bidder.money import keyfile

    kid = keyfile.add(path, now)
    deadline = time.monotonic() + WAIT_S
    while (known := _kids_of_tracker(state)) is not None and kid not in known:
        if time.monotonic() > deadline:
            raise CliError(f"the tracker has not read kid {kid} within {WAIT_S:g} s; it opens, and does not seal yet")
        time.sleep(POLL_S)
    keyfile.promote(path, kid, now)
    print(f"kid {kid} seals" if known is not None else f"kid {kid} seals; no tracker runs here")


def _check_known(state: Path, kid: int) -> None:
    """CliError where this host's tracker could not open what the key seals."""
    known = _kids_of_tracker(state)
    if known is not None and kid not in known:
        raise CliError(f"the tracker of this host does not have kid {kid} (yet); it has {', '.join(map(str, known))}")


def _kids_of_tracker(state: Path) -> list[int] | None:
    """What this host's tracker opens with; None: none runs, so it reads the file when it starts."""
    from bidder.ops.control import ControlError, ask
    from bidder.ops.presence import present

    if not any(row["role"] == "tracker" for row in present(state)):
        return None
    try:
        return list(ask(state / "run" / "tracker.sock", {"do": "health"}, ASK_S)["kids"])
    except ControlError as error:
        raise CliError(f"the tracker runs and does not say which keys it has: {error}") from None


def _list(lines: "list[Line]", life: timedelta, as_json: bool) -> None:
    from bidder.money.keyfile import expires

    rows: list[dict[str, Any]] = []
    for n, line in enumerate(lines):
        times = (line.added, line.sealing, line.sealed, None if n == 0 else expires(line, life))
        shown = {
            name: None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in zip(TIMES, times, strict=True)
        }
        rows.append({"kid": line.key.kid, "seals": n == 0} | shown)
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{'kid':>3}  {'':5}  {'added':20}  {'sealing since':20}  {'until':20}  its tokens live until")
    for row in rows:
        said = "  ".join(f"{row[name] or '-':20}" for name in TIMES)
        print(f"{row['kid']:>3}  {'seals' if row['seals'] else 'opens'}  {said.rstrip()}")
