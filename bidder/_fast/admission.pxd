"""How long has this request waited, and is it still worth serving?"""

from libc.stdint cimport int64_t, uint64_t
from bidder._fast.clock cimport Clock

cdef enum:
    LANES = 64                 # keys of exchanges are 1 to 63

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
    cdef readonly int64_t now  # when the turn at hand began; monotonic ns
    cdef int64_t ended         # when the last request was answered, where its handler says so; monotonic ns
    cdef int64_t since         # what the connection at hand says has come since then
    cdef int64_t least         # shortest wait since the last sample
    cdef int64_t service       # what a read costs on average, its answers included; ns
    cdef int64_t clear         # all that had come by then was read, for this turn
    cdef int64_t clear_next    # and for the next one
    cdef int64_t turned        # when the last turn ended
    # Of the connection at hand, and its request: whoever guards an exchange looks at them.
    cdef uint64_t doors        # exchanges that its address may speak for: bit n, key n
    cdef const char* head      # NULL: there is none
    cdef Py_ssize_t head_n
    cdef int lane              # of the last request
    cdef Standing standing
    cdef readonly uint64_t late  # requests that were shed because their connection was not read

    # A turn: about to ask who has something to say; asked, and `all` who have are in this turn; done with them.
    cpdef void polls(self) noexcept
    cpdef void polled(self, bint all) noexcept
    cpdef void turn_ends(self, int reads) noexcept
    # A connection has been read, which was read before at read_at[0]; `more`: perhaps not all that it says.
    # Since when that has waited at most: `since`, until another is read.
    cdef int64_t read_begins(self, int64_t* read_at, bint more) noexcept nogil
    # A connection goes on that had to wait for an answer of ours; what it says next has not waited on its own account.
    cdef void goes_on(self, uint64_t doors) noexcept nogil
    # Shall this request be served? Counted either way.
    cdef bint admits(self, int lane) noexcept nogil
    # Of an admitted request that has been read: does it ask for an answer sooner than we can give one? Then it is shed.
    cdef bint too_late(self, int lane, int64_t tmax_ms) noexcept nogil
    cdef void earn(self, int lane, int64_t nano) noexcept nogil
