"""Offers: what an answer that somebody else made says: whose bids, at which prices."""

from libc.stdint cimport int64_t, uint32_t
from bidder._fast.strings cimport Str

cdef enum:
    OFFERS = 256               # bids of one answer

cdef struct Offer:
    Str imp                    # impid, and
    Str campaign               # cid, as they stand on the wire
    int64_t price              # nano of the answer's currency, for one impression

cdef struct Offers:
    Str id
    uint32_t currency          # packed; 0: none named, which means USD
    uint32_t n                 # bids; 0: it says why there is none
    Offer offers[OFFERS]

# A JSON answer in text[:n], behind which there are zeros. False: it is none, or has a bid without imp or price.
cdef bint read_offers(const char* text, Py_ssize_t n, Offers* out) noexcept nogil

# A Shadow: how `theirs` compares with `ours`. The bids of both may have any order.
cdef int compared(const Offers* ours, const Offers* theirs) noexcept nogil
