"""The slice: which arm a request belongs to. Stable: the same key has the same bucket on every host, for good."""

from libc.stdint cimport uint8_t, uint32_t
from bidder._fast.board cimport BoardPage
from bidder._fast.book cimport ArmRec
from bidder._fast.request cimport Request

# Of the xxHash specification, 32 bits, seed 0.
cdef uint32_t xxh32(const char* text, size_t n) noexcept nogil

cdef uint32_t bucket_of(const Request* req) noexcept nogil

# Canary, baseline or neither (0): of a request of this bucket and exchange.
cdef uint8_t arm_in(const BoardPage* page, const Request* req, uint32_t bucket, uint8_t exchange) noexcept nogil

# Of a book's arms: the experiment's that a bucket belongs to; NULL: none.
cdef const ArmRec* experiment_of(const ArmRec* arms, uint32_t count, uint32_t bucket) noexcept nogil
