"""Postgres and the lease office in memory: every table that money needs, every transaction whole. Slow and obvious.

sync() is bidder.controller.leases.LeaseOffice with the SQL taken out: it looks at all campaigns each time, and adds
every sum up anew; what is pure of it (shares.py, and who gets what of an Account) is production. commit() is
aggregator.ledger.Ledger, apply() aggregator.writer.Writer. Money: int nano-USD. Times: seconds since 1970; `now` is the
caller's clock, `clock` the database's own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import attrgetter

from aggregator.dedupe import BidState, Booking, book
from aggregator.fold import Loss, advance, fold
from aggregator.inbox import SourceKey
from aggregator.ledger import Batch, StreamMoved
from bidder.controller import due
from bidder.controller.budget import BudgetHour
from bidder.controller.hosts import AGAIN, LIVES
from bidder.controller.leases import FRESH_S, LeaseOffice, _take_in
from bidder.controller.shares import Account, Out
from bidder.controller.shares import Campaign as Shared
from bidder.controller.streams import CLOSES_S, RELEASES_S, WARM_UP_S
from bidder.events.schema import Deltas, Notice, NoticeKind
from bidder.money.wire import Lease, LeaseState, LeaseSync
from bidder.settings import Money

RECENT = timedelta(hours=2)
_COLUMNS = attrgetter(*(column.name for column in fields(Out)))  # a copy costs a fifth of dataclasses.replace


@dataclass
class Campaign:
    """A row of `config.campaign`, as far as money asks."""

    key: int
    price: int
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
    """A row of `ledger.lease`; `changed`: version of the bank when it last did."""

    campaign: int
    out: Out
    changed: int

    @property
    def id(self) -> int:
        assert self.out.lease is not None
        return self.out.lease

    @property
    def closed(self) -> bool:
        return not self.out.open

    @property
    def amount(self) -> int:
        return self.out.amount


@dataclass
class Stream:
    """A row of `ops.stream`."""

    position: int = 0
    checked_at: float = 0.0
    updated_at: float = 0.0


@lru_cache(maxsize=4096)
def _hour(minute: int, timezone: str) -> BudgetHour:
    return BudgetHour.at(datetime.fromtimestamp(60 * minute, UTC), timezone)


def _hours(now: datetime, timezone: str) -> list[BudgetHour]:
    """due.hours_of(), remembered."""
    current = _hour(int(now.timestamp() // 60), timezone)
    near = (current.end - now).total_seconds() <= due.AHEAD_S
    return [current, *([_hour(int(current.end.timestamp() // 60), timezone)] * near)]


def _told(out: Out) -> tuple[object, ...]:
    """What a host is told of a lease, but for its spending."""
    return (out.amount, out.limit, out.take_until, out.settle_until, out.revision, out.open, out.plan, out.elsewhere)


class Bank:
    """All of it. `page`: leases in one answer."""

    def __init__(
        self, spend_on: Mapping[int, NoticeKind], clock: Callable[[], float], money: Money, *, unbudgeted: int = 10**12,
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
        self.version = 1
        self._hosts: dict[str, datetime] = {}  # when each asked for leases last, as written down
        self._office = LeaseOffice(money, clock)
        self._spend_on = dict(spend_on)
        self._clock = clock
        self._money, self._unbudgeted, self._page = money, unbudgeted, page
        self._epoch = 0
        self._spent: dict[int, int] = {}
        self._whose: dict[str, list[Granted]] = {}  # by host
        self.forget()

    # -- campaigns

    def put(self, campaign: Campaign) -> None:
        """Imported, or changed."""
        self.revision += 1
        self.campaigns[campaign.key] = replace(campaign, revision=self.revision)

    # -- the lease office

    def forget(self) -> None:
        """The controller has started anew, or lost its connection."""
        self._epoch += 1
        self._asked: dict[str, datetime] = {}
        self._silent: list[str] = []  # hosts that have asked before, and do not any more
        self._turns: dict[str, int] = {}
        self._first: float | None = None

    def sync(self, request: LeaseSync, now: float) -> LeaseState:
        """Answer one host."""
        wall, host = datetime.fromtimestamp(now, UTC), request.host
        epoch, version, last, then, told_turn = (int(part) for part in (request.seen or "0.0.0.0.0").split("."))
        if epoch != self._epoch:
            version = last = then = told_turn = 0
        turn = self._turns.get(host, 0)
        heard = turn > 0 and told_turn == turn
        hosts = self._count(host, wall)
        behind_s, closes_behind_s = self.behind_s(now)
        self._free(host, request.ceilings if heard else [], closes_behind_s, wall)
        wants = {lease: (amount, used) for lease, amount, used in (request.wants or [])} if heard else {}
        self._grant(request, wants, hosts, wall)
        self._turns[host] = turn + 1
        return self._tell(request, (version, last, then, turn + 1), behind_s > FRESH_S, hosts, heard, now)

    def behind_s(self, now: float) -> tuple[float, float]:
        """How old totals are where reservations come back, and where leases close."""
        if self._first is None or now < self._first:
            self._first = now
        if now - self._first < WARM_UP_S:
            return float("inf"), float("inf")
        clock = self._clock()
        behind = [(clock - stream.updated_at, clock - stream.checked_at) for stream in self.streams.values()]
        releases = max((old for silent, old in behind if silent < RELEASES_S), default=float("inf"))
        closes = max((old for silent, old in behind if silent < CLOSES_S), default=float("inf") if behind else 0.0)
        return releases, closes

    def spent(self, lease: int) -> int:
        """Of all minutes."""
        return self._spent.get(lease, 0)

    def cost(self, lease: Granted) -> int:
        """Open: all that it may cost, and what late bills added; closed: what it did cost."""
        return self.spent(lease.id) if lease.closed else max(lease.amount, self.spent(lease.id))

    def _count(self, host: str, now: datetime) -> int:
        """Hosts that have asked within half a minute; each is written down every five seconds."""
        asked = self._asked.get(host)
        if asked is None or not timedelta(0) <= now - asked < AGAIN:
            self._hosts[host] = now
            self._asked = {each: at for each, at in self._hosts.items() if abs(now - at) < LIVES}
            self._silent = sorted(self._hosts.keys() - self._asked.keys())
        return sum(abs(now - at) < LIVES for at in self._asked.values())

    def _free(self, host: str, ceilings: Sequence[tuple[int, int]], behind_s: float, now: datetime) -> None:
        freed = set()
        tells = self._office._clock_tells(now) and behind_s < float("inf")
        for lease in [lease for whose in (host, *self._silent) if tells for lease in self._of(whose)]:
            if lease.out.settle_until <= now - timedelta(seconds=max(0.0, behind_s - FRESH_S)):
                self._move(lease, -max(0, lease.amount - self.spent(lease.id)))
                self._change(lease, open=False)
                freed.add(lease.campaign)
        for id, ceiling in ceilings:
            lease = self.leases[id]
            mine = lease.out.host == host and lease.out.open and lease.out.take_until <= now
            if mine and lease.amount > max(0, ceiling):
                self._move(lease, max(0, ceiling) - lease.amount)
                self._change(lease, amount=max(0, ceiling))
                freed.add(lease.campaign)
        self._hungry(freed, now)

    def _hungry(self, freed: Iterable[int], now: datetime) -> None:
        """Money has come free for these campaigns: leases that would like some are worked out again."""
        campaigns = set(freed)
        for lease in self.leases.values():
            out = lease.out
            wants = out.wanted is None or out.wanted > out.amount
            if lease.campaign in campaigns and out.open and out.take_until > now and wants:
                self._change(lease, revision=0)

    def _grant(self, request: LeaseSync, wants: Mapping[int, tuple[int, int]], hosts: int, now: datetime) -> None:
        freed = []
        if request.wants is None:
            hosts = 1
        for key, campaign in self.campaigns.items():
            hours = _hours(now, campaign.timezone)
            if not self._asks(campaign, hours, request, wants, now):
                continue
            account = self._account(campaign, now)
            mine = [out for out in account.outs if out.host == request.host and out.open]
            told = {out.hour for out in mine if out.lease in wants}
            if _take_in(mine, dict(wants)):
                freed.append(key)
            if account.campaign.runs and request.healthy:
                self._office._renew(mine, hours, now)
            if account.campaign.runs:
                told |= self._office._work_out(account, mine, hours, request, True, hosts, now)
            for hour in hours:
                if hour.start in told:
                    account.tell(hour)
            self._write(key, account.outs)
        self._hungry(freed, now)

    def _asks(
        self, campaign: Campaign, hours: list[BudgetHour], request: LeaseSync, wants: Mapping[int, tuple[int, int]],
        now: datetime,
    ) -> bool:  # fmt: skip
        """Is there anything to do for it? Only so that schedules are cheap."""
        mine = {lease.out.hour: lease for lease in self._of(request.host) if lease.campaign == campaign.key}
        for hour in hours:
            lease = mine.get(hour.start)
            if lease is None or lease.out.revision < campaign.revision or lease.id in wants:
                return True
        return self._money.take_for_s < due.HOUR_S or any(lease.id in wants for lease in mine.values())

    def _account(self, campaign: Campaign, now: datetime) -> Account:
        end = None if campaign.flight_end is None else datetime.fromtimestamp(campaign.flight_end, UTC)
        shared = Shared(
            campaign.key, campaign.total, campaign.daily, campaign.hourly, campaign.even, campaign.timezone, end,
            campaign.revision, campaign.price, campaign.active and (end is None or end > now),
        )  # fmt: skip
        account = Account(shared, self._unbudgeted)
        settled: dict[date, int] = {}
        for lease in self.leases.values():
            if lease.campaign != campaign.key:
                continue
            if lease.out.open or lease.out.hour > now - RECENT:
                out = Out(*_COLUMNS(lease.out))
                out.takes, out.spent = out.open and out.take_until > now, self.spent(lease.id)
                account.outs.append(out)
            else:
                settled[lease.out.day] = settled.get(lease.out.day, 0) + self.spent(lease.id)
        account.settled = settled
        return account

    def _write(self, campaign: int, outs: Iterable[Out]) -> None:
        for out in outs:
            if out.lease is None:
                out.lease = len(self.leases) + 1
                self.version += 1
                self.leases[out.lease] = Granted(campaign, out, self.version)
                self._whose.setdefault(out.host, []).append(self.leases[out.lease])
                self._move(self.leases[out.lease], out.amount)
                continue
            lease = self.leases[out.lease]
            moved, told = out.amount - lease.amount, _told(out) != _told(lease.out)
            lease.out = out
            self._move(lease, moved)
            if told:
                self._touch(lease)

    def _change(self, lease: Granted, **columns: object) -> None:
        before = _told(lease.out)
        for name, value in columns.items():
            setattr(lease.out, name, value)
        if _told(lease.out) != before:
            self._touch(lease)

    def _move(self, lease: Granted, nano: int) -> None:
        """Between a campaign and its lease."""
        ends = (f"campaign:{lease.campaign}", f"lease:{lease.id}")
        if nano:
            self._transfer(*(ends if nano > 0 else ends[::-1]), "grant" if nano > 0 else "return", abs(nano))

    def _transfer(self, debit: str, credit: str, reason: str, nano: int) -> None:
        self.transfers[debit, credit, reason] = self.transfers.get((debit, credit, reason), 0) + nano

    def _touch(self, lease: Granted) -> None:
        self.version += 1
        lease.changed = self.version

    def _of(self, host: str) -> list[Granted]:
        return [lease for lease in self._whose.get(host, ()) if lease.out.open]

    def _tell(
        self, request: LeaseSync, seen: tuple[int, int, int, int], stale: bool, hosts: int, heard: bool, now: float
    ) -> LeaseState:
        """What changed since `seen`, or the next page of a listing."""
        version, last, then, turn = seen
        first, listing = last == 0, version == 0
        mine = [lease for lease in self._whose.get(request.host, ()) if lease.changed > version]
        ended = [(lease.id, lease.campaign) for lease in mine if lease.closed and first and not listing]
        left = [lease for lease in mine if not lease.closed and lease.id > last]
        named = [self._wire(lease, now) for lease in left[: self._page]]
        then = self.version if first else then
        partial = len(named) == self._page
        place = f"{version}.{named[-1].id}.{then}" if partial else f"{then}.0.0"
        return LeaseState(
            named, stale, self.revision, ended, listing and first, listing and not partial, partial,
            f"{self._epoch}.{place}.{turn}", partial, hosts, heard,
        )  # fmt: skip

    def _wire(self, lease: Granted, now: float) -> Lease:
        open_minute = int((now - self._money.release_after_s) // 60) - 1
        closed = [
            (minute, nano)
            for minute, (_, nano) in sorted(self.minutes.get(lease.id, {}).items())
            if minute >= open_minute and nano > 0
        ]
        campaign, out = self.campaigns[lease.campaign], lease.out
        times = (out.hour.timestamp() - now, out.take_until.timestamp() - now, out.settle_until.timestamp() - now)
        return Lease(
            lease.id, lease.campaign, lease.amount, *times, 3_600.0, campaign.even, self.spent(lease.id), closed,
            tilt=out.tilt, plan=out.plan, elsewhere=out.elsewhere, price=campaign.price, limit=out.limit,
            passes_on=not campaign.even and campaign.hourly is None,
        )  # fmt: skip

    # -- money events

    def position(self, stream: str) -> int:
        """Where to read on."""
        row = self.streams.setdefault(stream, Stream())
        row.updated_at = self._clock()
        return row.position

    def commit(self, batch: Batch) -> Booking:
        """Book a batch, and move the position, or nothing of both."""
        stream = self.streams[batch.stream]
        if stream.position != batch.before:
            raise StreamMoved(batch.stream)
        states = {n.bid_id: self.bids[n.bid_id] for n in batch.notices if n.bid_id in self.bids}
        booking = book(batch.notices, states, self._spend_on)
        stream.position = batch.after
        stream.updated_at = self._clock()
        if batch.checked_s_ago is not None:
            stream.checked_at = self._clock() - batch.checked_s_ago
        self.post(booking)
        return booking

    def post(self, booking: Booking) -> None:
        """Everything but the position."""
        self.bids.update(booking.bids)
        for key, measures in booking.rollup.items():
            _add(self.rollup.setdefault(key, [0] * len(measures)), measures)
        self.flagged += sum(n for (n,) in booking.flagged.values())
        for (id, minute), sums in booking.leases.items():
            _add(self.minutes.setdefault(id, {}).setdefault(minute, [0, 0]), sums)
            self._spent[id] = self._spent.get(id, 0) + sums[0]
            self._touch(self.leases[id])
        for (campaign, id, exchange, *_), (nano, fee, _, _) in booking.spends.items():
            self._transfer(f"lease:{id}", f"media:{exchange}", "media", nano)
            self._transfer("advertiser:1", f"campaign:{campaign}", "charge", nano + fee)
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
