"""The whole decision on one screen: read, gate, match, price, pace, reserve, answer, count.

    exchange + body -> Decider.decide -> 200 with bids | 204 | 400 malformed | 404 no such exchange

A decision has two halves, `look` and `conclude`, with a desk in between. Of a batch every request is looked at first
(`foresee`), then what their first campaigns need is fetched from memory (`batch_named`), then each is decided on.

No Python object is made for a request, nothing blocks, and "no" is a reason that is counted.
Only the winner of an imp is reserved, and counted under its caps; on refusal the next best is. A test request
(`test: 1`) is bid on as usual, its tokens are marked, and nothing of it is taken or counted.
Money: int64 nano-USD for one impression. Wall clock stamps, monotonic clock measures.
"""

import json

from libc.stdint cimport uint16_t
from libc.string cimport memcmp, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from bidder._fast.admission cimport Admission
from bidder._fast.book cimport CampaignRec, CreativeRec
from bidder._fast.consent cimport MAY_BID
from bidder._fast.counters cimport COUNT_BID, COUNT_LATENCY, COUNT_NOBID, COUNT_REQUEST, CounterKey
from bidder._fast.formats cimport MTYPE_NATIVE
from bidder._fast.frequency cimport FrequencyTable
from bidder._fast.outcome cimport (
    closer, REASON_BROKEN, REASON_CONSENT, REASON_CURRENCY, REASON_FORMAT, REASON_INVALID_REQUEST, REASON_MALFORMED,
    REASON_NO_BOOK,
    REASON_NONE, REASON_OFF, REASON_OVERLOAD, REASON_PURSE_EMPTY, REASON_SEAT,
)
from bidder._fast.purses cimport Take, purse_return, purse_take
from bidder._fast.request cimport READ_INVALID, READ_MALFORMED, Request, os_key, pack3
from bidder._fast.rules cimport string_listed
from bidder._fast.tokens cimport BID_ID_BYTES, CLASS_NOTICE, CLASS_PAGE, FLAG_TEST, TOKEN_CHARS, TokenFields
from bidder._fast.writer cimport Splices

cdef enum:
    NS_PER_S = 1_000_000_000
    NS_PER_MS = 1_000_000
    LATENCY_TOP = 31           # half an hour: nothing takes longer
    CLOSING_CHARS = 4          # ]}]}

cdef uint32_t USD = pack3(b"USD", 3)


