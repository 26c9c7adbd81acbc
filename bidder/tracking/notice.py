"""What a notice says: a genuine token and a query become one `Notice`, with a flag for whatever is wrong.

token, ?price=, ?reason= -> read_notice() -> Notice, for the durable stream
Prices: text as the exchange writes them; inside nano-USD for one impression. Times: wall clock, ms.
Never raises for what a peer sent: a price that cannot be booked is a flag, and books nothing.
"""

import re

from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.money.tokens import Token
from bidder.settings import Exchange
from bidder.tracking.prices import PriceKeys, read_amount

MAX_LOSS_REASON = 65_535
MINUTE_MS = 60_000


def needs_price(kind: NoticeKind, exchange: Exchange) -> bool:
    """Is money booked by this kind of notice, so that it says nothing without its price?"""
    return (
        kind is NoticeKind.BILL
        or (kind is NoticeKind.WIN and exchange.spend_on == "win")
        or (kind is NoticeKind.IMPRESSION and exchange.spend_on == "impression")
    )


def read_price(
    text: str | None, exchange: Exchange | None, token: Token, keys: tuple[PriceKeys, ...] = ()
) -> tuple[int, NoticeFlag]:
    """What we pay, in nano-USD, and why it cannot be booked. `exchange`: None where the settings know its key no more.

    A price is in the currency of the bid; it becomes USD in the proportion in which we bid, whatever the rate is now.
    """
    nano, flag = read_amount(text, exchange, keys)
    if flag is NoticeFlag.NONE and nano > (token.asked or token.bid_price):
        flag = NoticeFlag.PRICE_ABOVE_BID
    return token.in_usd(nano), flag


def read_loss_reason(text: str | None) -> int:
    """OpenRTB loss reason; 0 where none is given, or only its macro."""
    if text is None or not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        return 0
    return min(int(text), MAX_LOSS_REASON)


def read_notice(
    kind: NoticeKind,
    token: Token,
    exchange: Exchange | None,
    price_text: str | None,
    reason_text: str | None,
    received_ms: int,
    late_ms: int,
    ttl_ms: int,
    keys: tuple[PriceKeys, ...] = (),
) -> Notice:
    """One notice as the stream keeps it. It is late after `late_ms` (the reservation was given back), and
    expired after `ttl_ms`. `keys`: of encrypted prices, where this exchange has any.

    A price that is not needed is kept where it is good and ignored where it is not. The price of a loss is
    the one that beat us, so it may be above our bid.
    """
    flags = NoticeFlag.NONE
    if kind is NoticeKind.LOSS:
        price, _ = read_amount(price_text, exchange, keys)
        price = token.in_usd(price)
    else:
        price, flags = read_price(price_text, exchange, token, keys)
        if exchange is not None and not needs_price(kind, exchange):
            price, flags = (price if flags is NoticeFlag.NONE else 0), NoticeFlag.NONE
    age_ms = received_ms - (token.minute + 1) * MINUTE_MS  # at least: the bid was made within that minute
    if age_ms >= ttl_ms:
        flags |= NoticeFlag.EXPIRED
    elif age_ms >= late_ms:
        flags |= NoticeFlag.LATE
    return Notice(
        kind=kind,
        flags=flags,
        bid_id=token.bid_id,
        received_ms=received_ms,
        price=price,
        loss_reason=read_loss_reason(reason_text) if kind is NoticeKind.LOSS else 0,
        exchange=token.exchange,
        arm=token.arm,
        format=token.format,
        os=token.os,
        country=token.country,
        w=token.w,
        h=token.h,
        campaign=token.campaign,
        creative=token.creative,
        deal=token.deal,
        inventory=token.inventory,
        lease=token.lease,
        bid_price=token.bid_price,
        taken=token.taken,
    )
