"""Questions about a request to the index of a book: its values, dimension by dimension.

    gather_all -> ask, ask_number, ask_folded ... -> questions, of which each knows the value's id, or its hash

The same few numbers and short texts come again and again: what the book calls them is remembered, with the text as two
words. Others are hashed, and the line of the table that they need is fetched.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from bidder._fast.book_classes cimport CLASS_DIMENSIONS
from bidder._fast.book_layout cimport *
from bidder._fast.json_text cimport exact_words, fold_ascii, short_text
from bidder._fast.memory cimport fetch_line
from bidder._fast.request cimport INVENTORY_NONE, Imp, Request, Str
from bidder._fast.taxonomy cimport Codes, codes_of


cdef enum:
    FORMATS = 4                # that an imp can have

cdef enum:                     # dimensions, as bits, by what the request has there
    NUMBERS = (1 << D_EXCHANGE | 1 << D_COUNTRY | 1 << D_DEVICE_TYPE | 1 << D_CONNECTION_TYPE | 1 << D_INVENTORY
               | 1 << D_GENDER | 1 << D_USER_ID)
    FOLDED = (1 << D_CITY | 1 << D_OS | 1 << D_MAKE | 1 << D_MODEL | 1 << D_CARRIER | 1 << D_LANGUAGE | 1 << D_BUNDLE
              | 1 << D_DOMAIN)
    TEXTS = 1 << D_METRO | 1 << D_ZIP | 1 << D_DOOH | 1 << D_PUBLISHER


cdef inline int64_t number_of(Asker probe, uint32_t dimension) noexcept nogil:
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


cdef Known* known_new(const char* base) noexcept nogil:
    cdef Known* known = <Known*>calloc(1, sizeof(Known))
    cdef const Header* head = <const Header*>base
    cdef const Dimension* dimensions = <const Dimension*>(base + head.table[S_DIMENSIONS].at)
    cdef uint32_t i
    if known == NULL:
        return NULL
    known.mold_n = <uint32_t>head.table[S_DIMENSIONS].count
    for i in range(known.mold_n):
        make_mold(known, i, dimensions[i].id)
        if dimensions[i].base != NO_BITMAP:
            known.molds[i].base = <const uint64_t*>(base + head.table[S_BITMAPS].at) + \
                <uint64_t>dimensions[i].base * head.words
    known.question_cap = QUESTIONS
    known.questions = <Question*>malloc(QUESTIONS * sizeof(Question))
    known.folded = <char*>malloc(FOLD_ROOM + SHORT_TEXT)
    if known.questions == NULL or known.folded == NULL:
        known_free(known)
        return NULL
    return known


cdef void make_mold(Known* known, uint32_t i, uint32_t dimension) noexcept nogil:
    cdef Request request
    known.molds[i].dimension = dimension
    known.molds[i].near = near_bit(dimension) if dimension >= D_DEAL else 0
    known.numbered[i] = <uint8_t>i
    if <uint32_t>NUMBERS >> dimension & 1:
        known.ways[i] = WAY_NUMBER
    elif <uint32_t>(FOLDED | TEXTS) >> dimension & 1:
        known.ways[i] = WAY_FOLDED if <uint32_t>FOLDED >> dimension & 1 else WAY_TEXT
        known.texts_at[i] = <uint16_t>(<const char*>text_of(&request, dimension) - <const char*>&request)
    if dimension >= D_DEAL:
        return
    known.of_request = i + 1
    if <uint32_t>CLASS_DIMENSIONS >> dimension & 1:
        known.of_class[known.of_class_n] = <uint8_t>i
        known.of_class_n += 1
    else:
        known.of_none[known.of_none_n] = <uint8_t>i
        known.of_none_n += 1


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
    else:
        exact_words(<const char*>p, n, words)


cdef class Asker:
    cdef void gather_all(self, const uint8_t* numbers, uint32_t n) noexcept nogil:
        cdef uint32_t i
        for i in range(n):
            self.gather(numbers[i])

    @final
    cdef void gather(self, uint32_t number) noexcept nogil:
        """Asks for every value that the request has in this dimension."""
        cdef const Request* req = self.req
        cdef const Str* text = <const Str*>(<const char*>req + self.known.texts_at[number])
        cdef uint32_t i, dimension = self.known.molds[number].dimension
        self.asking = number
        fetch_line(self.known.molds[number].base)
        if not self.room(1 if dimension != D_SEGMENT else req.segments.n):
            return
        if self.known.ways[number] == WAY_FOLDED:
            self.ask_folded(dimension, text)
        elif self.known.ways[number] == WAY_TEXT:
            self.ask(dimension, text.p, text.n)
        elif self.known.ways[number] == WAY_NUMBER:
            self.ask_number(dimension, number_of(self, dimension))
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

    cdef void gather_imp(self, const Imp* imp, const uint8_t* numbers, uint32_t n) noexcept nogil:
        cdef uint32_t i
        for i in range(n):
            self.gather_of_imp(numbers[i], imp)

    @final
    cdef void gather_of_imp(self, uint32_t number, const Imp* imp) noexcept nogil:
        """The same for a dimension of the imp."""
        cdef uint32_t i, dimension = self.known.molds[number].dimension
        self.asking = number
        fetch_line(self.known.molds[number].base)
        if not self.room(imp.deals.n if dimension == D_DEAL else imp.sizes.n if dimension == D_SIZE else FORMATS):
            return
        if dimension == D_DEAL:
            for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
                self.ask(dimension, self.deals[i].id.p, self.deals[i].id.n)
        elif dimension == D_FORMAT:
            for i in range(<uint32_t>FORMATS):     # bit n of media is mtype n + 1
                if imp.media >> i & 1:
                    self.ask_number(dimension, i + 1)
        elif dimension == D_SIZE:
            for i in range(imp.sizes.at, imp.sizes.at + (0 if imp.ratios.n else imp.sizes.n)):
                self.ask_number(dimension, <int64_t>self.sizes[i].w << 32 | <uint32_t>self.sizes[i].h)
        elif dimension == D_SECURE:
            if imp.secure:
                self.ask_number(dimension, 1)

    @final
    cdef bint room(self, uint32_t n) noexcept nogil:
        """For so many questions more; False: no memory."""
        cdef uint32_t cap = self.known.question_cap
        cdef Question* more
        if cap - self.question_n >= n:
            return True
        while cap - self.question_n < n:
            cap *= 2
        more = <Question*>realloc(self.known.questions, cap * sizeof(Question))
        if more == NULL:
            self.broken = True
            return False
        self.known.questions = more
        self.known.question_cap = cap
        return True

    cdef inline Question* open_question(self, uint32_t dimension, size_t n) noexcept nogil:
        """In the `room` that there is."""
        cdef Question* question = &self.known.questions[self.question_n]
        self.question_n += 1
        question.dimension = dimension
        question.n = <uint32_t>n
        question.plan = self.asking
        return question

    @final
    cdef void hash_question(self, Question* question, const void* p) noexcept nogil:
        question.value = UNKNOWN
        question.hash = book_hash(self.head.seed, question.dimension, p, question.n)
        fetch_line(&self.index[question.hash & (self.head.table[S_INDEX].count - 1)])

    @final
    cdef void ask(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        cdef uint64_t[2] words
        if p == NULL:
            return
        if 0 < n <= SHORT_TEXT:
            words_of(dimension, p, n, words)
            if self.ask_known(dimension, words, n):
                return
        self.ask_hashed(dimension, p, n)

    @final
    cdef void ask_hashed(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        cdef Question* question = self.open_question(dimension, n)
        question.p = p
        self.hash_question(question, p)

    cdef inline bint ask_known(self, uint32_t dimension, const uint64_t* words, size_t n) noexcept nogil:
        """False: the text is not remembered. One that the book does not name needs no answer."""
        cdef const TextId* known = text_id(self.known, dimension, words, n)
        cdef Question* question
        if not known.found or known.words[0] != words[0] or known.words[1] != words[1] or known.n != n \
                or known.dimension != dimension:
            return False
        if known.found >= 2:
            question = self.open_question(dimension, n)
            question.p = known
            question.value = known.found - 2
            fetch_line(&self.values[question.value])
        return True

    @final
    cdef void ask_number(self, uint32_t dimension, int64_t number) noexcept nogil:
        """Negative: the request has none."""
        cdef const NumberId* known = &self.known.numbers[dimension * NUMBER_IDS + (number & (NUMBER_IDS - 1))]
        cdef Question* question
        if number < 0:
            return
        question = self.open_question(dimension, sizeof(number))
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

    @final
    cdef void ask_folded(self, uint32_t dimension, const Str* text) noexcept nogil:
        """Text compared without case. ASCII is folded here; the rest by Python, as the compiler of the book did."""
        cdef uint64_t[2] words
        if text.p == NULL:
            return
        if 0 < text.n <= SHORT_TEXT and short_text(text.p, text.n, True, words) \
                and self.ask_known(dimension, words, text.n):
            return
        self.ask_refolded(dimension, text[0])

    @final
    cdef void ask_refolded(self, uint32_t dimension, Str text) noexcept nogil:
        """The same for text that is not remembered."""
        cdef char* out = self.known.folded + self.folded_n
        cdef Py_ssize_t n = text.n
        if n > FOLD_MAX:
            return
        if not fold_ascii(out, text.p, n):
            n = self.casefold(text, out)
        if n >= 0:
            self.folded_n += <uint32_t>n
            self.ask_hashed(dimension, out, n)

    @final
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

    @final
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

    @final
    cdef void ask_codes(self, Str cat) noexcept nogil:
        """A category of the request, in whatever taxonomy, as ours."""
        cdef Codes ours
        cdef int i
        codes_of(self.req.cattax, cat, &ours)
        for i in range(ours.n):
            self.ask_above(D_CAT, ours.code[i])

    @final
    cdef void ask_above(self, uint32_t dimension, Str text) noexcept nogil:
        """This and all above it: IAB9-30 is in IAB9; outdoor.billboards in outdoor, or 30101 in 301 and 3 (OpenOOH)."""
        cdef uint32_t n, digits = 0
        cdef char mark = c'-' if dimension == D_CAT else c'.'
        if text.p == NULL or not self.room(1 + min(text.n, <uint32_t>CATEGORY_MAX)):
            return
        if text.n <= CATEGORY_MAX:
            self.ask(dimension, text.p, text.n)
        while digits < text.n and 48 <= text.p[digits] <= 57:
            digits += 1
        for n in range(min(text.n - 1, <uint32_t>CATEGORY_MAX), 0, -1):
            if text.p[n] == mark or (digits == text.n and mark == c'.' and (digits - n) % 2 == 0):
                self.ask(dimension, text.p, n)
