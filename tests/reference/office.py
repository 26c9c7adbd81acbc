"""A controller in memory: the whole truth of one host's leases, told in full or by what changed, page by page."""

from dataclasses import dataclass, field

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
        self.version = 0
        self.epoch = 1  # raised when it is restarted: it cannot tell any more what has changed
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
        epoch, version, last = (int(part or 0) for part in (seen or "0.0.").split("."))
        here = f"{self.epoch}.{self.version}."
        if epoch == self.epoch and seen.endswith("."):
            changed = [lease for lease in self.leases.values() if lease.changed > version]
            named = [self._wire(lease, now) for lease in changed if not lease.ended]
            ended = [(lease.id, lease.campaign) for lease in changed if lease.ended]
            return LeaseState(named, stale, self.version, ended, begins=False, ends=False, seen=here)
        begins = epoch != self.epoch
        last = 0 if begins else last
        page = [lease for lease in self._open() if lease.id > last][: self._page]
        ends = len(page) < self._page
        reached = f"{self.epoch}.{self.version if begins else version}.{'' if ends else page[-1].id}"
        named = [self._wire(lease, now) for lease in page]
        return LeaseState(named, stale, self.version, [], begins, ends, more=not ends, seen=reached)

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
        return Lease(lease.id, lease.campaign, lease.amount, *times, 3600.0, False, lease.spent, closed)
