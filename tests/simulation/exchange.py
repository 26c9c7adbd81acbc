"""The exchange's side: what becomes of a bid, and notices that are sent until they are acknowledged.

Every bid has dice of its own, so that leaving out a step of a schedule changes the fate of no other bid.
Money: int nano-USD for one impression. Times: true seconds.
"""

import random
from dataclasses import dataclass, field, replace

from bidder.events.schema import NoticeKind
from bidder.settings import SHIPPED_EXCHANGES
from tests.simulation.plan import Fates

EXCHANGES = {
    1: replace(SHIPPED_EXCHANGES["generic"], key=1, spend_on="billing"),
    2: replace(SHIPPED_EXCHANGES["generic"], key=2, spend_on="win"),
}
SPEND_KIND = {1: NoticeKind.BILL, 2: NoticeKind.WIN}


@dataclass(slots=True)
class Bid:
    """One bid that reached its exchange, and the truth about it."""

    id: bytes
    host: int
    exchange: int
    campaign: int
    lease: int
    price: int
    taken: int
    minute: int  # of the worker's clock
    at: float
    paid: int = 0  # what its bill says; 0: none was sent
    durable: dict[int, float] = field(default_factory=dict)  # kind -> when a tracker first acknowledged it
    heard: dict[int, float] = field(default_factory=dict)  # kind -> when the bank first had it
    where: int = 0  # host whose tracker first acknowledged what it costs
    excused: bool = False  # its reservation came back while that host had been cut off for long
    released: bool = False  # its reservation came back for want of a notice


@dataclass(slots=True)
class Message:
    """One notice on its way. `price_text`: CPM, as exchanges write it."""

    bid: Bid
    kind: NoticeKind
    price_text: str
    acknowledged: bool = False
    tries: int = 0


def _cpm(nano: int) -> str:
    return f"{nano // 10**6}.{nano % 10**6:06d}"


def fate(bid: Bid, fates: Fates, release_after_s: int, dice: random.Random) -> list[tuple[float, Message]]:
    """(delay, message) of all that is told of this bid."""

    def delay() -> float:
        luck = dice.random()
        if luck < fates.late:
            return dice.uniform(1.0, 6.0) * release_after_s
        if luck < fates.late + fates.slow:
            return dice.uniform(5.0, 0.9 * release_after_s)
        return dice.uniform(0.05, 5.0)

    luck = dice.random()
    if luck < 0.1:
        return []  # the exchange never says a word
    told = []
    contrary = dice.random() < fates.contrary
    if luck < 0.35 or contrary:
        told.append((delay(), Message(bid, NoticeKind.LOSS, _cpm(bid.price + 1))))
    if luck >= 0.35 or contrary:
        bid.paid = bid.price if dice.random() < 0.7 else dice.randint(1, bid.price)
        text = _cpm(bid.paid)
        won = delay()
        told.append((won, Message(bid, NoticeKind.WIN, text)))
        if dice.random() < 0.95 or bid.exchange != 1:
            told.append((won + delay() / 2, Message(bid, NoticeKind.BILL, text)))
            told.append((won + delay() / 2, Message(bid, NoticeKind.IMPRESSION, "")))
        else:
            bid.paid = 0
    return told
