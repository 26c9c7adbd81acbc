"""What exchanges and validators check of an answer, written down a second time: request and answer in, findings out.

    check(request body, status, headers, answer body) -> [Finding], empty where nobody could object

Codes of the rules: T transport, B response, D bid (bid_rules.py). Sources: OpenRTB 2.6, sections 4 and 7, and what
open validators check. It knows banners only and nothing of outbid.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.reference import bid_rules
from tests.reference.bid_rules import ERROR, WARNING, Finding
from tests.reference.loose import Json, dictionary, items, text, texts

__all__ = ["ERROR", "WARNING", "Finding", "check"]

TEXT, NUMBER, WHOLE, TEXTS, WHOLES, LIST, OBJECT = "text", "number", "integer", "texts", "integers", "list", "object"
RESPONSE = {"id": TEXT, "seatbid": LIST, "bidid": TEXT, "cur": TEXT, "customdata": TEXT, "nbr": WHOLE, "ext": OBJECT}
SEATBID = {"bid": LIST, "seat": TEXT, "group": WHOLE, "ext": OBJECT}
BID = {
    **dict.fromkeys(("id", "impid", "adid", "cid", "crid", "dealid", "bundle", "tactic", "language", "langb"), TEXT),
    **dict.fromkeys(("nurl", "burl", "lurl", "iurl", "adm"), TEXT),
    **dict.fromkeys(("api", "protocol", "qagmediarating", "mtype", "cattax", "slotinpod", "exp", "dur"), WHOLE),
    **dict.fromkeys(("w", "h", "wratio", "hratio"), WHOLE),
    **{"price": NUMBER, "adomain": TEXTS, "cat": TEXTS, "attr": WHOLES, "apis": WHOLES, "ext": OBJECT},
}


def check(request: bytes, status: int, headers: Mapping[str, str], answer: bytes) -> list[Finding]:
    """Everything that somebody could object to. Names of headers in lower case."""
    return list(_transport(request, status, headers, answer))


def _transport(request: bytes, status: int, headers: Mapping[str, str], answer: bytes) -> Iterator[Finding]:
    asked = _object(request)
    if status == 204:
        if answer:
            yield Finding(ERROR, "T1", f"204 with {len(answer)} bytes")
    elif status == 400:
        if asked is not None:
            yield Finding(ERROR, "T3", "400 for a well-formed request")
        if answer:
            yield Finding(ERROR, "T3", "400 with a body")
    elif status == 200:
        if not headers.get("content-type", "").startswith("application/json"):
            yield Finding(WARNING, "T5", f"content type {headers.get('content-type')}")
        if not re.fullmatch(r"\d+\.\d+", headers.get("x-openrtb-version", "2.5")):
            yield Finding(WARNING, "T5", f"x-openrtb-version {headers['x-openrtb-version']}")
        try:
            given = _strict(answer)
        except ValueError as error:
            yield Finding(ERROR, "T2", str(error))
            return
        if asked is None:
            yield Finding(ERROR, "T3", "200 for a malformed request")
        else:
            yield from _response(asked, given)
    else:
        yield Finding(ERROR, "T4", f"status {status}")


def _object(body: bytes) -> Json | None:
    """A request; None where it is not one JSON object."""
    try:
        found = json.loads(body.decode("utf-8"), parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _strict(body: bytes) -> Json:
    """An answer; ValueError says why it is none."""

    def pairs(items: list[tuple[str, Any]]) -> Json:
        if len(dict(items)) < len(items):
            raise ValueError(f"a key stands twice: {[key for key, _ in items]}")
        return dict(items)

    found = json.loads(body.decode("utf-8"), object_pairs_hook=pairs, parse_float=Decimal, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _response(request: Json, response: Json) -> Iterator[Finding]:
    yield from _shape(response, RESPONSE, "response")
    if response.get("id") != text(request.get("id")):
        yield Finding(ERROR, "B1", f"id {response.get('id')!r} for {request.get('id')!r}")
    seats = response.get("seatbid")
    if seats is None:
        if "nbr" not in response:
            yield Finding(WARNING, "B2", "no bids and no nbr")
        return
    if not isinstance(seats, list) or not seats:
        yield Finding(ERROR, "B2", "an empty seatbid")
        return
    if "nbr" in response:
        yield Finding(WARNING, "B2", "nbr beside bids")
    currency, allowed = response.get("cur", "USD"), texts(request.get("cur")) or ["USD"]
    if not re.fullmatch("[A-Z]{3}", str(currency)) or currency not in [name.upper() for name in allowed]:
        yield Finding(ERROR, "B4", f"cur {currency} where {allowed} are allowed")
    seen: set[str] = set()
    for seat in seats:
        yield from _seat(request, dictionary(seat), seen)


def _seat(request: Json, seat: Json, seen: set[str]) -> Iterator[Finding]:
    yield from _shape(seat, SEATBID, "seatbid")
    name, wanted = seat.get("seat"), texts(request.get("wseat"))
    if (wanted and name not in wanted) or name in texts(request.get("bseat")):
        yield Finding(ERROR, "B6", f"seat {name}")
    if seat.get("group", 0) not in (0, 1):
        yield Finding(ERROR, "B7", f"group {seat['group']}")
    bids = items(seat.get("bid"))
    if not bids:
        yield Finding(ERROR, "B3", "a seatbid without bids")
    for bid in map(dictionary, bids):
        yield from _shape(bid, BID, "bid")
        if not bid.get("id") or bid["id"] in seen:
            yield Finding(ERROR, "D1", f"bid id {bid.get('id')!r}")
        seen.add(str(bid.get("id")))
        imps = [imp for imp in map(dictionary, items(request.get("imp"))) if text(imp.get("id")) == bid.get("impid")]
        if len(imps) != 1:
            yield Finding(ERROR, "D2", f"impid {bid.get('impid')!r} is that of {len(imps)} imps")
            continue
        yield from bid_rules.findings(request, imps[0], str(name), bid)


def _shape(value: Json, fields: Mapping[str, str], place: str) -> Iterator[Finding]:
    for key, held in value.items():
        kind = fields.get(key)
        if kind is None:
            yield Finding(WARNING, "B5", f"{place}.{key} is not in the standard")
        elif held is None:
            yield Finding(WARNING, "B5", f"{place}.{key} is null")
        elif not _is_a(held, kind):
            yield Finding(ERROR, "B5", f"{place}.{key} is no {kind}: {held!r}")


def _is_a(value: Any, kind: str) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    several = isinstance(value, list)
    return {
        TEXT: isinstance(value, str),
        WHOLE: whole,
        NUMBER: whole or isinstance(value, Decimal),
        TEXTS: several and all(isinstance(item, str) for item in value),
        WHOLES: several and all(type(item) is int for item in value),
        LIST: several,
        OBJECT: isinstance(value, dict),
    }[kind]
