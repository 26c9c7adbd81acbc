"""The writer: the answer as bytes, in memory that it keeps between requests."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy
from bidder._fast.answers cimport Outbox
from bidder._fast.book cimport Book, CreativeRec, Piece
from bidder._fast.request cimport Asked, Imp, Native, Reader, Str
from bidder._fast.row cimport Row

cdef enum:
    PRICE_CHARS = 24           # most that a price takes
    BID_ID_CHARS = 24

cdef struct Splices:           # what one bid puts into the pieces of its creative
    const uint8_t* bid_id      # BID_ID_BYTES
    Str imp_id_raw
    int64_t price              # nano-USD for one impression; > 0
    const char* notice         # TOKEN_CHARS each
    const char* page
    Str deal                   # unescaped; p is NULL: none
    const Row* row             # of the exchange
    const Native* native       # what a native answers; NULL: the creative is none
    const Asked* asked         # the reader's, into which `native` points,
    const Str* strs            # and its strings

# What the splices say of a native, or that the creative is none.
cdef void splice_native(Splices* splices, Reader reader, const Imp* imp, const CreativeRec* creative) noexcept nogil
# Most bytes that put_bid will write, few more than it does; of the splices it needs imp id, deal, row and native.
cdef size_t bid_bytes(Book book, const CreativeRec* creative, const Splices* splices) noexcept nogil

cdef class Writer:
    cdef char* p               # own, or in the outbox
    cdef size_t n, cap
    cdef char* own             # owned
    cdef size_t own_cap
    cdef Outbox outbox         # None: what is written stays here
    cdef size_t head_n
    # What is written next goes where it is sent from, behind a head of so many bytes; 0: into memory of our own.
    cdef void begin(self, Outbox outbox, size_t head_n) noexcept
    # False: no memory; what is written already stays. Then so many bytes may be put without asking.
    cdef bint reserve(self, size_t more) noexcept nogil
    cdef void put(self, const char* text, size_t n) noexcept nogil
    cdef void put_str(self, Str text) noexcept nogil
    cdef char* write_native(self, Book book, const CreativeRec* creative, const Splices* splices, const Piece* piece,
                            char* out) noexcept nogil
    cdef void put_bid(self, Book book, const CreativeRec* creative, const Splices* splices) noexcept nogil
