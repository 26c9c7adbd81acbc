"""What exchanges and validators check of one bid for a banner: rules D of the checklist.

    findings(request, its imp, seat, bid) -> Finding...

Requests are read with the type deviations that real ones have, bids to the letter. Prices: CPM as decimals.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from tests.reference.loose import dictionary, items, number, numbers, text, texts

Json = dict[str, Any]

ERROR, WARNING = "E", "W"
ABSURD_CPM = 1_000
MACROS = {
    *("AUCTION_ID", "AUCTION_BID_ID", "AUCTION_IMP_ID", "AUCTION_SEAT_ID", "AUCTION_AD_ID", "AUCTION_PRICE"),
    *("AUCTION_CURRENCY", "AUCTION_MBR", "AUCTION_LOSS", "AUCTION_MIN_TO_WIN", "AUCTION_MULTIPLIER", "AUCTION_IMP_TS"),
    *("AUCTION_DISCOUNT_PCT", "AUCTION_DISCOUNT_CPM"),
}
MRAID = {3, 5, 6}


class Finding(NamedTuple):
    """One objection."""

    level: str  # ERROR or WARNING
    rule: str
    what: str


def findings(request: Json, imp: Json, seat: str, bid: Json) -> Iterator[Finding]:
    """All that somebody could object to in this bid."""
    yield from _price_and_deal(imp, seat, bid)
    yield from _names(request, bid)
    yield from _banner(imp, bid)
    yield from _markup(imp, bid)


def _price_and_deal(imp: Json, seat: str, bid: Json) -> Iterator[Finding]:
    price, pmp = number(bid.get("price")), dictionary(imp.get("pmp"))
    name = bid.get("dealid")
    if not price.is_finite() or price < 0 or (price == 0 and name is None):
        yield Finding(ERROR, "D3", f"price {bid.get('price')!r}")
    if price > ABSURD_CPM or price != round(price, 6):
        yield Finding(WARNING, "D3", f"price {price}")
    floor, currency = number(imp.get("bidfloor")), text(imp.get("bidfloorcur")) or "USD"
    if name is None:
        if number(pmp.get("private_auction")) == 1:
            yield Finding(ERROR, "D5", "an open bid in a private auction")
    else:
        deals = [deal for deal in map(dictionary, items(pmp.get("deals"))) if text(deal.get("id")) == name]
        if not deals:
            yield Finding(ERROR, "D5", f"dealid {name!r} was not offered")
            return
        deal = deals[0]
        agreed = number(deal.get("bidfloor"))
        if agreed > 0:
            floor, currency = agreed, text(deal.get("bidfloorcur")) or "USD"
        if (wanted := texts(deal.get("wseat"))) and seat not in wanted:
            yield Finding(ERROR, "D5", f"deal {name!r} is not for seat {seat}")
        if (wanted := texts(deal.get("wadomain"))) and not any(_below(d, wanted) for d in bid.get("adomain", [])):
            yield Finding(ERROR, "D5", f"deal {name!r} is not for {bid.get('adomain')}")
        if number(deal.get("at")) == 3 and price != agreed:
            yield Finding(WARNING, "D5", f"{price} where {agreed} was agreed")
    if floor > 0 and currency.upper() != "USD":
        yield Finding(WARNING, "D4", f"a floor in {currency}, and no rate")
    elif price < floor:
        yield Finding(ERROR, "D4", f"{price} below the floor of {floor}")


def _below(domain: str, entries: list[str]) -> bool:
    """Is it one of them, or below one?"""
    return any(f".{domain}".lower().endswith(f".{entry}".lower()) for entry in entries)


def _names(request: Json, bid: Json) -> Iterator[Finding]:
    domains, blocked = bid.get("adomain", []), texts(request.get("badv"))
    if not domains:
        yield Finding(ERROR if blocked else WARNING, "D6", "no adomain")
    for domain in domains:
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", domain):
            yield Finding(ERROR, "D6", f"{domain!r} is no bare domain")
        if _below(domain, blocked):
            yield Finding(ERROR, "D6", f"{domain} is blocked by {blocked}")
    if str(bid.get("bundle")).lower() in [name.lower() for name in texts(request.get("bapp"))]:
        yield Finding(ERROR, "D7", f"bundle {bid['bundle']} is blocked")
    cats, acat = bid.get("cat", []), texts(request.get("acat"))
    blocked = texts(request.get("bcat"))
    if not cats and (blocked or acat):
        yield Finding(WARNING, "D8", "no cat")
    for cat in cats:
        if any(f"{cat}-".upper().startswith(f"{entry}-".upper()) for entry in blocked):
            yield Finding(ERROR, "D8", f"cat {cat} is blocked")
        if acat and not any(f"{cat}-".upper().startswith(f"{entry}-".upper()) for entry in acat):
            yield Finding(ERROR, "D8", f"cat {cat} is not among the allowed {acat}")
    if (number(request.get("cattax")) or 1) != bid.get("cattax", 1):
        yield Finding(WARNING, "D8", f"cattax {bid.get('cattax', 1)}")
    if not bid.get("crid"):
        yield Finding(ERROR, "D18", "no crid")


def _banner(imp: Json, bid: Json) -> Iterator[Finding]:
    if not isinstance(imp.get("banner"), dict) or bid.get("mtype") != 1:
        yield Finding(ERROR, "D10", f"mtype {bid.get('mtype')} for an imp with {sorted(imp)}")
        return
    banner = imp["banner"]
    if forbidden := set(bid.get("attr", [])) & numbers(banner.get("battr")):
        yield Finding(ERROR, "D9", f"attributes {forbidden} are blocked")
    yield from _size(banner, number(imp.get("instl")) == 1, bid)
    apis = set(bid.get("apis", [])) | ({bid["api"]} if "api" in bid else set())
    if apis - numbers(banner.get("api")):
        yield Finding(ERROR, "D20", f"api {apis} where {banner.get('api')} are there")
    if "mraid.js" in bid.get("adm", "") and not MRAID & numbers(banner.get("api")):
        yield Finding(ERROR, "D20", "mraid.js where no MRAID is")
    markup, types = bid.get("adm", "").lower(), numbers(banner.get("btype"))
    if (3 in types and "<script" in markup) or (4 in types and "<iframe" in markup):
        yield Finding(ERROR, "D15", f"banner types {types} are blocked")


def _size(banner: Json, interstitial: bool, bid: Json) -> Iterator[Finding]:
    formats = [dictionary(item) for item in items(banner.get("format"))]
    offered = [(number(f.get("w")), number(f.get("h"))) for f in [*formats, banner]]
    offered = [(w, h) for w, h in offered if w > 0 and h > 0]
    flexible = [f for f in formats if number(f.get("wratio")) > 0 and number(f.get("hratio")) > 0]
    ranged = [key for key in ("wmin", "wmax", "hmin", "hmax") if number(banner.get(key)) > 0]
    w, h = bid.get("w"), bid.get("h")
    if w is None or h is None:
        if len(offered) > 1 or (not offered and (flexible or ranged)):
            yield Finding(ERROR, "D11", "no size")
        return
    fits = (w, h) in offered
    fits |= any(
        w >= number(f.get("wmin")) and abs(w * number(f["hratio"]) - h * number(f["wratio"])) <= number(f["wratio"])
        for f in flexible
    )
    fits |= bool(ranged) and all(
        number(banner.get(f"{side}min")) <= n <= (number(banner.get(f"{side}max")) or n)
        for side, n in (("w", w), ("h", h))
    )
    if not fits and (offered or flexible or ranged):
        yield Finding(WARNING if interstitial else ERROR, "D11", f"{w}x{h} where {offered or flexible or ranged} is")


def _markup(imp: Json, bid: Json) -> Iterator[Finding]:
    markup = bid.get("adm", "")
    if not markup and not bid.get("nurl"):
        yield Finding(ERROR, "D19", "neither adm nor nurl")
    if re.match(r"\s*(<\?xml|<vast|\{)", markup.lower()):
        yield Finding(ERROR, "D15", "the markup of a banner is VAST or JSON")
    secure = number(imp.get("secure")) == 1
    bare = re.sub(r"""\bxmlns(:[\w.-]+)?\s*=\s*(["']).*?\2""", "", markup, flags=re.DOTALL).lower()
    if secure and ("http:" in bare or "http%3a" in bare or "https:" not in bare):
        yield Finding(ERROR, "D16", "a secure imp and markup over http")
    urls: dict[str, str] = {key: bid[key] for key in ("nurl", "burl", "lurl", "iurl") if key in bid}
    for key, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or not re.fullmatch(r"[!-~]+", url):
            yield Finding(ERROR, "D17", f"{key}: {url!r}")
        if secure and parts.scheme == "http":
            yield Finding(WARNING, "D16", f"{key} over http for a secure imp")
    for name, said in [*urls.items(), ("adm", markup)]:
        if unknown := set(re.findall(r"\$\{(\w+?)(?::\w+)?\}", unquote(said))) - MACROS:
            yield Finding(ERROR, "D17", f"{name} has macros that nobody fills: {unknown}")
        if re.search(r"\{\{|\[\[|%\(|\{(click_url|pixel)\}", said):
            yield Finding(ERROR, "D17", f"{name} has marks that were not filled")
    if not any("${AUCTION_PRICE" in unquote(said) for said in (urls.get("nurl", ""), urls.get("burl", ""), markup)):
        yield Finding(WARNING, "D17", "nowhere a price")
