"""The values of one request, looked up in the index of one book. Private to the matcher, which extends it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book_classes cimport Class
from bidder._fast.book_layout cimport Value
from bidder._fast.book_postings cimport Pair, Plan, Posting, Postings
from bidder._fast.book_questions cimport Asker, Known, Question
from bidder._fast.request cimport Imp, Reader

cdef enum:
    LINEAR = 64                # values held up to which looking at each of them is fastest

cdef class Probe(Asker):
    cdef const uint64_t* bitmaps
    cdef const uint32_t* slots
    cdef const char* text
    cdef Class* classes              # of the book: CLASSES
    cdef Class* cls                  # of the request; `own` where it is of none
    cdef Class own
    cdef public bint plain           # no classes: every dimension has its plan in `plans`, in the order of the book
    cdef uint32_t* held              # ids of values that the request has, then those that this imp has; owned
    cdef uint32_t held_n, held_cap, held_of_request, held_sorted
    cdef uint32_t bundle_term, domain_term       # keys of the request's bundle and domain; 0: not named
    cdef Postings incs, excs
    cdef Plan plans[27]              # of the request, as far as its class has none, then of the imp: those that can refuse
    cdef uint32_t plan_count, request_plans
    cdef Pair pairs[27]              # of the request besides: dimensions whose plan can be as short as that
    cdef uint32_t pair_count
    cdef uint32_t request_incs, request_excs     # postings of the request; those of the imp follow
    cdef int attach(self, const char* base, Known* known, Class* classes) except -1
    # From no class: before the book goes.
    cdef void leave_class(self) noexcept nogil
    # Plans for a new request: nothing of the last one is held any more.
    cdef void look_at(self, Reader reader, uint8_t exchange) noexcept nogil
    # Plans for an imp of it: nothing of the last imp is held any more.
    cdef void look_at_imp(self, const Imp* imp) noexcept nogil
    # Does the request, or the current imp, have the value?
    cdef bint holds(self, uint32_t value) noexcept nogil
    # Value id, or -1 where the book does not name it.
    cdef int64_t find(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    cdef void aim(self, Posting* posting, bint dense, uint64_t at, uint32_t count) noexcept nogil
    # Private from here on.
    cdef void join_class(self) noexcept nogil
    cdef void make_class(self, Class* cls) noexcept nogil
    # Of these dimensions: `n` numbers of molds.
    cdef void settle_plans(self, const uint8_t* numbers, uint32_t n, bint pairs) noexcept nogil
    # What all open questions stand for.
    cdef void resolve(self) noexcept nogil
    cdef bint held_room(self, uint32_t n) noexcept nogil
    cdef int64_t looked_up(self, const Question* question) noexcept nogil
    cdef void note_term(self, const Value* value) noexcept nogil
    cdef int64_t confirmed(self, const Question* question) noexcept nogil
