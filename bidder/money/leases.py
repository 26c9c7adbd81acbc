"""Leases: what the controller grants, kept in the purses that bids take from.

sync -> apply(LeaseState): place new leases, open the current one, move `left` by what was billed and lost;
tick(): open and shut by the clock, give back what nobody claimed. No SQL, no HTTP, no waiting.
Money: nano-USD. `now`, `received_at`: monotonic seconds. Minutes: UTC since 1970, from `clock`.

Invariants, for the lease that bids take from:
1. left = amount - spent - sum over open minutes of max(0, taken - closed), as of the last fresh answer;
   never more. Whatever is not known makes it less.
2. A minute is open until `release_after_s` after its end. Then what it still holds comes back once, and only on
   fresh totals: a state not `stale` and less than 3 s old. A later bill of it still costs: `left` may go below 0.
3. What bills and losses give back, `left` gets on fresh totals only; what bills cost, it loses on any.
4. At most one half of a purse is open, and none for a lease that has not begun or whose time to take is over.
   A half is emptied for another lease a second after it was shut, so no bid is in the middle of it.
5. A supervisor that starts (its workers are dead then) shuts every half, and opens those of which it hears again,
   with `left` anew by 1. A lease that the host held before its purses began (the file was lost, or the machine has
   booted) is never opened: all of it counts as spent, until its hour ends. To know which those are, the first
   question after such a loss must not draw new leases: ask with `healthy=False` while `surveyed` is False.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from bidder._fast.purses import HalfView, Purses
from bidder.money.wire import Lease, LeaseState

FRESH_S = 3.0
QUIET_S = 1.0
WORTH_SAYING = 64  # less than this part of a lease is not given back before it closes
BUCKETS = 16
SPAN = 14  # minutes back that a bucket can be told from the same bucket of the next round; one ahead is a worker's
MAX_RELEASE_S = (SPAN - 2) * 60


@dataclass(slots=True)
class Held:
    """One lease in one half of a purse."""

    lease: int
    slot: int
    which: int
    known: bool  # False: see invariant 5
    expired_through: int  # minutes up to this one have been given back
    amount: int = 0
    begins_at: float = 0.0
    take_until: float = 0.0
    hour_s: float = 3600.0
    even: bool = False
    open: bool = False
    spent: int = 0
    closed: dict[int, int] = field(default_factory=dict)

    def hear(self, lease: Lease, received_at: float) -> None:
        """Totals only grow, so an answer that comes late changes nothing."""
        self.amount = lease.amount
        self.begins_at = received_at + lease.begins_in_s
        self.take_until = received_at + lease.take_for_s
        self.hour_s, self.even = lease.hour_s, lease.even
        self.spent = max(self.spent, lease.spent)
        for minute, nano in lease.closed:
            if minute > self.expired_through:
                self.closed[minute] = max(nano, self.closed.get(minute, 0))

    def credits(self, half: HalfView, minute: int) -> int:
        """What bills and losses of open minutes gave back, less what bills cost."""
        back = 0
        for closed, nano in self.closed.items():
            if max(self.expired_through, minute - SPAN - 1) < closed <= minute + 1:
                back += min(nano, half.taken[closed % BUCKETS])
        return back - self.spent


class LeaseKeeper:
    """Owned by the supervisor, the only one who writes purses but for the bids that take."""

    def __init__(self, purses: Purses, *, release_after_s: int, clock: Callable[[], float] = time.time) -> None:
        """`clock`: wall, seconds since 1970. ValueError where minutes could not be told apart for so long."""
        if not 0 < release_after_s <= MAX_RELEASE_S:
            raise ValueError(f"release_after_s={release_after_s}: 1 to {MAX_RELEASE_S}")
        self.revision = 0  # of the configuration that the last answer reflects
        self._purses = purses
        self._release_after_s = release_after_s
        self._clock = clock
        self._received_at = float("-inf")
        self._stale = True
        self._complete = False
        self._held: dict[int, Held] = {}
        self._halves: dict[tuple[int, int], Held] = {}
        self._shut_at: dict[tuple[int, int], float] = {}
        self._listed: dict[int, int] = {}  # lease -> campaign, of the last answer
        self._waiting: set[int] = set()  # campaigns with a lease that has found no half yet
        self._gone: set[int] = set()  # leases that made room for others, or were over when first heard of
        purses.close_all()

    @property
    def surveyed(self) -> bool:
        """False: the next question must be asked with `healthy=False`, see invariant 5."""
        return self._purses.surveyed

    @property
    def overspent(self) -> int:
        """What leases still held have cost beyond their amounts: bills after their reservations were given back."""
        return sum(max(0, held.spent - held.amount) for held in self._held.values())

    def held(self) -> list[int]:
        """Leases that the controller last named, whether or not anything can be taken from them."""
        return list(self._listed)

    def ceilings(self, now: float) -> list[tuple[int, int]]:
        """(lease, nano-USD) of leases that take no more: what each can still cost, where that is news to the budget.

        What was spent and what is reserved; absolute, so that it may be said twice.
        """
        found = []
        for held in self._held.values():
            quiet = now - self._shut_at.get((held.slot, held.which), float("-inf")) >= QUIET_S
            if held.known and not held.open and held.take_until <= now and quiet:
                half = self._purses.half(held.slot, held.which)
                if half.left > half.amount // WORTH_SAYING:
                    found.append((held.lease, half.amount - half.left))
        return found

    def ready(self, campaigns: Collection[int]) -> bool:
        """Has each of these a lease in its purse, or been refused one?"""
        if not self.surveyed or not self._waiting.isdisjoint(campaigns):
            return False
        return self._complete or set(self._listed.values()).issuperset(campaigns)

    def taking(self) -> Iterator[Held]:
        """Leases that bids take from now."""
        return (held for held in self._held.values() if held.open)

    def apply(self, state: LeaseState, received_at: float, *, complete: bool = True) -> None:
        """Take in an answer. `complete`: it was asked with `healthy=True`, so who has no lease in it was refused.

        ValueError for a complete one while `surveyed` is False: leases just drawn could not be told from lost ones.
        """
        surveying = not self.surveyed
        if surveying and complete:
            raise ValueError("the first answer must be to a question with healthy=False, see `surveyed`")
        self._received_at, self._stale, self.revision = received_at, state.stale, state.revision
        self._complete = complete
        leases = [lease for lease in state.leases if lease.settle_for_s > 0]
        self._listed = {lease.id: lease.campaign for lease in leases}
        for lost in self._held.keys() - self._listed.keys():
            self._drop(self._held[lost], received_at)
        self._gone &= self._listed.keys()
        newcomers = []
        for lease in leases:
            held = self._held.get(lease.id)
            if held is None:
                newcomers.append(lease)
                continue
            held.hear(lease, received_at)
            self._settle(held)
        self._turn(received_at)
        self._waiting = {lease.campaign for lease in newcomers if not self._place(lease, received_at, surveying)}
        self._turn(received_at)
        if surveying:
            self._purses.mark_surveyed()

    def tick(self, now: float) -> None:
        """Twice a second or so, whether or not there are answers."""
        self._turn(now)
        if self._stale or now - self._received_at >= FRESH_S:
            return
        minute = self._minute()
        due = int((self._clock() - self._release_after_s) // 60) - 1
        for held in self._held.values():
            if held.known and held.expired_through != due:
                self._expire(held, minute, due)

    def _minute(self) -> int:
        return int(self._clock() // 60)

    def _settle(self, held: Held) -> None:
        """Bring the half to what is known of its lease."""
        if not held.known:
            return
        half = self._purses.half(held.slot, held.which)
        if half.amount != held.amount:
            self._purses.set_amount(held.slot, held.which, held.amount)
        credits = held.credits(half, self._minute())
        if credits < half.credits or (credits > half.credits and not self._stale):
            self._purses.apply_credits(held.slot, held.which, credits)

    def _expire(self, held: Held, minute: int, due: int) -> None:
        """Give back what is left of every minute up to `due`. A clock set back makes it begin again from there."""
        for expiring in range(max(min(held.expired_through, due), minute - SPAN - 1) + 1, due + 1):
            held.expired_through = expiring
            half = self._purses.half(held.slot, held.which)
            if half.taken[expiring % BUCKETS]:
                self._purses.expire_bucket(held.slot, held.which, expiring, held.credits(half, minute))
        held.expired_through = due
        for old in [closed for closed in held.closed if closed <= due]:
            del held.closed[old]

    def _turn(self, now: float) -> None:
        """Shut what is over, open what has begun; of two that a purse could open, the newer."""
        for held in self._held.values():
            wanted = held.known and held.begins_at <= now < held.take_until
            if wanted == held.open:
                continue
            if not wanted:
                self._shut(held, now)
                continue
            other = self._halves.get((held.slot, 1 - held.which))
            if other is not None and other.open:
                if other.lease > held.lease:
                    continue
                self._shut(other, now)
            self._purses.open_half(held.slot, held.which)
            held.open = True

    def _shut(self, held: Held, now: float) -> None:
        if held.open:
            self._purses.close_half(held.slot, held.which)
            self._shut_at[held.slot, held.which] = now
            held.open = False

    def _drop(self, held: Held, now: float) -> None:
        """Out of the books; its half stays as it is until another lease needs it."""
        self._shut(held, now)
        del self._held[held.lease]
        del self._halves[held.slot, held.which]

    def _place(self, lease: Lease, now: float, surveying: bool) -> bool:
        """Find the lease its half; False: none is free yet, it is tried again at the next answer."""
        if lease.id in self._gone:
            return True
        slot = self._purses.slot_of(lease.campaign)
        halves = [(which, self._purses.half(slot, which)) for which in (0, 1)]
        mine = next(((which, half) for which, half in halves if abs(half.lease) == lease.id), None)
        if mine is None and lease.take_for_s <= 0 and not surveying:
            self._gone.add(lease.id)
            return True
        untouched = lease.begins_in_s > 0 or not (surveying or lease.spent or lease.closed)
        known = mine[1].amount >= 0 if mine is not None else untouched
        which = mine[0] if mine is not None else self._room(slot, now)
        if which is None or now - self._shut_at.get((slot, which), float("-inf")) < QUIET_S:
            if not known:
                self._gone.add(lease.id)
            return not known
        minute = self._minute()
        held = Held(lease.id, slot, which, known, expired_through=minute - SPAN - 1)
        held.hear(lease, now)
        if not known:
            if mine is None:
                self._purses.grant_unknown(slot, which, lease.id)
        else:
            if mine is None:
                self._purses.grant(slot, which, lease.id, lease.amount)
            credits = held.credits(self._purses.half(slot, which), minute)
            self._purses.restore(slot, which, lease.amount, credits)
        self._held[lease.id] = held
        self._halves[slot, which] = held
        return True

    def _room(self, slot: int, now: float) -> int | None:
        """A half without a lease that matters: free, or of one that can take no more."""
        for which in (0, 1):
            if (slot, which) not in self._halves:
                return which
        for which in (0, 1):
            held = self._halves[slot, which]
            if held.take_until <= now:
                self._drop(held, now)
                self._gone.add(held.lease)
                return which
        return None
