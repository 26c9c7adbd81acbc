"""Purses: what a host may still spend, one slot a campaign, in a file that all its workers map.

A purse has two halves, so that the lease of a new budget hour begins on one
while the other still settles. Only workers take; only the supervisor gives.
Money: int64 nano-USD for one impression.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from bidder._fast.shading cimport Shading

cdef enum:
    BUCKETS = 16               # minutes for which what was taken is kept apart

cdef struct Half:
    int64_t lease              # id of the lease; 0: none; < 0: of lease -id nothing can be taken (not yet, no more)
    int64_t left               # not yet reserved; taken from atomically; < 0 after a late bill
    int64_t credits            # given back less spent, as last applied: left = amount + credits - sum(taken)
    int64_t amount             # of the lease, as last applied to `left`; -1: what is out is not known, never opened
    int64_t taken[16]          # reserved by bids, by minute of the bid (minute % BUCKETS)

cdef struct Purse:
    uint32_t campaign          # key of the campaign; 0: free slot
    uint32_t active            # 0 or 1: the half that bids take from
    uint32_t throttle          # bid when a random 32-bit number is <= this; 2**32-1: always
    uint32_t multiplier        # of the price, 16.16 fixed point; 65536 = 1.0, never above
    uint16_t off               # not 0: the campaign's switch is off
    uint16_t unreserved        # part of a price, in 65536ths, that a bid need not reserve
    uint32_t pace              # what pacing wants to know again after a restart of the supervisor; 0: nothing
    Half half[2]

cdef struct Take:              # what a token must know of the reservation
    int64_t lease
    int64_t amount

# What a bid at this price (below 2**32) must reserve: at least 1.
cdef inline int64_t reserved(const Purse* purse, int64_t price) noexcept nogil:
    return price - (price * purse.unreserved >> 16)

cdef struct Takes:             # of one campaign's half, as last looked at; all zeros: never
    int64_t lease
    int64_t here, before, coming       # in the buckets of `minute`, the one before and the next
    uint32_t minute

# Reserved since the last look, from the buckets of this minute and the one before, in which a bid may still be; 0 of
# a lease that is new, and where minutes have passed unseen.
cdef int64_t taken_since(Takes* takes, Half* half, int64_t lease, int64_t minute) noexcept nogil
# False if the active half has less than a bid at this price must reserve; then nothing was taken.
cdef bint purse_take(Purse* purse, int64_t price, uint32_t minute, Take* take) noexcept nogil
# Undo a take of this same minute (the answer could not be written).
cdef void purse_return(Purse* purse, const Take* take, uint32_t minute) noexcept nogil
# Take that much out of a lease while bids take from it; False if it has less left, then nothing happened.
cdef bint half_lower(Half* half, int64_t by) noexcept nogil

cdef class Purses:
    cdef Purse* slots          # mapped, shared by all processes of the host
    cdef readonly Py_ssize_t capacity
    cdef readonly bint private          # what is taken here stays here
    cdef readonly bint created # by this opening: books compiled before name slots of another file
    cdef object _map           # keeps the mapping alive
    cdef public Shading shading  # how campaigns that shade their bids do so on this host; None: not at all
    cdef char* head            # first page of the file
    cdef readonly object path
    cdef uint32_t* table       # campaign -> slot + 1 of the first `indexed` slots; NULL until the first `slot_of`
    cdef uint64_t mask, indexed
    cdef int64_t _known(self, uint32_t campaign) except -2
    cdef int64_t _allot(self, uint32_t campaign) except -1
    cdef _forget(self, bytes boot)
    cdef Purse* _purse(self, Py_ssize_t slot) except NULL
    cdef Half* _half(self, Py_ssize_t slot, int which) except NULL
    cdef int _must_be_shut(self, Half* half, Py_ssize_t slot, int which) except -1