cdef class Decider(BidHandler):
    def __init__(self, *, Purses purses not None, FrequencyTable frequency not None, Board board not None,
                 Counters counters not None, Sealer sealer not None, BidIds bid_ids not None, Clock clock not None,
                 exchanges, uint64_t seed, int64_t wait_budget_ms=10, consent=None):
        self.desks = [Desk(frequency, consent) for _ in range(DESKS + 1)]
        self.writer = Writer()
        self.purses = purses
        self.board = board
        self.counters = counters
        self.sealer = sealer
        self.bid_ids = bid_ids
        self.clock = clock
        self.admission = Admission(clock)
        self.seed = seed
        self.held = []
        for name, exchange in exchanges.items():
            if exchange.enabled:
                self.serve(name, exchange.key, exchange.seat)
                self.admission.set_budget(exchange.key, min(wait_budget_ms, exchange.tmax_ms // 4) * NS_PER_MS)

    cdef Str hold(self, str text):
        cdef bytes kept = text.encode()
        cdef Str out
        self.held.append(kept)
        out.p = PyBytes_AS_STRING(kept)
        out.n = <uint32_t>len(kept)
        return out

    cdef serve(self, str name, int key, str seat):
        cdef Row* row
        if not 1 <= key <= ROWS or self.row_count == ROWS:
            raise ValueError(f"exchange {name}: a key of its own, 1 to {ROWS}, is wanted, not {key}")
        row = &self.rows[self.row_count]
        row.name = self.hold(name)
        row.seat = self.hold(seat)
        row.opening = self.hold('","cur":"USD","seatbid":[{"seat":' + json.dumps(seat, ensure_ascii=False) + ',"bid":[')
        row.key = key
        self.row_count += 1

    def set_book(self, Book book not None):
        for desk in self.desks:
            (<Desk>desk).set_book(book, self.purses)
        self.book = book

    def answer(self, bytes exchange not None, bytes body not None):
        cdef const char* out = NULL
        cdef Py_ssize_t n = 0
        self.admission.polls()
        self.admission.since = self.admission.clear
        status = self.decide(PyBytes_AS_STRING(exchange), PyBytes_GET_SIZE(exchange),
                             PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), 0, &out, &n)
        return status, PyBytes_FromStringAndSize(out, n) if status == 200 else b""

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n, int ticket,
                    const char** out, Py_ssize_t* out_n) noexcept:
        cdef Desk desk = <Desk>self.desks[ticket - 1 if ticket else DESKS]
        cdef const Row* row
        cdef int status
        if not ticket or desk.body != body:
            row = self.row_of(exchange, exchange_n)
            if row is NULL:
                return 404
            self.look(desk, row, body, body_n)
        status = self.conclude(desk)
        if status == 200:
            out[0] = self.writer.p
            out_n[0] = <Py_ssize_t>self.writer.n
            if self.keeps:
                self.keep(exchange, exchange_n, body, body_n)
        return status

    def sample(self):
        kept, self.kept, self.keeps = self.kept, None, True
        return kept

    cdef void keep(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n) noexcept:
        self.keeps = False
        try:
            self.kept = (exchange[:exchange_n], body[:body_n], self.writer.p[:self.writer.n])
        except MemoryError:
            self.kept = None

    cdef void batch_begins(self) noexcept:
        self.taken = 0

    cdef int foresee(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n) noexcept:
        cdef const Row* row = self.row_of(exchange, exchange_n)
        cdef Desk desk
        if row is NULL or self.taken == DESKS:
            return 0
        desk = <Desk>self.desks[self.taken]
        self.taken += 1
        self.look(desk, row, body, body_n)
        if desk.opened >= 0:
            desk.auction.fetch_campaigns()
        return self.taken

    cdef void batch_named(self) noexcept:
        cdef int i
        for i in range(self.taken):
            if (<Desk>self.desks[i]).opened >= 0:
                (<Desk>self.desks[i]).auction.fetch_purses()
        for i in range(self.taken):
            if (<Desk>self.desks[i]).opened >= 0:
                (<Desk>self.desks[i]).auction.fetch_pieces()

    cdef bint knows(self, const char* exchange, Py_ssize_t exchange_n) noexcept:
        return self.row_of(exchange, exchange_n) is not NULL

    cdef const Row* row_of(self, const char* name, Py_ssize_t n) noexcept nogil:
        cdef int i
        for i in range(self.row_count):
            if <Py_ssize_t>self.rows[i].name.n == n and memcmp(self.rows[i].name.p, name, n) == 0:
                return &self.rows[i]
        return NULL

    cdef void look(self, Desk desk, const Row* row, const char* body, Py_ssize_t n) noexcept nogil:
        cdef const Request* req = &desk.reader.req
        cdef int read
        desk.row = row
        desk.body = body
        desk.opened = -1
        desk.status = 204
        desk.test = False
        desk.now_s = self.clock.wall_ns() // NS_PER_S
        self.requests += 1
        memset(&desk.key, 0, sizeof(CounterKey))
        desk.key.exchange = row.key
        desk.key.minute = <uint32_t>(desk.now_s // 60)
        # Switched off or shed, a body is not even read, so a test request counts then like any other.
        if self.board.page.off or self.board.page.exchange_off[row.key]:
            desk.reason = REASON_OFF
        elif not self.admission.admits(row.key):
            desk.reason = REASON_OVERLOAD
        else:
            read = desk.reader.read(body, <size_t>n)
            if read == READ_MALFORMED:
                desk.reason = REASON_MALFORMED
                desk.status = 400
                return
            desk.test = req.test
            desk.key.country = <uint16_t>req.country
            desk.key.os = os_key(req.os)
            desk.reason = REASON_INVALID_REQUEST if read == READ_INVALID else self.gate(desk)
            if desk.reason == REASON_NONE:
                self.open(desk)

    cdef uint8_t gate(self, Desk desk) noexcept nogil:
        """What concerns the request as a whole."""
        cdef const Request* req = &desk.reader.req
        cdef uint32_t i
        if self.book is None:
            return REASON_NO_BOOK
        if not req.may & MAY_BID:
            return REASON_CONSENT
        if req.wseat.n and not string_listed(desk.reader, req.wseat, desk.row.seat):
            return REASON_SEAT
        if string_listed(desk.reader, req.bseat, desk.row.seat):
            return REASON_SEAT
        if not req.cur_named:
            return REASON_NONE     # the standard's default is USD
        for i in range(req.cur.at, req.cur.at + req.cur.n):
            if desk.reader.ints[i] == USD:
                return REASON_NONE
        return REASON_CURRENCY

    cdef void open(self, Desk desk) noexcept nogil:
        """The auction of the first imp begins, if there can be one."""
        cdef Terms terms
        terms.exchange = desk.row.key
        terms.seat = desk.row.seat
        terms.now_s = desk.now_s
        self.seed += <uint64_t>0x9E3779B97F4A7C15
        terms.seed = self.seed
        desk.auction.open_request(&terms)
        desk.key.inventory = desk.auction.matcher.inventory_key()
        desk.key.kind = COUNT_REQUEST
        self.counters.expect(&desk.key)
        if desk.reader.req.imps.n and self.obstacle(desk, 0) == REASON_NONE:
            desk.auction.open_imp(&desk.reader.imps[desk.reader.req.imps.at], 0)
            desk.opened = 0

    cdef uint8_t obstacle(self, Desk desk, uint32_t number) noexcept nogil:
        """Why there can be no auction of this imp."""
        cdef const Imp* imp = &desk.reader.imps[desk.reader.req.imps.at + number]
        if imp.id.p is NULL or imp.duplicate_id:
            return REASON_INVALID_REQUEST
        return REASON_NONE if imp.media else REASON_FORMAT

    cdef int conclude(self, Desk desk) noexcept nogil:
        cdef uint8_t reason = desk.reason
        cdef int written = 0
        self.admission.lane = desk.row.key
        desk.body = NULL
        if reason == REASON_NONE:
            reason = self.bid_all(desk, &written)
            if written:
                desk.status = 200
        if not desk.test:
            self.count(desk, reason, written > 0)
        return desk.status

    cdef uint8_t bid_all(self, Desk desk, int* written) noexcept nogil:
        """Bids for every imp that somebody wants; the reason of the imp that came closest, if none does."""
        cdef Candidate best
        cdef const Imp* imp
        cdef uint32_t i
        cdef uint8_t why, reason = REASON_NONE
        self.writer.n = 0
        for i in range(desk.reader.req.imps.n):
            imp = &desk.reader.imps[desk.reader.req.imps.at + i]
            why = self.obstacle(desk, i)
            if why == REASON_NONE:
                if desk.opened != <int>i:
                    desk.auction.open_imp(imp, i)
                while desk.auction.next_best(&best):
                    why = self.bid_one(desk, imp, &best, written[0] == 0)
                    if why == REASON_NONE:
                        written[0] += 1
                        if not desk.auction.place(&best):
                            break
                    else:
                        desk.auction.refuse(why)
                else:
                    why = desk.auction.reason
            if closer(why, reason):
                reason = why
        if written[0]:
            self.writer.put(b"]}]}", CLOSING_CHARS)
        return reason

    cdef uint8_t bid_one(self, Desk desk, const Imp* imp, const Candidate* best, bint first) noexcept nogil:
        """Reserve, seal, write, count; REASON_NONE, or why this candidate cannot bid after all."""
        cdef const Row* row = desk.row
        cdef const CampaignRec* campaign = &self.book.campaigns[best.slot]
        cdef const CreativeRec* creative = &self.book.creatives[best.creative]
        cdef bint test = desk.reader.req.test
        cdef uint8_t bid_id[BID_ID_BYTES]
        cdef char notice[TOKEN_CHARS]
        cdef char page[TOKEN_CHARS]
        cdef TokenFields fields
        cdef Splices splices
        cdef CounterKey key
        cdef Take take
        cdef uint8_t why
        memset(&take, 0, sizeof(take))
        memset(&splices.deal, 0, sizeof(Str))
        if best.deal >= 0:
            splices.deal = desk.reader.deals[best.deal].id
        splices.imp_id_raw = imp.id_raw
        splices.native = NULL
        if creative.format == MTYPE_NATIVE:
            splices.native = &desk.reader.natives[imp.native]
            splices.asked = desk.reader.asked
            splices.strs = desk.reader.strs
        if not self.writer.reserve(desk.reader.req.id_raw.n + row.opening.n + CLOSING_CHARS + 8
                                   + self.writer.bid_bytes(self.book, creative, &splices)):
            return REASON_BROKEN
        if not test and not purse_take(&self.purses.slots[campaign.purse], best.price, desk.key.minute, &take):
            return REASON_PURSE_EMPTY
        if not test:
            why = desk.auction.count_caps(best)
            if why != REASON_NONE:
                purse_return(&self.purses.slots[campaign.purse], &take, desk.key.minute)
                return why
        key = desk.key
        key.kind = COUNT_BID
        key.format = creative.format
        key.w = <uint16_t>creative.w
        key.h = <uint16_t>creative.h
        key.campaign = campaign.key
        key.creative = creative.key
        key.deal = desk.auction.matcher.deal_key(splices.deal) if splices.deal.p is not NULL else 0
        self.counters.expect(&key)
        fill(&fields, &key, &take, best.price, test)
        if (self.bid_ids.draw(key.minute, bid_id) != 0
                or self.sealer.seal(CLASS_NOTICE, bid_id, &fields, notice) != 0
                or self.sealer.seal(CLASS_PAGE, bid_id, &fields, page) != 0):
            if not test:
                purse_return(&self.purses.slots[campaign.purse], &take, key.minute)
            return REASON_BROKEN
        splices.bid_id = bid_id
        splices.price = best.price
        splices.notice = notice
        splices.page = page
        if first:
            self.writer.put(b'{"id":"', 7)
            self.writer.put_str(desk.reader.req.id_raw)
            self.writer.put_str(row.opening)
        else:
            self.writer.put(b",", 1)
        self.writer.put_bid(self.book, creative, &splices)
        self.bids += 1
        if not test:
            self.counters.begin()
            self.counters.add(&key, 1, best.price)
            self.admission.earn(key.exchange, best.price)
            self.counters.end()
        return REASON_NONE

    cdef void count(self, Desk desk, uint8_t reason, bint bid) noexcept nogil:
        """One request, its reason if it got no bid, and how long it took."""
        cdef CounterKey key
        self.counters.begin()
        desk.key.kind = COUNT_REQUEST
        self.counters.add(&desk.key, 1, 0)
        if not bid:
            desk.key.kind = COUNT_NOBID
            desk.key.reason = reason
            self.counters.add(&desk.key, 1, 0)
        memset(&key, 0, sizeof(key))
        key.kind = COUNT_LATENCY
        key.exchange = desk.key.exchange
        key.minute = desk.key.minute
        self.admission.ended = self.clock.monotonic_ns()
        key.reason = bucket_of(self.admission.ended - self.admission.now)
        self.counters.add(&key, 1, 0)
        self.counters.end()


cdef inline uint8_t bucket_of(int64_t ns) noexcept nogil:
    """The smallest b with ns <= 2**b microseconds."""
    cdef uint8_t bucket = 0
    while bucket < LATENCY_TOP and (<int64_t>1000 << bucket) < ns:
        bucket += 1
    return bucket


cdef inline void fill(TokenFields* fields, const CounterKey* key, const Take* take, int64_t price,
                      bint test) noexcept nogil:
    """The token says of the bid what its counter says, and where its money was taken."""
    memset(fields, 0, sizeof(TokenFields))
    fields.exchange = key.exchange
    fields.flags = FLAG_TEST if test else 0
    fields.arm = key.arm
    fields.format = key.format
    fields.os = key.os
    fields.country = key.country
    fields.w = key.w
    fields.h = key.h
    fields.campaign = key.campaign
    fields.creative = key.creative
    fields.deal = key.deal
    fields.inventory = key.inventory
    fields.lease = take.lease
    fields.bid_price = price
    fields.taken = take.amount
