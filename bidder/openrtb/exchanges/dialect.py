"""What a dialect can say: plain data, read once at start.

dialect -> settings.Exchange (a row of the settings puts its own values on top) -> openrtb.rows -> the hot path;
the tracker reads prices by it. Nothing here is interpreted while a request is answered.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one exchange differs from the standard. The defaults are OpenRTB 2.6 as it stands."""

    tmax_ms: int = 100
    """Where a request names none."""
    no_bid: Literal["204", "nbr"] = "204"
    """`nbr`: a request that was read and gets no bid is answered 200 with its id and a no-bid reason code."""
    notices: tuple[str, ...] = ("nurl", "burl", "lurl")
    """Those that a bid carries."""
    notice_url_chars: int = 500
    """A longer notice URL is refused at start: exchanges cut or drop it."""
    spend_on: Literal["billing", "win", "impression"] = "billing"
    """The notice that is money; `impression`: our pixel carries the price."""
    price: Literal["plain", "base64", "google"] = "plain"
    """What stands in place of the macro: a decimal CPM, that in base64, or Google's HMAC-SHA1 scheme."""
    price_macro: str = "${AUCTION_PRICE}"
    min_to_win_macro: str = "${AUCTION_MIN_TO_WIN}"
    """What would have won, in win and loss notices where their URLs have room for it; empty: it is not known there."""
    price_unit_nano: int = 1
    """Of an encrypted price, in nano for one impression: 1 for millionths of a CPM."""
    response_bytes: int = 0
    """Of the longest answer that is taken; 0: any."""
    gzip: bool = False
    """Longer answers are compressed where the request accepts that."""
