"""A controller in memory: the whole truth of one host's leases, told in full or by what changed, page by page."""

from dataclasses import dataclass, field

import msgspec

from bidder.money.wire import Lease, LeaseState

RELEASE_S = 600


@dataclass
class Granted:
    id: int
    campaign: int
    amount: int
    begins: int  # seconds, as all times here
    take_until: int
    settle_until: int
    changed: int  # version of the office when it last changed
    ended: bool = False
    spent: int = 0
    closed: dict[int, int] = field(default_factory=dict)


class Office:
    """`start`: wall clock at 0, seconds. Every change raises `version`."""

    def __init__(self, start: float, page: int) -> None:
        self.leases: dict[int, Granted] = {}
        self.version = 1
        self.epoch = 1  # raised when it is restarted: it cannot tell any more what has changed
        self.turn = 0  # answers given
        self._start = start
        self._page = page

    def grant(self, campaign: int, amount: int, begins: int, take_until: int, settle_until: int) -> Granted:
        self.version += 1
        id = len(self.leases) + 1
        self.leases[id] = Granted(id, campaign, amount, begins, take_until, settle_until, self.version)
        return self.leases[id]

    def touch(self, lease: Granted) -> None:
        self.version += 1
        lease.changed = self.version

    def listing(self, now: int, stale: bool) -> LeaseState:
        """Everything at once, as a controller of before would say it."""
        self._end(now)
        return LeaseState([self._wire(lease, now) for lease in self._open()], stale, self.version)

    def answer(self, seen: str, now: int, stale: bool) -> LeaseState:
        """What changed since `seen`, or the next page of a listing."""
        self._end(now)
        epoch, version, last, then, turn = (int(part) for part in (seen or "0.0.0.0.0").split("."))
        heard = (epoch, turn) == (self.epoch, self.turn)
        self.turn += 1
        if epoch != self.epoch:
            version = last = 0
        first, listing = last == 0, version == 0
        changed = [lease for lease in self.leases.values() if lease.changed > version]
        ended = [(lease.id, lease.campaign) for lease in changed if lease.ended and first and not listing]
        left = [lease for lease in changed if not lease.ended and lease.id > last]
        named = [self._wire(lease, now) for lease in left[: self._page]]
        begins, then = listing and first, self.version if first else then
        if len(named) < self._page:
            reached = f"{self.epoch}.{then}.0.0.{self.turn}"
            state = LeaseState(named, stale, self.version, ended, begins, listing, seen=reached)
        else:
            reached = f"{self.epoch}.{version}.{named[-1].id}.{then}.{self.turn}"
            state = LeaseState(named, stale, self.version, ended, begins, False, more=True, seen=reached, partial=True)
        return msgspec.structs.replace(state, heard=heard)

    def _open(self) -> list[Granted]:
        return [lease for lease in self.leases.values() if not lease.ended]

    def _end(self, now: int) -> None:
        for lease in self._open():
            if lease.settle_until <= now:
                lease.ended = True
                self.touch(lease)

    def _wire(self, lease: Granted, now: int) -> Lease:
        first = int((self._start + now - RELEASE_S) // 60) - 1
        closed = [(minute, nano) for minute, nano in sorted(lease.closed.items()) if minute >= first]
        times = (lease.begins - now, lease.take_until - now, lease.settle_until - now)
        return Lease(lease.id, lease.campaign, lease.amount, *times, 3600.0, False, lease.spent, closed, price=10)
