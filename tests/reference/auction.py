"""The slow, obvious truth of the auction: which campaigns may bid on an imp, for how much, and else why not.

Money of other currencies is exact: fractions, by way of whole nano-USD where a floor is in neither of the two.
Reads plain, well-formed requests and campaigns of the import format; of targeting it knows
what decides an auction: sizes, country, deals. Prices: nano-USD for one impression.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from bidder.money.units import nano_from_cpm
from bidder.outcome import Reason

Json = Mapping[str, Any]


@dataclass
class Purse:
    left: int
    off: bool = False
    throttled: bool = False
    multiplier: int = 65_536


@dataclass(frozen=True)
class Offer:
    """One way for a campaign to bid; `creatives` are those that may serve it."""

    price: int  # USD
    asked: int  # in the currency of the answer
    campaign: str
    deal: str | None
    creatives: frozenset[str]


@dataclass(frozen=True)
class Place:
    """Where the request came in, and when."""

    exchange: str
    seat: str
    now: datetime
    per_usd: Mapping[str, Fraction]  # rates, USD among them


def currency_of(request: Json, per_usd: Mapping[str, Fraction]) -> str | None:
    """Of the answer; None: there can be none."""
    named = request.get("cur") or ["USD"]
    return "USD" if "USD" in named else next((name for name in named if name in per_usd), None)


def asked_for(price: int, currency: str, place: Place) -> int:
    """No more than the campaign bids."""
    return math.floor(price * place.per_usd[currency])


def least_price(floor: int, floor_currency: str, currency: str, place: Place) -> int | None:
    """In USD, so that what is asked is not below the floor; None: nobody knows what the floor is worth."""
    if floor_currency not in place.per_usd:
        return None
    rate = place.per_usd[currency]
    least = Fraction(floor) if floor_currency == currency else math.ceil(floor / place.per_usd[floor_currency]) * rate
    return math.ceil(math.ceil(least) / rate)


def gate(request: Json, seat: str, per_usd: Mapping[str, Fraction]) -> Reason:
    """What concerns the request as a whole."""
    if request.get("wseat") and seat not in request["wseat"]:
        return Reason.SEAT
    if seat in request.get("bseat", []):
        return Reason.SEAT
    if currency_of(request, per_usd) is None:
        return Reason.CURRENCY
    return Reason.NONE


def imp_reason(request: Json, imp: Json) -> Reason:
    """What concerns an imp before any campaign is looked at."""
    if "id" not in imp or [other.get("id") for other in request["imp"]].count(imp["id"]) > 1:
        return Reason.INVALID_REQUEST
    return Reason.NONE if "banner" in imp else Reason.FORMAT


def offers(
    campaigns: Sequence[Json], purses: Mapping[str, Purse], request: Json, imp: Json, place: Place
) -> tuple[list[Offer], Reason]:
    """Every campaign's offer, and the reason that came closest among those that make none."""
    made: list[Offer] = []
    reason = Reason.TARGETING
    for campaign in campaigns:
        lost = lost_to(campaign, request, imp)
        if lost is not Reason.NONE:
            reason = max(reason, lost)
        else:
            found = offer(campaign, purses[campaign["id"]], request, imp, place)
            if isinstance(found, Offer):
                made.append(found)
            else:
                reason = max(reason, found)
    return made, reason


def lost_to(campaign: Json, request: Json, imp: Json) -> Reason:
    """NONE: its targeting accepts the imp."""
    targeting = campaign.get("targeting", {})
    countries = targeting.get("country", {}).get("include", [])
    if countries and request.get("device", {}).get("geo", {}).get("country") not in countries:
        return Reason.TARGETING
    wanted = targeting.get("deal", {}).get("include", [])
    if wanted and not any(deal["id"] in wanted for deal in deals(imp)):
        return Reason.DEAL
    named = sizes(imp["banner"])
    if named and not any((creative["w"], creative["h"]) in named for creative in campaign["creatives"]):
        return Reason.SIZE
    if imp.get("secure") and all("http:" in creative["adm"].lower() for creative in campaign["creatives"]):
        return Reason.SECURE
    return Reason.NONE


