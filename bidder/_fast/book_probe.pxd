"""The values of one request, looked up in the index of one book. Private to the matcher, which extends it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book_layout cimport Header, Value
from bidder._fast.book_postings cimport Posting, Postings
from bidder._fast.request cimport Deal, Imp, Reader, Request, Size, Str

cdef enum:
    FOLD_MAX = 1024            # bytes; longer texts are in no book

cdef struct Held:              # a value that the request or an imp of it has
    uint64_t clock             # when; before `request_clock`: the entry is free
    uint32_t value             # id
    bint of_imp                # held only since `imp_clock`

cdef class Probe:
    cdef const Header* head
    cdef const Value* values
    cdef const uint64_t* index
    cdef const uint64_t* bitmaps
    cdef const uint32_t* slots
    cdef const char* text
    cdef Held* held                  # hash table by value id; owned
    cdef uint32_t held_mask, held_n
    cdef uint64_t clock, request_clock, imp_clock
    cdef const Request* req
    cdef const Str* strs
    cdef const Size* sizes
    cdef const Deal* deals
    cdef uint32_t bundle_term, domain_term       # keys of the request's bundle and domain; 0: not named
    cdef Postings incs, excs
    cdef bint broken                 # no memory: nothing may match this request
    cdef char folded[1024]
    cdef int attach(self, const char* base) except -1
    cdef void look_at(self, Reader reader) noexcept nogil
    # Adds the postings of every value that the request, or the imp, has in this dimension.
    cdef void gather(self, uint32_t dimension, const Imp* imp, uint8_t exchange) noexcept nogil
    # Does the request, or the current imp, have the value?
    cdef bint holds(self, uint32_t value) noexcept nogil
    # Its entry, or the free one where it would stand.
    cdef Held* entry_of(self, uint32_t value) noexcept nogil
    cdef bint more_room(self) noexcept nogil
    # Value id, or -1 where the book does not name it.
    cdef int64_t find(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    cdef void aim(self, Posting* posting, bint dense, uint32_t at, uint32_t count) noexcept nogil
    cdef void hit(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    cdef void hit_number(self, uint32_t dimension, int64_t number) noexcept nogil
    cdef void hit_folded(self, uint32_t dimension, Str text) noexcept nogil
    cdef void hit_region(self) noexcept nogil
    cdef void hit_category(self, Str cat) noexcept nogil
    cdef Py_ssize_t casefold(self, Str text) noexcept with gil
