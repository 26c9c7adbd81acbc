"""Substitution macros of OpenRTB 2.6 §4.4, as an exchange fills them into notice URLs and markup.

fill(text, values) -> text. A macro without a value becomes the empty string, as the section wants; `:B64` encodes
the value. A text without `${AUCTION_` comes back as it is. Prices: text, CPM.
"""

import base64
import re
from collections.abc import Mapping
from urllib.parse import quote

from bidder.openrtb.macros import EXCHANGE

_MACRO = re.compile(r"\$\{(" + "|".join(EXCHANGE) + r")(:B64)?\}")


def fill(text: str, values: Mapping[str, str], *, in_url: bool) -> str:
    """`text` with its macros filled; `in_url` escapes what a query could not hold."""
    if "${AUCTION_" not in text:
        return text

    def value(found: re.Match[str]) -> str:
        plain = values.get(found[1], "")
        if found[2]:
            plain = base64.b64encode(plain.encode()).decode()
        return quote(plain, safe="") if in_url else plain

    return _MACRO.sub(value, text)
