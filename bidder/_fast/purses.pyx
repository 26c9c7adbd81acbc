"""Purses: what a host may still spend, one slot a campaign, in a file that all its workers map.

bid -> purse_take() -> token; the supervisor grants, settles and expires from the other side.
File: one page of header, then `capacity` purses; sparse, so slots that no campaign has cost nothing.
Money: int64 nano-USD for one impression. Minutes: UTC since 1970.

Promises, whoever is killed wherever:
- `left` never falls below 0 by a take, so no lease is taken beyond what it has left;
- left + sum(taken) <= amount + credits; equal while nobody is between the two steps of a take
  (a worker killed between them leaves `left` smaller by one price, until `restore`).
"""

import fcntl
import os
from collections import namedtuple
from pathlib import Path

from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from bidder._fast.atomics cimport (
    atomic_add, atomic_cas, atomic_load32, atomic_read, atomic_store32, atomic_swap, atomic_write,
)
from bidder._fast.mapped cimport base_of
from bidder._fast.mapping import PAGE, attach, boot_id, create, grow

MAGIC = b"obpurse1"            # the last digit is the layout's

cdef enum:
    MOST = 1 << 24             # purses of one file

cdef struct Header:
    char magic[8]
    uint64_t capacity
    uint64_t used              # slots 0..used-1 have had a campaign
    char boot[16]              # boot under which `half`s were written
    uint32_t surveyed          # 0: it is not known what was out when this file (or this boot) began

HalfView = namedtuple("HalfView", "lease left credits amount taken")
PurseView = namedtuple("PurseView", "campaign active throttle multiplier off")


class PursesFull(Exception):
    """As many campaigns have had a purse as a file can hold; stop outbid on this host and remove the file."""


cdef bint purse_take(Purse* purse, int64_t price, uint32_t minute, Take* take) noexcept nogil:
    cdef Half* half = &purse.half[atomic_load32(&purse.active) & 1]
    cdef int64_t lease = atomic_read(&half.lease)
    cdef int64_t left
    price = reserved(purse, price)
    if lease <= 0 or price <= 0:
        return False
    left = atomic_read(&half.left)
    while True:
        if left < price:
            return False
        if atomic_cas(&half.left, &left, left - price):
            break
    if atomic_read(&half.lease) != lease:
        # It ended meanwhile; the token must not name a lease that this did not come from.
        atomic_add(&half.left, price)
        return False
    # After `left`: killed here, the price is out of reach; the other way round it would be given back twice.
    atomic_add(&half.taken[minute % BUCKETS], price)
    take.lease = lease
    take.amount = price
    return True


cdef bint half_lower(Half* half, int64_t by) noexcept nogil:
    cdef int64_t left = atomic_read(&half.left)
    while left >= by:
        if atomic_cas(&half.left, &left, left - by):
            half.amount -= by
            return True
    return False


cdef void purse_return(Purse* purse, const Take* take, uint32_t minute) noexcept nogil:
    cdef int64_t lease
    cdef int i
    for i in range(2):
        lease = atomic_read(&purse.half[i].lease)
        if lease == take.lease or lease == -take.lease:
            atomic_add(&purse.half[i].taken[minute % BUCKETS], -take.amount)
            atomic_add(&purse.half[i].left, take.amount)
            return


cdef int64_t taken_since(Takes* takes, Half* half, int64_t lease, int64_t minute) noexcept nogil:
    cdef int64_t here = atomic_read(&half.taken[minute % BUCKETS])
    cdef int64_t before = atomic_read(&half.taken[(minute + BUCKETS - 1) % BUCKETS])
    cdef int64_t taken = 0
    if takes.lease == lease and <uint32_t> minute == takes.minute:
        taken = here - takes.here + before - takes.before
    elif takes.lease == lease and <uint32_t> minute == takes.minute + 1:
        taken = here - takes.coming + before - takes.here      # the bucket may still hold what was taken a round ago
    takes.lease = lease
    takes.here = here
    takes.before = before
    takes.coming = atomic_read(&half.taken[(minute + 1) % BUCKETS])
    takes.minute = <uint32_t> minute
    return max(0, taken)


