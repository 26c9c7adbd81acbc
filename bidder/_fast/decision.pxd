"""The whole decision: read, gate, match, price, pace, reserve, answer, count."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.auction cimport Auction, Candidate, Terms
from bidder._fast.board cimport Board
from bidder._fast.book cimport Book
from bidder._fast.clock cimport Clock
from bidder._fast.counters cimport CounterKey, Counters
from bidder._fast.frequency cimport Caps
from bidder._fast.handler cimport BidHandler
from bidder._fast.purses cimport Purses
from bidder._fast.request cimport Imp, Reader, Str
from bidder._fast.tokens cimport BidIds, Sealer
from bidder._fast.writer cimport Writer

cdef enum:
    ROWS = 63                  # keys of exchanges are 1 to 63

cdef struct Row:               # one exchange that we serve
    Str name                   # the path behind /bid/
    Str seat
    Str opening                # of the answer, from behind its id to its first bid
    uint8_t key

cdef class Decider(BidHandler):
    cdef Reader reader
    cdef Book book             # None until the first book
    cdef Auction auction       # of this book
    cdef Purses purses
    cdef Caps caps
    cdef Board board
    cdef Counters counters
    cdef Sealer sealer
    cdef BidIds bid_ids
    cdef Clock clock
    cdef Writer writer
    cdef Row rows[63]
    cdef int row_count
    cdef list held             # bytes that rows point into
    cdef uint64_t seed         # moves on with every request
    cdef CounterKey key        # of the request at hand, `kind` and `reason` aside
    cdef readonly uint64_t requests, bids
    cdef Str hold(self, str text)
    cdef serve(self, str name, int key, str seat)
    cdef const Row* row_of(self, const char* name, Py_ssize_t n) noexcept nogil
    cdef int work(self, const Row* row, const char* body, Py_ssize_t n) noexcept nogil
    cdef uint8_t gate(self, const Row* row) noexcept nogil
    cdef uint8_t bid_all(self, const Row* row, int64_t now_s, int* written) noexcept nogil
    cdef uint8_t bid_one(self, const Row* row, const Imp* imp, const Candidate* best, bint first) noexcept nogil
    cdef void count(self, uint8_t reason, bint bid, int64_t started) noexcept nogil
