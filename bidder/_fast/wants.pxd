"""Wants: how much a host would like each of its open leases to have. Private to the supervisor."""

from libc.stdint cimport int64_t, uint8_t

from bidder._fast.leases cimport Held, LeaseTable
from bidder._fast.odds cimport Odds

cdef struct Need:              # of one campaign; nano-USD and monotonic seconds
    int64_t lease              # of which this is
    int64_t used               # of it when `rate` was last worked out
    int64_t told               # used, as it was said last
    int64_t amount             # of it when more was asked for last
    int64_t wish               # as it was said last
    double measured_at
    double rate                # of use, a second; a mean over the last ten or so
    double again_at            # not before that it is asked for more once again
    double pause_s             # until then, from the next time
    uint8_t said               # 0: what was said of it may not have been heard

cdef class Wants:
    cdef LeaseTable table
    cdef Need* needs           # by slot; owned; zeroed by the kernel, so a campaign that is not shared costs nothing
    cdef Odds* odds            # likewise
    cdef Py_ssize_t slots
    cdef int lag               # minutes until a reservation comes back
    cdef list sent             # slots of which the last question spoke
    cdef int grow(self) except -1
    cdef bint lacks(self, int64_t left, int64_t target, const Held* held, int hosts) noexcept
    cdef bint news(self, const Need* need, const Held* held, int64_t amount, int64_t used, int hosts) noexcept
    cdef int measure(self, Need* need, const Held* held, int64_t used, double now) except -1
    cdef int64_t target(self, const Need* need, const Held* held, int64_t used, int hosts, double now) noexcept
