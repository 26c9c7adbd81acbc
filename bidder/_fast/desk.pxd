"""A desk: where one request lies while it is worked on. Several are worked on side by side."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.auction cimport Auction, Candidate, Terms
from bidder._fast.book cimport Book, RateRec
from bidder._fast.counters cimport CounterKey
from bidder._fast.frequency cimport FrequencyTable
from bidder._fast.caps cimport Caps
from bidder._fast.purses cimport Purses
from bidder._fast.request cimport Reader
from bidder._fast.row cimport Row
from bidder._fast.segments cimport SegmentTable

cdef class Desk:
    cdef Reader reader
    cdef Caps caps
    cdef Auction auction       # of the current book; None until the first one
    cdef const Row* row
    cdef const RateRec* rate   # of the currency of the answer; NULL: USD
    cdef const char* body      # of the request that lies here and was not decided yet; NULL: none
    cdef int64_t now_s
    cdef CounterKey key        # `kind` and `reason` aside
    cdef uint32_t features_off # bits of features.pxd, for this request
    cdef bint test
    cdef bint takes            # a bid takes from its purse, and counts under caps
    cdef bint named            # the request was read and has an id
    cdef bint leaves           # another build is to answer it
    cdef bint shadow           # another build is to answer a copy of it
    cdef bint begun            # its auction
    cdef bint user_named       # whose request it is
    cdef bint in_segments      # that user may be in segments of ours that count
    cdef uint64_t seed         # from which that draws
    cdef int64_t offered       # nano-USD: the prices of its bids
    cdef uint32_t bucket       # of its hash, where there are arms
    cdef uint8_t fallback      # Fallback: why no other build answered it after all; 0: none should
    cdef int64_t began_ns      # when it was about to be read; monotonic
    cdef int status            # of the answer, unless there is a bid
    cdef uint8_t reason        # REASON_NONE: it may be bid on
    cdef int opened            # number of the imp that the auction stands at; -1: none
    cdef char own_segments[16][16]     # names of those that the user of the request is in
    cdef SegmentTable segments # of our own; None: there are none
    cdef set_book(self, Book book, Purses purses)
    # Before the auction: whose caps count, and in which segments of ours that user is. Does not hash without need.
    # Rows of many users are nowhere near the processor, so who has several requests names all users first, and then has
    # all their rows fetched: even where a row lies has to be looked up in memory, and that goes on side by side.
    cdef void name_user(self) noexcept nogil
    cdef void expect_user(self) noexcept nogil
    cdef void open_user(self) noexcept nogil
    # A request that was read goes on as if there were none of what these features deal with.
    cdef void do_without(self, uint32_t off) noexcept nogil
    # What concerns the request as a whole: why there can be no bid; and the currency of the answer.
    cdef uint8_t gate(self) noexcept nogil
    # Why there can be no auction of this imp.
    cdef uint8_t obstacle(self, uint32_t number) noexcept nogil
    cdef int64_t asked_of(self, const Candidate* best) noexcept nogil
