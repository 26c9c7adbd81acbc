"""A variant as an exchange gets it: pieces with sample values in their places, and what comes out of the JSON."""

import json
from typing import Any

from bidder.openrtb.rows import exchange_rows
from bidder.openrtb.variant import Piece, Variant
from bidder.settings import SHIPPED_EXCHANGES

BID_ID = "0123456789abcdef01234567"
NOTICE, PAGE = "N" * 124, "P" * 122 + "-_"
FILL = {
    Piece.BID_ID: BID_ID.encode(),
    Piece.IMP_ID: b"imp-1",
    Piece.PRICE: b"2.4",
    Piece.NOTICES: NOTICE.encode().join(exchange_rows(SHIPPED_EXCHANGES, "https://t.example")[0].notices),
    Piece.PIXEL_PRICE: b"",
    Piece.PAGE_TOKEN: PAGE.encode(),
    Piece.FOLLOW_TOKEN: PAGE.encode(),
    Piece.DEAL: b',"dealid":"d-7"',
}
TEXTS = {
    *(Piece.TEXT, Piece.WRAPPED_TEXT, Piece.EVENTS_TEXT, Piece.NO_EVENTS_TEXT, Piece.VIEWABLE, Piece.FOLLOW_TEXT),
}


def answer(
    variant: Variant,
    ver: str = "1.2",
    wrapped: bool = False,
    events: bool = False,
    views: bool = False,
    capped: bool = False,
) -> bytes:
    """The bid. Of a native all assets are there, numbered from 1. `capped`: answers may not have any size."""
    numbered = b",".join(b'{\\"id\\":%d%s}' % (n, one.text) for n, one in enumerate(variant.assets, 1))
    left_out = {Piece.NO_EVENTS_TEXT if events else Piece.EVENTS_TEXT} | (set() if wrapped else {Piece.WRAPPED_TEXT})
    left_out |= set() if events and views else {Piece.VIEWABLE}
    left_out |= {Piece.FOLLOW_TEXT, Piece.FOLLOW_TOKEN} if capped else set()
    fill = FILL | {Piece.ASSETS: numbered, Piece.NATIVE_VER: ver.encode()}
    found = b""
    for number, text in variant.pieces:
        kind = Piece(number)
        assert not (text and kind not in TEXTS), f"{kind!r} is no text and has one"
        if kind not in left_out:
            found += text if kind in TEXTS else fill[kind]
        if kind is Piece.VIEWABLE and kind not in left_out:
            found += PAGE.encode() + b'\\"}'
    return found


def bid(variant: Variant, **how: Any) -> dict[str, Any]:
    found = json.loads(answer(variant, **how))
    assert isinstance(found, dict)
    return found
