"""Shape: fields of the standard and their types; what is of the right type goes on to the other rules.

fields, found = read(value, BID, "seatbid[0].bid[0]")
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bidder.openrtb.lint.rules import Violation, broken, said

TEXT, NUMBER, WHOLE, TEXTS, WHOLES, LIST, OBJECT = "text", "number", "integer", "texts", "integers", "list", "object"

RESPONSE = {"id": TEXT, "seatbid": LIST, "bidid": TEXT, "cur": TEXT, "customdata": TEXT, "nbr": WHOLE, "ext": OBJECT}
SEATBID = {"bid": LIST, "seat": TEXT, "group": WHOLE, "ext": OBJECT}
BID = {
    **dict.fromkeys(("id", "impid", "adid", "cid", "crid", "dealid", "bundle", "tactic", "language", "langb"), TEXT),
    **dict.fromkeys(("nurl", "burl", "lurl", "iurl", "adm"), TEXT),
    **dict.fromkeys(("api", "protocol", "qagmediarating", "mtype", "cattax", "slotinpod", "exp", "dur"), WHOLE),
    **dict.fromkeys(("w", "h", "wratio", "hratio"), WHOLE),
    **dict.fromkeys(("adomain", "cat"), TEXTS),
    **dict.fromkeys(("attr", "apis"), WHOLES),
    **{"price": NUMBER, "ext": OBJECT},
}


def read(value: Any, fields: Mapping[str, str], path: str) -> tuple[dict[str, Any], list[Violation]]:
    """The fields of the right type, and what is wrong with the others. `path` is that of the object."""
    if not isinstance(value, dict):
        return {}, [broken("field_type", path, f"an object is wanted, not {said(value)}")]
    kept: dict[str, Any] = {}
    found: list[Violation] = []
    for name, held in value.items():
        kind = fields.get(name)
        if kind is None:  # its name is no part of the path: nobody knows what is in it
            found.append(broken("unknown_field", path, f"{said(name)} is not in the standard"))
        elif held is None:
            found.append(broken("null_field", at(path, name), "null"))
        elif not _is_a(held, kind):
            found.append(broken("field_type", at(path, name), f"{kind} is wanted, not {said(held)}"))
        else:
            kept[name] = held
    return kept, found


def at(path: str, name: str) -> str:
    """The path of a field."""
    return f"{path}.{name}" if path else name


def _is_a(value: Any, kind: str) -> bool:
    if kind == TEXT:
        return isinstance(value, str)
    if kind == WHOLE:
        return type(value) is int
    if kind == NUMBER:
        return type(value) is int or isinstance(value, Decimal)
    if kind == OBJECT:
        return isinstance(value, dict)
    if not isinstance(value, list):
        return False
    wanted: type[object] = {TEXTS: str, WHOLES: int, LIST: object}[kind]
    return all(type(item) is wanted or kind == LIST for item in value)
