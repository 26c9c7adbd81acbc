"""The values of one request, looked up in the index of one book.

Per dimension: the request's values -> their postings (who includes, who excludes them),
and a mark on each value that the request has, for multipliers and `segment.all`.
A value that no campaign names costs one hash and, mostly, one look at the table.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from bidder._fast.book_layout cimport *
from bidder._fast.book_postings cimport Posting, postings_add
from bidder._fast.request cimport INVENTORY_NONE, Imp, Reader, Request, Str

cdef enum:
    HELD_ROOM = 256            # values; a request has some fifty


cdef class Probe:
    cdef int attach(self, const char* base) except -1:
        """To a checked book, which must outlive the probe."""
        self.head = <const Header*>base
        self.values = <const Value*>(base + self.head.table[S_VALUES].at)
        self.index = <const uint64_t*>(base + self.head.table[S_INDEX].at)
        self.bitmaps = <const uint64_t*>(base + self.head.table[S_BITMAPS].at)
        self.slots = <const uint32_t*>(base + self.head.table[S_SLOTS].at)
        self.text = base + self.head.table[S_BLOB].at
        self.held = <Held*>calloc(HELD_ROOM, sizeof(Held))
        if self.held == NULL:
            raise MemoryError
        self.held_mask = HELD_ROOM - 1
        self.clock = self.request_clock = self.imp_clock = 1       # above all of `held`
        return 0

    def __dealloc__(self):
        free(self.held)
        free(self.incs.items)
        free(self.excs.items)

    cdef void look_at(self, Reader reader) noexcept nogil:
        """A new request: nothing of the last one is seen any more."""
        self.req = &reader.req
        self.strs = reader.strs
        self.sizes = reader.sizes
        self.deals = reader.deals
        self.clock += 1
        self.request_clock = self.clock
        self.imp_clock = self.clock + 1
        self.bundle_term = self.domain_term = 0
        self.held_n = 0
        self.incs.count = self.excs.count = 0
        self.broken = False

    cdef void gather(self, uint32_t dimension, const Imp* imp, uint8_t exchange) noexcept nogil:
        """Every value that the request (or imp) has in this dimension."""
        cdef const Request* req = self.req
        cdef uint32_t i
        if dimension == D_EXCHANGE:
            self.hit_number(dimension, exchange)
        elif dimension == D_COUNTRY:
            if req.country:
                self.hit_number(dimension, req.country)
        elif dimension == D_REGION:
            self.hit_region()
        elif dimension == D_CITY:
            self.hit_folded(dimension, req.city)
        elif dimension == D_METRO:
            self.hit(dimension, req.metro.p, req.metro.n)
        elif dimension == D_ZIP:
            self.hit(dimension, req.zip.p, req.zip.n)
        elif dimension == D_OS:
            self.hit_folded(dimension, req.os)
        elif dimension == D_DEVICE_TYPE:
            if req.device_type:
                self.hit_number(dimension, req.device_type)
        elif dimension == D_MAKE:
            self.hit_folded(dimension, req.make)
        elif dimension == D_MODEL:
            self.hit_folded(dimension, req.model)
        elif dimension == D_CARRIER:
            self.hit_folded(dimension, req.carrier)
        elif dimension == D_CONNECTION_TYPE:
            if req.connection_type >= 0:
                self.hit_number(dimension, req.connection_type)
        elif dimension == D_LANGUAGE:
            self.hit_folded(dimension, req.language)
        elif dimension == D_INVENTORY:
            if req.inventory != INVENTORY_NONE:
                self.hit_number(dimension, req.inventory)
        elif dimension == D_BUNDLE:
            self.hit_folded(dimension, req.bundle)
        elif dimension == D_DOMAIN:
            self.hit_folded(dimension, req.domain)
        elif dimension == D_PUBLISHER:
            self.hit(dimension, req.publisher.p, req.publisher.n)
        elif dimension == D_CAT:
            if req.cattax <= 1:                    # another taxonomy than ours says nothing to us
                for i in range(req.cat.at, req.cat.at + req.cat.n):
                    self.hit_category(self.strs[i])
        elif dimension == D_GENDER:
            if req.gender:
                self.hit_number(dimension, req.gender)
        elif dimension == D_SEGMENT:
            for i in range(req.segments.at, req.segments.at + req.segments.n):
                self.hit(dimension, self.strs[i].p, self.strs[i].n)
        elif dimension == D_USER_ID:
            if req.has_user_id:
                self.hit_number(dimension, 1)
        elif dimension == D_DEAL:
            for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
                self.hit(dimension, self.deals[i].id.p, self.deals[i].id.n)
        elif dimension == D_FORMAT:
            for i in range(4):                     # bit n of media is mtype n + 1
                if imp.media >> i & 1:
                    self.hit_number(dimension, i + 1)
        elif dimension == D_SIZE:
            for i in range(imp.sizes.at, imp.sizes.at + imp.sizes.n):
                self.hit_number(dimension, <int64_t>self.sizes[i].w << 32 | <uint32_t>self.sizes[i].h)
        elif dimension == D_SECURE:
            if imp.secure:
                self.hit_number(dimension, 1)

    cdef int64_t find(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        """Value id, or -1 where the book does not name it."""
        cdef uint64_t hash = book_hash(self.head.seed, dimension, p, n)
        cdef uint64_t mask = self.head.table[S_INDEX].count - 1
        cdef uint64_t at = hash & mask
        cdef uint64_t entry
        cdef const Value* value
        cdef const char* raw
        while True:
            entry = self.index[at]
            if entry == 0:
                return -1
            if entry >> 32 == hash >> 32:
                value = &self.values[<uint32_t>entry - 1]
                if value.hash == hash and value.dimension == dimension and value.n == n:
                    raw = self.text + value.at if n > START_BYTES else &value.start[0]
                    if memcmp(raw, p, n) == 0:
                        return <uint32_t>entry - 1
            at = (at + 1) & mask

    cdef void hit(self, uint32_t dimension, const void* p, size_t n) noexcept nogil:
        """The request has this value: note it, and its postings."""
        cdef int64_t id
        cdef const Value* value
        cdef Held* entry
        if p == NULL:
            return
        id = self.find(dimension, p, n)
        if id < 0:
            return
        entry = self.entry_of(<uint32_t>id)
        if entry.clock >= self.request_clock:
            if not entry.of_imp or entry.clock >= self.imp_clock:
                return                             # the request names it twice
        else:
            self.held_n += 1
        entry.clock = self.clock
        entry.value = <uint32_t>id
        entry.of_imp = dimension >= D_DEAL
        if self.held_n > self.held_mask // 2 and not self.more_room():
            self.broken = True
        value = &self.values[id]
        if dimension == D_BUNDLE:
            self.bundle_term = value.term
        elif dimension == D_DOMAIN:
            self.domain_term = value.term
        if value.inc_count:
            self.aim(postings_add(&self.incs), value.dense & DENSE_INC, value.inc_at, value.inc_count)
        if value.exc_count:
            self.aim(postings_add(&self.excs), value.dense & DENSE_EXC, value.exc_at, value.exc_count)

    cdef void aim(self, Posting* posting, bint dense, uint32_t at, uint32_t count) noexcept nogil:
        """At the beginning of the postings that a value names."""
        if posting == NULL:
            self.broken = True
            return
        posting.dense = self.bitmaps + <uint64_t>at * self.head.words if dense else NULL
        posting.first = posting.at = self.slots + at
        posting.end = posting.at + count

    cdef void hit_number(self, uint32_t dimension, int64_t number) noexcept nogil:
        self.hit(dimension, &number, sizeof(number))

    cdef void hit_folded(self, uint32_t dimension, Str text) noexcept nogil:
        """Text compared without case. ASCII is folded here; the rest by Python, as the compiler of the book did."""
        cdef Py_ssize_t i, n = text.n
        cdef uint8_t c, high = 0
        if text.p == NULL or n > FOLD_MAX:
            return
        for i in range(n):
            c = <uint8_t>text.p[i]
            high |= c
            self.folded[i] = <char>(c | (<uint8_t>(c - 65) < 26) << 5)
        if high & 0x80:
            n = self.casefold(text)
        if n >= 0:
            self.hit(dimension, self.folded, n)

    cdef Py_ssize_t casefold(self, Str text) noexcept with gil:
        """Writes the folded text and returns its length, or -1."""
        cdef bytes folded
        try:
            folded = text.p[:text.n].decode().casefold().encode()
        except UnicodeDecodeError:
            return -1
        if len(folded) > FOLD_MAX:
            return -1
        memcpy(self.folded, <const char*>folded, len(folded))
        return len(folded)

    cdef void hit_region(self) noexcept nogil:
        """`CA-QC` as it is; `QC` only together with the country, as the book spells that pair too."""
        cdef Str region = self.req.region
        cdef uint32_t country = self.req.country
        if region.p == NULL or region.n > FOLD_MAX - sizeof(country):
            return
        if region.n > 3 and region.p[2] == b'-' and 65 <= region.p[0] <= 90 and 65 <= region.p[1] <= 90:
            self.hit(D_REGION, region.p, region.n)
        elif country:
            memcpy(self.folded, &country, sizeof(country))
            memcpy(self.folded + sizeof(country), region.p, region.n)
            self.hit(D_REGION, self.folded, sizeof(country) + region.n)

    cdef void hit_category(self, Str cat) noexcept nogil:
        """The category and everything above it: a campaign that lists IAB9 means IAB9-30 too."""
        cdef Py_ssize_t n
        if cat.p == NULL:
            return
        self.hit(D_CAT, cat.p, cat.n)
        for n in range(<Py_ssize_t>cat.n - 1, 0, -1):
            if cat.p[n] == b'-':
                self.hit(D_CAT, cat.p, n)

    cdef bint holds(self, uint32_t value) noexcept nogil:
        cdef const Held* entry = self.entry_of(value)
        return entry.clock >= (self.imp_clock if entry.of_imp else self.request_clock)

    cdef Held* entry_of(self, uint32_t value) noexcept nogil:
        # What an earlier request left is free, so within one request nothing is ever removed, and a probe ends there.
        cdef uint32_t at = value * <uint32_t>0x9E3779B1
        cdef Held* entry
        at ^= at >> 15
        while True:
            entry = &self.held[at & self.held_mask]
            if entry.clock < self.request_clock or entry.value == value:
                return entry
            at += 1

    cdef bint more_room(self) noexcept nogil:
        cdef Held* before = self.held
        cdef uint32_t i, n = self.held_mask + 1
        self.held = <Held*>calloc(2 * <size_t>n, sizeof(Held))
        if self.held == NULL:
            self.held = before
            return False
        self.held_mask = 2 * n - 1
        for i in range(n):
            if before[i].clock >= self.request_clock:
                self.entry_of(before[i].value)[0] = before[i]
        free(before)
        return True
