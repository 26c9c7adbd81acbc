"""Values of a request as the most tolerant of readers takes them: numbers in texts, texts that are numbers."""

from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def dictionary(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def number(value: Any) -> Decimal:
    """Absent and unreadable: 0."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return Decimal(0)
    try:
        return Decimal(value)
    except ArithmeticError:
        return Decimal(0)


def text(value: Any) -> str | None:
    """As whoever takes numbers for names reads it."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    return str(value) or None


def texts(value: Any) -> list[str]:
    return [name for name in map(text, items(value)) if name is not None]


def numbers(value: Any) -> set[int]:
    return {int(number(item)) for item in items(value)}
