"""The decision of a worker that reads requests: its own, or that of another build."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from bidder._fast.book cimport RateRec
from bidder._fast.decision cimport Decider
from bidder._fast.desk cimport Desk
from bidder._fast.errand cimport Errand, Home, Reply
from bidder._fast.offers cimport Offers
from bidder._fast.relay cimport Relay

cdef class Sender(Decider):
    cdef readonly Relay relay
    cdef Errand sent           # by the last `decide`, as nobody waits for it yet
    cdef Offers theirs, mine
    cdef Errand errand_of(self, Desk desk, const char* body, Py_ssize_t body_n)
    cdef int send_shadow(self, Desk desk, const char* body, Py_ssize_t body_n, const char* answer,
                         Py_ssize_t answer_n) except -1
    cdef int arrive(self, Errand errand, const Reply* reply, int why) except -1
    cdef void keep_reply(self, Errand errand, const Reply* reply) noexcept
    # 0: as good as ours; else a Fallback.
    cdef int examine(self, Errand errand, const Reply* reply) noexcept
    cdef bint counts_add_up(self, Errand errand, const Reply* reply, const RateRec* rate) noexcept
    cdef bint asks(self, int64_t nano_usd, const RateRec* rate) noexcept
    cdef uint32_t minute(self) noexcept
    cdef int64_t most(self) noexcept
    cdef void count_reply(self, Errand errand, const Reply* reply) noexcept
    cdef void count_shadow(self, Errand errand, int how) noexcept
    cdef int decide_here(self, Errand errand, int why) except -1

cdef class Return(Home):
    cdef Sender sender
