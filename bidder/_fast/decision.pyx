"""The whole decision on one screen: read, gate, match, price, pace, reserve, answer, count.

    exchange + body -> Decider.decide -> 200 with bids | 204 | 400 malformed | 404 no such exchange

A decision has two halves, `look` and `conclude`, with a desk in between. Of a batch every request is looked at first
(`foresee`), then matched, and what its first campaigns need fetched (`batch_named`), then each is decided on.

No Python object is made for a request, nothing blocks, and "no" is a reason that is counted.
Only the winner of an imp is reserved, and counted under its caps; on refusal the next best is. A test request
(`test: 1`) is bid on as usual, its tokens are marked, and nothing of it is taken or counted.
Money: int64 nano-USD for one impression. Wall clock stamps, monotonic clock measures.
"""

from libc.stdint cimport uint16_t
from libc.string cimport memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from bidder._fast.admission cimport Admission
from bidder._fast.bid_facts cimport count_as_bid, fill_token
from bidder._fast.board cimport BASELINE, CANARY
from bidder._fast.book cimport ArmRec, CampaignRec, CreativeRec
from bidder._fast.counters cimport (
    COUNT_FALLBACK, COUNT_LATENCY, COUNT_NOBID, COUNT_REQUEST, CounterKey, latency_bucket,
)
from bidder._fast.currency cimport write_currency
from bidder._fast.groups cimport count_group
from bidder._fast.outcome cimport (
    closer, REASON_BROKEN, REASON_CURRENCY, REASON_FREQUENCY, REASON_INVALID_REQUEST, REASON_MALFORMED, REASON_NO_BOOK,
    REASON_NONE, REASON_OFF, REASON_OVERLOAD, REASON_PURSE_EMPTY,
)
from bidder._fast.purses cimport Take, purse_return, purse_take
from bidder._fast.request cimport READ_INVALID, READ_MALFORMED, Request, Str, os_key
from bidder._fast.row cimport CURRENCY_AT
from bidder._fast.slice cimport arm_in, bucket_of, experiment_of
from bidder._fast.tokens cimport BID_ID_BYTES, CLASS_NOTICE, CLASS_PAGE, TOKEN_CHARS, TokenFields
from bidder._fast.writer cimport Splices, bid_bytes, splice_native

cdef enum:
    NS_PER_S = 1_000_000_000
    NS_PER_MS = 1_000_000
    OPENING_CHARS = 7          # {"id":"
    CLOSING_CHARS = 4          # ]}]}
    NBR_CHARS = 24


