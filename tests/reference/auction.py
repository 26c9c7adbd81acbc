"""The slow, obvious truth of the auction: which campaigns may bid on an imp, for how much, and else why not.

Money of other currencies is exact: fractions, by way of whole nano-USD where a floor is in neither of the two.
Reads plain, well-formed requests and campaigns of the import format; of targeting it knows
what decides an auction: formats, sizes, country, deals. Prices: nano-USD for one impression.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from bidder.money.units import nano_from_cpm
from bidder.outcome import Reason
from tests.reference import formats

Json = dict[str, Any]

MEDIA = ("banner", "video", "audio", "native")


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
    return Reason.NONE if any(medium in imp for medium in MEDIA) else Reason.FORMAT


def closest(*reasons: Reason) -> Reason:
    return max(reasons, key=lambda reason: reason.rank)


def offers(
    campaigns: Sequence[Json],
    purses: Mapping[str, Purse],
    request: Json,
    imp: Json,
    place: Place,
    pods: formats.Pods | None = None,
) -> tuple[list[Offer], Reason]:
    """Every campaign's offer, and the reason that came closest among those that make none."""
    pods = pods or formats.Pods()
    made: list[Offer] = []
    reason = Reason.NONE
    for campaign in campaigns:
        lost = lost_to(campaign, request, imp)
        if lost is not Reason.NONE:
            # What its targeting refuses says nothing of the imp, unless no campaign says more.
            reason = closest(reason, lost) if lost is not Reason.TARGETING else reason
        else:
            found = offer(campaign, purses[campaign["id"]], request, imp, place, pods)
            if isinstance(found, Offer):
                made.append(found)
            else:
                reason = closest(reason, found)
    return made, reason if made or reason is not Reason.NONE else Reason.TARGETING


def lost_to(campaign: Json, request: Json, imp: Json) -> Reason:
    """NONE: its targeting accepts the imp."""
    targeting = campaign.get("targeting", {})
    countries = targeting.get("country", {}).get("include", [])
    if countries and request.get("device", {}).get("geo", {}).get("country") not in countries:
        return Reason.TARGETING
    wanted = targeting.get("deal", {}).get("include", [])
    if wanted and not any(deal["id"] in wanted for deal in deals(imp)):
        return Reason.DEAL
    creatives = campaign["creatives"]
    if not any(formats.kind(creative) in imp for creative in creatives):
        return Reason.FORMAT
    if all(formats.kind(creative) == "banner" for creative in creatives):
        named = sizes(imp["banner"])
        # What a ratio leaves over is found creative by creative, after all that concerns the campaign.
        ratios = any("wratio" in size for size in imp["banner"].get("format", []))
        if named and not ratios and not any(fits(one["w"], one["h"], imp["banner"]) for one in creatives):
            return Reason.SIZE
    if imp.get("secure") and not any(secure(creative) for creative in creatives):
        return Reason.SECURE
    return Reason.NONE


def secure(creative: Json) -> bool:
    return "http:" not in json.dumps(creative).lower()


def offer(campaign: Json, purse: Purse, request: Json, imp: Json, place: Place, pods: formats.Pods) -> Offer | Reason:
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
        way(campaign, full if guaranteed(deal) else price, deal, request, imp, place, pods)
        for deal in options(campaign, imp)
    ]
    open_to = [found for found in ways if isinstance(found, Offer)]
    if not open_to:
        return closest(*[found for found in ways if isinstance(found, Reason)]) if ways else Reason.DEAL
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


def way(
    campaign: Json, price: int, deal: Json | None, request: Json, imp: Json, place: Place, pods: formats.Pods
) -> Offer | Reason:
    if deal is not None and deal.get("wseat") and place.seat not in deal["wseat"]:
        return Reason.DEAL
    own = deal if deal is not None and deal.get("bidfloor") else imp
    floor_currency = own.get("bidfloorcur", "USD")
    currency = currency_of(request, place.per_usd) or "USD"
    players = [imp[medium] for medium in formats.PLAYED if medium in imp]
    by_duration = (deal is not None and formats.by_duration(deal)) or (
        own is imp and any(map(formats.by_duration, players))
    )
    floor = 0 if by_duration else nano_from_cpm(str(own.get("bidfloor", 0)))
    if why := floor_reason(price, floor, floor_currency, currency, place):
        return why
    asked = asked_for(price, currency, place)
    if deal is not None and own is deal and deal.get("at") == 3:
        own_floor = nano_from_cpm(str(deal["bidfloor"]))
        agreed = least_price(own_floor, floor_currency, currency, place)
        if agreed is not None and price >= agreed:
            price = agreed
            asked = own_floor if floor_currency == currency else asked_for(price, currency, place)
    reasons = {}
    for creative in campaign["creatives"]:
        why = creative_reason(creative, request, imp, deal, place.exchange)
        if why is Reason.NONE and by_duration:
            floor, whose = formats.floor_of(creative, imp, deal)
            why = floor_reason(price, floor, whose.get("bidfloorcur", "USD"), currency, place)
        if why is Reason.NONE and pods.forbids(imp, creative | {"of": campaign["id"]}):
            why = Reason.POD
        reasons[creative["id"]] = why
    allowed = frozenset(name for name, reason in reasons.items() if reason is Reason.NONE)
    if not allowed:
        return closest(*reasons.values())
    standing = 0 if deal is None else 1 + guaranteed(deal)
    return Offer(standing, price, asked, campaign["id"], None if deal is None else deal["id"], allowed)


def floor_reason(price: int, floor: int, floor_currency: str, currency: str, place: Place) -> Reason:
    least = least_price(floor, floor_currency, currency, place) if floor else 0
    if least is None:
        return Reason.FLOOR_CURRENCY
    return Reason.FLOOR if price < least else Reason.NONE


def creative_reason(creative: Json, request: Json, imp: Json, deal: Json | None, exchange: str) -> Reason:
    if formats.kind(creative) not in imp:
        return Reason.FORMAT
    if formats.kind(creative) == "banner":
        why = banner_reason(creative, imp["banner"])
    elif formats.kind(creative) == "native":
        why = formats.native_reason(creative, imp)
    else:
        why = formats.player_reason(creative, imp)
    if why is not Reason.NONE:
        return why
    domains = creative.get("adomain", [])
    checks = {
        Reason.SECURE: bool(imp.get("secure")) and not secure(creative),
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
    return formats.first(checks)


def banner_reason(creative: Json, banner: Json) -> Reason:
    adm = creative["adm"].lower()
    blocked = banner.get("btype", [])
    return formats.first(
        {
            Reason.SIZE: not fits(creative["w"], creative["h"], banner),
            Reason.BATTR: bool(set(creative.get("attr", [])) & set(banner.get("battr", []))),
            Reason.BTYPE: 2 in blocked or (3 in blocked and "<script" in adm) or (4 in blocked and "<iframe" in adm),
            Reason.EXPDIR: not set(creative.get("expdir", [])) <= set(banner.get("expdir") or range(9)),
            Reason.API: not set(creative.get("api", [])) <= set(banner.get("api", [])),
        }
    )


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
    ratios = [size for size in banner.get("format", []) if "wratio" in size]
    if named or ratios:
        return (w, h) in named or any(
            w >= size.get("wmin", 0) and h == int(w * size["hratio"] / size["wratio"] + 0.5) for size in ratios
        )
    return bool(
        banner.get("wmin", 0) <= w <= banner.get("wmax", w) and banner.get("hmin", 0) <= h <= banner.get("hmax", h)
    )


def deals(imp: Json) -> list[Json]:
    found: list[Json] = imp.get("pmp", {}).get("deals", [])
    return found


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