def offer(campaign: Json, purse: Purse, request: Json, imp: Json, place: Place) -> Offer | Reason:
    flight = campaign.get("flight", {})
    if "start" in flight and place.now < instant(flight["start"]):
        return Reason.FLIGHT
    if "end" in flight and place.now >= instant(flight["end"]):
        return Reason.FLIGHT
    if purse.off:
        return Reason.CAMPAIGN_OFF
    price = max(1, nano_from_cpm(campaign["bid"]["cpm_usd"]) * purse.multiplier // 65_536)
    ways = [way(campaign, price, deal, request, imp, place) for deal in options(campaign, imp)]
    open_to = [found for found in ways if isinstance(found, Offer)]
    if not open_to:
        return max((found for found in ways if isinstance(found, Reason)), default=Reason.DEAL)
    if campaign.get("frequency"):
        return Reason.FREQUENCY
    if purse.throttled:
        return Reason.PACED
    best = max(open_to, key=lambda found: found.price)  # the first of the dearest
    return best if purse.left >= best.price else Reason.PURSE_EMPTY


def options(campaign: Json, imp: Json) -> list[Json | None]:
    """The deals that this campaign may bid through; [None] for an open bid."""
    wanted = campaign.get("targeting", {}).get("deal", {}).get("include", [])
    if not wanted:
        return [] if imp.get("pmp", {}).get("private_auction") else [None]
    return [deal for deal in deals(imp) if deal["id"] in wanted]


def way(campaign: Json, price: int, deal: Json | None, request: Json, imp: Json, place: Place) -> Offer | Reason:
    if deal is not None and deal.get("wseat") and place.seat not in deal["wseat"]:
        return Reason.DEAL
    own = deal if deal is not None and deal.get("bidfloor") else imp
    floor, floor_currency = nano_from_cpm(str(own.get("bidfloor", 0))), own.get("bidfloorcur", "USD")
    currency = currency_of(request, place.per_usd) or "USD"
    least = least_price(floor, floor_currency, currency, place) if floor else 0
    if least is None:
        return Reason.FLOOR_CURRENCY
    if price < least:
        return Reason.FLOOR
    asked = asked_for(price, currency, place)
    if deal is not None and own is deal and deal.get("at") == 3:
        price = least
        asked = floor if floor_currency == currency else asked_for(least, currency, place)
    reasons = {c["id"]: creative_reason(c, request, imp, deal, place.exchange) for c in campaign["creatives"]}
    allowed = frozenset(name for name, reason in reasons.items() if reason is Reason.NONE)
    if not allowed:
        return max(reasons.values())
    return Offer(price, asked, campaign["id"], None if deal is None else deal["id"], allowed)


def creative_reason(creative: Json, request: Json, imp: Json, deal: Json | None, exchange: str) -> Reason:
    banner = imp["banner"]
    adm = creative["adm"].lower()
    blocked = banner.get("btype", [])
    domains = creative.get("adomain", [])
    checks = {
        Reason.SIZE: not fits(creative["w"], creative["h"], banner),
        Reason.BATTR: bool(set(creative.get("attr", [])) & set(banner.get("battr", []))),
        Reason.BTYPE: 2 in blocked or (3 in blocked and "<script" in adm) or (4 in blocked and "<iframe" in adm),
        Reason.API: not set(creative.get("api", [])) <= set(banner.get("api", [])),
        Reason.SECURE: bool(imp.get("secure")) and "http:" in adm,
        Reason.APPROVAL: creative.get("approval", {}).get(exchange, "approved") != "approved",
        Reason.LANGUAGE: not all(
            speaks(creative.get("language", ""), request[key]) for key in ("wlang", "wlangb") if request.get(key)
        ),
        Reason.BAPP: creative.get("bundle", "").lower() in [app.lower() for app in request.get("bapp", [])],
        Reason.BCAT: bool(covered(creative, request.get("bcat", [])))
        or (bool(request.get("acat")) and covered(creative, request["acat"]) != (creative.get("cat") or None)),
        Reason.BADV: bool(request.get("badv")) and (not domains or below(domains, request["badv"])),
        Reason.DEAL: deal is not None and bool(deal.get("wadomain")) and not below(domains, deal["wadomain"]),
    }
    return next((reason for reason, stops in checks.items() if stops), Reason.NONE)


def covered(creative: Json, entries: list[str]) -> list[str]:
    """Its categories that are listed, or below a listed one."""
    cats = creative.get("cat", [])
    return [cat for cat in cats if any((cat.lower() + "-").startswith(entry.lower() + "-") for entry in entries)]


def speaks(language: str, wanted: list[str]) -> bool:
    return not language or any(f"{name.lower()}-".startswith(f"{language}-") for name in wanted)


def below(domains: list[str], entries: list[str]) -> bool:
    return any(("." + domain.lower()).endswith("." + entry.lower()) for domain in domains for entry in entries)


def sizes(banner: Json) -> list[tuple[int, int]]:
    named = [(size["w"], size["h"]) for size in banner.get("format", []) if "w" in size]
    if named:
        return named
    return [(banner["w"], banner["h"])] if "w" in banner and "h" in banner else []


def fits(w: int, h: int, banner: Json) -> bool:
    named = sizes(banner)
    if named or any("wratio" in size for size in banner.get("format", [])):
        return (w, h) in named
    return bool(
        banner.get("wmin", 0) <= w <= banner.get("wmax", w) and banner.get("hmin", 0) <= h <= banner.get("hmax", h)
    )


def deals(imp: Json) -> list[Json]:
    found: list[Json] = imp.get("pmp", {}).get("deals", [])
    return found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
