"""Shading: what part of its value should a campaign bid where the winner pays what it bids? A file all workers map."""

from libc.stdint cimport int64_t, uint16_t, uint32_t

cdef enum:
    ROWS = 1024                # a power of two; classes that one host can know
    STEPS = 64                 # a quarter of a doubling of the value each
    FIRST_DOUBLING = 12        # the first step begins at 2**12 nano-USD

cdef struct ShadeRow:          # of one class of placements
    uint32_t key               # 0: free
    uint32_t reserved
    uint16_t share[64]         # of the value, in 65536ths; 0: all of it

cdef inline uint32_t class_of(uint32_t exchange, uint32_t format, int64_t w, int64_t h) noexcept nogil:
    """Exchange, format, and size as half the bits of its area: each step is four times as large as the one before."""
    cdef uint32_t size = 0
    cdef int64_t area = w * h if w > 0 and h > 0 else 0
    while area > 0:
        area >>= 2
        size += 1
    return <uint32_t>1 << 31 | exchange << 12 | format << 8 | size

# `value`, or what of it to bid in this class; at least 1.
cdef int64_t shaded(const ShadeRow* rows, uint32_t key, int64_t value) noexcept nogil

cdef class Shading:
    cdef ShadeRow* rows
    cdef object _map           # keeps the mapping alive
    cdef readonly object path
    cdef ShadeRow* row(self, uint32_t key) except? NULL
