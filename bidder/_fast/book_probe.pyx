"""The values of one request, looked up in the index of one book, and what they mean for its campaigns.

Per dimension: the request's values -> questions -> their postings (who includes, who excludes them) -> a plan,
and a list of the values that the request has, for multipliers and `segment.all`.
A value that no campaign names costs one hash and, mostly, one look at the table.

All questions are asked before any is answered: each needs a line of the table, then one of a value, then one of a
posting, and memory brings many lines in the time of one.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport bsearch, calloc, free, malloc, qsort, realloc
from libc.string cimport memcpy

from bidder._fast.book_classes cimport CLASS_DIMENSIONS, Class, class_key, class_of
from bidder._fast.book_layout cimport *
from bidder._fast.book_postings cimport Plan, Posting, Postings, postings_room, postings_unite
from bidder._fast.json_text cimport fold_ascii, short_text
from bidder._fast.memory cimport fetch_line
from bidder._fast.request cimport INVENTORY_NONE, Imp, Reader, Request, Str
from bidder._fast.taxonomy cimport Codes, codes_of


cdef enum:                     # dimensions, as bits, by what the request has there
    NUMBERS = (1 << D_EXCHANGE | 1 << D_COUNTRY | 1 << D_DEVICE_TYPE | 1 << D_CONNECTION_TYPE | 1 << D_INVENTORY
               | 1 << D_GENDER | 1 << D_USER_ID)
    FOLDED = (1 << D_CITY | 1 << D_OS | 1 << D_MAKE | 1 << D_MODEL | 1 << D_CARRIER | 1 << D_LANGUAGE | 1 << D_BUNDLE
              | 1 << D_DOMAIN)


cdef int _by_id(const void* a, const void* b) noexcept nogil:
    cdef uint32_t x = (<const uint32_t*>a)[0], y = (<const uint32_t*>b)[0]
    return (x > y) - (x < y)


cdef inline int64_t number_of(Probe probe, uint32_t dimension) noexcept nogil:
    """Of a dimension of numbers; -1: the request has none."""
    cdef const Request* req = probe.req
    if dimension == D_EXCHANGE:
        return probe.exchange
    if dimension == D_COUNTRY:
        return <int64_t>req.country or -1
    if dimension == D_DEVICE_TYPE:
        return <int64_t>req.device_type or -1
    if dimension == D_CONNECTION_TYPE:
        return req.connection_type
    if dimension == D_INVENTORY:
        return <int64_t>req.inventory if req.inventory != INVENTORY_NONE else -1
    if dimension == D_GENDER:
        return <int64_t>req.gender or -1
    return 1 if req.has_user_id else -1            # D_USER_ID


cdef inline const Str* text_of(const Request* req, uint32_t dimension) noexcept nogil:
    """Of a dimension of single texts."""
    if dimension == D_CITY:
        return &req.city
    if dimension == D_METRO:
        return &req.metro
    if dimension == D_ZIP:
        return &req.zip
    if dimension == D_OS:
        return &req.os
    if dimension == D_MAKE:
        return &req.make
    if dimension == D_MODEL:
        return &req.model
    if dimension == D_CARRIER:
        return &req.carrier
    if dimension == D_LANGUAGE:
        return &req.language
    if dimension == D_BUNDLE:
        return &req.bundle
    if dimension == D_DOMAIN:
        return &req.domain
    if dimension == D_DOOH:
        return &req.dooh
    return &req.publisher


cdef Known* known_new() noexcept nogil:
    cdef Known* known = <Known*>calloc(1, sizeof(Known))
    if known == NULL:
        return NULL
    known.question_cap = LINEAR
    known.questions = <Question*>malloc(LINEAR * sizeof(Question))
    known.folded = <char*>malloc(FOLD_ROOM + SHORT_TEXT)
    if known.questions == NULL or known.folded == NULL:
        known_free(known)
        return NULL
    return known


cdef void known_free(Known* known) noexcept nogil:
    if known != NULL:
        free(known.questions)
        free(known.folded)
        free(known)


cdef inline TextId* text_id(Known* known, uint32_t dimension, const uint64_t* words, size_t n) noexcept nogil:
    """Where a text of so many bytes would be remembered."""
    return &known.texts[book_mix(words[0] ^ (<uint64_t>dimension << 32 | n), words[1] ^ <uint64_t>0x9E3779B97F4A7C15)
                        & (TEXT_IDS - 1)]


cdef inline void words_of(uint32_t dimension, const void* p, size_t n, uint64_t* words) noexcept nogil:
    """Of 1 to SHORT_TEXT bytes; categories may lie where nothing is to be read behind them."""
    if dimension != D_CAT:
        short_text(<const char*>p, n, False, words)
        return
    words[0] = words[1] = 0
    memcpy(words, p, n)


cdef class Probe:
    cdef int attach(self, const char* base, Known* known, Class* classes) except -1:
        """To a checked book, which must outlive the probe."""
        cdef const Dimension* dimensions
        cdef Plan* mold
        cdef uint32_t i
        self.head = <const Header*>base
        self.known = known
        self.classes = classes
        self.cls = &self.own
        self.values = <const Value*>(base + self.head.table[S_VALUES].at)
        self.index = <const uint64_t*>(base + self.head.table[S_INDEX].at)
        self.bitmaps = <const uint64_t*>(base + self.head.table[S_BITMAPS].at)
        self.slots = <const uint32_t*>(base + self.head.table[S_SLOTS].at)
        self.text = base + self.head.table[S_BLOB].at
        dimensions = <const Dimension*>(base + self.head.table[S_DIMENSIONS].at)
        self.dimension_count = <uint32_t>self.head.table[S_DIMENSIONS].count
        for i in range(self.dimension_count):
            mold = &self.molds[i]
            mold.dimension = dimensions[i].id
            mold.near = near_bit(mold.dimension) if mold.dimension >= D_DEAL else 0
            if dimensions[i].base != NO_BITMAP:
                mold.base = self.bitmaps + <uint64_t>dimensions[i].base * self.head.words
            self.numbered[i] = <uint8_t>i
            if mold.dimension < D_DEAL:
                self.of_request = i + 1
                if <uint32_t>CLASS_DIMENSIONS >> mold.dimension & 1:
                    self.of_class[self.of_class_n] = <uint8_t>i
                    self.of_class_n += 1
                else:
                    self.of_none[self.of_none_n] = <uint8_t>i
                    self.of_none_n += 1
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
        cdef uint32_t i
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
        self.plan_count = 0
        self.leave_class()
        if self.plain:
            for i in range(self.of_request):
                self.gather(i)
            self.settle_plans(self.numbered, self.of_request)
        else:
            self.join_class()
            for i in range(self.of_none_n):
                self.gather(self.of_none[i])
            self.settle_plans(self.of_none, self.of_none_n)
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

    cdef void make_class(self, Class* cls) noexcept nogil:
        """Asked and answered as for a request without a class; each of these dimensions has one value at most."""
        cdef uint32_t i
        cls.known = cls.open_known = 0
        for i in range(self.of_class_n):
            self.gather(self.of_class[i])
        self.settle_plans(self.of_class, self.of_class_n)
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
        cdef uint32_t i
        self.held_n = self.held_of_request
        self.question_n = self.folded_n = 0
        self.plan_count = self.request_plans
        self.incs.count = self.request_incs
        self.excs.count = self.request_excs
        for i in range(self.of_request, self.dimension_count):
            self.gather_of_imp(i, imp)
        self.settle_plans(&self.numbered[self.of_request], self.dimension_count - self.of_request)

    cdef void gather(self, uint32_t number) noexcept nogil:
        """Asks for every value that the request has in this dimension."""
        cdef const Request* req = self.req
        cdef uint32_t i, dimension = self.molds[number].dimension
        self.asking = number
        fetch_line(self.molds[number].base)
        if <uint32_t>NUMBERS >> dimension & 1:
            self.ask_number(dimension, number_of(self, dimension))
        elif <uint32_t>FOLDED >> dimension & 1:
            self.ask_folded(dimension, text_of(req, dimension))
        elif dimension == D_REGION:
            self.ask_region()
        elif dimension == D_CAT:
            for i in range(req.cat.at, req.cat.at + req.cat.n):
                self.ask_codes(self.strs[i])
        elif dimension == D_VENUE_TYPE:
            for i in range(req.venues.at, req.venues.at + req.venues.n):
                self.ask_above(dimension, self.strs[i])
        elif dimension == D_SEGMENT:
            for i in range(req.segments.at, req.segments.at + req.segments.n):
                self.ask(dimension, self.strs[i].p, self.strs[i].n)
        else:
            self.ask(dimension, text_of(req, dimension).p, text_of(req, dimension).n)

    cdef void gather_of_imp(self, uint32_t number, const Imp* imp) noexcept nogil:
        """The same for a dimension of the imp."""
        cdef uint32_t i, dimension = self.molds[number].dimension
        self.asking = number
        fetch_line(self.molds[number].base)
        if dimension == D_DEAL:
            for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
                self.ask(dimension, self.deals[i].id.p, self.deals[i].id.n)
        elif dimension == D_FORMAT:
            for i in range(4):                     # bit n of media is mtype n + 1
                if imp.media >> i & 1:
                    self.ask_number(dimension, i + 1)
        elif dimension == D_SIZE:
            for i in range(imp.sizes.at, imp.sizes.at + (0 if imp.ratios.n else imp.sizes.n)):
                self.ask_number(dimension, <int64_t>self.sizes[i].w << 32 | <uint32_t>self.sizes[i].h)
        elif dimension == D_SECURE:
            if imp.secure:
                self.ask_number(dimension, 1)

    cdef void settle_plans(self, const uint8_t* numbers, uint32_t n) noexcept nogil:
        """Answer what was asked about these dimensions; plans for those that can refuse a campaign."""
        cdef const Plan* mold
        cdef Plan* plan = &self.plans[self.plan_count]
        cdef const Question* question = self.known.questions
        cdef const Question* end
        cdef const Question* asked
        cdef uint32_t i, incs, excs
        self.asked += self.question_n
        if not (self.held_room(self.question_n) and postings_room(&self.incs, self.question_n)
                and postings_room(&self.excs, self.question_n)):
            self.broken = True
            self.question_n = 0
        end = question + self.question_n
        self.resolve()
        for i in range(n):
            mold = &self.molds[numbers[i]]
            incs, excs, asked = self.incs.count, self.excs.count, question
            while question < end and question.plan == numbers[i]:
                self.answer(question)
                question += 1
            if question - asked > LINEAR:
                postings_unite(&self.incs, incs)
                postings_unite(&self.excs, excs)
            # An imp without sizes, or with ratios besides: the auction looks at each creative.
            if (mold.base == NULL and self.excs.count == excs) or (mold.dimension == D_SIZE and question == asked):
                continue
            plan.base, plan.dimension, plan.near = mold.base, mold.dimension, mold.near
            plan.inc_first, plan.inc_end = incs, self.incs.count
            plan.exc_first, plan.exc_end = excs, self.excs.count
            plan += 1
        self.plan_count = <uint32_t>(plan - self.plans)

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
        for i in range(self.question_n):
            if self.known.questions[i].value == UNKNOWN:
                entry = self.index[self.known.questions[i].hash & mask]
                if entry:
                    fetch_line(&self.values[<uint32_t>entry - 1])

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

    cdef void answer(self, const Question* question) noexcept nogil:
        """The request has this value: note it, and its postings. There is room for them."""
        cdef int64_t id = question.value
        cdef const Value* value
        if id == UNKNOWN:
            id = self.confirmed(question)
            self.remember(question, id)
        if id < 0:
            return
        self.held[self.held_n] = <uint32_t>id
        self.held_n += 1
        value = &self.values[id]
        if question.dimension == D_BUNDLE:
            self.bundle_term = value.term
        elif question.dimension == D_DOMAIN:
            self.domain_term = value.term
        if value.inc_count:
            self.aim(&self.incs.items[self.incs.count], value.dense & DENSE_INC, value.inc_at, value.inc_count)
            self.incs.count += 1
        if value.exc_count:
            self.aim(&self.excs.items[self.excs.count], value.dense & DENSE_EXC, value.exc_at, value.exc_count)
            self.excs.count += 1

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

    cdef Question* open_question(self, uint32_t dimension, size_t n) noexcept nogil:
        """NULL: no memory."""
        cdef Question* question
        if self.question_n == self.known.question_cap:
            question = <Question*>realloc(self.known.questions, 2 * self.known.question_cap * sizeof(Question))
            if question == NULL:
                self.broken = True
                return NULL
            self.known.questions = question
            self.known.question_cap *= 2
        question = &self.known.questions[self.question_n]
        self.question_n += 1
        question.dimension = dimension
        question.n = <uint32_t>n
        question.plan = self.asking
        return question

    cdef void hash_question(self, Question* question, const void* p) noexcept nogil:
        question.value = UNKNOWN
        question.hash = book_hash(self.head.seed, question.dimension, p, question.n)
        fetch_line(&self.index[question.hash & (self.head.table[S_INDEX].count - 1)])

    cdef void ask(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        cdef uint64_t[2] words
        if p == NULL:
            return
        if 0 < n <= SHORT_TEXT:
            words_of(dimension, p, n, words)
            if self.ask_known(dimension, words, n):
                return
        self.ask_hashed(dimension, p, n)

    cdef void ask_hashed(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        cdef Question* question = self.open_question(dimension, n)
        if question != NULL:
            question.p = p
            self.hash_question(question, p)

    cdef bint ask_known(self, uint32_t dimension, const uint64_t* words, size_t n) noexcept nogil:
        """False: the text is not remembered. One that the book does not name needs no answer."""
        cdef const TextId* known = text_id(self.known, dimension, words, n)
        cdef Question* question
        if not known.found or known.words[0] != words[0] or known.words[1] != words[1] or known.n != n \
                or known.dimension != dimension:
            return False
        if known.found >= 2:
            question = self.open_question(dimension, n)
            if question != NULL:
                question.p = known
                question.value = known.found - 2
                fetch_line(&self.values[question.value])
        return True

    cdef void ask_number(self, uint32_t dimension, int64_t number) noexcept nogil:
        """Negative: the request has none."""
        cdef Question* question = self.open_question(dimension, sizeof(number)) if number >= 0 else NULL
        cdef const NumberId* known = &self.known.numbers[dimension * NUMBER_IDS + (number & (NUMBER_IDS - 1))]
        if question == NULL:
            return
        question.p = NULL
        question.number = number
        if known.found and known.number == number:
            question.value = known.found - 2
            if question.value >= 0:
                fetch_line(&self.values[question.value])
        else:
            self.hash_question(question, &number)

    cdef void remember(self, const Question* question, int64_t id) noexcept nogil:
        cdef NumberId* number
        cdef TextId* text
        cdef uint64_t[2] words
        if question.p == NULL:
            number = &self.known.numbers[question.dimension * NUMBER_IDS + (question.number & (NUMBER_IDS - 1))]
            number.number = question.number
            number.found = id + 2
        elif 0 < question.n <= SHORT_TEXT:
            words_of(question.dimension, question.p, question.n, words)
            text = text_id(self.known, question.dimension, words, question.n)
            text.words[0], text.words[1], text.n, text.dimension = words[0], words[1], question.n, question.dimension
            text.found = id + 2

    cdef void ask_folded(self, uint32_t dimension, const Str* text) noexcept nogil:
        """Text compared without case. ASCII is folded here; the rest by Python, as the compiler of the book did."""
        cdef char* out = self.known.folded + self.folded_n
        cdef Py_ssize_t n = text.n
        cdef uint64_t[2] words
        if text.p == NULL or n > FOLD_MAX:
            return
        if 0 < n <= SHORT_TEXT and short_text(text.p, n, True, words) and self.ask_known(dimension, words, n):
            return
        if not fold_ascii(out, text.p, n):
            n = self.casefold(text[0], out)
        if n >= 0:
            self.folded_n += <uint32_t>n
            self.ask_hashed(dimension, out, n)

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

    cdef void ask_region(self) noexcept nogil:
        """`CA-QC` as it is; `QC` only together with the country, as the book spells that pair too."""
        cdef Str region = self.req.region
        cdef uint32_t country = self.req.country
        cdef char* out = self.known.folded + self.folded_n
        if region.p == NULL or region.n > FOLD_MAX - sizeof(country):
            return
        if region.n > 3 and region.p[2] == b'-' and 65 <= region.p[0] <= 90 and 65 <= region.p[1] <= 90:
            self.ask(D_REGION, region.p, region.n)
        elif country:
            memcpy(out, &country, sizeof(country))
            memcpy(out + sizeof(country), region.p, region.n)
            self.folded_n += <uint32_t>sizeof(country) + region.n
            self.ask(D_REGION, out, sizeof(country) + region.n)

    cdef void ask_codes(self, Str cat) noexcept nogil:
        """A category of the request, in whatever taxonomy, as ours."""
        cdef Codes ours
        cdef int i
        codes_of(self.req.cattax, cat, &ours)
        for i in range(ours.n):
            self.ask_above(D_CAT, ours.code[i])

    cdef void ask_above(self, uint32_t dimension, Str text) noexcept nogil:
        """This and all above it: IAB9-30 is in IAB9; outdoor.billboards in outdoor, or 30101 in 301 and 3 (OpenOOH)."""
        cdef uint32_t n, digits = 0
        cdef char mark = c'-' if dimension == D_CAT else c'.'
        if text.p == NULL:
            return
        if text.n <= CATEGORY_MAX:
            self.ask(dimension, text.p, text.n)
        while digits < text.n and 48 <= text.p[digits] <= 57:
            digits += 1
        for n in range(min(text.n - 1, <uint32_t>CATEGORY_MAX), 0, -1):
            if text.p[n] == mark or (digits == text.n and mark == c'.' and (digits - n) % 2 == 0):
                self.ask(dimension, text.p, n)

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
