"""Token keys, and what a token says once it is open.

key file -> load_keys -> Sealer (bidder, with the first key) | Opener (tracker, with all)

A key file has a line a key, `kid hex64`, and words `name=value` behind: the first seals, all open. How a new key
becomes the first and an old one leaves: `keyfile.py`. Prices: nano-USD for one impression.
Opening never raises: what is not genuine is None.
"""

import base64
import contextlib
import os
import secrets
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from bidder._fast import tokens as compiled
from bidder._fast.tokens import BidIds, Sealer
from bidder.money.units import MAX_NANO

__all__ = [
    "BidIds",
    "Key",
    "KeyFileError",
    "Keys",
    "Opener",
    "Sealer",
    "Token",
    "TokenClass",
    "click_id",
    "create_keys",
    "key_of",
    "kid_of",
    "load_keys",
    "seal",
]

SECRET_BYTES = 32
FLAG_TEST = 1  # of Token.flags: the request was a test, nothing of it is booked


class KeyFileError(ValueError):
    """A key file cannot be used; the message says which line and why."""


class TokenClass(IntEnum):
    """Who sees the token. One class never opens as the other; `_fast/tokens.pxd` has the same numbers."""

    NOTICE = 0xE1  # the exchange: win, bill, loss
    PAGE = 0xE2  # the page: impression, click
    CLICK = 0xE3  # the advertiser, as the id of a click: conversion. Sealed by the tracker, see `click_id`


class Key(NamedTuple):
    """`kid` (0 to 255) names the key in every token that it has sealed."""

    kid: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(kid={self.kid})"  # a secret has no place in logs and tracebacks


Keys = tuple[Key, ...]


class Token(msgspec.Struct, frozen=True):
    """What a genuine token says; fields and order of `TokenFields` in `_fast/tokens.pxd`."""

    bid_id: bytes  # 12 bytes: minute u32 BE | worker epoch | counter
    exchange: int = 0
    flags: int = 0
    arm: int = 0
    format: int = 0  # mtype
    os: int = 0
    currency: int = 0  # of the bid, packed; 0: USD
    rate_version: int = 0  # day of the rate, since 1970
    country: int = 0  # packed alpha-3
    w: int = 0
    h: int = 0
    campaign: int = 0
    creative: int = 0
    deal: int = 0
    inventory: int = 0
    lease: int = 0
    bid_price: int = 0  # nano-USD, below 2**32
    taken: int = 0  # reserved in the purse
    asked: int = 0  # what the exchange was told, nano of the currency; 0: bid_price
    user: int = 0  # by whom the bid's caps count: a keyed hash that means nothing without our keys; 0: it has no caps
    user_stamp: int = 0  # second of the bid << 2 | lowest bits of the period whose keys made `user`

    @property
    def minute(self) -> int:
        """UTC minute of the bid, from its id."""
        return int.from_bytes(self.bid_id[:4], "big")

    def in_usd(self, paid: int) -> int:
        """A price in the currency of the bid as nano-USD, in the proportion in which we bid; rounded half up."""
        if not self.asked:
            return paid
        return min((paid * self.bid_price * 2 + self.asked) // (2 * self.asked), MAX_NANO)

    @property
    def test(self) -> bool:
        return bool(self.flags & FLAG_TEST)


def load_keys(path: Path) -> Keys:
    """Every key of the file, the sealing one first."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise KeyFileError(f"{path}: no such key file; the first start of a host creates it") from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: not a key file: lines of `kid hex64` are wanted") from None
    keys = [key_of(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not keys:
        raise KeyFileError(f"{path}: it has no key")
    for number, key in enumerate(keys):
        if any(key.kid == earlier.kid for earlier in keys[:number]):
            raise KeyFileError(f"{path}: kid {key.kid} is there twice")
    return tuple(keys)


def key_of(line: str, where: str) -> Key:
    """One line of a key file, which is not blank."""
    kid, *rest = line.split()
    text, *words = rest or [""]
    if not kid.isdigit() or int(kid) > 255:
        raise KeyFileError(f"{where}: a kid of 0 to 255 is wanted in front")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES or not all("=" in word for word in words):
        raise KeyFileError(f"{where}: {2 * SECRET_BYTES} hex digits are wanted behind the kid")
    return Key(int(kid), secret)


def create_keys(path: Path) -> Keys:
    """The keys at `path`, with a first one drawn where there is no file yet.

    Processes that start together agree: the file appears whole, and the first one stays.
    """
    if path.exists():
        return load_keys(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as draft:  # 0600
        draft.write(f"1 {secrets.token_hex(SECRET_BYTES)}\n".encode())
        draft.flush()
        os.fsync(draft.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first
            path.hardlink_to(draft.name)
    return load_keys(path)


def seal(sealer: Sealer, token_class: TokenClass, token: Token) -> str:
    """The token as it stands in a URL. A bid id seals one token of each class, never two different ones."""
    bid_id, *fields = msgspec.structs.astuple(token)
    return sealer.token(token_class, bid_id, tuple(fields)).decode()


def click_id(sealer: Sealer, page: Token) -> str:
    """The id of a click on the page of this token, for the advertiser to keep and to tell a conversion by.

    Two clicks give one id, so one nonce never seals two texts. By whom caps count is nobody's business there.
    """
    return seal(sealer, TokenClass.CLICK, msgspec.structs.replace(page, user=0, user_stamp=0))


def kid_of(token: str) -> int | None:
    """Of the key that seals a token, if it is one; None for what cannot be."""
    try:
        return base64.urlsafe_b64decode(token[:4])[0]
    except (ValueError, IndexError):
        return None


class Opener:
    """Opens what any key of `keys` has sealed."""

    def __init__(self, keys: Keys) -> None:
        self._opener = compiled.Opener(keys)

    def open(self, token: str | bytes, token_class: TokenClass) -> Token | None:
        """What the token says, or None for anything that is not a genuine token of this class."""
        fields = self._opener.fields(token, token_class)
        return None if fields is None else Token(*fields)
