"""Prices as exchanges write them into a notice: plain, in base64, or encrypted by Google's scheme.

text -> macro left as it was? -> plain | base64 | google -> nano for one impression in the bid's currency, and a flag
Google's scheme (Authorized Buyers, "Decrypt Price Confirmations"; also Index, OpenX, BidSwitch), in web-safe base64:
initialisation vector 16 | price 8, xored with HMAC-SHA1(encryption key, vector) | first 4 bytes of
HMAC-SHA1(integrity key, price ‖ vector). Keys come from a file, a line a pair; all of them open, so a new pair is
added before the old one goes.
Never raises for what a peer sent.
"""

import base64
import binascii
import hashlib
import hmac
import re
from pathlib import Path
from typing import NamedTuple

from bidder.events.schema import NoticeFlag
from bidder.money.units import nano_from_cpm
from bidder.settings import Exchange

VECTOR = 16
PRICE = 8
SIGNATURE = 4
MAX_UNITS = 2**53  # more is no price, whatever its unit

# A plain number; Decimal alone would also take NaN, underscores and digits of other scripts.
DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
# The macro as it was, in the spellings of exchanges: ${AUCTION_PRICE}, ${AUCTION_PRICE:B64}, {...}, %%WINNING_PRICE%%.
_MACRO = re.compile(r"\$?\{.*\}|%%.*%%", re.ASCII | re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9_+/-]+=*", re.ASCII)


class PriceKeyError(ValueError):
    """A file of price keys cannot be used; the message says which line and why."""


class PriceKeys(NamedTuple):
    """What one exchange encrypts with."""

    encryption: bytes
    integrity: bytes

    def __repr__(self) -> str:
        return "PriceKeys(...)"  # secrets have no place in logs and tracebacks


def load_price_keys(path: Path) -> tuple[PriceKeys, ...]:
    """Every pair of the file: `ENCRYPTION INTEGRITY`, each in web-safe base64, as the exchange shows them."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PriceKeyError(f"{path}: {error}") from None
    pairs = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        keys = [_bytes(word) for word in words]
        if len(keys) != 2 or any(key is None or len(key) < 16 for key in keys):
            raise PriceKeyError(f"{path}:{number}: two keys in web-safe base64 are wanted, 16 bytes or more each")
        pairs.append(PriceKeys(*(key for key in keys if key is not None)))
    if not pairs:
        raise PriceKeyError(f"{path}: it has no keys")
    return tuple(pairs)


def _bytes(text: str) -> bytes | None:
    """What base64 says, in either alphabet, padded or not."""
    if not _BASE64.fullmatch(text):
        return None
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return None


def decrypt(text: str, keys: tuple[PriceKeys, ...]) -> int | None:
    """The whole number that was encrypted with one of these; None for what is not genuine."""
    message = _bytes(text)
    if message is None or len(message) != VECTOR + PRICE + SIGNATURE:
        return None
    vector, hidden, signature = message[:VECTOR], message[VECTOR : VECTOR + PRICE], message[VECTOR + PRICE :]
    for pair in keys:
        pad = hmac.digest(pair.encryption, vector, hashlib.sha1)
        price = bytes(a ^ b for a, b in zip(hidden, pad, strict=False))
        wanted = hmac.digest(pair.integrity, price + vector, hashlib.sha1)[:SIGNATURE]
        if hmac.compare_digest(wanted, signature):
            return int.from_bytes(price, "big")
    return None


def _plain(text: str) -> tuple[int, NoticeFlag]:
    if not DECIMAL.fullmatch(text):
        return 0, NoticeFlag.PRICE_INVALID
    try:
        nano = nano_from_cpm(text)
    except ValueError:  # out of range
        return 0, NoticeFlag.PRICE_INVALID
    return (nano, NoticeFlag.NONE) if nano > 0 else (0, NoticeFlag.PRICE_INVALID)


def read_amount(
    text: str | None, exchange: Exchange | None, keys: tuple[PriceKeys, ...] = ()
) -> tuple[int, NoticeFlag]:
    """A price and what is wrong with it; 0 unless nothing is. `exchange` is None where the settings have it no more."""
    if text is None or not text.strip() or text == "AUDIT" or _MACRO.fullmatch(text):
        return 0, NoticeFlag.PRICE_MISSING
    if exchange is None:
        return 0, NoticeFlag.PRICE_UNVERIFIABLE
    if exchange.price == "google":
        units = decrypt(text, keys)
        if units is None:
            return 0, NoticeFlag.PRICE_UNVERIFIABLE
        if not 0 < units <= MAX_UNITS:
            return 0, NoticeFlag.PRICE_INVALID
        return units * exchange.price_unit_nano, NoticeFlag.NONE
    if exchange.price == "base64":
        raw = _bytes(text)
        text = "" if raw is None else raw.decode("ascii", "replace")
    return _plain(text)
