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


def keep_books(notices: Iterable[Notice], spend_on: dict[int, NoticeKind]) -> Books:
    """Every notice in turn."""
    books = Books()
    seen: set[tuple[bytes, int]] = set()
    paid: set[bytes] = set()
    closed: set[bytes] = set()
    for notice in notices:
        spends = notice.kind == spend_on[notice.exchange]
        if notice.flags not in (NoticeFlag.NONE, NoticeFlag.LATE):
            books.flagged[notice.kind, notice.flags] += 1
            only_expired = notice.flags in (NoticeFlag.EXPIRED, NoticeFlag.EXPIRED | NoticeFlag.LATE)
            if only_expired and spends and notice.price and notice.bid_id not in paid:
                books.suspense.setdefault(notice.bid_id, notice.price)
            continue
        if (notice.bid_id, notice.kind) in seen:
            continue
        seen.add((notice.bid_id, notice.kind))
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
