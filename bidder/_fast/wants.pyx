"""Wants: how much a host would like each of its open leases to have.

ask() -> (lease, amount, used) for the controller; its answer -> heard(). The rules, and why, stand in docs/leases.md:
a host has at hand a part of what nobody has used of the hour yet, or what it uses in ten seconds, where that is more. It asks
for more when half of that is gone, hands back what is over twice as much, and says what it has used when others should know.
weigh() says once a second how much of its price a bid of each campaign must reserve (odds.pyx).
A lease that ends soon keeps what it will need until then; the next hour's lease gets the rest before it begins.
"""

from libc.math cimport fmin
from libc.stdint cimport uint16_t
from libc.stdlib cimport free

from bidder._fast.atomics cimport atomic_read
from bidder._fast.mapped cimport grown
from bidder._fast.odds cimport OLDEST, Odds, Room, odds_billed, odds_placed, odds_unreserved
from bidder._fast.pacing cimport billed_part
from bidder._fast.purses cimport Half, Purse, half_lower

cdef enum:
    PARTS = 8                  # as bidder.controller.shares has them
    BIDS = 10
    TOLD = 8
    EVENLY = 64
    WORTH_SAYING = 64          # less than this part of a lease is not given back before it closes
    PARKED = 4                 # as bidder.controller.budget has it
    SPARE = 64                 # a host alone asks for what is missing from this part on

cdef double HORIZON_S = 10.0   # so long a room should last
cdef double MEASURE_S = 1.0    # of the rate
cdef double END_S = 20.0       # before its hour ends a lease hands back what it will not need
cdef double PAUSE_S = 1.0      # after asking for more, until it is asked again; twice as long each time, while nothing comes
cdef double LONGEST_PAUSE_S = 16.0


cdef inline int64_t parked(const Held* held) noexcept nogil:
    return held.plan // PARKED if held.even else 0


