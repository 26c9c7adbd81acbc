"""Banner: a size that was offered, markup that a page can show. D11, D15."""

from collections.abc import Iterator
from decimal import Decimal

from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.loose import Json, codes, flag, number, tables
from bidder.openrtb.lint.rules import Violation, broken, said
from bidder.openrtb.lint.vast import looks_like_vast

SCRIPT, IFRAME = 3, 4  # of btype


def violations(case: Case) -> Iterator[Violation]:
    """Of a bid for a banner."""
    yield from _size(case)
    markup = case.adm.lower()
    if looks_like_vast(markup) or markup.lstrip().startswith("{"):
        yield broken("banner_markup", case.at("adm"), "VAST or JSON")
    types = codes(case.slot.get("btype"))
    if SCRIPT in types and "<script" in markup:
        yield broken("btype", case.at("adm"), "a script")
    if IFRAME in types and "<iframe" in markup:
        yield broken("btype", case.at("adm"), "an iframe")


def _size(case: Case) -> Iterator[Violation]:
    banner = case.slot
    formats = tables(banner.get("format"))
    offered = {size for size in map(_pair, [*formats, banner]) if min(size) >= 1}  # less than a pixel is none
    flexible = [one for one in formats if number(one.get("wratio")) > 0 and number(one.get("hratio")) > 0]
    ranged = any(number(banner.get(name)) > 0 for name in ("wmin", "wmax", "hmin", "hmax"))
    if not (offered or flexible or ranged):
        return  # nothing is said of sizes
    w, h = case.bid.get("w"), case.bid.get("h")
    if w is None or h is None:
        as_ratio = (case.bid.get("wratio"), case.bid.get("hratio"))
        if as_ratio in {(number(one["wratio"]), number(one["hratio"])) for one in flexible}:
            return
        if len(offered) != 1 or flexible or ranged:
            yield broken("size_absent", case.at("w"), "no size where there are several")
        return
    fits = (
        (w, h) in offered
        or any(_in_ratio(one, w, h) for one in flexible)
        or (ranged and _in_range(banner, "w", w) and _in_range(banner, "h", h))
    )
    if not fits:
        rule = "size_interstitial" if flag(case.imp.get("instl")) else "size"
        some = ", ".join(f"{said(wide)}x{said(high)}" for wide, high in sorted(offered)[:5]) or "others"
        yield broken(rule, case.at("w"), f"{said(w)}x{said(h)} where {some} are offered")


def _pair(holder: Json) -> tuple[Decimal, Decimal]:
    return number(holder.get("w")), number(holder.get("h"))


def _in_ratio(flexible: Json, w: int, h: int) -> bool:
    """Within the pixel that rounding costs."""
    wide, high = number(flexible["wratio"]), number(flexible["hratio"])
    return w >= number(flexible.get("wmin")) and abs(w * high - h * wide) <= max(wide, high)


def _in_range(banner: Json, side: str, n: int) -> bool:
    return number(banner.get(f"{side}min")) <= n <= (number(banner.get(f"{side}max")) or n)
