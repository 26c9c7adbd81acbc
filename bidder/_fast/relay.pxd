"""The relay: packets to the doors of other builds' workers, and what comes back."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from bidder._fast.admission cimport Admission
from bidder._fast.board cimport Board
from bidder._fast.errand cimport Errand, Home

cdef enum:
    MOST_OUT = 256             # errands at one door
    MOST_OUT_BYTES = 8_388_608 # and what they weigh
    REPLY_BYTES = 1_048_576    # of the longest answer
    ROUND = 64                 # answers read of one door before the others have their turn

cdef class Door:
    """One worker of another build, as this worker sees it."""
    cdef int arm, row
    cdef int fd                # -1: not connected
    cdef bint broken           # to be lost in the next turn
    cdef int64_t retry_ns      # not to be tried again before; monotonic
    cdef Py_ssize_t bytes_out
    cdef dict out              # number -> Errand

cdef class Relay:
    cdef Board board
    cdef Admission admission
    cdef Home home
    cdef object call_at
    cdef object loop           # None: nobody listens for answers
    cdef object timer          # None: nothing is waited for
    cdef int64_t timer_ns      # when it rings
    cdef bint listens          # there is a loop
    cdef int epoll
    cdef dict doors            # arm << 8 | row -> Door
    cdef uint32_t last         # number given
    cdef readonly uint64_t dropped     # answers that came when nobody waited any more
    cdef char* inbox           # owned, REPLY_BYTES and some zeros
    # 0: it is on its way, and will come home; else why not, as a Fallback.
    cdef int send(self, Errand errand) except -1
    # How long an arm's errand may take; us.
    cdef uint32_t wait_us(self, int arm) noexcept nogil
    cdef bint away(self, int arm) noexcept nogil     # has it buckets that others answer?
    cdef int try_door(self, Door door, Errand errand) except -1
    cdef bint connect(self, Door door) except? False
    cdef int read(self, Door door) except -1
    cdef int take(self, Door door, Py_ssize_t n) except -1
    cdef int lose(self, Door door, int why) except -1
    cdef int end(self, Door door, Errand errand) except -1
    cdef int expire(self) except -1
    cdef int ring(self, int64_t at_ns) except -1
