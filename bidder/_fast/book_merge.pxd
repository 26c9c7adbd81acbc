"""Parts -> book: what the merger keeps while it works. All memory is that of Python objects in `kept`."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from bidder._fast.book_layout cimport Header, Value
from bidder._fast.book_part cimport PartHeader

cdef struct Source:            # one part, checked
    const char* rows[22]
    uint32_t count[22]
    uint64_t first[22]         # number (of the blob: offset) in the book of the part's first one
    uint32_t* value            # value of the part -> of the book
    uint32_t zone              # zones of the part: into Merger.zone_of

cdef struct Place:             # a campaign, where it stands in its part
    int64_t price_max
    uint32_t key
    uint32_t source
    uint32_t number
    uint32_t raised            # 1: a slot more of a campaign that has one anyway

cdef class Merger:
    cdef list parts, kept, zones, left_out
    cdef dict advertisers      # key -> id
    cdef Source* sources
    cdef uint32_t source_count, campaigns, value_count, words
    cdef uint64_t totals[22]   # rows of all parts, by kind
    cdef uint64_t seed
    cdef Place* places         # by slot
    cdef Value* values
    cdef const char** raws     # bytes of a value, in its part
    cdef uint32_t* zone_of
    cdef uint64_t* starts      # postings: of value v the slots from starts[2 v] (included), starts[2 v + 1] (excluded)
    cdef uint32_t* slots
    cdef uint32_t bound[27]    # campaigns that include something, by dimension
    cdef uint64_t used         # dimensions that any value or campaign names
    cdef uint64_t bitmaps, sparse
    cdef const Header* head
    cdef char* out
    cdef void* room(self, size_t count, size_t item) except NULL
    cdef int take(self, uint32_t number, const unsigned char[::1] part) except -1
    cdef int join_names(self) except -1
    cdef int order(self) except -1
    cdef int join_values(self) except -1
    cdef int join_postings(self) except -1
    cdef int choose_forms(self) except -1
    cdef void* section(self, int number) noexcept
    cdef int write_campaigns(self, purse_of) except -1
    cdef int write_rest(self) except -1
    cdef int write_index(self) except -1
    cdef int write_summaries(self) except -1
    cdef int write_named(self, int section, int kind) except -1
    cdef int write_names(self, exchanges) except -1
