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
LEAST_RATE, MOST_RATE = Decimal("1e-9"), Decimal("1e9")
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
        "--rates",
        type=Path,
        metavar="FILE",
        help='for floors in other currencies: what the base is worth in each, {"base": "USD", "rates": {"EUR": 0.92}}',
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
    """What one USD is worth, from a file that says it of its base."""
    if path is None:
        return {}
    document = _request(str(path))
    base, given = document.get("base", "USD"), document.get("rates")
    try:
        rates = {name: Decimal(str(value)) for name, value in given.items()} if isinstance(given, dict) else {}
    except InvalidOperation:
        rates = {}
    rates[str(base)] = Decimal(1)
    if "USD" not in rates or len(rates) < 2 or not all(map(_is_rate, rates.values())):
        raise _Unusable(f"{path}: rates of USD and others are wanted, numbers above 0")
    return {name: rate / rates["USD"] for name, rate in rates.items()}


def _is_rate(rate: Decimal) -> bool:
    return rate.is_finite() and LEAST_RATE <= rate <= MOST_RATE


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
