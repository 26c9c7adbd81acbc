"""The whole decision: read, gate, match, price, pace, reserve, answer, count."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.board cimport Board
from bidder._fast.book cimport Book, Matcher
from bidder._fast.counters cimport Counters
from bidder._fast.http cimport BidHandler
from bidder._fast.purses cimport Purses
from bidder._fast.request cimport Reader
from bidder._fast.tokens cimport Sealer

cdef class Decider(BidHandler):
    cdef Reader reader
    cdef Book book             # None until the first book
    cdef Matcher matcher
    cdef Purses purses
    cdef Board board
    cdef Counters counters
    cdef Sealer sealer
