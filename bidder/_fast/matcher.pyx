"""The matcher: which campaigns of a book accept a request.

    begin_request -> values of the request -> postings (book_layout: Value)
    begin_imp     -> values of the imp     -> postings
    next_slot     -> blocks of 512 slots: per dimension (base | includes) & ~excludes, all of them ANDed,
                     one block at a time, so that an auction that has its winner stops paying
                  -> filters of the few campaigns that have any

A dimension that no campaign constrains is not looked at, nor, once a block had nothing for an imp, is one that the
summaries call empty. Nothing is allocated per request but the growth of lists. Prices: nano-USD for one impression.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from bidder._fast.book cimport QUARTER_S
from bidder._fast.book_classes cimport CLASS_BLOCKS, CLASS_WINDOWS, Class
from bidder._fast.book_layout cimport *
from bidder._fast.book_postings cimport Posting, block_narrow, posting_blocks, posting_has
from bidder._fast.book_probe cimport Probe
from bidder._fast.book_rules cimport point_reaches, price_times, version_compare, version_of
from bidder._fast.memory cimport fetch
from bidder._fast.request cimport Imp, Reader, Str

cdef enum:
    KEPT = 256                 # blocks, of which an imp may find what the one before it found: 18 kB a matcher

cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil


cdef inline bint more_telling(uint32_t dimension, uint32_t bit) noexcept nogil:
    """Of two reasons the greater is told: formats, sizes, deals, secure."""
    return bit == 0 or dimension == D_SECURE or (bit != NEAR_SECURE and (
        dimension == D_DEAL or (dimension == D_SIZE and bit == NEAR_FORMAT)))


cdef class Matcher(Probe):
    def __cinit__(self, Book book not None, int64_t kept=KEPT):
        cdef uint32_t i
        self.book = book
        self.attach(book.base, book.known, book.classes)
        self.value_ids = <const uint32_t*>book.section(S_VALUE_IDS)
        self.filters = <const Filter*>book.section(S_FILTERS)
        self.points = <const Point*>book.section(S_POINTS)
        self.multipliers = <const Multiplier*>book.section(S_MULTIPLIERS)
        self.whens = <const When*>book.section(S_WHENS)
        for i in range(self.known.of_request, self.known.mold_n):
            if self.known.molds[i].dimension == D_DEAL:
                self.deal_base = self.known.molds[i].base
        self.blocks = self.head.words // BLOCK_WORDS
        self.block = self.blocks
        self.multiplied = F_MULTIPLIERS
        self.kept = max(min(self.blocks, kept), 1)
        self.accepted = <uint64_t*>calloc(self.kept * BLOCK_WORDS, sizeof(uint64_t))
        self.accepted_at = <uint64_t*>calloc(self.kept, sizeof(uint64_t))
        self.summaries = <const uint64_t*>book.section(S_SUMMARIES)
        self.summary_n = summary_words(self.head)
        self.nobody = book.nobody
        if self.accepted == NULL or self.accepted_at == NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.book is not None:
            self.leave_class()
        free(self.accepted)
        free(self.accepted_at)

    cdef void begin_request(self, Reader reader, uint8_t exchange, int64_t now_s) noexcept nogil:
        if now_s // QUARTER_S != self.book.quarter:
            self.book.new_quarter(now_s)
        self.look_at(reader, exchange)
        self.serial += 1
        self.osv = version_of(self.req.osv)
        self.request_window = -1
        self.block = self.blocks
        self.bits = 0

    cdef void begin_imp(self, const Imp* imp) noexcept nogil:
        cdef uint32_t i
        self.look_at_imp(imp)
        self.priced_slot = -1
        self.near_most = 0
        self.deal_plan = NULL
        for i in range(self.request_plans, self.plan_count):
            if more_telling(self.plans[i].dimension, self.near_most):
                self.near_most = self.plans[i].near
        self.rewind()

    cdef void rewind(self) noexcept nogil:
        self.near = 0
        self.imp_window = -1
        self.missed = False
        self.block = -1
        self.word = BLOCK_WORDS
        self.bits = 0

    cdef bint scan_deals(self) noexcept nogil:
        cdef Plan* plan
        cdef uint32_t n
        for n in range(self.request_plans, self.plan_count):
            plan = &self.plans[n]
            if plan.dimension == D_DEAL and plan.inc_end > plan.inc_first:
                plan.base = self.nobody
                self.deal_plan = plan
        return self.deal_plan != NULL

    cdef bint scan_others(self) noexcept nogil:
        if self.deal_plan == NULL:
            return False
        self.deal_plan.base = self.deal_base
        self.deal_plan = NULL
        self.rewind()
        return True

    # The campaigns: block by block.

    cdef int64_t next_slot(self) noexcept nogil:
        cdef uint64_t slot
        cdef const CampaignRec* campaign
        while True:
            while self.bits == 0:
                self.word += 1
                if self.word >= BLOCK_WORDS:
                    if not self.next_block():
                        return -1
                    self.word = 0
                self.bits = self.now[self.word]
            slot = self.block * BLOCK + self.word * 64 + __builtin_ctzll(self.bits)
            self.bits &= self.bits - 1
            campaign = &self.book.campaigns[slot]
            if campaign.extra & F_FILTERS and self.refuses(campaign):
                continue
            if not campaign.extra & (F_RAISED | F_PLAIN) or self.priced_here(campaign, slot):
                return slot

    cdef int peek(self, uint32_t* slots, int most) noexcept nogil:
        cdef uint64_t bits
        cdef uint32_t word
        cdef int n = 0
        if self.bits == 0 and self.word + 1 >= BLOCK_WORDS:
            if not self.next_block():
                return 0
            self.word = 0
            self.bits = self.now[0]
        bits = self.bits
        word = self.word
        while n < most:
            while bits == 0:
                word += 1
                if word >= BLOCK_WORDS:
                    return n
                bits = self.now[word]
            slots[n] = <uint32_t>(self.block * BLOCK + word * 64 + __builtin_ctzll(bits))
            bits &= bits - 1
            n += 1
        return n

    cdef void fetch_filter(self, const CampaignRec* campaign) noexcept nogil:
        if campaign.extra & (F_FILTERS | F_MULTIPLIERS):
            fetch(&self.filters[campaign.extra_at], sizeof(Filter))

    cdef bint next_block(self) noexcept nogil:
        """To the next block in which this imp is accepted; False where there is none."""
        while not self.broken:
            self.block = self.block_after(self.block)
            if self.block >= self.blocks:
                break
            if self.enter(self.block):
                return True
            self.missed = True
        self.block = self.blocks
        self.word = BLOCK_WORDS
        return False

    cdef int64_t block_after(self, int64_t block) noexcept nogil:
        """The next one worth entering: as long as each has something they come one by one, then as the summaries say."""
        cdef bint told = self.near & self.near_most or not self.near_most or self.deal_plan != NULL
        cdef uint64_t bits
        cdef int64_t window
        block += 1
        if not self.missed or block >= self.blocks:
            return block
        if block == 1 and not (told and self.open_of_imp(0) == 0):
            return block               # cheaper entered than summed up
        for window in range(block >> 6, <int64_t>self.summary_n):
            # A block that has nothing for this imp may still tell why not, as long as that is not told.
            bits = self.open_of_imp(window) if told else ~<uint64_t>0
            if window == block >> 6:
                bits &= ~<uint64_t>0 << (block & 63)
            if bits:
                bits &= self.open_of_request(window)
            if bits:
                return window * 64 + __builtin_ctzll(bits)
        return self.blocks

    cdef uint64_t open_of_request(self, int64_t window) noexcept nogil:
        cdef uint32_t n
        if self.request_window != window:
            self.request_window = window
            self.request_open = self.open_of_class(window)
            for n in range(self.pair_count):
                self.request_open &= (self.summary_of(self.pairs[n].base)[window]
                                      | self.summary_of(self.pairs[n].more)[window])
            for n in range(self.request_plans):
                if self.request_open:
                    self.request_open &= self.open_of(&self.plans[n], self.incs.items, self.excs.items, window)
        return self.request_open

    cdef uint64_t open_of_class(self, int64_t window) noexcept nogil:
        cdef Class* cls = self.cls
        cdef uint64_t open = ~<uint64_t>0
        cdef uint32_t n
        if window < CLASS_WINDOWS and cls.open_known >> window & 1:
            return cls.open[window]
        for n in range(cls.plan_n):
            open &= self.open_of(&cls.plans[n], cls.incs, cls.excs, window)
        if window < CLASS_WINDOWS:
            cls.open[window] = open
            cls.open_known |= <uint32_t>1 << window
        return open

    cdef uint64_t open_of_imp(self, int64_t window) noexcept nogil:
        cdef uint32_t n
        if self.imp_window != window:
            self.imp_window = window
            self.imp_open = ~<uint64_t>0
            # Those of few values last: that no campaign is secure, or has the size, is told by bitmaps.
            for n in range(self.plan_count, self.request_plans, -1):
                if self.imp_open:
                    self.imp_open &= self.open_of(&self.plans[n - 1], self.incs.items, self.excs.items, window)
        return self.imp_open

    cdef uint64_t open_of(self, const Plan* plan, const Posting* incs, const Posting* excs, int64_t window) noexcept nogil:
        """Bit n: this plan can leave something in block 64 * window + n."""
        cdef const Posting* posting
        cdef uint64_t open = ~<uint64_t>0
        cdef uint32_t n
        if plan.base != NULL:
            open = self.summary_of(plan.base)[window]
            for n in range(plan.inc_first, plan.inc_end):
                posting = &incs[n]
                open |= self.summary_of(posting.dense)[window] if posting.dense != NULL else \
                    posting_blocks(posting, <uint64_t>window * 64 * BLOCK)
        for n in range(plan.exc_first, plan.exc_end):
            posting = &excs[n]
            if posting.dense != NULL:
                open &= ~self.summary_of(posting.dense)[window]
        return open

    cdef const uint64_t* summary_of(self, const uint64_t* bitmap) noexcept nogil:
        if bitmap == self.nobody:
            return bitmap              # nobody in any block either
        return self.summaries + <uint64_t>(bitmap - self.bitmaps) // self.head.words * self.summary_n

    cdef bint enter(self, int64_t block) noexcept nogil:
        """What this imp accepts of a block; False where that is nothing."""
        cdef int64_t place = block if block < self.kept else block % self.kept
        cdef uint64_t whose = self.serial * self.blocks + block
        cdef uint64_t* accept = self.accepted + place * BLOCK_WORDS
        if self.accepted_at[place] != whose:
            self.accepted_at[place] = whose
            self.enter_class(accept, block)
            block_narrow(accept, &self.pairs[0], &self.pairs[self.pair_count], &self.plans[0],
                         &self.plans[self.request_plans], self.incs.items, self.excs.items, block, &self.near)
        memcpy(self.now, accept, sizeof(self.now))
        return block_narrow(self.now, NULL, NULL, &self.plans[self.request_plans], &self.plans[self.plan_count],
                            self.incs.items, self.excs.items, block, &self.near)

    cdef void enter_class(self, uint64_t* accept, int64_t block) noexcept nogil:
        """What the request's class accepts of a block."""
        cdef Class* cls = self.cls
        cdef int64_t left = self.book.slot_count - block * BLOCK
        cdef int i
        if block < CLASS_BLOCKS and cls.known >> block & 1:
            memcpy(accept, cls.accepted[block], BLOCK_WORDS * sizeof(uint64_t))
            return
        for i in range(BLOCK_WORDS):
            accept[i] = 0 if left <= 0 else <uint64_t>-1 if left >= 64 else (<uint64_t>1 << left) - 1
            left -= 64
        block_narrow(accept, NULL, NULL, &cls.plans[0], &cls.plans[cls.plan_n], cls.incs, cls.excs, block, &self.near)
        if block < CLASS_BLOCKS:
            memcpy(cls.accepted[block], accept, BLOCK_WORDS * sizeof(uint64_t))
            cls.known |= <uint32_t>1 << block

    # One campaign: what the index alone does not decide.

    cdef uint32_t refuses(self, const CampaignRec* campaign) noexcept nogil:
        cdef const Filter* filter = &self.filters[campaign.extra_at]
        cdef uint32_t i, hour
        cdef int32_t age
        if campaign.extra & F_HOURS:
            hour = self.book.zone_hour[filter.zone]
            if not filter.hours[hour >> 6] >> (hour & 63) & 1:
                return F_HOURS
        if campaign.extra & F_AGE:
            age = self.book.year - self.req.yob
            if self.req.yob == 0 or age < filter.age_min or age > filter.age_max:
                return F_AGE
        if campaign.extra & F_ALL:
            for i in range(filter.all_first, filter.all_first + filter.all_count):
                if not self.holds(self.value_ids[i]):
                    return F_ALL
        if campaign.extra & F_OSV and not (
                self.osv.known and version_compare(&self.osv, filter.osv_min) >= 0
                and version_compare(&self.osv, filter.osv_max) <= 0):
            return F_OSV
        if campaign.extra & F_RADIUS:
            if not self.req.has_point:
                return F_RADIUS
            for i in range(filter.point_first, filter.point_first + filter.point_count):
                if point_reaches(&self.points[i], self.req.lat, self.req.lon):
                    return 0
            return F_RADIUS
        return 0

    cdef bint priced_here(self, const CampaignRec* campaign, uint32_t slot) noexcept nogil:
        """Of a campaign with two slots, is this the one for the current request?"""
        return (self.price_of(slot) > campaign.price) == ((campaign.extra & F_RAISED) != 0)

    cdef int64_t price_of(self, uint32_t slot) noexcept nogil:
        if self.priced_slot != slot:
            self.priced = self.price_here(slot)
            self.priced_slot = slot
        return self.priced

    cdef int64_t price_here(self, uint32_t slot) noexcept nogil:
        cdef const CampaignRec* campaign = &self.book.campaigns[slot]
        cdef const Filter* filter
        cdef const Multiplier* multiplier
        cdef uint32_t factors[16]
        cdef uint32_t i, k, v, applied = 0
        cdef bint some
        if not campaign.extra & self.multiplied:
            return campaign.price
        filter = &self.filters[campaign.extra_at]
        for i in range(filter.multiplier_first, filter.multiplier_first + filter.multiplier_count):
            multiplier = &self.multipliers[i]
            some = True
            for k in range(multiplier.when_first, multiplier.when_first + multiplier.when_count):
                some = False
                for v in range(self.whens[k].value_first, self.whens[k].value_first + self.whens[k].value_count):
                    if self.holds(self.value_ids[v]):
                        some = True
                        break
                if not some:
                    break
            if some and applied < 16:
                factors[applied] = multiplier.factor
                applied += 1
        return price_times(campaign.price, factors, applied)

    cdef uint32_t inventory_key(self) noexcept nogil:
        return self.bundle_term or self.domain_term

    cdef uint32_t deal_key(self, Str deal) noexcept nogil:
        cdef int64_t id = self.find(D_DEAL, deal.p, deal.n) if deal.p != NULL else -1
        return self.values[id].term if id >= 0 else 0

    cdef bint includes_deals(self, uint32_t slot) noexcept nogil:
        return self.deal_base != NULL and not self.deal_base[slot >> 6] >> (slot & 63) & 1

    cdef int deal_listed(self, uint32_t slot, Str deal) noexcept nogil:
        cdef const Value* value
        cdef Posting posting
        cdef int64_t id
        if not self.includes_deals(slot):
            return 0
        id = self.find(D_DEAL, deal.p, deal.n) if deal.p != NULL else -1
        if id < 0:
            return 2
        value = &self.values[id]
        self.aim(&posting, value.dense & DENSE_INC, value.inc_at, value.inc_count)
        return 1 if posting_has(&posting, slot) else 2

    @property
    def postings(self):
        cdef uint32_t i, n = self.cls.inc_n + self.cls.exc_n + self.incs.count + self.excs.count
        for i in range(self.pair_count):
            n += self.pairs[i].more != self.pairs[i].base
        return n

    def matches(self, Reader reader not None, int exchange_key, int64_t now_s, uint32_t imp_index):
        return self.matches_each(reader, exchange_key, now_s, [(imp_index, None)])[0]

    def matches_each(self, Reader reader not None, int exchange_key, int64_t now_s, asked):
        cdef uint32_t imp_index
        found = []
        self.begin_request(reader, exchange_key, now_s)
        for imp_index, most in asked:
            if imp_index >= reader.req.imps.n:
                raise ValueError(f"imp {imp_index}: the request has {reader.req.imps.n}")
            self.begin_imp(&reader.imps[reader.req.imps.at + imp_index])
            keys = []
            while (most is None or len(keys) < most) and (slot := self.next_slot()) >= 0:
                keys.append(self.book.campaigns[<uint32_t>slot].key)
            found.append(keys)
        return found

    def price(self, uint32_t campaign_key):
        cdef uint32_t slot
        for slot in range(self.book.slot_count):
            if self.book.campaigns[slot].key == campaign_key:
                return self.price_of(slot)
        raise KeyError(campaign_key)
