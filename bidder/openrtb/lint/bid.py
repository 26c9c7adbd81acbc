"""Bid: reads one, finds its imp and its medium, and asks the rooms of rules. D1, D2, D10.

violations(answer, bid, path) -> Violation...
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bidder.openrtb.lint import banner, blocks, media, native, price, regulation, urls
from bidder.openrtb.lint.case import MEDIA, Case, Rates
from bidder.openrtb.lint.loose import Json, flag, tables, text
from bidder.openrtb.lint.profile import Profile
from bidder.openrtb.lint.rules import Violation, broken, said
from bidder.openrtb.lint.shape import BID, read
from bidder.openrtb.lint.vast import Vast, VastError, looks_like_vast
from bidder.openrtb.lint.vast import read as read_vast

LONGEST_S = 10**9


@dataclass(slots=True)
class Answer:
    """What the bids of one response share."""

    request: Json
    currency: str
    profile: Profile
    rates: Rates
    ids: set[str] = field(default_factory=set)  # of the bids seen so far

    def imp(self, name: Any) -> list[Json]:
        """Those of this id."""
        return [imp for imp in tables(self.request.get("imp")) if text(imp.get("id")) == name and name]


def violations(answer: Answer, value: Any, seat: str | None, path: str) -> Iterator[Violation]:
    """All of one bid."""
    bid, found = read(value, BID, path)
    yield from found
    name = bid.get("id")
    if not name or name in answer.ids:
        yield broken("bid_id", f"{path}.id", "none" if not name else "another bid has it too")
    answer.ids.add(name or "")
    imps = answer.imp(bid.get("impid"))
    if len(imps) != 1:
        yield broken("impid", f"{path}.impid", f"{said(bid.get('impid'))} is that of {len(imps)} imps")
        return
    (imp,) = imps
    medium, found = _medium(imp, bid, path)
    yield from found
    vast: Vast | None = None
    if medium in ("video", "audio") and bid.get("adm"):
        try:
            vast = read_vast(bid["adm"])
        except VastError as error:
            yield broken("vast", f"{path}.adm", str(error))
    case = Case(
        request=answer.request,
        imp=imp,
        seat=seat,
        currency=answer.currency,
        bid=bid,
        path=path,
        medium=medium,
        vast=vast,
        duration_s=_duration(bid, vast),
        profile=answer.profile,
        rates=answer.rates,
    )
    yield from price.violations(case)
    yield from blocks.violations(case)
    yield from urls.violations(case)
    yield from regulation.violations(case)
    if flag(imp.get("secure")):
        yield from urls.secure(case)
    if medium == "banner":
        yield from banner.violations(case)
    elif medium in ("video", "audio"):
        yield from media.violations(case)
    elif medium == "native":
        yield from native.violations(case)


def _duration(bid: dict[str, Any], vast: Vast | None) -> Decimal | None:
    """Seconds: as the markup has them, else as the bid says."""
    if vast is not None and vast.durations_s:
        return sum(vast.durations_s, Decimal(0))
    return Decimal(min(bid["dur"], LONGEST_S)) if bid.get("dur", 0) > 0 else None


def _medium(imp: Json, bid: dict[str, Any], path: str) -> tuple[str, list[Violation]]:
    """What the bid is for; "" where it is for nothing that the imp offers."""
    offered = [medium for medium in MEDIA.values() if isinstance(imp.get(medium), Mapping)]
    declared = bid.get("mtype")
    if declared is not None:
        medium = MEDIA.get(declared, "")
        if medium in offered:
            return medium, []
        return "", [broken("mtype", f"{path}.mtype", f"{said(declared)} where {said(offered)} are offered")]
    absent = broken("mtype_absent", f"{path}.mtype", "none")
    if len(offered) == 1:
        return offered[0], [absent]
    told = [medium for medium in _told(bid.get("adm", "")) if medium in offered]
    if len(told) == 1:
        return told[0], [absent]
    return "", [broken("mtype_ambiguous", f"{path}.mtype", f"none, and {said(offered)} are offered")]


def _told(markup: str) -> tuple[str, ...]:
    """The media whose markup begins like this."""
    if looks_like_vast(markup):
        return "video", "audio"
    if not markup:
        return ()
    return ("native",) if markup.lstrip().startswith("{") else ("banner",)
