"""What a request asks the index of one book. Private to the probe, which extends it."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from bidder._fast.book_layout cimport D_DEAL, Header, Value
from bidder._fast.book_postings cimport Plan
from bidder._fast.request cimport Deal, Imp, Request, Size, Str

cdef enum:
    FOLD_MAX = 1024            # bytes; longer texts are in no book
    FOLD_ROOM = 16_384         # of all texts of one request, and for what folding writes behind them
    CATEGORY_MAX = 512         # bytes; longer categories are in no book

cdef enum:
    QUESTIONS = 64             # there is room for at first
    NUMBER_IDS = 64            # of a dimension that are remembered
    UNKNOWN = -2               # Question.value: not asked yet

cdef enum:                     # Known.ways: what a request has in a dimension
    WAY_OTHER = 0
    WAY_NUMBER = 1
    WAY_TEXT = 2               # compared as it is
    WAY_FOLDED = 3             # without case

cdef struct NumberId:          # which value a number is; the same few are asked for again and again
    int64_t number
    int64_t found              # value id + 2; 0: nothing is remembered here

cdef enum:
    TEXT_IDS = 1_024           # texts that are remembered, a power of two
    SHORT_TEXT = 16            # bytes of one at most

cdef struct TextId:            # the same of a text
    uint64_t words[2]          # its bytes, zeros behind them
    uint32_t n
    uint32_t dimension
    int64_t found              # as above

cdef struct Question:          # does the book name this value?
    uint64_t hash
    const void* p              # NULL: `number`
    int64_t number
    uint32_t n
    uint32_t dimension
    uint32_t plan              # number of the dimension: into molds
    int64_t value              # id; -1: the book does not name it; UNKNOWN

cdef struct Known:             # of a book, for all its probes
    Plan molds[27]             # of every dimension, as the book has it; those of the request stand first
    uint8_t ways[27]           # of each mold: WAY_
    uint16_t texts_at[27]      # where its text stands in a Request
    uint8_t numbered[27]       # 0, 1, 2 ...: all molds,
    uint8_t of_class[5]        # those that classes are made of,
    uint8_t of_none[27]        # and the request's others
    uint32_t mold_n, of_request, of_class_n, of_none_n
    NumberId numbers[27 * 64]  # NUMBER_IDS a dimension
    TextId texts[1024]
    # Memory for one probe at a time, while it asks and is answered: a room for each would fill the processor's cache.
    Question* questions        # owned
    uint32_t question_cap
    char* folded               # owned: folded texts of the questions that are open

cdef inline uint32_t near_bit(uint32_t dimension) noexcept nogil:
    """Plan.near of a dimension of the imp, as Matcher.near tells it."""
    return <uint32_t>1 << (dimension - D_DEAL)

cdef class Asker:
    """Of one book; asks for one request at a time."""
    cdef const Header* head
    cdef const Value* values
    cdef const uint64_t* index
    cdef Known* known                # of the book
    cdef uint32_t question_n
    cdef uint32_t folded_n
    cdef readonly uint32_t asked     # questions of this request so far, those of its imps too
    cdef const Request* req
    cdef const Str* strs
    cdef const Size* sizes
    cdef const Deal* deals
    cdef uint8_t exchange
    cdef bint broken                 # no memory: nothing may match this request
    cdef uint32_t asking
    # Questions for every value that the request has in these dimensions, and that an imp has; `n` numbers of molds.
    cdef void gather_all(self, const uint8_t* numbers, uint32_t n) noexcept nogil
    cdef void gather_imp(self, const Imp* imp, const uint8_t* numbers, uint32_t n) noexcept nogil
    # What this question asked about has this id, or -1.
    cdef void remember(self, const Question* question, int64_t id) noexcept nogil
    # Private from here on.
    cdef void gather(self, uint32_t number) noexcept nogil
    cdef void gather_of_imp(self, uint32_t number, const Imp* imp) noexcept nogil
    cdef Question* open_question(self, uint32_t dimension, size_t n) noexcept nogil
    cdef bint room(self, uint32_t n) noexcept nogil
    cdef void hash_question(self, Question* question, const void* p) noexcept nogil
    cdef void ask(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    cdef void ask_hashed(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    cdef bint ask_known(self, uint32_t dimension, const uint64_t* words, size_t n) noexcept nogil
    cdef void ask_number(self, uint32_t dimension, int64_t number) noexcept nogil
    cdef void ask_folded(self, uint32_t dimension, const Str* text) noexcept nogil
    cdef void ask_refolded(self, uint32_t dimension, Str text) noexcept nogil
    cdef void ask_region(self) noexcept nogil
    cdef void ask_codes(self, Str cat) noexcept nogil
    cdef void ask_above(self, uint32_t dimension, Str text) noexcept nogil
    cdef Py_ssize_t casefold(self, Str text, char* out) noexcept with gil

# Of a book that was checked, with nothing remembered yet; NULL: no memory. Both for the book.
cdef Known* known_new(const char* base) noexcept nogil
cdef void known_free(Known* known) noexcept nogil
