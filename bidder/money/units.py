"""Money is an int: nano-USD for one impression. $1 CPM = 1,000,000 nano-USD.

Floats appear nowhere; decimals are read from text and rounded once, half up.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import NewType

NanoUsd = NewType("NanoUsd", int)

NANO_PER_USD = 1_000_000_000
NANO_PER_CPM = 1_000_000  # a price of $1 CPM, for one impression
MAX_NANO = 2**62  # larger amounts are refused wherever text becomes money


def _scaled(text: str, scale: int) -> NanoUsd:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"not a decimal amount: {text!r}") from None
    if not value.is_finite():
        raise ValueError(f"not a finite amount: {text!r}")
    if abs(value.adjusted()) > 30:
        raise ValueError(f"amount out of range: {text!r}")
    nano = int((value * scale).to_integral_value(rounding=ROUND_HALF_UP))
    if abs(nano) > MAX_NANO:
        raise ValueError(f"amount out of range: {text!r}")
    return NanoUsd(nano)


def nano_from_usd(text: str) -> NanoUsd:
    """`"12.50"` dollars as nano-USD; ValueError says what is wrong."""
    return _scaled(text, NANO_PER_USD)


def nano_from_cpm(text: str) -> NanoUsd:
    """A price per thousand, `"2.40"`, as nano-USD for one impression."""
    return _scaled(text, NANO_PER_CPM)


def usd_text(nano: int) -> str:
    """Exact dollars with nine decimals, as reports print them: `-0.000000001`."""
    sign = "-" if nano < 0 else ""
    whole, rest = divmod(abs(nano), NANO_PER_USD)
    return f"{sign}{whole}.{rest:09d}"


def cpm_text(nano: int) -> str:
    """A price per thousand with up to six decimals and no trailing zeros: `2.4`."""
    whole, rest = divmod(nano, NANO_PER_CPM)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
