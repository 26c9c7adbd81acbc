"""What a tracker counts: onto the bus with the counters of the bidder of this host, if there is one.

Of bids that count under caps what became of them; every notice that was booked, so that metrics and whoever judges a
canary hear of wins and spend within a second. The money itself goes by the stream.
"""

from collections.abc import Mapping
from pathlib import Path

from bidder._fast.counters import CounterFile
from bidder.events.outbox import KEY, TRACKER_ROW
from bidder.events.schema import CapEvent, Kind, Notice, NoticeKind
from bidder.money.tokens import Token
from bidder.ops.followed import Followed
from bidder.settings import Exchange
from bidder.tracking.notice import needs_price


class TrackerCounters:
    """One a process."""

    def __init__(self, state: Path, exchanges: Mapping[str, Exchange]) -> None:
        path = state / "shm" / "counters"
        # It would be another's file if we made it: that of the bidder's supervisor, if there is one on this host.
        self._counters = Followed(path, lambda: CounterFile(path).open_worker(TRACKER_ROW))
        self._exchanges = {row.key: row for row in exchanges.values()}

    def refresh(self) -> None:
        """The file that this host's bidder has now."""
        self._counters.refresh()

    def cap(self, token: Token, event: CapEvent) -> None:
        """What became of a bid that counts under caps."""
        ours = token.campaign, token.creative
        self._count(Kind.CAP, token.exchange, token.arm, event, 0, 0, 0, 0, 0, *ours, 0, 0, token.minute)

    def notice(self, notice: Notice) -> None:
        """One that was booked. Of bids of arm 0, whom nobody compares, without their campaign."""
        exchange = self._exchanges.get(notice.exchange)
        books = exchange is not None and needs_price(NoticeKind(notice.kind), exchange)
        self._count(
            Kind.NOTICE, notice.exchange, notice.arm, notice.kind, 0, 0, 0, 0, 0, notice.campaign if notice.arm else 0,
            0, 0, 0, notice.minute, amount=notice.price if books else 0,
        )  # fmt: skip

    def _count(self, *fields: int, amount: int = 0) -> None:
        counters = self._counters.now
        if counters is not None:
            with counters:
                counters.count(KEY.pack(*fields), 1, amount)
