"""The values of one request, looked up in the index of one book. Private to the matcher, which extends it."""

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book_classes cimport Class
from bidder._fast.book_layout cimport D_DEAL, Header, Value
from bidder._fast.book_postings cimport Plan, Posting, Postings
from bidder._fast.request cimport Deal, Imp, Reader, Request, Size, Str

cdef enum:
    FOLD_MAX = 1024            # bytes; longer texts are in no book
    FOLD_ROOM = 16_384         # of all texts of one request, and for what folding writes behind them
    CATEGORY_MAX = 512         # bytes; longer categories are in no book

cdef enum:
    LINEAR = 64                # values held up to which looking at each of them is fastest

cdef enum:
    NUMBER_IDS = 64            # of a dimension that are remembered
    UNKNOWN = -2               # Question.value: not asked yet

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
    NumberId numbers[27 * 64]  # NUMBER_IDS a dimension
    TextId texts[1024]
    # Memory for one probe at a time, while it asks and is answered: a room for each would fill the processor's cache.
    Question* questions        # owned
    uint32_t question_cap
    char* folded               # owned: folded texts of the questions that are open

cdef class Probe:
    cdef const Header* head
    cdef const Value* values
    cdef const uint64_t* index
    cdef const uint64_t* bitmaps
    cdef const uint32_t* slots
    cdef const char* text
    cdef Known* known                # of the book
    cdef Class* classes              # of the book: CLASSES
    cdef Class* cls                  # of the request; `own` where it is of none
    cdef Class own
    cdef public bint plain           # no classes: every dimension has its plan in `plans`, in the order of the book
    cdef uint32_t question_n
    cdef readonly uint32_t asked     # questions of this request so far, those of its imps too
    cdef uint32_t* held              # ids of values that the request has, then those that this imp has; owned
    cdef uint32_t held_n, held_cap, held_of_request, held_sorted
    cdef const Request* req
    cdef const Str* strs
    cdef const Size* sizes
    cdef const Deal* deals
    cdef uint32_t bundle_term, domain_term       # keys of the request's bundle and domain; 0: not named
    cdef Postings incs, excs
    cdef bint broken                 # no memory: nothing may match this request
    cdef uint32_t folded_n
    cdef uint8_t exchange
    cdef Plan molds[27]              # of every dimension, as the book has it; those of the request stand first
    cdef uint8_t numbered[27]        # their numbers,
    cdef uint8_t of_class[5]         # of those that classes are made of,
    cdef uint8_t of_none[27]         # and of the request's others
    cdef uint32_t dimension_count, of_request, of_class_n, of_none_n, asking
    cdef Plan plans[27]              # of the request, as far as its class has none, then of the imp: those that can refuse
    cdef uint32_t plan_count, request_plans
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
    @final
    cdef void aim(self, Posting* posting, bint dense, uint64_t at, uint32_t count) noexcept nogil
    # Private from here on.
    @final
    cdef void gather(self, uint32_t number) noexcept nogil
    @final
    cdef void gather_of_imp(self, uint32_t number, const Imp* imp) noexcept nogil
    @final
    cdef void join_class(self) noexcept nogil
    @final
    cdef void make_class(self, Class* cls) noexcept nogil
    # Of these dimensions: `n` numbers of molds.
    @final
    cdef void settle_plans(self, const uint8_t* numbers, uint32_t n) noexcept nogil
    # What all open questions stand for; then question by question `answer`.
    @final
    cdef void resolve(self) noexcept nogil
    @final
    cdef bint held_room(self, uint32_t n) noexcept nogil
    # Adds the postings of this value, if the book names it.
    @final
    cdef void answer(self, const Question* question) noexcept nogil
    @final
    cdef int64_t confirmed(self, const Question* question) noexcept nogil
    @final
    cdef Question* open_question(self, uint32_t dimension, size_t n) noexcept nogil
    @final
    cdef void ask_hashed(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    @final
    cdef bint ask_known(self, uint32_t dimension, const uint64_t* words, size_t n) noexcept nogil
    @final
    cdef void hash_question(self, Question* question, const void* p) noexcept nogil
    @final
    cdef void ask(self, uint32_t dimension, const void* p, size_t n) noexcept nogil
    @final
    cdef void remember(self, const Question* question, int64_t id) noexcept nogil
    @final
    cdef void ask_number(self, uint32_t dimension, int64_t number) noexcept nogil
    @final
    cdef void ask_folded(self, uint32_t dimension, const Str* text) noexcept nogil
    @final
    cdef void ask_region(self) noexcept nogil
    @final
    cdef void ask_codes(self, Str cat) noexcept nogil
    @final
    cdef void ask_above(self, uint32_t dimension, Str text) noexcept nogil
    @final
    cdef Py_ssize_t casefold(self, Str text, char* out) noexcept with gil

# What is remembered of nothing yet; NULL: no memory. Both for the book.
cdef Known* known_new() noexcept nogil
cdef void known_free(Known* known) noexcept nogil

cdef inline uint32_t near_bit(uint32_t dimension) noexcept nogil:
    """Plan.near of a dimension of the imp, as Matcher.near tells it."""
    return <uint32_t>1 << (dimension - D_DEAL)
