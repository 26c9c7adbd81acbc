"""Response: ids, seats and currency, then every bid. B1 to B7."""

from collections.abc import Iterator
from typing import Any

from bidder.openrtb.lint import bid
from bidder.openrtb.lint.bid import Answer
from bidder.openrtb.lint.case import Rates
from bidder.openrtb.lint.currencies import ISO_4217
from bidder.openrtb.lint.loose import Json, text, texts
from bidder.openrtb.lint.profile import Profile
from bidder.openrtb.lint.rules import Violation, broken, said
from bidder.openrtb.lint.shape import RESPONSE, SEATBID, read

USD = "USD"


def violations(request: Json, value: dict[str, Any], profile: Profile, rates: Rates) -> Iterator[Violation]:
    """Of the object that a 200 carries."""
    response, found = read(value, RESPONSE, "")
    yield from found
    if response.get("id") != text(request.get("id")):
        yield broken("response_id", "id", f"{said(response.get('id'))} for {said(request.get('id'))}")
    seats = response.get("seatbid")
    if seats is None:
        if "nbr" not in response:
            yield broken("no_reason", "nbr", "neither bids nor nbr")
        return
    if not seats:
        yield broken("seatbid_empty", "seatbid", "empty")
        return
    if "nbr" in response:
        yield broken("nbr_with_bids", "nbr", "beside bids")
    currency: str = response.get("cur", USD)
    allowed = {name.upper() for name in texts(request.get("cur"))} or {USD}
    if currency not in ISO_4217 or currency not in allowed:
        yield broken("currency", "cur", f"{said(currency)} where {said(sorted(allowed))} are allowed")
    answer = Answer(request, currency, profile, rates)
    for n, seat in enumerate(seats):
        yield from _seat(answer, seat, f"seatbid[{n}]")


def _seat(answer: Answer, value: Any, path: str) -> Iterator[Violation]:
    seatbid, found = read(value, SEATBID, path)
    yield from found
    name, request, profile = seatbid.get("seat"), answer.request, answer.profile
    wanted = texts(request.get("wseat"))
    if (wanted and name not in wanted) or name in texts(request.get("bseat")):
        yield broken("seat", f"{path}.seat", f"{said(name)} is not wanted")
    elif profile.seats and name not in profile.seats:
        yield broken("seat", f"{path}.seat", f"{said(name)} is not known to {said(profile.name)}")
    if seatbid.get("group", 0) not in (0, 1):
        yield broken("seat_group", f"{path}.group", said(seatbid["group"]))
    bids = seatbid.get("bid", [])
    if not bids:
        yield broken("seat_without_bids", f"{path}.bid", "no bid")
    for n, one in enumerate(bids):
        yield from bid.violations(answer, one, name, f"{path}.bid[{n}]")
