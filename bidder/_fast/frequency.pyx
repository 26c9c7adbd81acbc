"""Frequency caps: has this user had enough of a campaign, or of a creative?

    a bid -> add() -> a hold -> an impression: confirm() | a loss: release() | neither for `hold_s`: given back
A window is one user's under one rule: it begins with the first bid that is counted, and lasts `per_s`. It counts what
was shown and what may yet be; a hold is given back `hold_s` after the bid at the earliest, thrice that at the latest.

Kept of a user: 64 bits of a keyed hash of who, what and which rule, and how many. The keys come from a secret that the
hosts of an operator share, others for each PERIOD_S; the previous ones are kept for one period more.

Promises, for rules that fit PERIOD_S (a longer window ends one to two periods after it began):
- No window counts more than `impressions`, holds included: whoever counts adds and checks in one atomic step. Only an
  impression that comes when its hold is gone may go beyond: it is counted (`late`), and if it does (`beyond`).
- Where every slot of a bucket has been used, workers that claim a place in it at the same moment may open two windows
  for one key, or count for each other's: at most one bid more, or less, for each further worker.
- One killed anywhere loses at most the count that it was at.
- A full bucket forgets the window that ends first; if it still ran, `forgotten` counts it.
- A boot of the machine forgets all, and asks the store. A wall clock set back makes windows longer by as much.
"""

import os
from pathlib import Path

from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcpy, memset

from bidder._fast.atomics cimport atomic_add, atomic_cas, atomic_load64, atomic_read, atomic_store64
from bidder._fast.mapped cimport base_of
from bidder._fast.identity cimport USER_KEY
from bidder._fast.memory cimport fetch
from bidder._fast.mapping import PAGE, MappingError, attach, boot_id, create

MAGIC = b"obfreqs2"            # the last digit is the layout's
PERIOD_S = 31 * 86_400         # so that a cap of a month is kept to the letter

cdef enum:
    ATTEMPTS = 16
    RING_BYTES = 24_576        # WANTED * sizeof(Wanted)

cdef uint64_t LOW = 0xFFFFFFFF


# --- a slot's two words

cdef inline int shift_of(int lot) noexcept nogil:
    return CONFIRMED_BITS + HELD_BITS * lot


cdef inline uint32_t held(uint64_t state, int lot) noexcept nogil:
    return <uint32_t> (state >> shift_of(lot)) & HELD_TOP


cdef inline uint32_t confirmed(uint64_t state) noexcept nogil:
    return <uint32_t> state & CONFIRMED_TOP


cdef inline uint32_t total(uint64_t state) noexcept nogil:
    return confirmed(state) + held(state, 0) + held(state, 1)


cdef inline int64_t given_back(uint64_t until, int lot) noexcept nogil:
    return <int64_t> (until >> STATE_BITS if lot else until & LOW)


cdef inline uint64_t settled(uint64_t state, uint64_t until, int64_t now_s) noexcept nogil:
    """Without the lots whose time has come; what is left of the old one keeps the young one open."""
    cdef int lot, old
    for lot in range(2):
        if held(state, lot) and given_back(until, lot) <= now_s:
            state &= ~(<uint64_t> HELD_TOP << shift_of(lot))
    old = 1 - (state >> PHASE_BIT & 1)
    if held(state, old) == 0 and held(state, 1 - old):
        state ^= <uint64_t> 1 << PHASE_BIT
    return state


cdef inline void raise_until(uint64_t* until, int lot, int64_t at_s) noexcept nogil:
    cdef uint64_t seen = atomic_load64(until), next
    while given_back(seen, lot) < at_s:
        next = (seen & LOW) | <uint64_t> at_s << STATE_BITS if lot else (seen & ~LOW) | <uint64_t> at_s
        if atomic_cas(<int64_t*> until, <int64_t*> &seen, <int64_t> next):
            return


cdef inline int lot_of(uint64_t state, uint64_t until, int64_t back_s) noexcept nogil:
    """From which lot a hold that is given back at `back_s` may be taken, -1: none.

    Of two the one whose time comes first, if the hold can lie there: that never makes another hold end too early.
    """
    cdef int first = given_back(until, 0) > given_back(until, 1)
    if held(state, first) and back_s <= given_back(until, first):
        return first
    return 1 - first if held(state, 1 - first) else -1


# --- the table

