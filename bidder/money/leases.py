"""Leases: what the controller grants, kept in the purses that bids take from.

sync -> apply(LeaseState): place new leases, open the current one, move `left` by what was billed and lost;
tick(): open and shut by the clock, give back what nobody claimed. No SQL, no HTTP, no waiting.
The cost of both goes with the leases that an answer names; what must be done for all of them is compiled
(bidder/_fast/leases.pyx), and done when it is due.
Money: nano-USD. `now`, `received_at`: monotonic seconds. Minutes: UTC since 1970, from `clock`.

Invariants, for the lease that bids take from:
1. left = amount - spent - sum over open minutes of max(0, taken - closed), as of the last fresh answer;
   never more. Whatever is not known makes it less.
2. A minute is open until `release_after_s` after its end. Then what it still holds comes back once, and only on
   fresh totals: a state not `stale`, begun to be told less than 3 s ago and told to its end. A later bill of it still
   costs: `left` may go below 0. Where the wall clock was set, nothing comes back by its time until that has passed
   since.
3. What bills and losses give back, `left` gets on fresh totals only; what bills cost, it loses on any.
4. At most one half of a purse is open, and none for a lease that has not begun or whose time to take is over.
   A half is emptied for another lease a second after it was shut, so no bid is in the middle of it.
5. A supervisor that starts (its workers are dead then) shuts every half, and opens those of which it hears again,
   with `left` anew by 1. A lease that the host held before its purses began (the file was lost, or the machine has
   booted) is never opened: all of it counts as spent, until its hour ends. To know which those are, the first
   question after such a loss must not draw new leases: ask with `healthy=False` while `surveyed` is False.
"""

import time
from collections.abc import Callable, Collection

from bidder._fast.leases import SPAN_MINUTES, LeaseTable
from bidder._fast.purses import Purses
from bidder._fast.wants import Wants
from bidder.money.clock_watch import ClockWatch
from bidder.money.wire import Lease, LeaseState

FRESH_S = 3.0
CEILINGS = 4_000  # told in one question at most
WANTS = 4_000  # likewise
MAX_RELEASE_S = (SPAN_MINUTES - 2) * 60


