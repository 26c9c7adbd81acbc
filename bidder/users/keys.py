"""Keys by which users are hashed: one secret, shared by the hosts of an operator, and other keys for each period.

`keys/user.keys` has the form of a key file (bidder/money/tokens.py); its first line counts. To forget every user at
once, put another in its place on all hosts.
"""

import hmac
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bidder._fast.frequency import PERIOD_S
from bidder._fast.identity import Identity
from bidder.money.tokens import create_keys

FILE = "keys/user.keys"


def keys_of(secret: bytes, period: int) -> bytes:
    """64 bytes, from which nobody can work out those of another period."""
    return hmac.digest(secret, b"outbid users" + period.to_bytes(8, "big"), "sha512")


def user_keys(state: Path) -> Callable[[int], bytes]:
    """Of every period, by `user_secret`."""
    return partial(keys_of, user_secret(state))


def user_secret(state: Path) -> bytes:
    """The secret of this host's key file, which the first start makes. KeyFileError: it cannot be used."""
    return create_keys(state / FILE)[0].secret


def identity_at(keys: Callable[[int], bytes], now_s: float) -> Identity:
    """That of the period of `now_s` (unix)."""
    return Identity(keys(int(now_s) // PERIOD_S))
