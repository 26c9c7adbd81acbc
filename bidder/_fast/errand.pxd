"""An errand: a request that another build is asked to answer, from sending it to its end."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from bidder._fast.counters cimport CounterEntry
from bidder._fast.row cimport Row

cdef enum:                     # bidder.events.schema.Fallback has the same numbers
    FALLBACK_LATE = 1
    FALLBACK_GONE = 2
    FALLBACK_BUSY = 3
    FALLBACK_PRICE = 4
    FALLBACK_BROKEN = 5

cdef enum:                     # bidder.events.schema.Shadow has the same numbers
    SHADOW_SAME = 1
    SHADOW_PRICE = 2
    SHADOW_CAMPAIGN = 3
    SHADOW_BID = 4
    SHADOW_NO_BID = 5
    SHADOW_INVALID = 6
    SHADOW_NONE = 7

cdef enum:
    ASK_MAGIC = 0x3171626F     # "obq1"
    REPLY_MAGIC = 0x3161626F   # "oba1"
    ASKS_SHADOW = 1            # AskHead.flags: nothing may be taken or counted for it

cdef struct AskHead:           # 32 bytes; the exchange's name and the body follow
    uint32_t magic
    uint32_t number            # of this sender: its answer has the same
    uint32_t wait_us           # of `sent_ns`: later there is nobody who waits
    uint8_t exchange           # key
    uint8_t flags
    uint16_t name_n
    uint64_t seed              # from which the decision draws, as if it were made by who asks
    int64_t sent_ns            # monotonic clock of the host

cdef struct ReplyHead:         # 12 bytes; the counters and the body follow
    uint32_t magic
    uint32_t number
    uint16_t status
    uint16_t counts

cdef struct Reply:
    int status
    int counts
    const CounterEntry* count  # not aligned: 12 bytes into a packet
    const char* body           # zeros may be put behind it
    Py_ssize_t body_n

cdef class Waiting:
    """Who waits for an answer that comes later."""
    cdef int told(self, int status, const char* body, Py_ssize_t n, bint packs) except -1

cdef class Errand:
    cdef Waiting waiting       # None: a shadow's, or nobody yet
    cdef bytes packet          # as it was sent
    cdef Py_ssize_t body_at    # in it
    cdef const Row* row        # of the exchange
    cdef bytes id              # of the request, as it stands on the wire; empty: it has none
    cdef uint8_t arm
    cdef uint32_t bucket
    cdef bint test
    cdef bint shadow
    cdef bytes ours            # of a shadow: what was answered; empty: no bid
    cdef uint32_t number
    cdef int64_t began_ns      # when the request was about to be read; monotonic, as
    cdef int64_t due_ns        # until then it is waited for

cdef class Home:
    """Where errands come to their end."""
    # With what was answered, or NULL and a Fallback.
    cdef int come(self, Errand errand, const Reply* reply, int why) except -1