cdef class Wants:
    def __init__(self, LeaseTable table not None, int release_after_s):
        self.table = table
        self.lag = min(OLDEST - 1, -(-release_after_s // 60) + 1)
        self.sent = []
        self.grow()

    def __dealloc__(self):
        free(self.needs)
        free(self.odds)

    def ask(self, double now, int hosts, Py_ssize_t most):
        cdef Py_ssize_t half
        cdef Held* held
        cdef Half* purse
        cdef Need* need
        cdef int64_t amount, left, used, wish, target, gone
        cdef list found = []
        self.heard(False)
        self.grow()
        for half in range(self.table.halves):
            held = &self.table.held[half]
            if not held.open or held.plan == 0:
                continue
            if len(found) == most:
                break
            self.table.obey(half)
            purse = self.table.half(half)
            need = &self.needs[half >> 1]
            amount, left = purse.amount, atomic_read(&purse.left)
            used = amount - left
            self.measure(need, held, used, now)
            if need.amount < amount:           # it got something since
                need.pause_s = PAUSE_S
                need.again_at = now
            need.amount = amount
            target = self.target(need, held, used, hosts, now)
            wish = amount
            if left > 2 * target and left - target > BIDS * held.price and half_lower(purse, left - target):
                wish = purse.amount
                need.amount = wish
            elif (held.limit < 0 or amount <= held.limit) and self.lacks(left, target, held, hosts) and now >= need.again_at:
                wish = used + target
                need.again_at = now + need.pause_s
                need.pause_s = fmin(2 * need.pause_s, LONGEST_PAUSE_S)
            gone = used
            if held.even:                      # others pace by it, so what is reserved in vain is none of it
                gone = held.spent + <int64_t> (billed_part(&self.table.paces[half >> 1]) * max(0, used - held.spent))
            if wish == amount and not self.news(need, held, amount, gone, hosts):
                continue
            need.wish = wish
            need.told = gone
            need.said = 1
            self.sent.append(half >> 1)
            found.append((held.lease, wish, gone))
        return found

    def heard(self, bint heard):
        cdef Py_ssize_t slot
        if not heard:
            for slot in self.sent:
                self.needs[slot].said = 0
                self.needs[slot].again_at = 0
        self.sent = []

    def ceilings(self, double now, Py_ssize_t most):
        cdef LeaseTable table = self.table
        cdef Py_ssize_t i, half, kept = 0
        cdef Held* held
        cdef Half* purse
        cdef int64_t left
        cdef list found = []
        for i in range(table.queued):
            half = table.shut[i]
            held = &table.held[half]
            held.queued = 0
            if held.lease == 0 or not held.known or held.open:
                continue
            if held.take_until <= now and now >= held.quiet_at:
                purse = table.half(half)
                left = atomic_read(&purse.left)
                if left <= purse.amount // WORTH_SAYING:
                    continue
                if len(found) < most:
                    found.append((held.lease, purse.amount - left))
            held.queued = 1
            table.shut[kept] = half
            kept += 1
        table.queued = kept
        return found

    def weigh(self, double now, int64_t minute):
        cdef Py_ssize_t half, slot
        cdef Held* held
        cdef Purse* purse
        cdef Odds* odds
        cdef Room room
        cdef int64_t left, used
        cdef int which
        cdef uint16_t unreserved
        self.grow()
        for half in range(self.table.halves):
            held = &self.table.held[half]
            slot = half >> 1
            if not held.open:
                continue
            purse = &self.table.purses.slots[slot]
            left = atomic_read(&purse.half[half & 1].left)
            used = purse.half[half & 1].amount - left
            odds = &self.odds[slot]
            if used == 0 and odds.at == 0:     # it has never bid: what is not looked at takes no memory
                if purse.unreserved:
                    purse.unreserved = 0
                continue
            for which in range(2):
                odds_billed(odds, which, self.table.held[2 * slot + which].lease, self.table.held[2 * slot + which].spent)
            odds_placed(odds, &purse.half[half & 1], held.lease, minute, purse.unreserved, self.lag)
            odds.at = now
            room.price = held.price
            room.pending = max(0, used - held.spent)
            room.plan = held.plan if held.plan > 0 else purse.half[half & 1].amount
            room.free = max(0, room.plan - held.elsewhere - used)
            unreserved = odds_unreserved(odds, &room, purse.unreserved)
            if abs(<int> unreserved - <int> purse.unreserved) > 256 or (unreserved == 0) != (purse.unreserved == 0):
                purse.unreserved = unreserved  # bids read that line: it is not written for nothing

    cdef bint lacks(self, int64_t left, int64_t target, const Held* held, int hosts) noexcept:
        if hosts <= 1:                         # the budget may have no more than the plan: it is not asked for that again
            return left < target - parked(held) - held.plan // SPARE
        return left < target - target // 2

    cdef bint news(self, const Need* need, const Held* held, int64_t amount, int64_t used, int hosts) noexcept:
        cdef int64_t step = max(held.plan - held.elsewhere - used, BIDS * held.price) // TOLD
        if held.even:                          # others pace by it
            step = max(held.plan // (EVENLY * hosts), BIDS * held.price)
        if held.limit >= 0 and need.wish != amount:
            return True
        if not need.said:
            return hosts > 1 or need.told >= 0
        return hosts > 1 and abs(used - need.told) > step

    cdef int measure(self, Need* need, const Held* held, int64_t used, double now) except -1:
        cdef double passed = now - need.measured_at
        if need.lease != held.lease:           # the rate is the campaign's, and stays
            need.lease = held.lease
            need.used = used
            need.told = need.wish = -1
            need.said = 0
            need.amount = 0
            need.measured_at = now
            need.again_at = now
            need.pause_s = PAUSE_S
        elif passed >= MEASURE_S:
            need.rate += (max(0, used - need.used) / passed - need.rate) * fmin(1.0, passed / HORIZON_S)
            need.used = used
            need.measured_at = now
        return 0

    cdef int64_t target(self, const Need* need, const Held* held, int64_t used, int hosts, double now) noexcept:
        """What it should have left."""
        cdef int64_t free = max(0, held.plan + parked(held) - held.elsewhere - used)
        cdef int64_t least = BIDS * held.price, target = free
        cdef double ends_s = held.begins_at + held.hour_s - now
        if hosts > 1:
            target = max(free // (PARTS * hosts), least, min(free // 2, <int64_t> (need.rate * HORIZON_S)))
        if held.passes_on and 0 < ends_s <= END_S:
            target = min(target, max(least, <int64_t> (2 * need.rate * ends_s)))
        return min(target, free)

    cdef int grow(self) except -1:
        cdef Py_ssize_t slots = self.table.halves >> 1
        if slots <= self.slots:
            return 0
        self.needs = <Need*> grown(self.needs, self.slots * sizeof(Need), slots * sizeof(Need))
        self.odds = <Odds*> grown(self.odds, self.slots * sizeof(Odds), slots * sizeof(Odds))
        self.slots = slots
        return 0
