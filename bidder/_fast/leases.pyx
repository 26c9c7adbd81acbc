"""Leases of a host: what is known of each, beside the purse that it fills.

The rules, and why, stand in bidder/money/leases.py; here are the record of 112 bytes a lease, what one answer of the
controller changes, and the passes over all of them: once a second for pacing, once a minute for what expires, and when
something opens or shuts. None of them makes a Python object a lease. Nobody but the supervisor has such a table.
"""

from libc.math cimport INFINITY
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from bidder._fast.atomics cimport atomic_read
from bidder._fast.pacing cimport (
    ALWAYS, FULL_PRICE, Pace, Standing, kept, moved, multiplier_of, pace_step, remember, throttle_of,
)
from bidder._fast.mapped cimport grown
from bidder._fast.purses cimport BUCKETS, Purse, half_lower, taken_since

cdef enum:
    SPAN = 14                  # minutes back that a bucket can be told from the same of the next round; one ahead is a worker's

SPAN_MINUTES = SPAN
cdef double QUIET_S = 1.0      # no bid that began before a half was shut is still in it then


cdef class LeaseTable:
    def __init__(self, Purses purses not None):
        self.purses = purses
        self.next_turn = INFINITY
        self.grow(2 * purses.capacity)

    def __dealloc__(self):
        free(self.held)
        free(self.closed)
        free(self.shut)
        free(self.paces)

    # -- one lease

    def find(self, uint32_t campaign, int64_t lease):
        return self.find_half(campaign, lease)

    def lease_of(self, Py_ssize_t half):
        return self.at(half).lease

    def is_over(self, Py_ssize_t half, double now):
        return self.at(half).take_until <= now

    def closes_at(self, Py_ssize_t half):
        return self.at(half).settle_until

    def is_quiet(self, Py_ssize_t half, double now):
        return now >= self.at(half).quiet_at

    def place(self, Py_ssize_t half, lease, double received_at, double now, int64_t minute, *, bint known, bint restored,
              uint32_t mark):
        cdef Held* held
        cdef Held before
        cdef Py_ssize_t slot = half >> 1
        cdef int which = half & 1
        self.grow(half + 1)
        held = self.at(half)
        if held.lease != 0 or now < held.quiet_at:
            raise ValueError(f"half={half}: not free")
        if not known:
            if not restored:
                self.purses.grant_unknown(slot, which, lease.id)
        elif not restored:
            self.purses.grant(slot, which, lease.id, lease.amount)
        before = held[0]
        memset(held, 0, sizeof(Held))
        held.quiet_at = before.quiet_at
        held.queued = before.queued
        held.lease = lease.id
        held.known = known
        held.expired_through = <int32_t> (minute - SPAN - 1)
        self.count += 1
        self.take_in(half, lease, received_at, mark)
        if known:
            self.purses.restore(slot, which, lease.amount, self.credits(half, minute))
            self.obey(half)
            self.queue(half)
        self.turn_purse(slot, now)

    def drop(self, Py_ssize_t half, double now):
        cdef Held* held = self.at(half)
        if held.lease == 0:
            raise ValueError(f"half={half}: no lease in it")
        self.shut_half(half, now)
        self.open_again(held)
        held.lease = 0
        self.count -= 1
        self.turn_purse(half >> 1, now)

    # -- one answer

    def hear(self, list leases, double received_at, int64_t minute, *, bint fresh, uint32_t mark):
        cdef Py_ssize_t half
        cdef list newcomers = []
        for lease in leases:
            half = self.find_half(lease.campaign, lease.id)
            if half < 0:
                newcomers.append(lease)
                continue
            self.take_in(half, lease, received_at, mark)
            self.settle(half, minute, fresh)
            self.turn_purse(half >> 1, received_at)
        return newcomers

    def settle_closed(self, int64_t minute, *, bint fresh):
        cdef Py_ssize_t block
        for block in range(self.blocks):
            self.settle(self.closed[block].half, minute, fresh)

    def drop_unmarked(self, uint32_t mark, double now):
        cdef Py_ssize_t half
        for half in range(self.halves):
            if self.held[half].lease != 0 and self.held[half].mark != mark:
                self.drop(half, now)

    # -- by the clock

    def turn(self, double now):
        cdef Py_ssize_t slot
        if now < self.next_turn:
            return
        self.next_turn = INFINITY
        for slot in range(self.halves >> 1):
            if self.held[2 * slot].lease != 0 or self.held[2 * slot + 1].lease != 0:
                self.turn_purse(slot, now)

    def expire(self, int64_t minute, int64_t due):
        cdef Py_ssize_t half
        for half in range(self.halves):
            if self.held[half].lease != 0 and self.held[half].known and self.held[half].expired_through != due:
                self.expire_half(half, minute, due)

    def pace(self, double now, int64_t minute):
        cdef Py_ssize_t half
        cdef Held* held
        cdef Purse* purse
        for half in range(self.halves):
            held = &self.held[half]
            if not held.open:
                continue
            purse = &self.purses.slots[half >> 1]
            if held.even:
                self.pace_even(half, now, minute)
            elif purse.throttle != ALWAYS or purse.multiplier != FULL_PRICE:
                self.purses.set_pacing(half >> 1, <uint32_t> ALWAYS, <uint32_t> FULL_PRICE)

    cdef int pace_even(self, Py_ssize_t half, double now, int64_t minute) except -1:
        cdef Held* held = &self.held[half]
        cdef Purse* purse = &self.purses.slots[half >> 1]
        cdef Half* mine = &purse.half[half & 1]
        cdef Pace* pace = &self.paces[half >> 1]
        cdef Standing now_is
        cdef uint32_t throttle, multiplier
        now_is.amount = mine.amount
        now_is.spent = held.spent
        now_is.pending = mine.amount - atomic_read(&mine.left) - held.spent
        if pace.at == 0 and now_is.spent == 0 and now_is.pending == 0 and purse.pace == 0:
            return 0           # it has never bid: what is not looked at takes no memory
        if pace.at == 0:
            remember(pace, purse.pace, purse.multiplier)
        now_is.into_ms = <int64_t> ((now - held.begins_at) * 1000)
        now_is.hour_ms = max(1, <int64_t> (held.hour_s * 1000))
        now_is.tilt = held.tilt
        now_is.plan = held.plan
        now_is.elsewhere = held.elsewhere
        now_is.taken = taken_since(&pace.seen, mine, held.lease, minute)
        pace_step(pace, &now_is, held.lease, now)
        throttle = throttle_of(pace, &now_is)
        multiplier = multiplier_of(pace)
        purse.pace = kept(pace)
        if moved(purse.throttle, throttle) or moved(purse.multiplier, multiplier):
            self.purses.set_pacing(half >> 1, throttle, multiplier)

    # -- all of them, for who asks

    def held_leases(self):
        cdef Py_ssize_t half
        return [self.held[half].lease for half in range(self.halves) if self.held[half].lease != 0]

    def covers(self, campaigns):
        cdef int64_t slot
        for campaign in campaigns:
            slot = self.purses._known(campaign)
            if slot < 0 or 2 * slot + 1 >= self.halves:
                return False
            if self.held[2 * slot].lease == 0 and self.held[2 * slot + 1].lease == 0:
                return False
        return True

    def overspent(self):
        cdef Py_ssize_t half
        cdef int64_t over = 0
        for half in range(self.halves):
            if self.held[half].lease != 0 and self.held[half].known:
                over += max(0, self.held[half].spent - self.half(half).amount)
        return over

    # -- what they are made of

    cdef Half* half(self, Py_ssize_t half) noexcept:
        return &self.purses.slots[half >> 1].half[half & 1]

    cdef Held* at(self, Py_ssize_t half) except NULL:
        if half < 0:
            raise IndexError(f"half={half}")
        self.grow(half + 1)
        return &self.held[half]

    cdef int grow(self, Py_ssize_t halves) except -1:
        cdef Held* more
        if halves <= self.halves:
            return 0
        halves = max(halves + (halves & 1), 2 * self.purses.capacity)
        more = <Held*> realloc(self.held, halves * sizeof(Held))
        if more == NULL:
            raise MemoryError
        memset(more + self.halves, 0, (halves - self.halves) * sizeof(Held))
        self.held = more
        self.paces = <Pace*> grown(self.paces, (self.halves >> 1) * sizeof(Pace), (halves >> 1) * sizeof(Pace))
        self.halves = halves
        return 0

    cdef Py_ssize_t find_half(self, uint32_t campaign, int64_t lease) except -2:
        """The half that this lease is in, or -1; a campaign that has no purse gets none by this."""
        cdef int64_t slot = self.purses._known(campaign)
        if slot >= 0 and 2 * slot + 1 < self.halves:
            if self.held[2 * slot].lease == lease:
                return 2 * slot
            if self.held[2 * slot + 1].lease == lease:
                return 2 * slot + 1
        return -1

    cdef int take_in(self, Py_ssize_t half, lease, double received_at, uint32_t mark) except -1:
        """Totals only grow, so an answer that comes late changes none of them."""
        cdef Held* held = &self.held[half]
        cdef int64_t amount = lease.amount
        cdef int64_t spent = lease.spent
        held.begins_at = received_at + <double> lease.begins_in_s
        held.take_until = received_at + <double> lease.take_for_s
        held.settle_until = received_at + <double> lease.settle_for_s
        held.hour_s = lease.hour_s
        held.tilt = min(1.0, max(-1.0, <double> lease.tilt))
        held.even = bool(lease.even)
        held.passes_on = bool(lease.passes_on)
        held.spent = max(held.spent, spent)
        held.plan, held.elsewhere, held.price, held.limit = lease.plan, lease.elsewhere, lease.price, lease.limit
        held.mark = mark
        if not held.known:
            return 0
        for minute, nano in lease.closed:
            if minute > held.expired_through:
                self.close_minute(half, minute, nano)
        if 0 <= held.limit < amount:           # what was lowered already stays so, though the controller may not know yet
            amount = min(amount, max(self.half(half).amount, held.limit))
        if self.half(half).amount != amount:
            self.purses.set_amount(half >> 1, half & 1, amount)
            self.queue(half)
        self.obey(half)
        return 0

    cdef void obey(self, Py_ssize_t half) noexcept:
        """A budget was cut: what of it is not used goes back, however fast bids take."""
        cdef Half* purse = self.half(half)
        cdef int64_t over = purse.amount - self.held[half].limit
        if self.held[half].limit < 0:
            return
        while over > 0 and atomic_read(&purse.left) > 0:
            half_lower(purse, min(over, max(1, atomic_read(&purse.left))))
            over = purse.amount - self.held[half].limit

    cdef int close_minute(self, Py_ssize_t half, int32_t minute, int64_t nano) except -1:
        """The newest minute of a bucket counts: an older one is out of the window, or our clock was set back."""
        cdef Held* held = &self.held[half]
        cdef Closed* block
        cdef int at = minute % BUCKETS
        if held.closed == 0:
            if self.blocks == self.room_of_closed:
                block = <Closed*> realloc(self.closed, (2 * self.blocks + 64) * sizeof(Closed))
                if block == NULL:
                    raise MemoryError
                self.closed = block
                self.room_of_closed = 2 * self.blocks + 64
            memset(&self.closed[self.blocks], 0, sizeof(Closed))
            self.closed[self.blocks].half = half
            self.blocks += 1
            held.closed = <uint32_t> self.blocks
        block = &self.closed[held.closed - 1]
        if block.minute[at] == minute:
            block.nano[at] = max(block.nano[at], nano)
        elif block.minute[at] < minute:
            block.minute[at] = minute
            block.nano[at] = nano
        return 0

    cdef void open_again(self, Held* held) noexcept:
        """Nothing is known to be closed: its block goes, the last one takes its place."""
        if held.closed == 0:
            return
        self.blocks -= 1
        if held.closed - 1 != self.blocks:
            self.closed[held.closed - 1] = self.closed[self.blocks]
            self.held[self.closed[self.blocks].half].closed = held.closed
        held.closed = 0

    cdef int64_t credits(self, Py_ssize_t half, int64_t minute) noexcept:
        """What bills and losses of open minutes gave back, less what bills cost."""
        cdef Held* held = &self.held[half]
        cdef Half* purse = self.half(half)
        cdef Closed* block
        cdef int64_t back = -held.spent, after = max(held.expired_through, minute - SPAN - 1)
        cdef int i
        if held.closed != 0:
            block = &self.closed[held.closed - 1]
            for i in range(BUCKETS):
                if after < block.minute[i] <= minute + 1:
                    back += min(block.nano[i], atomic_read(&purse.taken[i]))
        return back

    cdef int settle(self, Py_ssize_t half, int64_t minute, bint fresh) except -1:
        """Bring `left` to what is known: what it costs at once, what it gives back on fresh totals only."""
        cdef int64_t credits, applied
        if not self.held[half].known:
            return 0
        credits = self.credits(half, minute)
        applied = self.half(half).credits
        if credits < applied or (credits > applied and fresh):
            self.purses.apply_credits(half >> 1, half & 1, credits)
            self.queue(half)
        return 0

    cdef int expire_half(self, Py_ssize_t half, int64_t minute, int64_t due) except -1:
        """Give back what is left of every minute up to `due`. A clock set back makes it begin again from there."""
        cdef Held* held = &self.held[half]
        cdef Half* purse = self.half(half)
        cdef Closed* block
        cdef int64_t expiring
        cdef int i
        cdef bint empty = True
        for expiring in range(max(min(held.expired_through, due), minute - SPAN - 1) + 1, due + 1):
            held.expired_through = <int32_t> expiring
            if atomic_read(&purse.taken[expiring % BUCKETS]) != 0:
                self.purses.expire_bucket(half >> 1, half & 1, <uint32_t> expiring, self.credits(half, minute))
                self.queue(half)
        held.expired_through = <int32_t> due
        if held.closed != 0:
            block = &self.closed[held.closed - 1]
            for i in range(BUCKETS):
                if block.minute[i] <= due:
                    block.minute[i] = 0
                empty = empty and block.minute[i] == 0
            if empty:
                self.open_again(held)
        return 0

    cdef int turn_purse(self, Py_ssize_t slot, double now) except -1:
        """Shut what is over, open what has begun; of two that could be, the newer."""
        cdef Py_ssize_t half, chosen = -1
        cdef Held* held
        for half in range(2 * slot, 2 * slot + 2):
            held = &self.held[half]
            if held.lease == 0 or not held.known:
                continue
            if now < held.begins_at:
                self.next_turn = min(self.next_turn, held.begins_at)
            elif now < held.take_until:
                self.next_turn = min(self.next_turn, held.take_until)
                if chosen < 0 or held.lease > self.held[chosen].lease:
                    chosen = half
                continue
            self.shut_half(half, now)
        if chosen >= 0 and not self.held[chosen].open:
            self.shut_half(chosen ^ 1, now)
            self.purses.open_half(slot, chosen & 1)
            self.held[chosen].open = 1
        return 0

    cdef int shut_half(self, Py_ssize_t half, double now) except -1:
        if self.held[half].open:
            self.purses.close_half(half >> 1, half & 1)
            self.held[half].quiet_at = now + QUIET_S
            self.held[half].open = 0
            self.queue(half)
        return 0

    cdef int queue(self, Py_ssize_t half) except -1:
        """It may have a ceiling to tell, unless it is open."""
        cdef Py_ssize_t* more
        if self.held[half].queued or self.held[half].open:
            return 0
        if self.queued == self.room_of_shut:
            more = <Py_ssize_t*> realloc(self.shut, (2 * self.queued + 64) * sizeof(Py_ssize_t))
            if more == NULL:
                raise MemoryError
            self.shut = more
            self.room_of_shut = 2 * self.queued + 64
        self.held[half].queued = 1
        self.shut[self.queued] = half
        self.queued += 1
        return 0
