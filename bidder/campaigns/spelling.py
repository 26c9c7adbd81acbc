"""How a value of targeting is spelled in the index: the bytes under which a request is looked up.

`bidder/_fast/book_probe.pyx` spells what a request says in the same way.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bidder.campaigns.dimension import Dimension
from bidder.openrtb.codes import ALPHA2, ALPHA3, FORMATS, pack3, unpack3

INVENTORY = {"site": 1, "app": 2, "dooh": 3}
# Compared without case: text is folded as Python folds it.
FOLDED = {
    Dimension.CITY,
    Dimension.OS,
    Dimension.MAKE,
    Dimension.MODEL,
    Dimension.CARRIER,
    Dimension.LANGUAGE,
    Dimension.BUNDLE,
    Dimension.DOMAIN,
}
OTHERS = {Dimension.SEGMENT, Dimension.USER_ID, Dimension.FORMAT, Dimension.SIZE, Dimension.SECURE}
# Those that a campaign gives an include and an exclude list for, under their names in lower case.
LISTED = [dimension for dimension in Dimension if dimension not in OTHERS]


@lru_cache(16_384)  # sizes, formats and codes: few, and said by every campaign
def number(value: int) -> bytes:
    return value.to_bytes(8, "little", signed=True)


def spelled(dimension: Dimension, value: Any, exchanges: Mapping[str, int]) -> list[bytes]:
    """The bytes under which a request is looked up for this value; none where no request can have it."""
    match dimension:
        case Dimension.EXCHANGE:
            return [number(exchanges[value])] if value in exchanges else []
        case Dimension.COUNTRY:
            return [number(pack3(value))]
        case Dimension.INVENTORY:
            return [number(INVENTORY[value])]
        case Dimension.GENDER:
            return [number(ord(value))]
        case Dimension.DEVICE_TYPE | Dimension.CONNECTION_TYPE:
            return [number(value)]
        case Dimension.REGION:
            # A request has either the whole code, or the part behind the country.
            alpha2, _, part = value.partition("-")
            pair = [pack3(ALPHA3[alpha2]).to_bytes(4, "little") + part.encode()] if alpha2 in ALPHA3 else []
            return [value.encode(), *pair]
        case _:
            return [(value.casefold() if dimension in FOLDED else value).encode()]


def read_back(dimension: Dimension, raw: bytes, exchanges: Mapping[int, str]) -> str:
    """The value that the index spells so, folded where it is compared so; both spellings of a region are one value."""
    match dimension:
        case Dimension.REGION:
            if raw[2:3] == b"-":
                return raw.decode()
            return f"{ALPHA2[unpack3(_number(raw[:4]))]}-{raw[4:].decode()}"
        case Dimension.EXCHANGE:
            return exchanges.get(_number(raw), str(_number(raw)))
        case Dimension.COUNTRY:
            return unpack3(_number(raw))
        case Dimension.INVENTORY:
            return {code: name for name, code in INVENTORY.items()}[_number(raw)]
        case Dimension.GENDER:
            return chr(_number(raw))
        case Dimension.FORMAT:
            return FORMATS[_number(raw)]
        case Dimension.SIZE:
            return f"{_number(raw) >> 32}x{_number(raw) & 0xFFFFFFFF}"
        case Dimension.DEVICE_TYPE | Dimension.CONNECTION_TYPE | Dimension.USER_ID | Dimension.SECURE:
            return str(_number(raw))
        case _:
            return raw.decode()


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)
