"""What notices are worth, one at a time and in the order of the stream: slow, obvious, the truth for the aggregator."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bidder.events.schema import Notice, NoticeFlag, NoticeKind


@dataclass
class Books:
    """Totals by campaign (kind -> n; spend), by lease and minute, by exchange, and of what did not count."""

    counts: Counter[tuple[int, int]] = field(default_factory=Counter)  # (campaign, kind)
    spend: Counter[int] = field(default_factory=Counter)  # campaign
    media: Counter[int] = field(default_factory=Counter)  # exchange
    leases: defaultdict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    flagged: Counter[tuple[int, int]] = field(default_factory=Counter)  # (kind, flags)
    suspense: dict[bytes, int] = field(default_factory=dict)
    value: Counter[int] = field(default_factory=Counter)  # campaign: what its conversions were worth


def keep_books(
    notices: Iterable[Notice], spend_on: dict[int, NoticeKind], click_window_ms: int = 30 * 86_400_000
) -> Books:
    """Every notice in turn."""
    books = Books()
    seen: set[tuple[bytes, int]] = set()
    paid: set[bytes] = set()
    closed: set[bytes] = set()
    clicked: dict[bytes, int] = {}
    for notice in notices:
        spends = notice.kind == spend_on[notice.exchange]
        if notice.flags not in (NoticeFlag.NONE, NoticeFlag.LATE):
            books.flagged[notice.kind, notice.flags] += 1
            only_expired = notice.flags in (NoticeFlag.EXPIRED, NoticeFlag.EXPIRED | NoticeFlag.LATE)
            if only_expired and spends and notice.price and notice.bid_id not in paid:
                books.suspense.setdefault(notice.bid_id, notice.price)
            continue
        too_late = notice.received_ms - clicked.get(notice.bid_id, notice.received_ms) > click_window_ms
        if notice.kind == NoticeKind.CONVERSION and too_late:
            books.flagged[notice.kind, notice.flags | NoticeFlag.EXPIRED] += 1
            continue
        if (notice.bid_id, notice.kind) in seen:
            continue
        seen.add((notice.bid_id, notice.kind))
        if notice.kind == NoticeKind.CLICK:
            clicked[notice.bid_id] = notice.received_ms
        if notice.kind == NoticeKind.CONVERSION and notice.price:
            books.value[notice.campaign] += notice.price
        books.counts[notice.campaign, notice.kind] += 1
        lease = books.leases[notice.lease, notice.minute]
        if spends and notice.price:
            paid.add(notice.bid_id)
            books.spend[notice.campaign] += notice.price
            books.media[notice.exchange] += notice.price
            lease[0] += notice.price
        if notice.bid_id not in closed and (spends or notice.kind == NoticeKind.LOSS):
            closed.add(notice.bid_id)
            lease[1] += notice.taken
    books.leases = defaultdict(books.leases.default_factory, {k: v for k, v in books.leases.items() if k[0] and any(v)})
    return books
