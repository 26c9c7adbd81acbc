"""`outbid lint REQUEST RESPONSE`: what an exchange could object to in an answer."""

import argparse
import json
import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from bidder.cli.context import CliError, role_settings
from bidder.settings import SettingsError

if TYPE_CHECKING:
    from bidder.openrtb.lint import Profile

NAME = "lint"
HELP = "Check a bid response against its request: what would exchanges and validators object to?"
_EXIT_CODES = """Exit codes: 0 nobody could object; 1 violations, warnings too; 2 an input cannot be used. The rules
stand in docs/lint.md."""
VIOLATIONS, UNUSABLE = 1, 2
STDIN = "-"


class _Unusable(Exception):
    """An input cannot be used; the message is the one line that the user reads."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.epilog = _EXIT_CODES
    parser.add_argument("request", metavar="REQUEST", help="file with the bid request, a JSON object; - is stdin")
    parser.add_argument("response", metavar="RESPONSE", help="file with the body of the answer; - is stdin")
    parser.add_argument(
        "--status", type=int, metavar="N", help="of the answer (default: 200, or 204 where RESPONSE is empty)"
    )
    parser.add_argument("--exchange", metavar="NAME", help="whose seat and tmax hold (default: what the standard says)")
    parser.add_argument(
        "--rates", type=Path, metavar="FILE", help='for floors in other currencies: USD for one unit, {"EUR": 1.08}'
    )
    parser.add_argument("--json", action="store_true", help="print the violations as JSON")


def run(args: argparse.Namespace) -> int:
    """A line a violation."""
    from bidder.openrtb.lint import lint

    try:
        if args.request == args.response == STDIN:
            raise _Unusable("REQUEST and RESPONSE cannot both be -")
        request = _request(args.request)
        body = _read(args.response)
        status = (200 if body else 204) if args.status is None else args.status
        found = lint(request, body, status=status, profile=_profile(args), rates=_rates(args.rates))
    except _Unusable as error:
        print(f"outbid lint: {error}", file=sys.stderr)
        return UNUSABLE
    if args.json:
        print(json.dumps([violation._asdict() for violation in found]))
    else:
        for rule, severity, path, message in found:
            print(f"{severity:7}  {rule:20}  {path or 'answer'}: {message}")
        if not found:
            print("nothing to object to")
    return VIOLATIONS if found else 0


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise _Unusable(f"{name}: {error.strerror}") from None


def _request(name: str) -> Mapping[str, object]:
    from bidder.openrtb.lint import strict

    found = strict.request(_read(name))
    if found is None:
        raise _Unusable(f"{name}: not one JSON object")
    return found


def _rates(path: Path | None) -> Mapping[str, Decimal]:
    """As a file has them."""
    if path is None:
        return {}
    from bidder.openrtb.lint import strict

    found = strict.request(_read(str(path)))
    if found is None:
        raise _Unusable(f"{path}: not one JSON object")
    try:
        rates = {name: Decimal(str(value)) for name, value in found.items()}
    except InvalidOperation:
        rates = {}
    if len(rates) != len(found) or not all(rate.is_finite() and rate > 0 for rate in rates.values()):
        raise _Unusable(f"{path}: currencies with numbers above 0 are wanted")
    return rates


def _profile(args: argparse.Namespace) -> "Profile":
    from bidder.openrtb.lint import GENERIC
    from bidder.openrtb.profile import profile_of

    if args.exchange is None:
        return GENERIC
    try:
        exchanges = role_settings(args.state, args.settings).exchanges
    except (CliError, SettingsError) as error:
        raise _Unusable(str(error)) from None
    exchange = exchanges.get(args.exchange)
    if exchange is None:
        raise _Unusable(f"--exchange {args.exchange}: no such exchange; there are {', '.join(sorted(exchanges))}")
    return profile_of(args.exchange, exchange)