cdef inline Bucket* bucket_of(FrequencyTable table, uint64_t key) noexcept nogil:
    return &table.buckets[(key & <uint64_t> (table.capacity - 1)) // BUCKET]


cdef class FrequencyTable:
    def __init__(self, path, Py_ssize_t capacity=0, *, int64_t now_s=0, boot=None, keys=None, bint private=False):
        cdef bytes now
        if capacity and (capacity & (capacity - 1) or not BUCKET <= capacity <= 1 << 28):
            raise ValueError(f"capacity={capacity}: 0 (attach), or a power of two from {BUCKET} to {1 << 28}")
        if private and capacity:
            raise ValueError("a private table is that of a file that is there: capacity=0")
        path = Path(path)
        self.private = private
        self.holds = (300, 300, 300, 300)
        if not capacity:
            self._open(path, private)
            return
        self._keys = keys or chance()
        now = boot_id() if boot is None else boot
        if path.exists() and not of_before(path):
            self._open(path)
            if capacity == self.capacity and self.head.boot[:16] == now and (keys is None or self.holds_keys()):
                return
        create(path, self.first_page(capacity, now, now_s // PERIOD_S),
               PAGE + RING_BYTES + capacity // BUCKET * <Py_ssize_t> sizeof(Bucket))
        self._open(path)

    cdef _open(self, path, bint private=False):
        cdef char* base
        self._map = attach(path, MAGIC, PAGE + RING_BYTES, private=private)
        base = base_of(self._map)
        self.head = <TableHead*> base
        self.wanted_ring = <Wanted*> (base + <Py_ssize_t> PAGE)
        self.buckets = <Bucket*> (base + <Py_ssize_t> PAGE + RING_BYTES)
        self.capacity = <Py_ssize_t> self.head.capacity
        if len(self._map) < PAGE + RING_BYTES + self.capacity // BUCKET * <Py_ssize_t> sizeof(Bucket):
            raise MappingError(f"{path}: shorter than its {self.capacity} slots; stop outbid on this host, remove it")

    cdef first_page(self, Py_ssize_t capacity, bytes boot, uint64_t period):
        cdef TableHead head
        memset(&head, 0, sizeof(TableHead))
        memcpy(head.magic, PyBytes_AS_STRING(MAGIC), 8)
        head.capacity = capacity
        memcpy(head.boot, PyBytes_AS_STRING(boot), 16)
        self.fill_keys(<uint8_t*> head.keys, period)
        head.period = period
        return (<char*> &head)[:sizeof(TableHead)]

    cdef fill_keys(self, uint8_t* keys, uint64_t period):
        cdef bytes drawn
        cdef uint64_t which
        for which in range(period - 1 if period else period, period + 1):
            drawn = self._keys(which)
            if len(drawn) != USER_KEY:
                raise ValueError(f"keys of users have {USER_KEY} bytes, not {len(drawn)}")
            memcpy(&keys[which % GENERATIONS * USER_KEY], PyBytes_AS_STRING(drawn), USER_KEY)

    cdef holds_keys(self):
        cdef uint64_t period = self.head.period
        cdef const char* mine = <const char*> self.head.keys[period % GENERATIONS]
        return mine[:USER_KEY] == self._keys(period)

    @property
    def period(self):
        return atomic_load64(&self.head.period)

    @property
    def keys(self):
        """Of this period."""
        cdef const char* mine = <const char*> self.head.keys[self.head.period % GENERATIONS]
        return mine[:USER_KEY]

    @property
    def holds(self):
        return tuple(self.hold_s[format] for format in range(1, FORMATS))

    @holds.setter
    def holds(self, seconds):
        for format, s in enumerate(seconds, 1):
            self.hold_s[<int> format] = s
        self.hold_s[0] = max(seconds)

    @property
    def statistics(self):
        return {
            "confirmed": atomic_read(&self.head.confirmed), "late": atomic_read(&self.head.late),
            "beyond": atomic_read(&self.head.beyond), "released": atomic_read(&self.head.released),
            "forgotten": atomic_read(&self.head.forgotten), "dropped": atomic_read(&self.head.dropped),
        }

    @property
    def forgotten(self):
        return atomic_read(&self.head.forgotten)

    def rotate(self, int64_t now_s):
        cdef uint64_t period = now_s // PERIOD_S
        if period <= self.head.period:
            return False
        self.fill_keys(<uint8_t*> self.head.keys, period)
        atomic_store64(&self.head.period, period)
        memset(self.head.keys[(period + 1) % GENERATIONS], 0, USER_KEY)
        return True

    cdef void expect(self, uint64_t key) noexcept nogil:
        fetch(bucket_of(self, key), sizeof(Bucket))

    cdef bint find(self, uint64_t key, Place* place) noexcept nogil:
        cdef int i
        place.bucket = bucket_of(self, key)
        for i in range(BUCKET):
            if atomic_load64(&place.bucket.key[i]) == key:
                place.i = i
                return True
        return False

    cdef uint32_t seen(self, uint64_t key, int64_t now_s) noexcept nogil:
        cdef Place place
        cdef uint64_t state
        if not self.find(key, &place):
            return 0
        state = atomic_load64(&place.bucket.state[place.i])
        if not runs(state, now_s):
            return 0
        if state >> CONFIRMED_BITS & ((1 << 2 * HELD_BITS) - 1):
            state = settled(state, atomic_load64(&place.bucket.until[place.i]), now_s)
        return total(state)

    cdef bint add(self, uint64_t key, int64_t now_s, uint32_t per_s, uint32_t most, uint32_t hold_s) noexcept nogil:
        cdef Place place
        cdef uint64_t state = 0, next
        cdef uint64_t* word
        cdef int attempt, lot, claimed
        for attempt in range(ATTEMPTS):
            claimed = self.slot_for(key, now_s, &place, &state)
            if claimed < 0:
                continue
            word = &place.bucket.state[place.i]
            while True:
                next = <uint64_t> (now_s + per_s) << STATE_BITS
                if not claimed and runs(state, now_s):
                    next = settled(state, atomic_load64(&place.bucket.until[place.i]), now_s)
                    if total(next) >= min(most, <uint32_t> MOST):
                        return False
                if hold_s:
                    lot = <int> (next >> PHASE_BIT & 1)
                    if held(next, lot) == HELD_TOP:
                        return False
                    # The time first: who sees the hold sees when it ends, too.
                    raise_until(&place.bucket.until[place.i], lot, now_s + hold_s)
                    next += <uint64_t> 1 << shift_of(lot)
                else:
                    next += 1
                if atomic_cas(<int64_t*> word, <int64_t*> &state, <int64_t> next):
                    break
                claimed = 0            # somebody else has begun the window
            if atomic_load64(&place.bucket.key[place.i]) == key:
                return True
            # Taken over by another key in between: what was counted is now counted for that one.
        return False

    cdef int slot_for(self, uint64_t key, int64_t now_s, Place* place, uint64_t* state) noexcept nogil:
        if self.find(key, place):
            state[0] = atomic_load64(&place.bucket.state[place.i])
            return 0
        return self.claim(key, now_s, place, state)

    cdef int claim(self, uint64_t key, int64_t now_s, Place* place, uint64_t* state) noexcept nogil:
        """1 and a slot for a new key: the first free one, else the one whose window ends first; -1: somebody was faster.

        `state` is what stood there. The key is set first: until its state is set too, who looks finds the
        window of another, over in all cases but a bucket full of running ones.
        """
        cdef Bucket* bucket = place.bucket
        cdef int64_t there = 0, key_there
        cdef uint64_t ends
        cdef int i
        place.i = -1
        for i in range(BUCKET):
            key_there = atomic_read(<int64_t*> &bucket.key[i])
            if <uint64_t> key_there == key:
                return -1              # has come in since we looked
            ends = atomic_load64(&bucket.state[i])
            if place.i < 0 or key_there == 0 or ends < state[0]:
                place.i, state[0], there = i, ends, key_there
            if key_there == 0:
                break
        if not atomic_cas(<int64_t*> &bucket.key[place.i], &there, <int64_t> key):
            return -1
        if runs(state[0], now_s) and not is_mark(state[0]):
            atomic_add(&self.head.forgotten, 1)
        return 1

    cdef uint32_t confirm(self, uint64_t key, int64_t bid_s, int64_t now_s, uint32_t per_s,
                          uint32_t hold_s) noexcept nogil:
        cdef Place place
        cdef uint64_t state = 0, next, until
        cdef int attempt, lot, claimed
        for attempt in range(ATTEMPTS):
            claimed = self.slot_for(key, now_s, &place, &state)
            if claimed < 0:
                continue
            while True:
                lot = -1
                if claimed or not runs(state, now_s):
                    next = <uint64_t> (now_s + per_s) << STATE_BITS
                else:
                    until = atomic_load64(&place.bucket.until[place.i])
                    next = settled(state, until, now_s)
                    if bid_s >= <int64_t> (next >> STATE_BITS) - per_s and now_s < bid_s + hold_s:
                        lot = lot_of(next, until, bid_s + hold_s)
                    if lot >= 0:
                        next -= <uint64_t> 1 << shift_of(lot)
                if confirmed(next) < CONFIRMED_TOP:
                    next += 1
                if atomic_cas(<int64_t*> &place.bucket.state[place.i], <int64_t*> &state, <int64_t> next):
                    break
                claimed = 0
            if atomic_load64(&place.bucket.key[place.i]) == key:
                atomic_add(&self.head.confirmed, 1)
                if lot < 0:
                    atomic_add(&self.head.late, 1)
                return confirmed(next)
        return 0

    cdef bint release(self, uint64_t key, int64_t bid_s, int64_t now_s, uint32_t per_s, uint32_t hold_s) noexcept nogil:
        cdef Place place
        cdef uint64_t state, next, until
        cdef int lot
        if now_s >= bid_s + hold_s or not self.find(key, &place):
            return False               # given back already, or forgotten
        state = atomic_load64(&place.bucket.state[place.i])
        while runs(state, now_s) and bid_s >= <int64_t> (state >> STATE_BITS) - per_s:
            until = atomic_load64(&place.bucket.until[place.i])
            next = settled(state, until, now_s)
            lot = lot_of(next, until, bid_s + hold_s)
            if lot < 0:
                return False
            next -= <uint64_t> 1 << shift_of(lot)
            if atomic_cas(<int64_t*> &place.bucket.state[place.i], <int64_t*> &state, <int64_t> next):
                atomic_add(&self.head.released, 1)
                return True
        return False

    def learn(self, uint64_t key, int64_t ends_s, uint32_t impressions, int64_t now_s):
        cdef Place place
        cdef uint64_t state = 0, next
        cdef int claimed
        self._must_be_key(key)
        impressions = min(impressions, <uint32_t> CONFIRMED_TOP)
        if ends_s <= now_s or impressions == 0:
            return
        claimed = self.slot_for(key, now_s, &place, &state)
        if claimed < 0:
            return
        while True:
            if claimed or not runs(state, now_s):
                next = <uint64_t> ends_s << STATE_BITS | impressions
            elif confirmed(state) >= impressions:
                return
            else:
                next = state - confirmed(state) + impressions
            if atomic_cas(<int64_t*> &place.bucket.state[place.i], <int64_t*> &state, <int64_t> next):
                return
            claimed = 0

    # -- what bids and notices do

    def count(self, uint64_t key, int64_t now_s, uint32_t per_s, uint32_t impressions, uint32_t hold_s=0):
        self._must_be_key(key)
        if not (per_s and impressions):
            raise ValueError(f"per_s={per_s} impressions={impressions}: both are at least 1")
        return self.add(key, now_s, per_s, impressions, hold_s)

    def counted(self, uint64_t key, int64_t now_s):
        self._must_be_key(key)
        return self.seen(key, now_s)

    def shown(self, uint64_t key, int64_t bid_s, int64_t now_s, uint32_t per_s, uint32_t hold_s):
        self._must_be_key(key)
        return self.confirm(key, bid_s, now_s, per_s, hold_s)

    def lost(self, uint64_t key, int64_t bid_s, int64_t now_s, uint32_t per_s, uint32_t hold_s):
        self._must_be_key(key)
        return self.release(key, bid_s, now_s, per_s, hold_s)

    def _must_be_key(self, uint64_t key):
        if key == 0:
            raise ValueError("key=0 marks a slot that was never used")


def of_before(path):
    """A table of an earlier layout: what it holds is in the store, or lost."""
    with path.open("rb") as file:
        found = file.read(len(MAGIC))
    return found.startswith(b"obfreqs") and found != MAGIC


def chance():
    """Keys that nobody else has, and nobody after this process."""
    held = {}
    return lambda period: held.setdefault(period, os.urandom(USER_KEY))
