"""Values of a request as the most tolerant of readers takes them: numbers in texts, names that are numbers.

Nothing here raises, whatever the value. Numbers are decimals of at most LARGEST, so that none can overflow.
"""

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Mapping[str, Any]

LARGEST = Decimal(10) ** 18
LONGEST = 64  # characters of a number in a text
ZERO = Decimal(0)


def table(value: Any) -> Json:
    """An object; empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Any]:
    """An array; empty for anything else."""
    return value if isinstance(value, list) else []


def tables(value: Any) -> list[Json]:
    """The objects of an array."""
    return [item for item in items(value) if isinstance(item, Mapping)]


def bounded(value: Decimal) -> Decimal:
    """Within LARGEST; 0 for what is no number."""
    if not value.is_finite():
        return ZERO
    return max(-LARGEST, min(LARGEST, value))


def number(value: Any) -> Decimal:
    """0 for what is absent or unreadable."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return ZERO
    if isinstance(value, int):
        return (
            bounded(Decimal(value))
            if value.bit_length() < 1_000
            else LARGEST.copy_sign(Decimal(1 if value > 0 else -1))
        )
    if isinstance(value, Decimal):
        return bounded(value)
    if isinstance(value, float):
        return bounded(Decimal(repr(value)))  # as it was written, not as it is stored
    if isinstance(value, str) and len(value) <= LONGEST:
        try:
            return bounded(Decimal(value.strip()))
        except InvalidOperation:
            return ZERO
    return ZERO


def flag(value: Any) -> bool:
    """Is it 1?"""
    return value is True or number(value) == 1


def text(value: Any) -> str | None:
    """As whoever takes numbers for names reads it; None for what is absent, empty or no name."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, Decimal | float):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > 1_000:
        return None
    return str(value)


def texts(value: Any) -> list[str]:
    """The names of an array."""
    return [name for name in map(text, items(value)) if name is not None]


def codes(value: Any) -> set[int]:
    """The whole numbers of an array, or of a single one that stands for an array."""
    found = map(number, items(value) if isinstance(value, list) else [value])
    return {int(one) for one in found if one > 0 and one == one.to_integral_value()}
