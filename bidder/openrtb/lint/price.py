"""Price: is it one, does it reach the floor, is the deal one that was offered? D3, D4, D5.

Prices are CPM, decimals. The floor of a deal has a currency of its own; what it does not set comes from the duration
(durfloors, mincpmpersec), then from the imp.
"""

from collections.abc import Iterator
from decimal import Decimal

from bidder.openrtb.lint.case import Case
from bidder.openrtb.lint.domains import any_below
from bidder.openrtb.lint.loose import Json, flag, number, table, tables, text, texts
from bidder.openrtb.lint.rules import Violation, broken, said

USD = "USD"
ABSURD_CPM = 1_000
MOST_DECIMALS = 9
CONVERTED_SLACK_CPM = Decimal("0.000001")  # what rounding a converted floor to whole nano-USD may cost
LEAST_RATE = Decimal("1e-9")
AGREED = 3  # deal.at: the floor is the price


def violations(case: Case) -> Iterator[Violation]:
    """All of the price and its deal."""
    price, name, path = number(case.bid.get("price")), case.bid.get("dealid"), case.at("price")
    if price < 0 or (price == 0 and not name):
        yield broken("price", path, said(case.bid.get("price")))
        return
    if price > ABSURD_CPM:
        yield broken("price_absurd", path, said(price))
    if price != round(price, min(case.profile.price_decimals, MOST_DECIMALS)):
        yield broken("price_precision", path, said(price))
    pmp = table(case.imp.get("pmp"))
    deal: Json | None = None
    if name is None:
        if flag(pmp.get("private_auction")):
            yield broken("private_auction", case.at("dealid"), "no deal")
    else:
        deal = next((one for one in tables(pmp.get("deals")) if text(one.get("id")) == name), None)
        if deal is None:
            yield broken("deal", case.at("dealid"), f"{said(name)} was not offered")
            return
        yield from _deal(case, deal, price)
    yield from _floor(case, deal, price)


def _deal(case: Case, deal: Json, price: Decimal) -> Iterator[Violation]:
    path = case.at("dealid")
    if (seats := texts(deal.get("wseat"))) and case.seat not in seats:
        yield broken("deal_seat", path, f"seat {said(case.seat)} where {said(seats)} are wanted")
    if wanted := texts(deal.get("wadomain")):
        domains = case.bid.get("adomain", [])
        if not any(any_below(domain, wanted) for domain in domains):
            yield broken("deal_advertiser", path, f"{said(domains)} where {said(wanted)} are wanted")
    agreed = number(deal.get("bidfloor"))
    same = _currency(deal) == case.currency
    if number(deal.get("at")) == AGREED and agreed > 0 and same and price != agreed:
        yield broken("deal_price", case.at("price"), f"{said(price)} where {said(agreed)} was agreed")


def _floor(case: Case, deal: Json | None, price: Decimal) -> Iterator[Violation]:
    floor, currency = floor_of(case, deal)
    if floor <= 0:
        return
    path, slack = case.at("price"), Decimal(0)
    said_floor = f"the floor of {said(floor)} {said(currency)}"
    if currency != case.currency:
        ours, theirs = rate(case, case.currency), rate(case, currency)
        if not (ours and theirs):
            yield broken("floor_currency", path, f"{said(case.currency)}, {said_floor}, and no rate")
            return
        price, floor, slack = price / ours, floor / theirs, CONVERTED_SLACK_CPM
    if price + slack < floor:
        yield broken("floor", path, f"{said(case.bid.get('price'))} {said(case.currency)} is below {said_floor}")


def rate(case: Case, currency: str) -> Decimal:
    """What one USD is worth; 0 where nobody knows."""
    found = Decimal(1) if currency == USD else number(case.rates.get(currency))
    return found if found >= LEAST_RATE else Decimal(0)


def floor_of(case: Case, deal: Json | None) -> tuple[Decimal, str]:
    """CPM and currency; 0 where there is none."""
    if deal is not None:
        own = _by_duration(deal, case.duration_s) or number(deal.get("bidfloor"))
        if own > 0:
            return own, _currency(deal)
    return _by_duration(case.slot, case.duration_s) or number(case.imp.get("bidfloor")), _currency(case.imp)


def _by_duration(holder: Json, duration_s: Decimal | None) -> Decimal | None:
    """The least floor that holds for the duration; None where none does."""
    if duration_s is None:
        return None
    floors = [
        number(one.get("bidfloor"))
        for one in tables(holder.get("durfloors"))
        if number(one.get("mindur")) <= duration_s <= (number(one.get("maxdur")) or duration_s)
    ]
    if floors:
        return min(floors)
    return number(holder.get("mincpmpersec")) * duration_s or None


def _currency(holder: Json) -> str:
    return (text(holder.get("bidfloorcur")) or USD).upper()
