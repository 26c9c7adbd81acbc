"""The slow, obvious truth of the auction: which campaigns may bid on an imp, for how much, and else why not.

Reads plain, well-formed requests and campaigns of the import format; of targeting it knows
what decides an auction: sizes, country, deals. Prices: nano-USD for one impression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
    """One way for a campaign to bid; `creatives` are those that may serve it. A higher standing goes first."""

    standing: int  # 0 open, 1 through a deal, 2 through a guaranteed one
    price: int
    campaign: str
    deal: str | None
    creatives: frozenset[str]


@dataclass(frozen=True)
class Place:
    """Where the request came in, and when."""

    exchange: str
    seat: str
    now: datetime


def gate(request: Json, seat: str) -> Reason:
    """What concerns the request as a whole."""
    if request.get("wseat") and seat not in request["wseat"]:
        return Reason.SEAT
    if seat in request.get("bseat", []):
        return Reason.SEAT
    if request.get("cur") and "USD" not in request["cur"]:
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
    full = nano_from_cpm(campaign["bid"]["cpm_usd"])
    price = max(1, full * purse.multiplier // 65_536)
    ways = [
        way(campaign, full if guaranteed(deal) else price, deal, request, imp, place) for deal in options(campaign, imp)
    ]
    open_to = [found for found in ways if isinstance(found, Offer)]
    if not open_to:
        return max((found for found in ways if isinstance(found, Reason)), default=Reason.DEAL)
    if campaign.get("frequency"):
        return Reason.FREQUENCY
    best = max(open_to, key=lambda found: (found.standing, found.price))  # the first of the dearest
    if purse.throttled and best.standing < 2:
        return Reason.PACED
    return best if purse.left >= best.price else Reason.PURSE_EMPTY


def options(campaign: Json, imp: Json) -> list[Json | None]:
    """The deals that this campaign may bid through; [None] for an open bid."""
    wanted = campaign.get("targeting", {}).get("deal", {}).get("include", [])
    if not wanted:
        return [] if imp.get("pmp", {}).get("private_auction") else [None]
    return [deal for deal in deals(imp) if deal["id"] in wanted]


def guaranteed(deal: Json | None) -> bool:
    return deal is not None and deal.get("guar") == 1


def way(campaign: Json, price: int, deal: Json | None, request: Json, imp: Json, place: Place) -> Offer | Reason:
    if deal is not None and deal.get("wseat") and place.seat not in deal["wseat"]:
        return Reason.DEAL
    own = deal if deal is not None and deal.get("bidfloor") else imp
    floor = nano_from_cpm(str(own.get("bidfloor", 0)))
    if floor and own.get("bidfloorcur", "USD") != "USD":
        return Reason.FLOOR_CURRENCY
    if price < floor:
        return Reason.FLOOR
    if deal is not None and own is deal and deal.get("at") == 3:
        price = floor
    reasons = {c["id"]: creative_reason(c, request, imp, deal, place.exchange) for c in campaign["creatives"]}
    allowed = frozenset(name for name, reason in reasons.items() if reason is Reason.NONE)
    if not allowed:
        return max(reasons.values())
    standing = 0 if deal is None else 1 + guaranteed(deal)
    return Offer(standing, price, campaign["id"], None if deal is None else deal["id"], allowed)


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
