"""How long has this request waited, and is it still worth serving?"""

from libc.stdint cimport int64_t, uint64_t
from bidder._fast.clock cimport Clock

cdef enum:
    LANES = 64                 # keys of exchanges are 1 to 63
    MARK_READS = 8             # reads after which the end of a turn is asked for

cdef enum Standing:            # of the connection that is read
    IN_FAVOUR = 0
    OUT_OF_FAVOUR = 1          # answered without being served: of least worth
    LATE = 2                   # was not read for a while: what it says is old

cdef struct Lane:              # one exchange
    int64_t budget_ns          # of waiting; what waited longer is not served
    uint64_t served, shed      # requests since the last sample
    int64_t earned             # nano-USD bid in those served

cdef class Admission:
    cdef Lane lanes[64]
    cdef Clock clock
    cdef readonly int64_t now  # when the read at hand began; monotonic ns
    cdef int64_t ended         # when the last request was answered, where its handler says so; monotonic ns
    cdef int64_t waited        # how long its requests have waited at most; ns
    cdef int64_t least         # shortest wait since the last sample
    cdef int64_t service       # what a read costs on average, its answers included; ns
    cdef int64_t begun         # what this turn found has come since then
    cdef int64_t turned        # when the last turn ended
    cdef int64_t before        # when that turn's first read began
    cdef int64_t first         # first read of this turn
    cdef int reads             # since the last turn ended
    cdef int lane              # of the last request
    cdef Standing standing
    cdef readonly uint64_t late  # requests that were shed because their connection was not read

    # A read has begun; true where the loop is to call `turn_ends` before it polls again.
    cdef bint read_begins(self) noexcept nogil
    # Shall this request be served? Counted either way.
    cdef bint admits(self, int lane) noexcept nogil
    cdef void earn(self, int lane, int64_t nano) noexcept nogil