class LeaseKeeper:
    """Owned by the supervisor, the only one who writes purses but for the bids that take."""

    def __init__(self, purses: Purses, *, release_after_s: int, clock: Callable[[], float] = time.time) -> None:
        """`clock`: wall, seconds since 1970. ValueError where minutes could not be told apart for so long."""
        if not 0 < release_after_s <= MAX_RELEASE_S:
            raise ValueError(f"release_after_s={release_after_s}: 1 to {MAX_RELEASE_S}")
        self.revision = 0  # of the configuration that the leases reflect
        self.seen = ""  # to be told in the next question
        self._purses = purses
        self._table = LeaseTable(purses)
        self._wants = Wants(self._table, release_after_s)
        self._hosts = 1  # that share budgets with this one, itself among them
        self._release_after_s = release_after_s
        self._clock = clock
        self._told_at = float("-inf")  # all that is known was true then, or later
        self._partial = False
        self._watch = ClockWatch(release_after_s)
        self._fresh = False
        self._whole = False  # all that had changed was told
        self._complete = False
        self._listing = 0  # number of the newest
        self._listed = False  # it has ended
        self._expired: int | None = (
            None  # minutes up to this one are expired in all leases; None: a restored one is not
        )
        # Leases for which no half is free yet, and those that made room for others, or were over when first heard of;
        # each with the listing in which it was named last.
        self._waiting: dict[int, tuple[Lease, float, int]] = {}
        self._gone: dict[int, int] = {}
        purses.close_all()

    @property
    def surveyed(self) -> bool:
        """False: the next question must be asked with `healthy=False`, see invariant 5."""
        return self._purses.surveyed

    @property
    def count(self) -> int:
        """How many leases are in a purse."""
        return self._table.count

    @property
    def overspent(self) -> int:
        """What leases still held have cost beyond their amounts: bills after their reservations were given back."""
        return self._table.overspent()

    def held(self) -> list[int]:
        """Leases that are in a purse, whether or not anything can be taken from them."""
        return self._table.held_leases()

    def ceilings(self, now: float) -> list[tuple[int, int]]:
        """(lease, nano-USD) of leases that take no more: what each can still cost, where that is news to the budget.

        What was spent and what is reserved; absolute, so that it may be said twice. Not all of very many at once.
        """
        return self._wants.ceilings(now, CEILINGS)

    def wants(self, now: float) -> list[tuple[int, int, int]]:
        """For the next question: see bidder.money.wire.LeaseSync. What it hands back has left the purses then."""
        return self._wants.ask(now, self._hosts, WANTS)

    def ready(self, campaigns: Collection[int]) -> bool:
        """Has each of these a lease in its purse, or been refused one?"""
        if not self.surveyed or not self._listed:
            return False
        if self._waiting and not {lease.campaign for lease, _, _ in self._waiting.values()}.isdisjoint(campaigns):
            return False
        return self._complete or self._table.covers(campaigns)

    def apply(self, state: LeaseState, received_at: float, *, complete: bool = True) -> None:
        """Take in an answer. `complete`: it was asked with `healthy=True`, so who has no lease then was refused one.

        ValueError for a complete one while `surveyed` is False: leases just drawn could not be told from lost ones.
        """
        surveying = not self.surveyed
        if surveying and complete:
            raise ValueError("the first answer must be to a question with healthy=False, see `surveyed`")
        if state.begins:
            self._listing += 1
        self._listed = state.ends or (self._listed and not state.begins)
        if state.begins or not self._partial:  # what is told in parts is as old as the first of them
            self._told_at = received_at
        self._partial, self.seen = state.partial, state.seen
        self._hosts = state.hosts
        self._wants.heard(state.heard)
        self._whole = whole = self._listed and not state.partial
        self._fresh = whole and not state.stale
        self._complete = self._listed and complete and not state.more
        if whole:
            self.revision = state.revision
        leases = [lease for lease in state.leases if lease.settle_for_s > 0]
        over = [(lease.id, lease.campaign) for lease in state.leases if lease.settle_for_s <= 0]
        self._forget([*state.ended, *over], received_at)
        newcomers = self._table.hear(leases, received_at, self._minute(), fresh=self._fresh, mark=self._listing)
        if state.ends:
            self._end_listing({lease.id for lease in newcomers}, received_at)
        self._table.settle_closed(self._minute(), fresh=self._fresh)
        self._table.turn(received_at)
        self._waiting.update((lease.id, (lease, received_at, self._listing)) for lease in newcomers)
        self._place_waiting(received_at, surveying)
        if surveying and self._listed:
            self._purses.mark_surveyed()

    def tick(self, now: float) -> None:
        """Twice a second or so, whether or not there are answers."""
        clock_tells = self._watch.tells(self._clock(), now)
        self._table.turn(now)
        self._place_waiting(now, surveying=not self.surveyed)
        if not self._fresh or now - self._told_at >= FRESH_S:
            return
        due = int((self._clock() - self._release_after_s) // 60) - 1
        if due != self._expired and clock_tells:
            self._table.expire(self._minute(), due)
            self._expired = due

    def pace(self, now: float) -> None:
        """Once a second: how freely may each campaign spend now, and how much of a price must a bid reserve?

        See bidder/_fast/pacing.pyx and odds.pyx.
        """
        self._wants.weigh(now, self._minute())
        self._table.pace(now, self._minute())

    def _minute(self) -> int:
        return int(self._clock() // 60)

    def _forget(self, ended: Collection[tuple[int, int]], now: float) -> None:
        for lease, campaign in ended:
            half = self._table.find(campaign, lease)
            if half >= 0:
                self._table.drop(half, now)
            self._waiting.pop(lease, None)
            self._gone.pop(lease, None)

    def _end_listing(self, named: Collection[int], now: float) -> None:
        """Whoever was not named since the listing began is closed. `named`: in this answer, and not in a purse."""
        self._table.drop_unmarked(self._listing, now)
        self._waiting = {id: entry for id, entry in self._waiting.items() if entry[2] == self._listing or id in named}
        self._gone = {id: listing for id, listing in self._gone.items() if listing == self._listing or id in named}

    def _place_waiting(self, now: float, surveying: bool) -> None:
        """The elder first, whichever was heard of first."""
        for id, (lease, received_at, listing) in sorted(self._waiting.items()):
            if self._place(lease, received_at, now, surveying, listing):
                del self._waiting[id]

    def _place(self, lease: Lease, received_at: float, now: float, surveying: bool, listing: int) -> bool:
        """Find the lease its half; False: none is free yet, it is tried again."""
        if lease.id in self._gone:
            self._gone[lease.id] = listing
            return True
        slot = self._purses.slot_of(lease.campaign)
        halves = [(2 * slot + which, self._purses.half(slot, which)) for which in (0, 1)]
        mine = next(((at, half) for at, half in halves if abs(half.lease) == lease.id), None)
        if mine is None and received_at + lease.take_for_s <= now and not surveying:
            self._gone[lease.id] = listing
            return True
        untouched = received_at + lease.begins_in_s > now or not (surveying or lease.spent or lease.closed)
        known = mine[1].amount >= 0 if mine is not None else untouched
        half = mine[0] if mine is not None else self._room(slot, now)
        if half is None or not self._table.is_quiet(half, now):
            if not known:
                self._gone[lease.id] = listing
            return not known
        self._table.place(
            half, lease, received_at, now, self._minute(), known=known, restored=mine is not None, mark=listing
        )
        if mine is not None:
            self._expired = None
        return True

    def _room(self, slot: int, now: float) -> int | None:
        """A half without a lease that matters: free, or of one that can take no more: of two, that which closes first.

        Nobody makes room before all is told: one that has closed may be named last, and would have made it.
        """
        halves = (2 * slot, 2 * slot + 1)
        free = [half for half in halves if not self._table.lease_of(half)]
        if free:
            return next((half for half in free if self._table.is_quiet(half, now)), None)
        over = [half for half in halves if self._table.is_over(half, now)]
        if not over or not self._whole:
            return None
        half = min(over, key=lambda half: (self._table.closes_at(half), self._table.lease_of(half)))
        self._gone[self._table.lease_of(half)] = self._listing
        self._table.drop(half, now)
        return half
