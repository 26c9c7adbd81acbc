"""One auction: the answer is read, its bids are checked, and each competes with a price that the dice say.

read(asked, body) -> Offer | reason; decide(asked, offer, ...) -> one Outcome a bid
First price: the winner pays its bid. Second price: a cent above what it beat, at most its bid. Agreed: the deal's.
Money: int nano-USD for one impression, which is a CPM with six decimals exactly. A bid that breaks a rule loses.
"""

import math
import random
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from enum import IntEnum
from typing import NamedTuple

import msgspec

from bidder.money.units import NANO_PER_CPM, cpm_text
from bidder.simulator.source import Asked

CENT_CPM = NANO_PER_CPM // 100
SPREAD = 0.8  # sigma of the logarithm of competing prices
MAX_PRICE_CPM = 1_000_000


class Loss(IntEnum):
    """OpenRTB 2.6, list 5.25: why a bid did not win."""

    WON = 0
    EXPIRED = 2  # came after the deadline
    INVALID = 3
    BELOW_FLOOR = 100
    OUTBID = 102


class Bid(msgspec.Struct):
    """As OpenRTB has it; what is not here is not looked at."""

    id: str
    impid: str
    price: Decimal
    adm: str | None = None
    nurl: str | None = None
    burl: str | None = None
    lurl: str | None = None
    cid: str | None = None
    adid: str | None = None
    dealid: str | None = None


class SeatBid(msgspec.Struct):
    """Bids of one buyer."""

    bid: list[Bid]
    seat: str | None = None


class Offer(msgspec.Struct):
    """A bid response."""

    id: str
    seatbid: list[SeatBid] = []
    bidid: str | None = None
    cur: str | None = None

    def bids(self) -> Iterator[tuple[str, Bid]]:
        """With their seats."""
        for seat in self.seatbid:
            for bid in seat.bid:
                yield seat.seat or "", bid


class Outcome(NamedTuple):
    """What became of a bid. `price` is what the winner pays, whoever that is; `broken` the rule that it breaks."""

    bid: Bid
    seat: str
    loss: Loss
    price: int
    competing: int
    broken: str = ""


_decode = msgspec.json.Decoder(Offer).decode


def read(asked: Asked, body: bytes) -> Offer | str:
    """A response that answers this request, or the rule that it breaks."""
    try:
        offer = _decode(body)
    except msgspec.ValidationError:
        return "schema"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "json"
    if offer.id != asked.id:
        return "id"
    if (offer.cur or "USD") != "USD":
        return "currency"
    return offer if any(seat.bid for seat in offer.seatbid) else "empty"


def _nano(price: Decimal) -> int:
    """Rounded down; 0 where it is no price."""
    if not price.is_finite() or not 0 < price <= MAX_PRICE_CPM:
        return 0
    return int((price * NANO_PER_CPM).to_integral_value(rounding=ROUND_DOWN))


def _broken(asked: Asked, bid: Bid, nano: int) -> str:
    """The first rule that a bid breaks, "" if none."""
    imp = asked.imps.get(bid.impid)
    if not bid.id:
        return "bid_id"
    if imp is None:
        return "impid"
    if not nano:
        return "price"
    if not bid.adm:
        return "adm"
    if not (bid.nurl or bid.burl):
        return "notices"
    if bid.dealid is not None and bid.dealid not in imp.deals:
        return "dealid"
    floor = imp.deals[bid.dealid].floor if bid.dealid is not None else imp.floor
    if floor.currency == "USD" and nano < floor.nano:
        return "floor"
    return ""


def _competing(dice: random.Random, median_cpm: float) -> int:
    return max(1, int(dice.lognormvariate(math.log(median_cpm), SPREAD) * NANO_PER_CPM))


def decide(asked: Asked, offer: Offer, dice: random.Random, median_cpm: float, late: bool) -> list[Outcome]:
    """One outcome a bid, in the order of the offer. At most one bid wins an imp."""
    competing = {imp: _competing(dice, median_cpm) for imp in asked.imps}
    best: dict[str, int] = {}  # of our own bids, which compete too
    judged: list[tuple[str, Bid, int, str]] = []
    for seat, bid in offer.bids():
        nano = _nano(bid.price)
        broken = _broken(asked, bid, nano)
        judged.append((seat, bid, nano, broken))
        if not broken and not late:
            best[bid.impid] = max(best.get(bid.impid, 0), nano)
    outcomes, sold = [], set()
    for seat, bid, nano, broken in judged:
        rival = competing.get(bid.impid, 0)
        if broken:
            loss = Loss.BELOW_FLOOR if broken == "floor" else Loss.INVALID
        elif late:
            loss = Loss.EXPIRED
        elif nano <= rival or nano < best[bid.impid] or bid.impid in sold:
            loss = Loss.OUTBID
        else:
            loss = Loss.WON
            sold.add(bid.impid)
        price = _clearing(asked, bid, nano, rival) if loss is Loss.WON else max(rival, best.get(bid.impid, 0))
        outcomes.append(Outcome(bid, seat, loss, price, rival, broken))
    return outcomes


def _clearing(asked: Asked, bid: Bid, nano: int, rival: int) -> int:
    """What a winner pays."""
    imp = asked.imps[bid.impid]
    deal = None if bid.dealid is None else imp.deals[bid.dealid]
    floor = imp.floor if deal is None else deal.floor
    least = floor.nano if floor.currency == "USD" else 0
    at = asked.clearing(deal)
    if at == 3 and least:
        return min(nano, least)
    if at == 2:
        return min(nano, max(rival, least) + CENT_CPM)
    return nano


def macros(asked: Asked, offer: Offer, outcome: Outcome) -> dict[str, str]:
    """Values of the substitution macros for one bid."""
    bid = outcome.bid
    return {
        "AUCTION_ID": asked.id,
        "AUCTION_BID_ID": offer.bidid or "",
        "AUCTION_IMP_ID": bid.impid,
        "AUCTION_SEAT_ID": outcome.seat,
        "AUCTION_AD_ID": bid.adid or "",
        "AUCTION_PRICE": cpm_text(outcome.price),
        "AUCTION_CURRENCY": "USD",
        "AUCTION_MBR": f"{outcome.competing / _nano(bid.price):.4f}" if outcome.loss is Loss.WON else "",
        "AUCTION_LOSS": str(int(outcome.loss)),
        "AUCTION_MIN_TO_WIN": cpm_text(outcome.competing + 1) if outcome.competing else "",
        "AUCTION_MULTIPLIER": "1",
    }
