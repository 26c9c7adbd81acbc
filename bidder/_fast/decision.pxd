"""The whole decision: read, gate, match, price, pace, reserve, answer, count."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.auction cimport Candidate, Terms
from bidder._fast.board cimport Board
from bidder._fast.book cimport ArmRec, Book
from bidder._fast.clock cimport Clock
from bidder._fast.counters cimport Counters
from bidder._fast.desk cimport Desk
from bidder._fast.frequency cimport FrequencyTable
from bidder._fast.handler cimport BidHandler
from bidder._fast.purses cimport Purses
from bidder._fast.request cimport Imp
from bidder._fast.row cimport Row, Rows
from bidder._fast.segments cimport SegmentTable
from bidder._fast.tokens cimport BidIds, Sealer
from bidder._fast.writer cimport Writer

cdef enum:
    DESKS = 32                 # requests of one batch that are looked at ahead of time

cdef enum:
    HASHED = -1                # the arm of a request is asked of its hash

cdef class Decider(BidHandler):
    cdef list desks            # DESKS for those, and one more for any other request
    cdef int taken             # desks of this batch
    cdef Book book             # None until the first book
    cdef const ArmRec* arms    # of its experiments
    cdef uint32_t arm_count
    cdef SegmentTable segments # of our own; None: there are none
    cdef Purses purses
    cdef Board board
    cdef Counters counters
    cdef public Sealer sealer
    cdef BidIds bid_ids
    cdef Clock clock
    cdef Writer writer
    cdef Rows rows
    cdef readonly uint64_t seed         # moves on with every request
    cdef readonly uint64_t requests, bids
    cdef uint32_t keeps        # bit n: the next answer with bids that arm n's build makes is kept, for a spot check
    cdef dict kept             # by arm: (exchange, request, answer)
    cdef void keep(self, int arm, const Row* row, const char* body, Py_ssize_t body_n, const char* answer,
                   Py_ssize_t answer_n) noexcept
    # The desk where this request lies, looked at; None: no such exchange.
    cdef Desk desk_of(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n, int ticket)
    # What lies there is decided on: status, and the answer as `decide` has it.
    cdef int finish(self, Desk desk, const char* body, Py_ssize_t body_n, const char** out, Py_ssize_t* out_n) noexcept
    # The two halves of a decision: what can be said before campaigns are looked at, and the rest.
    cdef void look(self, Desk desk, const Row* row, const char* body, Py_ssize_t n) noexcept nogil
    cdef void clear(self, Desk desk, const Row* row, const char* body) noexcept nogil
    # False: it is malformed. `arm`: of its bucket, where that is known; else HASHED.
    cdef bint read(self, Desk desk, const char* body, Py_ssize_t n, int arm) noexcept nogil
    # Shall another build answer this request, which has an arm of its own?
    cdef bint leaves(self, Desk desk) noexcept nogil
    cdef int conclude(self, Desk desk) noexcept nogil
    cdef void open(self, Desk desk) noexcept nogil
    cdef uint8_t bid_all(self, Desk desk, int* written) noexcept nogil
    # Bids for this imp if somebody wants it, which adds 1 to `written`; its reason, also beside a bid. Between begin and
    # end of the counters, as `count`.
    cdef uint8_t bid_imp(self, Desk desk, uint32_t number, int* written) noexcept nogil
    cdef uint8_t bid_one(self, Desk desk, const Imp* imp, const Candidate* best, bint first) noexcept nogil
    cdef size_t room(self, Desk desk) noexcept nogil
    cdef int say_why(self, Desk desk, uint8_t reason) noexcept nogil
    cdef void count(self, Desk desk, uint8_t reason, bint bid) noexcept nogil
