"""The slice: which arm a request belongs to. Stable: the same key has the same bucket on every host, for good."""

from libc.stdint cimport uint8_t, uint32_t
from bidder._fast.board cimport BoardPage
from bidder._fast.book cimport ArmRec
from bidder._fast.request cimport Request

# Of the xxHash specification, 32 bits, seed 0.
cdef uint32_t xxh32(const char* text, size_t n) noexcept nogil

cdef uint32_t bucket_of(const Request* req) noexcept nogil

# While some arm has buckets: the arm of a request that was read, and of this exchange.
cdef uint8_t arm_in(const BoardPage* page, const Request* req, uint8_t exchange) noexcept nogil

# Of a request that was read, and of a book's arms: the experiment's that it belongs to; NULL: none.
cdef const ArmRec* experiment_of(const ArmRec* arms, uint32_t count, const Request* req) noexcept nogil

# The arm of a request that was read. All that knows arms asks here; while there are none it costs one look at the board.
cdef inline uint8_t arm_of(const BoardPage* page, const Request* req, uint8_t exchange) noexcept nogil:
    return arm_in(page, req, exchange) if page.sliced else 0
