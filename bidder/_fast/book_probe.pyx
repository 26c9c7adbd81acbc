"""The values of one request, looked up in the index of one book.

Per dimension: the request's values -> questions -> their postings (who includes, who excludes them),
and a list of the values that the request has, for multipliers and `segment.all`.
A value that no campaign names costs one hash and, mostly, one look at the table.

All questions are asked before any is answered: each needs a line of the table, then one of a value, then one of a
posting, and memory brings many lines in the time of one.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport bsearch, free, malloc, qsort, realloc
from libc.string cimport memcpy

from bidder._fast.book_layout cimport *
from bidder._fast.book_postings cimport Posting, Postings, postings_add
from bidder._fast.memory cimport fetch
from bidder._fast.request cimport INVENTORY_NONE, Imp, Reader, Request, Str


cdef int _by_id(const void* a, const void* b) noexcept nogil:
    cdef uint32_t x = (<const uint32_t*>a)[0], y = (<const uint32_t*>b)[0]
    return (x > y) - (x < y)


cdef int _by_place(const void* a, const void* b) noexcept nogil:
    """Postings of one value have one place; a bitmap's `first` is only a number, but its own."""
    cdef const Posting* x = <const Posting*>a
    cdef const Posting* y = <const Posting*>b
    if x.dense != y.dense:
        return 1 if x.dense > y.dense else -1
    return (x.first > y.first) - (x.first < y.first)


