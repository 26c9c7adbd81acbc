"""Leases of a host: what is known of each, beside the purse that it fills. Private to the supervisor.

A half of a purse is named by one number: 2 * slot + which. At most one lease a half.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from bidder._fast.pacing cimport Pace
from bidder._fast.purses cimport Half, Purses

cdef struct Held:              # 112 bytes
    int64_t lease              # 0: none
    int64_t spent              # billed so far, nano-USD
    int64_t plan               # of the hour, for all hosts; 0: it is not shared
    int64_t elsewhere          # of it, what other leases have used
    int64_t limit              # >= 0: it is to be lowered to this, as far as it is not used
    int64_t price              # the most that one bid may cost
    double begins_at           # monotonic seconds, as all times here
    double take_until
    double settle_until        # it closes then; of two that are over, the one that closes first makes room
    double quiet_at            # a bid may have been in the middle of it until then; outlives the lease
    int32_t expired_through    # minutes up to this one have been given back
    uint32_t closed            # of its block; 0: nothing of an open minute is known to be closed
    uint32_t mark              # of the listing in which it was last named
    float hour_s
    float tilt                 # of the plan's pace over the hour, -1 to 1
    uint8_t known              # 0: invariant 5 of bidder/money/leases.py, it is never opened
    uint8_t open
    uint8_t even
    uint8_t queued             # it stands in `shut`
    uint8_t passes_on          # what is left of it in its last seconds, the next lease needs

cdef struct Closed:            # reservations that were billed or lost, by minute of the bid (minute % 16)
    Py_ssize_t half
    int32_t minute[16]         # 0: none
    int64_t nano[16]

cdef class LeaseTable:
    cdef readonly Purses purses
    cdef readonly Py_ssize_t count   # leases held
    cdef Held* held            # by half; owned
    cdef Py_ssize_t halves
    cdef Pace* paces           # by slot; owned
    cdef Closed* closed        # blocks 1..blocks, in no order; owned
    cdef Py_ssize_t blocks, room_of_closed
    cdef Py_ssize_t* shut      # halves that may have a ceiling to tell; owned
    cdef Py_ssize_t queued, room_of_shut
    cdef double next_turn      # nothing opens or shuts by the clock before that
    cdef Half* half(self, Py_ssize_t half) noexcept
    cdef Held* at(self, Py_ssize_t half) except NULL
    cdef int grow(self, Py_ssize_t halves) except -1
    cdef Py_ssize_t find_half(self, uint32_t campaign, int64_t lease) except -2
    cdef int take_in(self, Py_ssize_t half, lease, double received_at, uint32_t mark) except -1
    cdef int close_minute(self, Py_ssize_t half, int32_t minute, int64_t nano) except -1
    cdef void open_again(self, Held* held) noexcept
    cdef int64_t credits(self, Py_ssize_t half, int64_t minute) noexcept
    cdef int settle(self, Py_ssize_t half, int64_t minute, bint fresh) except -1
    cdef int expire_half(self, Py_ssize_t half, int64_t minute, int64_t due) except -1
    cdef void obey(self, Py_ssize_t half) noexcept
    cdef int turn_purse(self, Py_ssize_t slot, double now) except -1
    cdef int shut_half(self, Py_ssize_t half, double now) except -1
    cdef int pace_even(self, Py_ssize_t half, double now, int64_t minute) except -1
    cdef int queue(self, Py_ssize_t half) except -1
