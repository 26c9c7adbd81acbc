"""Dedupe: a batch of notices becomes what is to be booked. Pure: no clock, no I/O.

notices + what each bid has booked already -> book() -> rows of the rollups, lease totals, spend, new bid states
The first notice of each (bid, kind) counts. Spend is the price of the kind that the exchange's row names, once a bid.
A reservation is closed once, by the bid's spend or its loss, whichever comes first.
A flagged notice (but LATE) counts as flagged only: it books nothing and uses up no key; so does a conversion that came
longer after its click than conversions count. Where no click is booked (yet) it counts: only a click gives its id away.
Money: int nano-USD. Minutes: UTC minutes since 1970, of the bid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import astuple, replace

from bidder.events.schema import Notice, NoticeFlag, NoticeKind
from bidder.money.shading import bin_of, key_of
from bidder.settings import Exchange

SPEND_KINDS = {"billing": NoticeKind.BILL, "win": NoticeKind.WIN, "impression": NoticeKind.IMPRESSION}
MEASURES = tuple(NoticeKind)  # in the order of the rollup's columns; the value of conversions and spend follow
CLICK_WINDOW_MS = 30 * 86_400_000
MAX_MS = 1 << 62  # no click is known: nothing is too late
HOUR_MS = 3_600_000
MILLION, HALF = 1_000_000, 500_000
NO_FEES: Mapping[int, int] = {}
NO_WINDOWS: Mapping[int, int] = {}
_DIMENSIONS = slice(6, 17)  # of a Notice: exchange to inventory
_WRONG = ~int(NoticeFlag.LATE)  # plain ints: enums cost ten times as much, and this is asked for every notice


class UnknownExchange(Exception):
    """A notice of an exchange that neither `config.exchange` nor the settings name: how it books is not known."""


class UnknownKind(Exception):
    """A notice of a kind that only a newer build knows: it waits for that build."""


DAY_MINUTES = 1_440
_DECIDES = sum(1 << (kind - 1) for kind in (NoticeKind.WIN, NoticeKind.BILL, NoticeKind.LOSS))  # the first tells


@dataclass(slots=True)
class BidState:
    """What has been booked of one bid; a row of `ledger.bid`."""

    kinds: int = 0  # 1 << (kind - 1) of each kind that counted
    closed: bool = False
    spent: int = 0
    spent_ms: int | None = None  # receipt of the notice that was booked
    clicked_ms: int | None = None  # receipt of its click


NOTHING = BidState()  # of a bid that was never spoken of; never changed


@dataclass(slots=True)
class Booking:
    """All that one batch changes."""

    rollup: dict[tuple[int, ...], list[int]] = field(default_factory=dict)  # MEASURES, value, spend
    flagged: dict[tuple[int, ...], list[int]] = field(default_factory=dict)  # minute, exchange, campaign, kind, flags
    leases: dict[tuple[int, int], list[int]] = field(default_factory=dict)  # (lease, minute): spent, closed
    # (campaign, lease, exchange, minute, hour of receipt): spent, our fee, late of what was spent, bids
    spends: dict[tuple[int, ...], list[int]] = field(default_factory=dict)
    bids: dict[bytes, BidState] = field(default_factory=dict)  # those that changed
    min_to_win: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)  # (day, class, bin): auctions
    fresh: dict[bytes, Notice] = field(default_factory=dict)  # of them, those that had no state, by their first notice
    suspense: dict[bytes, Notice] = field(default_factory=dict)


def spend_rules(exchanges: Mapping[str, Exchange]) -> dict[int, NoticeKind]:
    """Of the settings: key of the exchange -> the kind that books its spend."""
    return {row.key: SPEND_KINDS[row.spend_on] for row in exchanges.values()}


def bookable(notice: Notice) -> bool:
    """May it count, if it is the first of its kind?"""
    return notice.flags & _WRONG == 0


def book(
    notices: Iterable[Notice],
    states: Mapping[bytes, BidState],
    spend_on: Mapping[int, NoticeKind],
    click_window_ms: int = CLICK_WINDOW_MS,
    fees: Mapping[int, int] = NO_FEES,
    click_windows_ms: Mapping[int, int] = NO_WINDOWS,
) -> Booking:
    """What `notices`, in their order, change on top of `states` (which are left as they are).

    `spend_on`: key of the exchange -> the kind that books its spend. UnknownExchange where it has none.
    UnknownKind for one of a newer build. `click_window_ms`: so long after its click a conversion counts.
    `click_windows_ms`: the same by key of the campaign, of those that have less.
    `fees`: key of a campaign -> what we add to its media cost, in millionths, rounded half up to the nano-USD a bid.
    """
    booking = Booking()
    for notice in notices:
        spend_kind = spend_on.get(notice.exchange)
        if spend_kind is None:
            raise UnknownExchange(f"exchange {notice.exchange} is not in config.exchange")
        if notice.kind > len(MEASURES):
            raise UnknownKind(f"notices of kind {notice.kind} need a newer build of the aggregator")
        known = booking.bids.get(notice.bid_id) or states.get(notice.bid_id)
        before = known or NOTHING
        if not bookable(notice):
            _flag(booking, notice, before, spend_kind)
            continue
        if notice.kind == NoticeKind.CONVERSION and notice.received_ms - (before.clicked_ms or MAX_MS) > min(
            click_window_ms, click_windows_ms.get(notice.campaign, click_window_ms)
        ):
            _flag(booking, replace(notice, flags=notice.flags | NoticeFlag.EXPIRED), before, spend_kind)
            continue
        bit = 1 << (notice.kind - 1)
        if before.kinds & bit:
            continue
        after = BidState(before.kinds | bit, before.closed, before.spent, before.spent_ms, before.clicked_ms)
        _count(booking, notice, after, spend_kind, fees)
        if notice.min_to_win > 0 and bit & _DECIDES and not before.kinds & _DECIDES:
            of = (notice.minute // DAY_MINUTES, key_of(notice.exchange, notice.format, notice.w, notice.h))
            booking.min_to_win.setdefault((*of, bin_of(notice.min_to_win)), [0])[0] += 1
        if known is None:
            booking.fresh[notice.bid_id] = notice
        booking.bids[notice.bid_id] = after
    return booking


def _flag(booking: Booking, notice: Notice, state: BidState, spend_kind: NoticeKind) -> None:
    key = (notice.minute, notice.exchange, notice.campaign, notice.kind, notice.flags)
    booking.flagged.setdefault(key, [0])[0] += 1
    expired_only = notice.flags & _WRONG == NoticeFlag.EXPIRED
    if expired_only and notice.kind == spend_kind and notice.price > 0 and not state.spent:
        booking.suspense.setdefault(notice.bid_id, notice)


def _count(booking: Booking, notice: Notice, state: BidState, spend_kind: NoticeKind, fees: Mapping[int, int]) -> None:
    """The first of its kind: the rollup, and, where it is about money, lease, ledger and the state of the bid."""
    key = (notice.minute, *astuple(notice)[_DIMENSIONS])
    measures = booking.rollup.setdefault(key, [0] * (len(MEASURES) + 2))
    measures[notice.kind - 1] += 1
    if notice.kind == NoticeKind.CLICK:
        state.clicked_ms = notice.received_ms
    elif notice.kind == NoticeKind.CONVERSION:
        measures[-2] += notice.price
    spends = notice.kind == spend_kind and not state.spent and notice.price > 0
    closes = not state.closed and notice.kind in (spend_kind, NoticeKind.LOSS)
    spent = notice.price if spends else 0
    measures[-1] += spent
    if spends:
        state.spent, state.spent_ms = notice.price, notice.received_ms
        key = (notice.campaign, notice.lease, notice.exchange, notice.minute, notice.received_ms // HOUR_MS)
        spend = booking.spends.setdefault(key, [0, 0, 0, 0])
        spend[0] += spent
        spend[1] += (spent * fees.get(notice.campaign, 0) + HALF) // MILLION
        spend[2] += spent if notice.flags & NoticeFlag.LATE else 0
        spend[3] += 1
    if closes:
        state.closed = True
    if notice.lease and (spends or closes):
        lease = booking.leases.setdefault((notice.lease, notice.minute), [0, 0])
        lease[0] += spent
        lease[1] += notice.taken if closes else 0