cdef class Probe:
    cdef int attach(self, const char* base, NumberId* numbers) except -1:
        """To a checked book, which must outlive the probe."""
        self.head = <const Header*>base
        self.numbers = numbers
        self.values = <const Value*>(base + self.head.table[S_VALUES].at)
        self.index = <const uint64_t*>(base + self.head.table[S_INDEX].at)
        self.bitmaps = <const uint64_t*>(base + self.head.table[S_BITMAPS].at)
        self.slots = <const uint32_t*>(base + self.head.table[S_SLOTS].at)
        self.text = base + self.head.table[S_BLOB].at
        self.held_cap = self.question_cap = LINEAR
        self.held = <uint32_t*>malloc(self.held_cap * sizeof(uint32_t))
        self.questions = <Question*>malloc(self.question_cap * sizeof(Question))
        self.folded = <char*>malloc(FOLD_ROOM)
        if self.held == NULL or self.questions == NULL or self.folded == NULL:
            raise MemoryError
        return 0

    def __dealloc__(self):
        free(self.held)
        free(self.questions)
        free(self.folded)
        free(self.incs.items)
        free(self.excs.items)

    cdef void look_at(self, Reader reader) noexcept nogil:
        """A new request: nothing of the last one is held any more."""
        self.req = &reader.req
        self.strs = reader.strs
        self.sizes = reader.sizes
        self.deals = reader.deals
        self.bundle_term = self.domain_term = 0
        self.incs.count = self.excs.count = 0
        self.held_n = self.held_of_request = self.held_sorted = 0
        self.question_n = self.folded_n = 0
        self.broken = False
        self.asked = 0

    cdef void look_at_imp(self) noexcept nogil:
        """A new imp: nothing of the last one is held any more."""
        self.held_n = self.held_of_request
        self.question_n = self.folded_n = 0

    cdef void gather(self, uint32_t dimension, const Imp* imp, uint8_t exchange, uint32_t plan) noexcept nogil:
        """Every value that the request (or imp) has in this dimension."""
        cdef const Request* req = self.req
        cdef uint32_t i
        if dimension == D_EXCHANGE:
            self.ask_number(dimension, exchange, plan)
        elif dimension == D_COUNTRY:
            if req.country:
                self.ask_number(dimension, req.country, plan)
        elif dimension == D_REGION:
            self.ask_region(plan)
        elif dimension == D_CITY:
            self.ask_folded(dimension, req.city, plan)
        elif dimension == D_METRO:
            self.ask(dimension, req.metro.p, req.metro.n, plan)
        elif dimension == D_ZIP:
            self.ask(dimension, req.zip.p, req.zip.n, plan)
        elif dimension == D_OS:
            self.ask_folded(dimension, req.os, plan)
        elif dimension == D_DEVICE_TYPE:
            if req.device_type:
                self.ask_number(dimension, req.device_type, plan)
        elif dimension == D_MAKE:
            self.ask_folded(dimension, req.make, plan)
        elif dimension == D_MODEL:
            self.ask_folded(dimension, req.model, plan)
        elif dimension == D_CARRIER:
            self.ask_folded(dimension, req.carrier, plan)
        elif dimension == D_CONNECTION_TYPE:
            if req.connection_type >= 0:
                self.ask_number(dimension, req.connection_type, plan)
        elif dimension == D_LANGUAGE:
            self.ask_folded(dimension, req.language, plan)
        elif dimension == D_INVENTORY:
            if req.inventory != INVENTORY_NONE:
                self.ask_number(dimension, req.inventory, plan)
        elif dimension == D_BUNDLE:
            self.ask_folded(dimension, req.bundle, plan)
        elif dimension == D_DOMAIN:
            self.ask_folded(dimension, req.domain, plan)
        elif dimension == D_PUBLISHER:
            self.ask(dimension, req.publisher.p, req.publisher.n, plan)
        elif dimension == D_CAT:
            if req.cattax <= 1:                    # another taxonomy than ours says nothing to us
                for i in range(req.cat.at, req.cat.at + req.cat.n):
                    self.ask_category(self.strs[i], plan)
        elif dimension == D_GENDER:
            if req.gender:
                self.ask_number(dimension, req.gender, plan)
        elif dimension == D_SEGMENT:
            for i in range(req.segments.at, req.segments.at + req.segments.n):
                self.ask(dimension, self.strs[i].p, self.strs[i].n, plan)
        elif dimension == D_USER_ID:
            if req.has_user_id:
                self.ask_number(dimension, 1, plan)
        elif dimension == D_DEAL:
            for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
                self.ask(dimension, self.deals[i].id.p, self.deals[i].id.n, plan)
        elif dimension == D_FORMAT:
            for i in range(4):                     # bit n of media is mtype n + 1
                if imp.media >> i & 1:
                    self.ask_number(dimension, i + 1, plan)
        elif dimension == D_SIZE:
            for i in range(imp.sizes.at, imp.sizes.at + imp.sizes.n):
                self.ask_number(dimension, <int64_t>self.sizes[i].w << 32 | <uint32_t>self.sizes[i].h, plan)
        elif dimension == D_SECURE:
            if imp.secure:
                self.ask_number(dimension, 1, plan)

    cdef int64_t find(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        """Value id, or -1 where the book does not name it."""
        cdef Question question
        question.p = p
        question.n = <uint32_t>n
        question.dimension = dimension
        question.hash = book_hash(self.head.seed, dimension, p, n)
        return self.confirmed(&question)

    cdef int64_t confirmed(self, const Question* question) noexcept nogil:
        """Value id of exactly these bytes, or -1."""
        cdef const void* p = &question.number if question.p == NULL else question.p
        cdef uint64_t mask = self.head.table[S_INDEX].count - 1
        cdef uint64_t at = question.hash & mask
        cdef uint64_t entry
        cdef const Value* value
        cdef const char* raw
        while True:
            entry = self.index[at]
            if entry == 0:
                return -1
            if entry >> 32 == question.hash >> 32:
                value = &self.values[<uint32_t>entry - 1]
                if value.hash == question.hash and value.dimension == question.dimension and value.n == question.n:
                    raw = self.text + value.at if value.n > START_BYTES else &value.start[0]
                    if book_same(raw, p, value.n):
                        return <uint32_t>entry - 1
            at = (at + 1) & mask

    cdef void resolve(self) noexcept nogil:
        """Have the values come that the open questions are probably about."""
        cdef uint64_t mask = self.head.table[S_INDEX].count - 1
        cdef uint64_t entry
        cdef uint32_t i
        self.asked += self.question_n
        for i in range(self.question_n):
            if self.questions[i].value == UNKNOWN:
                entry = self.index[self.questions[i].hash & mask]
                if entry:
                    fetch(&self.values[<uint32_t>entry - 1], 1)

    cdef void answer(self, const Question* question) noexcept nogil:
        """The request has this value: note it, and its postings."""
        cdef int64_t id = question.value
        cdef const Value* value
        cdef uint32_t* more
        if id == UNKNOWN:
            id = self.confirmed(question)
            if question.p == NULL:
                self.remember(question.dimension, question.number, id)
        if id < 0:
            return
        if self.held_n == self.held_cap:
            more = <uint32_t*>realloc(self.held, 2 * self.held_cap * sizeof(uint32_t))
            if more == NULL:
                self.broken = True
                return
            self.held = more
            self.held_cap *= 2
        self.held[self.held_n] = <uint32_t>id
        self.held_n += 1
        value = &self.values[id]
        if question.dimension == D_BUNDLE:
            self.bundle_term = value.term
        elif question.dimension == D_DOMAIN:
            self.domain_term = value.term
        if value.inc_count:
            self.aim(postings_add(&self.incs), value.dense & DENSE_INC, value.inc_at, value.inc_count)
        if value.exc_count:
            self.aim(postings_add(&self.excs), value.dense & DENSE_EXC, value.exc_at, value.exc_count)

    cdef void unite(self, Postings* list, uint32_t first) noexcept nogil:
        cdef uint32_t i, kept = first
        if list.count == first:
            return
        qsort(&list.items[first], list.count - first, sizeof(Posting), _by_place)
        for i in range(first + 1, list.count):
            if _by_place(&list.items[i], &list.items[kept]) != 0:
                kept += 1
                list.items[kept] = list.items[i]
        list.count = kept + 1

    cdef void aim(self, Posting* posting, bint dense, uint32_t at, uint32_t count) noexcept nogil:
        """At the beginning of the postings that a value names."""
        if posting == NULL:
            self.broken = True
            return
        posting.dense = self.bitmaps + <uint64_t>at * self.head.words if dense else NULL
        posting.first = posting.at = self.slots + at
        posting.end = posting.at + count
        fetch(posting.dense if dense else <const void*>posting.at, 1)

    cdef Question* open_question(self, uint32_t dimension, size_t n, uint32_t plan) noexcept nogil:
        """NULL: no memory."""
        cdef Question* question
        if self.question_n == self.question_cap:
            question = <Question*>realloc(self.questions, 2 * self.question_cap * sizeof(Question))
            if question == NULL:
                self.broken = True
                return NULL
            self.questions = question
            self.question_cap *= 2
        question = &self.questions[self.question_n]
        self.question_n += 1
        question.dimension = dimension
        question.n = <uint32_t>n
        question.plan = plan
        return question

    cdef void hash_question(self, Question* question, const void* p) noexcept nogil:
        question.value = UNKNOWN
        question.hash = book_hash(self.head.seed, question.dimension, p, question.n)
        fetch(&self.index[question.hash & (self.head.table[S_INDEX].count - 1)], 1)

    cdef void ask(self, uint32_t dimension, const void* p, size_t n, uint32_t plan) noexcept nogil:
        cdef Question* question = self.open_question(dimension, n, plan) if p != NULL else NULL
        if question != NULL:
            question.p = p
            self.hash_question(question, p)

    cdef void ask_number(self, uint32_t dimension, int64_t number, uint32_t plan) noexcept nogil:
        cdef Question* question = self.open_question(dimension, sizeof(number), plan)
        cdef const NumberId* known = &self.numbers[dimension * NUMBER_IDS + (number & (NUMBER_IDS - 1))]
        if question == NULL:
            return
        question.p = NULL
        question.number = number
        if known.found and known.number == number:
            question.value = known.found - 2
            if question.value >= 0:
                fetch(&self.values[question.value], 1)
        else:
            self.hash_question(question, &number)

    cdef void remember(self, uint32_t dimension, int64_t number, int64_t id) noexcept nogil:
        cdef NumberId* known = &self.numbers[dimension * NUMBER_IDS + (number & (NUMBER_IDS - 1))]
        known.number = number
        known.found = id + 2

    cdef void ask_folded(self, uint32_t dimension, Str text, uint32_t plan) noexcept nogil:
        """Text compared without case. ASCII is folded here; the rest by Python, as the compiler of the book did."""
        cdef char* out = self.folded + self.folded_n
        cdef Py_ssize_t i, n = text.n
        cdef uint8_t c, high = 0
        if text.p == NULL or n > FOLD_MAX:
            return
        for i in range(n):
            c = <uint8_t>text.p[i]
            high |= c
            out[i] = <char>(c | (<uint8_t>(c - 65) < 26) << 5)
        if high & 0x80:
            n = self.casefold(text, out)
        if n >= 0:
            self.folded_n += <uint32_t>n
            self.ask(dimension, out, n, plan)

    cdef Py_ssize_t casefold(self, Str text, char* out) noexcept with gil:
        """Writes the folded text and returns its length, or -1."""
        cdef bytes folded
        try:
            folded = text.p[:text.n].decode().casefold().encode()
        except UnicodeDecodeError:
            return -1
        if len(folded) > FOLD_MAX:
            return -1
        memcpy(out, <const char*>folded, len(folded))
        return len(folded)

    cdef void ask_region(self, uint32_t plan) noexcept nogil:
        """`CA-QC` as it is; `QC` only together with the country, as the book spells that pair too."""
        cdef Str region = self.req.region
        cdef uint32_t country = self.req.country
        cdef char* out = self.folded + self.folded_n
        if region.p == NULL or region.n > FOLD_MAX - sizeof(country):
            return
        if region.n > 3 and region.p[2] == b'-' and 65 <= region.p[0] <= 90 and 65 <= region.p[1] <= 90:
            self.ask(D_REGION, region.p, region.n, plan)
        elif country:
            memcpy(out, &country, sizeof(country))
            memcpy(out + sizeof(country), region.p, region.n)
            self.folded_n += <uint32_t>sizeof(country) + region.n
            self.ask(D_REGION, out, sizeof(country) + region.n, plan)

    cdef void ask_category(self, Str cat, uint32_t plan) noexcept nogil:
        """The category and everything above it: a campaign that lists IAB9 means IAB9-30 too."""
        cdef Py_ssize_t n
        if cat.p == NULL:
            return
        if cat.n <= CATEGORY_MAX:
            self.ask(D_CAT, cat.p, cat.n, plan)
        for n in range(min(<Py_ssize_t>cat.n - 1, <Py_ssize_t>CATEGORY_MAX), 0, -1):
            if cat.p[n] == b'-':
                self.ask(D_CAT, cat.p, n, plan)

    cdef bint holds(self, uint32_t value) noexcept nogil:
        """Does the request, or this imp, have the value?"""
        cdef uint32_t i, first = 0
        if self.held_of_request > LINEAR:
            if self.held_sorted == 0:
                self.held_sorted = self.held_of_request
                qsort(self.held, self.held_sorted, sizeof(uint32_t), _by_id)
            if bsearch(&value, self.held, self.held_sorted, sizeof(uint32_t), _by_id) != NULL:
                return True
            first = self.held_sorted
        for i in range(first, self.held_n):
            if self.held[i] == value:
                return True
        return False
