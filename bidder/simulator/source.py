"""Bid requests to play: a corpus as it is, or synthetic traffic; each with what an auction must know of it.

corpus(path) | synthetic(seed, n) -> bodies -> ask() -> Asked, one a body, made before the play begins
A body is never changed. What cannot be read of one has a default, for real requests are of all kinds.
Floors: int nano-USD for one impression, where the currency is USD.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bidder.simulator.options import PlayError
from bidder.simulator.traffic import requests

SYNTHETIC_BODIES = 10_000  # different ones; then they come round again
_FIRST_PRICE, _SECOND_PRICE, _AGREED = 1, 2, 3  # OpenRTB `at`
_MAX_FLOOR_CPM = 1e9


class Floor(NamedTuple):
    """What a bid must reach; `nano` counts only where `currency` is that of the bid."""

    nano: int
    currency: str


class Deal(NamedTuple):
    """`at` is 0 where the request's holds."""

    floor: Floor
    at: int


class Imp(NamedTuple):
    """One impression on offer."""

    floor: Floor
    deals: Mapping[str, Deal]


class Asked(NamedTuple):
    """One request as its auction sees it."""

    id: str
    test: bool
    second_price: bool
    imps: Mapping[str, Imp]

    def clearing(self, deal: Deal | None) -> int:
        """How the price is found: OpenRTB `at`."""
        if deal is not None and deal.at in (_FIRST_PRICE, _SECOND_PRICE, _AGREED):
            return deal.at
        return _SECOND_PRICE if self.second_price else _FIRST_PRICE


UNREADABLE = Asked("", False, False, {})


def corpus(path: Path) -> list[bytes]:
    """The lines of a file; only \\n ends a line. PlayError where there is none."""
    try:
        bodies = path.read_bytes().split(b"\n")
    except OSError as error:
        raise PlayError(f"{path}: {error.strerror}") from None
    if not bodies[-1]:
        bodies.pop()
    if not bodies:
        raise PlayError(f"{path}: no bid request in it")
    return bodies


def synthetic(seed: int, n: int) -> list[bytes]:
    """The first `n` bodies of this seed, at most SYNTHETIC_BODIES."""
    return list(islice(requests(seed), min(n, SYNTHETIC_BODIES)))


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _floor(table: Mapping[str, Any]) -> Floor:
    cpm = _number(table.get("bidfloor"))
    nano = round(cpm * 1_000_000) if 0 < cpm < _MAX_FLOOR_CPM else 0
    return Floor(nano, str(table.get("bidfloorcur") or "USD"))


def _imp(table: Mapping[str, Any]) -> Imp:
    deals = _tables(_table(table.get("pmp")).get("deals"))
    return Imp(_floor(table), {str(deal.get("id")): Deal(_floor(deal), int(_number(deal.get("at")))) for deal in deals})


def ask(body: bytes) -> Asked:
    """What an auction must know of a request; UNREADABLE where it is no JSON object."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return UNREADABLE
    if not isinstance(request, dict):
        return UNREADABLE
    imps = {str(imp.get("id")): _imp(imp) for imp in _tables(request.get("imp"))}
    return Asked(
        id=str(request.get("id")),
        test=request.get("test") in (1, "1"),
        second_price=request.get("at") not in (1, "1"),  # the standard's default is 2
        imps=imps,
    )
