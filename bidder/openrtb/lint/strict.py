"""JSON to the letter, as the strictest of readers takes an answer; and as JSON at all, for a request.

answer(body) -> object | ValueError that says why; request(body) -> object | None
Fractions are decimals, so that a price is what was written.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn


def answer(body: bytes) -> dict[str, Any]:
    """One object, no key twice. ValueError: the reason."""
    return _object(body, _pairs)


def request(body: bytes) -> dict[str, Any] | None:
    """None where it is not one JSON object."""
    try:
        return _object(body, dict)
    except ValueError:
        return None


def value(text: str) -> Any:
    """Markup that is JSON. ValueError: the reason."""
    return _load(text, _pairs)


def _object(body: bytes, pairs: Any) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    found = _load(text, pairs)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _load(text: str, pairs: Any) -> Any:
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_float=_decimal, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number beyond all bounds") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
