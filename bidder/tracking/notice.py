"""What a notice says: a genuine token and a query become one `Notice`, with a flag for whatever is wrong.

token, Said(?price=, ?reason=, ?min=, ?value=) -> read_notice() -> Notice, for the durable stream
Prices: text as the exchange writes them; inside nano-USD for one impression. Times: wall clock, ms.
Never raises for what a peer sent: a price that cannot be booked is a flag, and books nothing.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.money.tokens import Token
from bidder.money.units import nano_from_usd
from bidder.openrtb.codes import FORMATS
from bidder.settings import Exchange, Tracking
from bidder.tracking.prices import DECIMAL, PriceKeys, read_amount

MAX_LOSS_REASON = 65_535
MAX_VALUE = 100_000 * 10**9  # nano-USD of one conversion; what is worth more counts without a value
MINUTE_MS = 60_000
# What is about money, so that it can come too late for the reservation.
OF_MONEY = frozenset({NoticeKind.WIN, NoticeKind.BILL, NoticeKind.LOSS, NoticeKind.IMPRESSION})


class Said(NamedTuple):
    """The query of a notice, as text; None: not there."""

    price: str | None = None
    reason: str | None = None
    min_to_win: str | None = None
    value: str | None = None


class Lives(NamedTuple):
    """How long after their bid notices are in time, ms."""

    late: int  # the reservation was given back
    token: Mapping[int, int]  # expired, by mtype
    click_id: int  # a conversion, after the longest life of a click
    view: int  # a conversion without a click

    @classmethod
    def of(cls, tracking: Tracking, release_after_s: int) -> "Lives":
        """As the settings say."""
        token = {key: (getattr(tracking, f"{name}_ttl_s") or tracking.token_ttl_s) for key, name in FORMATS.items()}
        token[0] = max(token.values())  # of tokens that do not say
        return cls(
            late=release_after_s * 1_000,
            token={key: seconds * 1_000 for key, seconds in token.items()},
            click_id=(token[0] + tracking.click_window_s) * 1_000,
            view=tracking.view_window_s * 1_000,
        )

    def flags(self, kind: NoticeKind, token: Token, viewed: bool, received_ms: int) -> NoticeFlag:
        """LATE, EXPIRED or neither. The bid was made within the minute of its id, so all is measured from its end."""
        age_ms = received_ms - (token.minute + 1) * MINUTE_MS
        if kind is NoticeKind.CONVERSION:
            life = self.view if viewed else self.click_id
        else:
            life = self.token.get(token.format, self.token[0])
        if age_ms >= life:
            return NoticeFlag.EXPIRED
        return NoticeFlag.LATE if kind in OF_MONEY and age_ms >= self.late else NoticeFlag.NONE


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


def read_value(text: str | None) -> int:
    """What a conversion was worth to the advertiser, in nano-USD; 0 where it does not say, or no such amount."""
    if text is None or not DECIMAL.fullmatch(text):
        return 0
    try:
        nano = nano_from_usd(text)
    except ValueError:  # out of range
        return 0
    return nano if nano <= MAX_VALUE else 0


def read_notice(
    kind: NoticeKind,
    token: Token,
    exchange: Exchange | None,
    said: Said,
    received_ms: int,
    lives: Lives,
    keys: tuple[PriceKeys, ...] = (),
    viewed: bool = False,
) -> Notice:
    """One notice as the stream keeps it. `keys`: of encrypted prices, where this exchange has any. `viewed`: a
    conversion that was told with the token of the page, so nobody has clicked.

    A price that is not needed is kept where it is good and ignored where it is not. The price of a loss is
    the one that beat us, so it may be above our bid. Only what exchanges and pixels tell has a price at all.
    """
    price, flags = 0, NoticeFlag.NONE
    if kind is NoticeKind.CONVERSION:
        price = read_value(said.value)
    elif kind is NoticeKind.LOSS:
        price = token.in_usd(read_amount(said.price, exchange, keys)[0])
    elif kind in OF_MONEY:
        price, flags = read_price(said.price, exchange, token, keys)
        if exchange is not None and not needs_price(kind, exchange):
            price, flags = (price if flags is NoticeFlag.NONE else 0), NoticeFlag.NONE
    return Notice(
        kind=kind,
        flags=flags | lives.flags(kind, token, viewed, received_ms),
        bid_id=token.bid_id,
        received_ms=received_ms,
        price=price,
        loss_reason=read_loss_reason(said.reason) if kind is NoticeKind.LOSS else 0,
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
        min_to_win=token.in_usd(read_amount(said.min_to_win, exchange, keys)[0]) if said.min_to_win else 0,
    )
