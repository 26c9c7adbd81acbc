"""Manual of the compiled tokens; `bidder.money.tokens` is the face that Python code uses."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

# exchange, flags, arm, format, os, currency, rate_version, country, w, h,
# campaign, creative, deal, inventory, lease, bid_price, taken, asked, user, user_stamp
_Fields: TypeAlias = tuple[
    int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int
]

class Sealer:
    """Seals with the first of `keys`, pairs of (kid, 32 bytes). ValueError for keys that cannot be used."""

    plain: bool
    """Seals in the way of processors that know neither carry-less multiplication nor shuffles; False at first."""

    def __init__(self, keys: Iterable[tuple[int, bytes]]) -> None: ...
    def token(self, token_class: int, bid_id: bytes, fields: _Fields) -> bytes:
        """124 characters. Never seal two different tokens of one class for one bid id: it is the nonce."""

class Opener:
    """Opens what any of `keys` has sealed. ValueError for keys that cannot be used, or a kid that is there twice."""

    def __init__(self, keys: Iterable[tuple[int, bytes]]) -> None: ...
    def fields(self, token: object, token_class: int) -> tuple[bytes, *_Fields] | None:
        """The bid id and all fields, or None for anything that is not a genuine token of this class."""

class BidIds:
    """`draw(5)` gives the random bytes of an epoch; `first` is the counter of the first id."""

    def __init__(self, draw: Callable[[int], bytes] = ..., first: int = 0) -> None: ...
    def take(self, minute: int) -> bytes:
        """The next bid id, 12 bytes; `minute` counts from 1970."""
