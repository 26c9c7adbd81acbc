"""Postgres and the lease office in memory: every table that money needs, every transaction whole. Slow and obvious.

sync() is bidder.controller.leases.LeaseOffice without its short cuts: it looks at all campaigns each time, and works every
sum out anew. commit() is aggregator.ledger.Ledger, apply() aggregator.writer.Writer. Money: int nano-USD. Times: seconds
since 1970; `now` of the caller's clock, `clock` is the database's own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache

from aggregator.dedupe import BidState, Booking, book, bookable
from aggregator.fold import Loss, advance, fold
from aggregator.inbox import SourceKey
from aggregator.ledger import Batch, StreamMoved
from bidder.controller.budget import Budget, BudgetHour, amount_of
from bidder.events.schema import Deltas, Notice, NoticeKind
from bidder.money.wire import Lease, LeaseState, LeaseSync

AHEAD_S = 20.0
FRESH_S = 5.0


@dataclass
class Campaign:
    """A row of `config.campaign`, as far as money asks."""

    key: int
    total: int | None = None
    daily: int | None = None
    hourly: int | None = None
    even: bool = False
    timezone: str = "UTC"
    flight_end: float | None = None
    active: bool = True
    revision: int = 1


@dataclass
class Granted:
    """A row of `ledger.lease`."""

    id: int
    campaign: int
    host: str
    hour: float
    day: date
    amount: int
    take_until: float
    settle_until: float
    revision: int
    changed: int
    closed: bool = False


@dataclass
class Stream:
    """A row of `ops.stream`."""

    position: int = 0
    checked_at: float | None = None


@lru_cache(maxsize=4096)
def _hour(minute: int, timezone: str) -> BudgetHour:
    return BudgetHour.at(datetime.fromtimestamp(60 * minute, UTC), timezone)


def hours_of(now: float, timezone: str) -> list[BudgetHour]:
    """This one, and the next shortly before it begins."""
    current = _hour(int(now // 60), timezone)
    end = current.end.timestamp()
    return [current, *([_hour(int(end // 60), timezone)] * (end - now <= AHEAD_S))]


class Bank:
    """All of it. `page`: leases in one answer."""

    def __init__(
        self, spend_on: Mapping[int, NoticeKind], clock: Callable[[], float], *,
        take_for_s: int = 3_600, settle_for_s: int = 1_800, release_after_s: int = 600, unbudgeted: int = 10**12,
        page: int = 4_000,
    ) -> None:  # fmt: skip
        self.campaigns: dict[int, Campaign] = {}
        self.revision = 1
        self.leases: dict[int, Granted] = {}
        self.minutes: dict[int, dict[int, list[int]]] = {}  # lease -> minute -> spent, closed
        self.transfers: dict[tuple[str, str, str], int] = {}
        self.bids: dict[bytes, BidState] = {}
        self.rollup: dict[tuple[int, ...], list[int]] = {}
        self.flagged = 0
        self.suspense: dict[bytes, Notice] = {}
        self.streams: dict[str, Stream] = {}
        self.progress: dict[SourceKey, tuple[int, int]] = {}
        self.traffic: dict[tuple[int, ...], list[int]] = {}
        self.gaps: list[tuple[str, int, int, int]] = []
        self.epoch = 1
        self._spend_on = dict(spend_on)
        self._clock = clock
        self._take_for_s, self._settle_for_s, self._release_after_s = take_for_s, settle_for_s, release_after_s
        self._unbudgeted, self._page = unbudgeted, page
        self.version = 1

    # -- campaigns

    def put(self, campaign: Campaign) -> None:
        """Imported, or changed."""
        self.revision += 1
        self.campaigns[campaign.key] = replace(campaign, revision=self.revision)

    # -- the lease office

    def forget(self) -> None:
        """The controller has started anew."""
        self.epoch += 1

    def sync(self, request: LeaseSync, now: float) -> LeaseState:
        """Answer one host."""
        self._free(request, now)
        for campaign in self.campaigns.values():
            runs = campaign.active and (campaign.flight_end is None or campaign.flight_end > now)
            for hour in hours_of(now, campaign.timezone) if runs else ():
                self._due(campaign, hour, request, now)
        return self._tell(request, now, self.stale(now))

    def stale(self, now: float) -> bool:
        """Are the totals behind what trackers have acknowledged?"""
        checked = [stream.checked_at for stream in self.streams.values() if stream.checked_at is not None]
        return not checked or now - max(checked) > FRESH_S

    def spent(self, lease: int) -> int:
        """Of all minutes."""
        return sum(spent for spent, _ in self.minutes.get(lease, {}).values())

    def cost(self, lease: Granted) -> int:
        """Open: all that it may cost, and what late bills added; closed: what it did cost."""
        return self.spent(lease.id) if lease.closed else max(lease.amount, self.spent(lease.id))

    def _free(self, request: LeaseSync, now: float) -> None:
        freed = set()
        for lease in self._of(request.host):
            if lease.settle_until <= now:
                self._move(lease, -max(0, lease.amount - self.spent(lease.id)))
                lease.closed = True
                self._touch(lease)
                freed.add(lease.campaign)
        for id, ceiling in request.ceilings:
            lease = self.leases[id]
            if (
                lease.host == request.host and not lease.closed and lease.take_until <= now
                and lease.amount > max(0, ceiling)
            ):  # fmt: skip
                self._set(lease, max(0, ceiling), lease.revision)
                freed.add(lease.campaign)
        for lease in self.leases.values():
            if lease.campaign in freed and not lease.closed and lease.take_until > now:
                lease.revision = 0
                self._touch(lease)

    def _due(self, campaign: Campaign, hour: BudgetHour, request: LeaseSync, now: float) -> None:
        start = hour.start.timestamp()
        all_mine = [x for x in self.leases.values() if (x.campaign, x.host, x.hour) == (campaign.key, request.host, start)]
        mine = next((lease for lease in all_mine if lease.take_until > now), None)
        if (mine.revision if mine else 0) >= campaign.revision or (mine is None and not request.healthy):
            return
        apart = [lease for lease in self.leases.values() if lease.campaign == campaign.key and lease is not mine]
        end = campaign.flight_end
        budget = Budget(
            total=campaign.total,
            daily=campaign.daily,
            hourly=campaign.hourly,
            even=campaign.even,
            flight_end=None if end is None else datetime.fromtimestamp(end, UTC),
            committed_total=sum(self.cost(lease) for lease in apart),
            committed_day=sum(self.cost(lease) for lease in apart if lease.day == hour.day),
            committed_hour=sum(self.cost(lease) for lease in apart if lease.hour == start),
        )
        amount = amount_of(budget, hour, self._unbudgeted)
        if mine is not None:
            self._set(mine, max(amount, self.spent(mine.id)), campaign.revision)
        elif not all_mine:  # else `take_for_s` ended before the hour
            take_until = min(hour.end.timestamp(), max(start, now) + self._take_for_s)
            id = len(self.leases) + 1
            self.version += 1
            self.leases[id] = Granted(
                id, campaign.key, request.host, start, hour.day, amount, take_until, take_until + self._settle_for_s,
                campaign.revision, self.version,
            )  # fmt: skip
            self._move(self.leases[id], amount)

    def _set(self, lease: Granted, amount: int, revision: int) -> None:
        self._move(lease, amount - lease.amount)
        lease.amount, lease.revision = amount, revision
        self._touch(lease)

    def _move(self, lease: Granted, nano: int) -> None:
        """Between a campaign and its lease."""
        ends = (f"campaign:{lease.campaign}", f"lease:{lease.id}")
        if nano:
            key = (*ends, "grant") if nano > 0 else (*reversed(ends), "return")
            self._transfer(key, abs(nano))

    def _transfer(self, key: tuple[str, ...], nano: int) -> None:
        debit, credit, reason = key
        self.transfers[debit, credit, reason] = self.transfers.get((debit, credit, reason), 0) + nano

    def _touch(self, lease: Granted) -> None:
        self.version += 1
        lease.changed = self.version

    def _of(self, host: str) -> list[Granted]:
        return [lease for lease in self.leases.values() if lease.host == host and not lease.closed]

    def _tell(self, request: LeaseSync, now: float, stale: bool) -> LeaseState:
        """What changed since `seen`, or the next page of a listing."""
        epoch, version, last, then = (int(part) for part in (request.seen or "0.0.0.0").split("."))
        if epoch != self.epoch:
            version = last = then = 0
        first, listing = last == 0, version == 0
        mine = [lease for lease in self.leases.values() if lease.host == request.host and lease.changed > version]
        ended = [(lease.id, lease.campaign) for lease in mine if lease.closed and first and not listing]
        left = [lease for lease in mine if not lease.closed and lease.id > last]
        named = [self._wire(lease, now) for lease in left[: self._page]]
        then = self.version if first else then
        partial = len(named) == self._page
        reached = f"{self.epoch}.{version}.{named[-1].id}.{then}" if partial else f"{self.epoch}.{then}.0.0"
        return LeaseState(
            named, stale, self.revision, ended, listing and first, listing and not partial, partial, reached, partial
        )

    def _wire(self, lease: Granted, now: float) -> Lease:
        open_minute = int((now - self._release_after_s) // 60) - 1
        closed = [
            (minute, nano)
            for minute, (_, nano) in sorted(self.minutes.get(lease.id, {}).items())
            if minute >= open_minute and nano > 0
        ]
        return Lease(
            lease.id, lease.campaign, lease.amount, lease.hour - now, lease.take_until - now, lease.settle_until - now,
            3_600.0, self.campaigns[lease.campaign].even, self.spent(lease.id), closed,
        )  # fmt: skip

    # -- money events

    def position(self, stream: str) -> int:
        """Where to read on."""
        return self.streams.setdefault(stream, Stream()).position

    def commit(self, batch: Batch) -> Booking:
        """Book a batch, and move the position, or nothing of both."""
        stream = self.streams[batch.stream]
        if stream.position != batch.before:
            raise StreamMoved(batch.stream)
        states = {n.bid_id: self.bids[n.bid_id] for n in batch.notices if n.bid_id in self.bids}
        booking = book(batch.notices, states, self._spend_on)
        stream.position = batch.after
        if batch.checked_s_ago is not None:
            stream.checked_at = self._clock() - batch.checked_s_ago
        self.post(booking)
        for notice in batch.notices:
            if bookable(notice):
                self.bids.setdefault(notice.bid_id, BidState())
        return booking

    def post(self, booking: Booking) -> None:
        """Everything but the position."""
        self.bids.update(booking.bids)
        for key, measures in booking.rollup.items():
            _add(self.rollup.setdefault(key, [0] * len(measures)), measures)
        self.flagged += sum(n for (n,) in booking.flagged.values())
        for (id, minute), sums in booking.leases.items():
            _add(self.minutes.setdefault(id, {}).setdefault(minute, [0, 0]), sums)
            self._touch(self.leases[id])
        for (debit, credit, reason, _), (nano,) in booking.transfers.items():
            self._transfer((debit, credit, reason), nano)
        for bid, notice in booking.suspense.items():
            self.suspense.setdefault(bid, notice)

    # -- counters

    def marks(self, sources: Iterable[SourceKey]) -> dict[SourceKey, int]:
        """The last window of each that is in the rollups."""
        return {key: self.progress.get(key, (0, 0))[0] for key in sources}

    def apply(self, windows: Sequence[Deltas], losses: Sequence[Loss]) -> dict[SourceKey, int]:
        """Windows that are next, and the new marks."""
        reached = {}
        for producer, epoch in sorted({(window.producer, window.epoch) for window in windows}):
            move = advance(
                *self.progress.get((producer, epoch), (0, 0)),
                (window for window in windows if (window.producer, window.epoch) == (producer, epoch)),
                (loss for loss in losses if (loss.producer, loss.epoch) == (producer, epoch)),
            )
            for key, measures in fold(move.windows).traffic.items():
                _add(self.traffic.setdefault(key, [0] * len(measures)), measures)
            self.gaps += [(producer, epoch, first, last) for first, last, _, _ in move.gaps]
            self.progress[producer, epoch] = move.mark, move.window_ms
            reached[producer, epoch] = move.mark
        return reached

    # -- what the ledger says

    def balances(self) -> dict[str, int]:
        """By account: received less given."""
        found: dict[str, int] = {}
        for (debit, credit, _), nano in self.transfers.items():
            found[debit] = found.get(debit, 0) - nano
            found[credit] = found.get(credit, 0) + nano
        return found


def _add(to: list[int], more: Sequence[int]) -> None:
    for at, n in enumerate(more):
        to[at] += n