cdef class Decider(BidHandler):
    def __init__(self, *, Purses purses not None, FrequencyTable frequency not None, Board board not None,
                 Counters counters not None, Sealer sealer not None, BidIds bid_ids not None, Clock clock not None,
                 rows, uint64_t seed, consent=None, SegmentTable segments=None):
        self.desks = [Desk(frequency, consent, segments) for _ in range(DESKS + 1)]
        self.writer = Writer()
        self.kept = {}
        self.segments = segments
        self.purses = purses
        self.board = board
        self.counters = counters
        self.sealer = sealer
        self.bid_ids = bid_ids
        self.clock = clock
        self.admission = Admission(clock)
        self.seed = seed
        self.rows = Rows()
        for row in rows:
            self.rows.add(row)
            self.admission.set_budget(row.key, row.wait_budget_ms * NS_PER_MS)

    def set_book(self, Book book not None):
        for desk in self.desks:
            (<Desk>desk).set_book(book, self.purses)
        if self.segments is not None:
            self.segments.look_at(book)
        self.book = book
        self.arms = book.arms
        self.arm_count = book.arm_count

    def answer(self, bytes exchange not None, bytes body not None):
        cdef const char* out = NULL
        cdef Py_ssize_t n = 0
        self.admission.polls()
        self.admission.since = self.admission.clear
        self.admission.head = NULL
        self.admission.doors = <uint64_t>-1
        status = self.decide(PyBytes_AS_STRING(exchange), PyBytes_GET_SIZE(exchange),
                             PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), 0, &out, &n)
        return status, PyBytes_FromStringAndSize(out, n) if status == 200 else b""

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n, int ticket,
                    const char** out, Py_ssize_t* out_n) noexcept:
        cdef Desk desk = self.desk_of(exchange, exchange_n, body, body_n, ticket)
        return 404 if desk is None else self.finish(desk, body, body_n, out, out_n)

    cdef Desk desk_of(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n, int ticket):
        cdef Desk desk = <Desk>self.desks[ticket - 1 if ticket else DESKS]
        cdef const Row* row
        if not ticket or desk.body != body:
            row = self.rows.find(exchange, exchange_n)
            if row is NULL:
                return None
            self.look(desk, row, body, body_n)
        return desk

    cdef int finish(self, Desk desk, const char* body, Py_ssize_t body_n, const char** out, Py_ssize_t* out_n) noexcept:
        cdef int status
        if desk.reason == REASON_NONE and not desk.begun:
            self.open(desk)
        self.writer.begin(self.outbox, self.head_n)
        status = self.conclude(desk)
        self.packs = desk.row.gzip
        if status == 200:
            out[0] = self.writer.p
            out_n[0] = <Py_ssize_t>self.writer.n
            if self.keeps & 1:
                self.keep(0, desk.row, body, body_n, out[0], out_n[0])
        return status

    def sample(self, int arm=0):
        if not 0 <= arm <= BASELINE:
            raise ValueError(f"arm={arm}: 0 to {BASELINE} have builds")
        self.keeps |= <uint32_t>1 << arm
        return self.kept.pop(arm, None)

    cdef void keep(self, int arm, const Row* row, const char* body, Py_ssize_t body_n, const char* answer,
                   Py_ssize_t answer_n) noexcept:
        self.keeps &= ~(<uint32_t>1 << arm)
        try:
            # The name, not the path: that may hold the exchange's secret.
            self.kept[arm] = (row.name.p[:row.name.n], body[:body_n], answer[:answer_n])
        except MemoryError:
            pass

    cdef void batch_begins(self) noexcept:
        self.taken = 0

    cdef int foresee(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n) noexcept:
        cdef const Row* row = self.rows.find(exchange, exchange_n)
        cdef Desk desk
        if row is NULL or self.taken == DESKS:
            return 0
        desk = <Desk>self.desks[self.taken]
        self.taken += 1
        self.look(desk, row, body, body_n)
        return self.taken

    cdef void batch_named(self) noexcept:
        cdef Desk desk
        cdef int i
        for i in range(self.taken):
            desk = <Desk>self.desks[i]
            if desk.reason == REASON_NONE and not desk.leaves:
                desk.name_user()
        for i in range(self.taken):
            (<Desk>self.desks[i]).expect_user()
        # Reader and matcher do not fit beside each other into the processor's first cache: all read, then all matched.
        for i in range(self.taken):
            desk = <Desk>self.desks[i]
            if desk.user_named:
                self.open(desk)
                if desk.opened >= 0:
                    desk.auction.fetch_campaigns()
        for i in range(self.taken):
            if (<Desk>self.desks[i]).opened >= 0:
                (<Desk>self.desks[i]).auction.fetch_purses()
        for i in range(self.taken):
            if (<Desk>self.desks[i]).opened >= 0:
                (<Desk>self.desks[i]).auction.fetch_pieces()

    cdef bint knows(self, const char* exchange, Py_ssize_t exchange_n) noexcept:
        return self.rows.find(exchange, exchange_n) is not NULL

    cdef uint64_t doors(self, host) except? 0:
        return self.rows.doors(host)

    cdef void clear(self, Desk desk, const Row* row, const char* body) noexcept nogil:
        desk.row = row
        desk.body = body
        desk.opened = -1
        desk.status = 204
        desk.test = desk.named = desk.begun = desk.user_named = desk.in_segments = False
        desk.leaves = desk.shadow = False
        desk.fallback = 0
        desk.offered = 0
        desk.features_off = 0
        desk.began_ns = self.admission.now
        desk.now_s = self.clock.wall_ns() // NS_PER_S
        memset(&desk.key, 0, sizeof(CounterKey))
        desk.key.exchange = row.key
        desk.key.minute = <uint32_t>(desk.now_s // 60)

    cdef bint leaves(self, Desk desk) noexcept nogil:
        return False

    cdef void look(self, Desk desk, const Row* row, const char* body, Py_ssize_t n) noexcept nogil:
        self.clear(desk, row, body)
        self.requests += 1
        desk.reason = self.rows.refusal(row, self.admission, self.board) if row.guarded else REASON_NONE
        # Refused, switched off or shed, a body is not even read, so a test request counts then like any other.
        if desk.reason != REASON_NONE:
            return
        if self.board.page.off or self.board.page.exchange_off[row.key]:
            desk.reason = REASON_OFF
        elif not self.admission.admits(row.key):
            desk.reason = REASON_OVERLOAD
        elif self.read(desk, body, n, HASHED):
            if self.admission.too_late(row.key, desk.reader.req.tmax_ms):
                desk.reason = REASON_OVERLOAD
            elif desk.key.arm:
                desk.leaves = self.leaves(desk)

    cdef bint read(self, Desk desk, const char* body, Py_ssize_t n, int arm) noexcept nogil:
        cdef const Request* req = &desk.reader.req
        cdef uint32_t off = self.board.page.features_off
        cdef bint sliced = self.board.page.sliced != 0
        cdef const ArmRec* experiment
        cdef int read = desk.reader.read(body, <size_t>n)
        if read == READ_MALFORMED:
            desk.reason = REASON_MALFORMED
            desk.status = 400
            return False
        desk.test = req.test
        desk.takes = not req.test
        desk.named = req.id_raw.p is not NULL
        desk.key.country = <uint16_t>req.country
        desk.key.os = os_key(req.os)
        if sliced or self.arm_count or arm != HASHED:
            desk.bucket = bucket_of(req)
        if arm != HASHED:
            desk.key.arm = <uint8_t>arm
        elif sliced:
            desk.key.arm = arm_in(self.board.page, req, desk.bucket, desk.row.key)
        if self.arm_count and desk.key.arm == 0:
            experiment = experiment_of(self.arms, self.arm_count, desk.bucket)
            if experiment is not NULL:
                desk.key.arm = <uint8_t>experiment.arm
                off |= experiment.features_off
        if off:
            desk.do_without(off)
        desk.reason = REASON_INVALID_REQUEST if read == READ_INVALID else desk.gate()
        return True

    cdef void open(self, Desk desk) noexcept nogil:
        """The auction of the first imp begins, if there can be one."""
        cdef Terms terms
        desk.begun = True
        terms.row = desk.row
        terms.rate = desk.rate
        terms.now_s = desk.now_s
        self.seed += <uint64_t>0x9E3779B97F4A7C15
        terms.seed = desk.seed = self.seed
        terms.features_off = desk.features_off
        desk.open_user()
        desk.auction.open_request(&terms)
        desk.key.inventory = desk.auction.matcher.inventory_key()
        desk.key.kind = COUNT_REQUEST
        self.counters.expect(&desk.key)
        if desk.reader.req.imps.n and desk.obstacle(0) == REASON_NONE:
            desk.auction.open_imp(&desk.reader.imps[desk.reader.req.imps.at], 0)
            desk.opened = 0

    cdef int conclude(self, Desk desk) noexcept nogil:
        cdef uint8_t reason = desk.reason
        cdef int written = 0
        self.admission.lane = desk.row.key
        desk.body = NULL
        self.counters.begin()
        if reason == REASON_NONE:
            reason = self.bid_all(desk, &written)
            if written:
                desk.status = 200
        if not desk.test:
            self.count(desk, reason, written > 0)
        self.counters.end()
        if desk.row.gives_nbr and desk.named and not written:
            return self.say_why(desk, reason)
        return desk.status

    cdef int say_why(self, Desk desk, uint8_t reason) noexcept nogil:
        """A no-bid with a body: OpenRTB 2.6 section 4.2.1 and list "no-bid reasons"."""
        cdef const Str* id = &desk.reader.req.id_raw
        # A technical error, an invalid request, the daily reader cap; else unknown: none of the others is true.
        cdef char nbr = c"1" if reason == REASON_NO_BOOK or reason == REASON_BROKEN else \
            c"2" if reason == REASON_INVALID_REQUEST else c"9" if reason == REASON_FREQUENCY else c"0"
        self.writer.n = 0
        if not self.writer.reserve(id.n + NBR_CHARS):
            return 204
        self.writer.put(b'{"id":"', OPENING_CHARS)
        self.writer.put(id.p, id.n)
        self.writer.put(b'","nbr":', 8)
        self.writer.put(&nbr, 1)
        self.writer.put(b"}", 1)
        return 200

    cdef uint8_t bid_all(self, Desk desk, int* written) noexcept nogil:
        """Bids for every imp that somebody wants; the reason of the imp that came closest, if none does."""
        cdef uint32_t i
        cdef uint8_t why, reason = REASON_NONE
        for i in range(desk.reader.req.imps.n):
            why = self.bid_imp(desk, i, written)
            if closer(why, reason):
                reason = why
        if written[0]:
            self.writer.put(b"]}]}", CLOSING_CHARS)
        return reason

    cdef uint8_t bid_imp(self, Desk desk, uint32_t number, int* written) noexcept nogil:
        cdef const Imp* imp = &desk.reader.imps[desk.reader.req.imps.at + number]
        cdef Candidate best
        cdef uint8_t why = desk.obstacle(number)
        if why != REASON_NONE:
            return why
        desk.auction.room = self.room(desk)
        if desk.opened != <int>number:
            desk.auction.open_imp(imp, number)
        while desk.auction.next_best(&best):
            why = self.bid_one(desk, imp, &best, written[0] == 0)
            if why == REASON_NONE:
                written[0] += 1
                if not desk.auction.place(&best):
                    return REASON_NONE
            else:
                desk.auction.refuse(why)
        return desk.auction.reason

    cdef size_t room(self, Desk desk) noexcept nogil:
        """Bytes that the next bid may take; 0: any number, as no bid takes none."""
        cdef const Row* row = desk.row
        cdef size_t taken
        if row.response_bytes == 0:
            return 0
        taken = self.writer.n if self.writer.n else OPENING_CHARS + desk.reader.req.id_raw.n + row.opening.n
        taken += CLOSING_CHARS + 1         # and a comma
        return max(row.response_bytes - taken, <size_t>1) if row.response_bytes > taken else 1

    cdef uint8_t bid_one(self, Desk desk, const Imp* imp, const Candidate* best, bint first) noexcept nogil:
        """Reserve, seal, write, count; REASON_NONE, or why this candidate cannot bid after all."""
        cdef const Row* row = desk.row
        cdef const CampaignRec* campaign = &self.book.campaigns[best.slot]
        cdef const CreativeRec* creative = &self.book.creatives[best.creative]
        cdef bint test = desk.reader.req.test
        cdef int64_t asked = desk.asked_of(best)
        cdef uint8_t bid_id[BID_ID_BYTES]
        cdef char notice[TOKEN_CHARS]
        cdef char page[TOKEN_CHARS]
        cdef TokenFields fields
        cdef Splices splices
        cdef CounterKey key
        cdef Take take
        cdef uint32_t deal
        cdef uint8_t why
        memset(&take, 0, sizeof(take))
        memset(&splices.deal, 0, sizeof(Str))
        if best.deal >= 0:
            splices.deal = desk.reader.deals[best.deal].id
        if asked == 0:
            return REASON_CURRENCY             # its smallest part is worth more than the price
        splices.imp_id_raw = imp.id_raw
        splices.row = row
        splice_native(&splices, desk.reader, imp, creative)
        if not self.writer.reserve(desk.reader.req.id_raw.n + row.opening.n + CLOSING_CHARS + 8
                                   + bid_bytes(self.book, creative, &splices)):
            return REASON_BROKEN
        if not test and not purse_take(&self.purses.slots[campaign.purse], best.price, desk.key.minute, &take):
            return REASON_PURSE_EMPTY
        if not (test or desk.takes):           # a shadow: enough was there
            purse_return(&self.purses.slots[campaign.purse], &take, desk.key.minute)
        if desk.takes:
            why = desk.auction.count_caps(best)
            if why != REASON_NONE:
                purse_return(&self.purses.slots[campaign.purse], &take, desk.key.minute)
                return why
        key = desk.key
        deal = desk.auction.matcher.deal_key(splices.deal) if splices.deal.p is not NULL else 0
        count_as_bid(&key, campaign, creative, deal)
        self.counters.expect(&key)
        fill_token(&fields, &key, &take, best.price, asked, desk.rate, test)
        if campaign.frequency_count and desk.takes:
            desk.caps.sign(&fields.user, &fields.user_stamp)
        if (self.bid_ids.draw(key.minute, bid_id) != 0
                or self.sealer.seal(CLASS_NOTICE, bid_id, &fields, notice) != 0
                or self.sealer.seal(CLASS_PAGE, bid_id, &fields, page) != 0):
            if desk.takes:
                purse_return(&self.purses.slots[campaign.purse], &take, key.minute)
            return REASON_BROKEN
        splices.bid_id = bid_id
        splices.price = asked
        splices.notice = notice
        splices.page = page
        if first:
            self.writer.put(b'{"id":"', OPENING_CHARS)
            self.writer.put_str(desk.reader.req.id_raw)
            self.writer.put_str(row.opening)
            if desk.rate is not NULL:
                write_currency(self.writer.p + self.writer.n - row.opening.n + CURRENCY_AT, desk.rate.currency)
        else:
            self.writer.put(b",", 1)
        self.writer.put_bid(self.book, creative, &splices)
        self.bids += 1
        if not test:
            desk.offered += best.price
            self.counters.add(&key, 1, best.price)
            self.admission.earn(key.exchange, best.price)
        return REASON_NONE

    cdef void count(self, Desk desk, uint8_t reason, bint bid) noexcept nogil:
        """One request, its reason if it got no bid, and how long it took."""
        cdef CounterKey key
        cdef int64_t took_ns
        desk.key.kind = COUNT_REQUEST
        self.counters.add(&desk.key, 1, 0)
        if not bid:
            desk.key.kind = COUNT_NOBID
            desk.key.reason = reason
            self.counters.add(&desk.key, 1, 0)
        memset(&key, 0, sizeof(key))
        key.kind = COUNT_LATENCY
        key.exchange = desk.key.exchange
        key.arm = desk.key.arm
        key.minute = desk.key.minute
        self.admission.ended = self.clock.monotonic_ns()
        took_ns = self.admission.ended - desk.began_ns
        key.reason = latency_bucket(took_ns)
        self.counters.add(&key, 1, took_ns)
        if desk.fallback:
            key.kind = COUNT_FALLBACK
            key.reason = desk.fallback
            self.counters.add(&key, 1, 0)
        if CANARY <= key.arm <= BASELINE:
            count_group(self.counters, &key, desk.bucket, desk.offered)
