"""The values of one request, looked up in the index of one book, and what they mean for its campaigns.

Per dimension: the request's values -> questions -> their postings (who includes, who excludes them) -> a plan,
and a list of the values that the request has, for multipliers and `segment.all`.
A value that no campaign names costs one hash and, mostly, one look at the table.

All questions are asked before any is answered: each needs a line of the table, then one of a value, then one of a
posting, and memory brings many lines in the time of one.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport bsearch, free, malloc, qsort, realloc
from libc.string cimport memcpy

from bidder._fast.book_classes cimport Class, class_key, class_of
from bidder._fast.book_layout cimport *
from bidder._fast.book_postings cimport Pair, Plan, Posting, postings_room, postings_unite
from bidder._fast.book_questions cimport UNKNOWN, Asker, Known, Question
from bidder._fast.memory cimport fetch_line
from bidder._fast.request cimport Imp, Reader


cdef int _by_id(const void* a, const void* b) noexcept nogil:
    cdef uint32_t x = (<const uint32_t*>a)[0], y = (<const uint32_t*>b)[0]
    return (x > y) - (x < y)


cdef class Probe(Asker):
    cdef int attach(self, const char* base, Known* known, Class* classes) except -1:
        """To a checked book, which must outlive the probe."""
        self.head = <const Header*>base
        self.known = known
        self.classes = classes
        self.cls = &self.own
        self.values = <const Value*>(base + self.head.table[S_VALUES].at)
        self.index = <const uint64_t*>(base + self.head.table[S_INDEX].at)
        self.bitmaps = <const uint64_t*>(base + self.head.table[S_BITMAPS].at)
        self.slots = <const uint32_t*>(base + self.head.table[S_SLOTS].at)
        self.text = base + self.head.table[S_BLOB].at
        self.held_cap = LINEAR
        self.held = <uint32_t*>malloc(self.held_cap * sizeof(uint32_t))
        if self.held == NULL:
            raise MemoryError
        return 0

    def __dealloc__(self):
        free(self.held)
        free(self.incs.items)
        free(self.excs.items)

    cdef void look_at(self, Reader reader, uint8_t exchange) noexcept nogil:
        self.req = &reader.req
        self.strs = reader.strs
        self.sizes = reader.sizes
        self.deals = reader.deals
        self.exchange = exchange
        self.bundle_term = self.domain_term = 0
        self.incs.count = self.excs.count = 0
        self.held_n = self.held_of_request = self.held_sorted = 0
        self.question_n = self.folded_n = 0
        self.broken = False
        self.asked = 0
        self.plan_count = self.pair_count = 0
        self.leave_class()
        if self.plain:
            self.gather_all(self.known.numbered, self.known.of_request)
            self.settle_plans(self.known.numbered, self.known.of_request, False)
        else:
            self.join_class()
            self.gather_all(self.known.of_none, self.known.of_none_n)
            self.settle_plans(self.known.of_none, self.known.of_none_n, True)
        self.held_of_request = self.held_n
        self.request_plans = self.plan_count
        self.request_incs = self.incs.count
        self.request_excs = self.excs.count

    cdef void leave_class(self) noexcept nogil:
        if self.cls != &self.own:
            self.cls.matchers -= 1
            self.cls = &self.own
        self.own.held_n = self.own.plan_n = self.own.inc_n = self.own.exc_n = 0
        self.own.known = self.own.open_known = 0

    @final
    cdef void join_class(self) noexcept nogil:
        """To what others of its kind have worked out, or to work it out."""
        cdef uint64_t key = class_key(self.req, self.exchange)
        cdef Class* cls = class_of(self.classes, key) if key else NULL
        if cls == NULL or cls.key != key:
            if cls == NULL:
                cls = &self.own
            self.make_class(cls)
            if self.broken:
                return
            if cls != &self.own:
                cls.key = key
        if cls != &self.own:
            self.cls = cls
            cls.matchers += 1
        fetch_line(&cls.accepted[0])
        memcpy(self.held, cls.held, cls.held_n * sizeof(uint32_t))
        self.held_n = cls.held_n

    @final
    cdef void make_class(self, Class* cls) noexcept nogil:
        """Asked and answered as for a request without a class; each of these dimensions has one value at most."""
        cls.known = cls.open_known = 0
        self.gather_all(self.known.of_class, self.known.of_class_n)
        self.settle_plans(self.known.of_class, self.known.of_class_n, False)
        cls.held_n = <uint8_t>self.held_n
        cls.plan_n = <uint8_t>self.plan_count
        cls.inc_n = <uint8_t>self.incs.count
        cls.exc_n = <uint8_t>self.excs.count
        memcpy(cls.held, self.held, self.held_n * sizeof(uint32_t))
        memcpy(cls.plans, self.plans, self.plan_count * sizeof(Plan))
        memcpy(cls.incs, self.incs.items, self.incs.count * sizeof(Posting))
        memcpy(cls.excs, self.excs.items, self.excs.count * sizeof(Posting))
        self.plan_count = self.incs.count = self.excs.count = 0
        self.held_n = self.question_n = self.folded_n = 0

    cdef void look_at_imp(self, const Imp* imp) noexcept nogil:
        self.held_n = self.held_of_request
        self.question_n = self.folded_n = 0
        self.plan_count = self.request_plans
        self.incs.count = self.request_incs
        self.excs.count = self.request_excs
        self.gather_imp(imp, &self.known.numbered[self.known.of_request], self.known.mold_n - self.known.of_request)
        self.settle_plans(
            &self.known.numbered[self.known.of_request], self.known.mold_n - self.known.of_request, False)

    @final
    cdef void settle_plans(self, const uint8_t* numbers, uint32_t n, bint pairs) noexcept nogil:
        """Answer what was asked about these dimensions; plans, or `pairs`, for those that can refuse a campaign."""
        cdef const Plan* mold
        cdef const Question* question = self.known.questions
        cdef const Question* end
        cdef const Question* asked
        cdef Plan* plan = &self.plans[self.plan_count]
        cdef Pair* pair = &self.pairs[self.pair_count]
        cdef Posting* inc
        cdef Posting* exc
        cdef Posting* first_inc
        cdef Posting* first_exc
        cdef const Value* value
        cdef uint32_t* held
        cdef int64_t id
        cdef uint32_t i
        self.asked += self.question_n
        if not (self.held_room(self.question_n) and postings_room(&self.incs, self.question_n)
                and postings_room(&self.excs, self.question_n)):
            self.broken = True
            self.question_n = 0
        end = question + self.question_n
        self.resolve()
        inc, exc, held = self.incs.items + self.incs.count, self.excs.items + self.excs.count, self.held + self.held_n
        for i in range(n):
            mold = &self.known.molds[numbers[i]]
            first_inc, first_exc, asked = inc, exc, question
            while question < end and question.plan == numbers[i]:
                id = question.value if question.value != UNKNOWN else self.looked_up(question)
                question += 1
                if id < 0:
                    continue
                held[0] = <uint32_t>id
                held += 1
                value = &self.values[id]
                if value.term:
                    self.note_term(value)
                if value.inc_count:
                    self.aim(inc, value.dense & DENSE_INC, value.inc_at, value.inc_count)
                    inc += 1
                if value.exc_count:
                    self.aim(exc, value.dense & DENSE_EXC, value.exc_at, value.exc_count)
                    exc += 1
            if question - asked > LINEAR:
                inc = postings_unite(first_inc, inc)
                exc = postings_unite(first_exc, exc)
            # An imp without sizes, or with ratios besides: the auction looks at each creative.
            if (mold.base == NULL and exc == first_exc) or (mold.dimension == D_SIZE and question == asked):
                continue
            if pairs and exc == first_exc and (inc == first_inc or (inc == first_inc + 1 and first_inc.dense != NULL)):
                pair.base = mold.base
                pair.more = mold.base if inc == first_inc else first_inc.dense
                pair += 1
                inc = first_inc
                continue
            plan.base, plan.dimension, plan.near = mold.base, mold.dimension, mold.near
            plan.inc_first, plan.inc_end = <uint32_t>(first_inc - self.incs.items), <uint32_t>(inc - self.incs.items)
            plan.exc_first, plan.exc_end = <uint32_t>(first_exc - self.excs.items), <uint32_t>(exc - self.excs.items)
            plan += 1
        self.incs.count, self.excs.count = <uint32_t>(inc - self.incs.items), <uint32_t>(exc - self.excs.items)
        self.held_n = <uint32_t>(held - self.held)
        self.plan_count = <uint32_t>(plan - self.plans)
        self.pair_count = <uint32_t>(pair - self.pairs)

    cdef int64_t find(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        """Value id, or -1 where the book does not name it."""
        cdef Question question
        question.p = p
        question.n = <uint32_t>n
        question.dimension = dimension
        question.hash = book_hash(self.head.seed, dimension, p, n)
        return self.confirmed(&question)

    @final
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

    @final
    cdef void resolve(self) noexcept nogil:
        """Have the values come that the open questions are probably about."""
        cdef uint64_t mask = self.head.table[S_INDEX].count - 1
        cdef uint64_t entry
        cdef uint32_t i
        for i in range(self.question_n):
            if self.known.questions[i].value == UNKNOWN:
                entry = self.index[self.known.questions[i].hash & mask]
                if entry:
                    fetch_line(&self.values[<uint32_t>entry - 1])

    @final
    cdef bint held_room(self, uint32_t n) noexcept nogil:
        cdef uint32_t cap = self.held_cap
        cdef uint32_t* more
        while cap - self.held_n < n:
            cap *= 2
        if cap > self.held_cap:
            more = <uint32_t*>realloc(self.held, cap * sizeof(uint32_t))
            if more == NULL:
                return False
            self.held = more
            self.held_cap = cap
        return True

    @final
    cdef int64_t looked_up(self, const Question* question) noexcept nogil:
        """What this question is about, remembered for the next that asks."""
        cdef int64_t id = self.confirmed(question)
        self.remember(question, id)
        return id

    @final
    cdef void note_term(self, const Value* value) noexcept nogil:
        """The request has a value that counters know."""
        if value.dimension == D_BUNDLE:
            self.bundle_term = value.term
        elif value.dimension == D_DOMAIN:
            self.domain_term = value.term

    @final
    cdef void aim(self, Posting* posting, bint dense, uint64_t at, uint32_t count) noexcept nogil:
        """At the beginning of the postings that a value names."""
        if dense:
            posting.dense = self.bitmaps + at * self.head.words
            fetch_line(posting.dense)
        else:
            posting.dense = NULL
            posting.first = posting.at = self.slots + at
            posting.end = posting.at + count
            fetch_line(posting.at)

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