cdef class Purses:
    def __init__(self, path, Py_ssize_t capacity=0, *, boot=None, bint private=False):
        cdef bytes now
        cdef Header* head
        path = Path(path)
        if capacity < 0 or capacity > MOST:
            raise ValueError(f"capacity={capacity}: 0 (attach) to {MOST}")
        if private and capacity:
            raise ValueError("private purses are those of a file that is there: capacity=0")
        self.path = path
        self.private = private
        self.created = False
        if capacity:
            now = boot_id() if boot is None else boot
            if not path.exists():
                create(path, first_page(capacity, now), PAGE + capacity * sizeof(Purse))
                self.created = True
            else:
                grow(path, PAGE + capacity * sizeof(Purse))
        self.catch_up()
        head = <Header*> self.head
        if capacity > <Py_ssize_t> head.capacity:
            head.capacity = capacity
        self.catch_up()
        head = <Header*> self.head
        if capacity and head.boot[:16] != now:
            self._forget(now)

    def __dealloc__(self):
        free(self.table)

    def catch_up(self):
        if self._map is not None and self.capacity >= <Py_ssize_t> (<Header*> self.head).capacity:
            return
        self._map = attach(self.path, MAGIC, PAGE, private=self.private)
        self.head = base_of(self._map)
        self.slots = <Purse*> (self.head + <Py_ssize_t> PAGE)
        self.capacity = min(
            <Py_ssize_t> (<Header*> self.head).capacity, (len(self._map) - PAGE) // <Py_ssize_t> sizeof(Purse)
        )

    cdef _forget(self, bytes boot):
        # Pages of another boot may be older than what was taken: only who has which slot is kept.
        cdef Header* head = <Header*> self.head
        cdef Py_ssize_t slot
        head.surveyed = 0
        head.used = min(head.used, <uint64_t> self.capacity)
        for slot in range(<Py_ssize_t> head.used):
            memset(&self.slots[slot].half, 0, 2 * sizeof(Half))
            self.slots[slot].active = 0
            self.slots[slot].throttle = 0xFFFFFFFF
            self.slots[slot].multiplier = 65536
            self.slots[slot].off = 0
            self.slots[slot].unreserved = 0
        memcpy(head.boot, <char*> boot, 16)

    @property
    def surveyed(self):
        return (<Header*> self.head).surveyed != 0

    @property
    def used(self):
        return (<Header*> self.head).used

    def mark_surveyed(self):
        (<Header*> self.head).surveyed = 1

    def sync(self):
        self._map.flush(0, min(PAGE + self.used * sizeof(Purse), len(self._map)))

    # -- slots

    def slot_of(self, uint32_t campaign):
        cdef int64_t slot
        if campaign == 0:
            raise ValueError("campaign=0 is no key")
        slot = self._known(campaign)
        if slot >= 0:
            return slot
        # Supervisor and compiler may both allot: one at a time, and each sees what the other has given.
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            slot = self._known(campaign)
            return self._allot(campaign) if slot < 0 else slot
        finally:
            os.close(fd)

    cdef int64_t _known(self, uint32_t campaign) except -2:
        """The slot of a campaign, or -1; what others have allotted since is learnt first."""
        cdef Header* head = <Header*> self.head
        cdef uint64_t size = 1024, at
        if head.used > self.indexed or self.table == NULL:
            self.catch_up()
            head = <Header*> self.head
            while size < 4 * head.used:
                size *= 2
            if self.table == NULL or 2 * head.used > self.mask:
                free(self.table)
                self.table = <uint32_t*> calloc(size, sizeof(uint32_t))
                if self.table == NULL:
                    raise MemoryError
                self.mask = size - 1
                self.indexed = 0
            while self.indexed < head.used:
                at = spread(self.slots[self.indexed].campaign) & self.mask
                while self.table[at]:
                    at = (at + 1) & self.mask
                self.indexed += 1
                self.table[at] = <uint32_t> self.indexed
        at = spread(campaign) & self.mask
        while self.table[at]:
            if self.slots[self.table[at] - 1].campaign == campaign:
                return self.table[at] - 1
            at = (at + 1) & self.mask
        return -1

    cdef int64_t _allot(self, uint32_t campaign) except -1:
        cdef Header* head = <Header*> self.head
        cdef uint64_t slot = head.used
        cdef Py_ssize_t capacity = self.capacity
        if slot >= <uint64_t> capacity:
            if capacity == MOST:
                raise PursesFull(f"all {MOST} purses of {self.path} have a campaign; stop outbid here and remove it")
            capacity = min(2 * capacity, <Py_ssize_t> MOST)
            grow(self.path, PAGE + capacity * sizeof(Purse))
            head.capacity = capacity
            self.catch_up()
            head = <Header*> self.head
        self.slots[slot].throttle = 0xFFFFFFFF
        self.slots[slot].multiplier = 65536
        atomic_store32(&self.slots[slot].campaign, campaign)
        head.used = slot + 1
        return slot

    def purse(self, Py_ssize_t slot):
        cdef Purse* purse = self._purse(slot)
        return PurseView(purse.campaign, purse.active, purse.throttle, purse.multiplier, bool(purse.off))

    def set_pacing(self, Py_ssize_t slot, uint32_t throttle, uint32_t multiplier):
        cdef Purse* purse = self._purse(slot)
        if multiplier > 65536:
            raise ValueError(f"multiplier={multiplier}: at most 65536 (1.0)")
        atomic_store32(&purse.throttle, throttle)
        atomic_store32(&purse.multiplier, multiplier)

    def set_off(self, Py_ssize_t slot, bint off):
        self._purse(slot).off = off

    def set_unreserved(self, Py_ssize_t slot, uint16_t unreserved):
        self._purse(slot).unreserved = unreserved

    def switch_off(self, campaigns):
        cdef Py_ssize_t slot
        cdef uint16_t off
        self.catch_up()
        wanted = frozenset(campaigns)
        for slot in range(<Py_ssize_t> (<Header*> self.head).used):
            off = self.slots[slot].campaign in wanted if wanted else 0
            if (self.slots[slot].off != 0) != off:
                self.slots[slot].off = off

    # -- leases

    def half(self, Py_ssize_t slot, int which):
        cdef Half* half = self._half(slot, which)
        cdef int i
        taken = tuple([atomic_read(&half.taken[i]) for i in range(BUCKETS)])
        return HalfView(half.lease, atomic_read(&half.left), half.credits, half.amount, taken)

    def left(self, Py_ssize_t slot, int which):
        return atomic_read(&self._half(slot, which).left)

    def clear(self, Py_ssize_t slot, int which):
        cdef Half* half = self._half(slot, which)
        self._must_be_shut(half, slot, which)
        atomic_write(&half.lease, 0)
        memset(<char*> half + sizeof(int64_t), 0, sizeof(Half) - sizeof(int64_t))

    def grant(self, Py_ssize_t slot, int which, int64_t lease, int64_t amount, int64_t credits=0):
        cdef Half* half = self._half(slot, which)
        if lease <= 0 or amount < 0:
            raise ValueError(f"lease={lease} amount={amount}")
        self.clear(slot, which)
        half.amount = amount
        half.credits = credits
        atomic_write(&half.left, amount + credits)
        atomic_write(&half.lease, -lease)

    def grant_unknown(self, Py_ssize_t slot, int which, int64_t lease):
        cdef Half* half = self._half(slot, which)
        if lease <= 0:
            raise ValueError(f"lease={lease}")
        self.clear(slot, which)
        half.amount = -1
        atomic_write(&half.lease, -lease)

    def open_half(self, Py_ssize_t slot, int which):
        cdef Half* half = self._half(slot, which)
        if half.lease == 0 or half.amount < 0:
            raise ValueError(f"slot={slot} half={which}: no lease to take from")
        self.close_half(slot, 1 - which)
        atomic_write(&half.lease, abs(half.lease))
        atomic_store32(&self.slots[slot].active, which)

    def close_half(self, Py_ssize_t slot, int which):
        cdef Half* half = self._half(slot, which)
        if half.lease > 0:
            atomic_write(&half.lease, -half.lease)

    def close_all(self):
        cdef Py_ssize_t slot
        self.catch_up()
        for slot in range(<Py_ssize_t> (<Header*> self.head).used):
            self.close_half(slot, 0)
            self.close_half(slot, 1)

    def restore(self, Py_ssize_t slot, int which, int64_t amount, int64_t credits):
        cdef Half* half = self._half(slot, which)
        cdef int64_t left = amount + credits
        cdef int i
        self._must_be_shut(half, slot, which)
        for i in range(BUCKETS):
            left -= atomic_read(&half.taken[i])
        half.amount = amount
        half.credits = credits
        atomic_write(&half.left, left)

    def set_amount(self, Py_ssize_t slot, int which, int64_t amount):
        cdef Half* half = self._half(slot, which)
        if amount < 0:
            raise ValueError(f"amount={amount}")
        atomic_add(&half.left, amount - half.amount)
        half.amount = amount

    def lower(self, Py_ssize_t slot, int which, int64_t by):
        cdef Half* half = self._half(slot, which)
        if by <= 0:
            raise ValueError(f"by={by}")
        return half_lower(half, by)

    def apply_credits(self, Py_ssize_t slot, int which, int64_t credits):
        cdef Half* half = self._half(slot, which)
        atomic_add(&half.left, credits - half.credits)
        half.credits = credits

    def expire_bucket(self, Py_ssize_t slot, int which, uint32_t minute, int64_t credits):
        cdef Half* half = self._half(slot, which)
        cdef int64_t taken = atomic_swap(&half.taken[minute % BUCKETS], 0)
        atomic_add(&half.left, taken + credits - half.credits)
        half.credits = credits
        return taken

    # -- what a bid does

    def take(self, Py_ssize_t slot, int64_t price, uint32_t minute):
        cdef Take take
        if price <= 0:
            raise ValueError(f"price={price}")
        if purse_take(self._purse(slot), price, minute, &take):
            return take.lease, take.amount
        return None

    def give_back(self, Py_ssize_t slot, int64_t lease, int64_t amount, uint32_t minute):
        cdef Take take
        take.lease, take.amount = lease, amount
        purse_return(self._purse(slot), &take, minute)

    # -- arguments, checked once

    cdef Purse* _purse(self, Py_ssize_t slot) except NULL:
        if slot >= self.capacity:
            self.catch_up()
        if not 0 <= slot < self.capacity:
            raise IndexError(f"slot={slot}: 0 to {self.capacity - 1}")
        return &self.slots[slot]

    cdef Half* _half(self, Py_ssize_t slot, int which) except NULL:
        if which != 0 and which != 1:
            raise IndexError(f"half={which}: 0 or 1")
        return &self._purse(slot).half[which]

    cdef int _must_be_shut(self, Half* half, Py_ssize_t slot, int which) except -1:
        if half.lease > 0:
            raise ValueError(f"slot={slot} half={which}: lease {half.lease} is being taken from; close it first")
        return 0


cdef inline uint64_t spread(uint32_t key) noexcept nogil:
    return key * <uint64_t>0x9E3779B97F4A7C15 >> 32


cdef bytes first_page(Py_ssize_t capacity, bytes boot):
    cdef Header head
    cdef bytes magic = MAGIC
    memset(&head, 0, sizeof(Header))
    memcpy(head.magic, <char*> magic, 8)
    head.capacity = capacity
    memcpy(head.boot, <char*> boot, 16)
    return (<char*> &head)[:sizeof(Header)]
