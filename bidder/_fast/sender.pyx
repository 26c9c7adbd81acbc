"""The decision of a worker that reads requests: its own, or that of another build.

    decide -> an arm's request? -> packet -> AWAY ... come -> as good as ours? -> counted, and told to who waits
                                                           -> else decided here, FALLBACK counted

An answer that comes back is not trusted: it is JSON, has this request's id, bids no more than any campaign of the book
may, and its counters add up to one request. The arm of what is counted is that of the bucket, the latency what was seen
here. What the other build took from purses for an answer that is thrown away is given back as of a lost auction: when its time is over.

A shadow's answer is compared with the one that was sent, and counts as SHADOW only.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from bidder._fast.away cimport Caller
from bidder._fast.counters cimport (
    COUNT_BID, COUNT_GROUP, COUNT_LATENCY, COUNT_NOBID, COUNT_REQUEST, COUNT_SHADOW, CounterEntry, CounterKey,
    latency_bucket,
)
from bidder._fast.currency cimport scaled_nano
from bidder._fast.decision cimport DESKS
from bidder._fast.errand cimport (
    ASKS_SHADOW, ASK_MAGIC, AskHead, FALLBACK_BROKEN, FALLBACK_PRICE, SHADOW_INVALID, SHADOW_NONE,
)
from bidder._fast.groups cimport count_group
from bidder._fast.handler cimport AWAY_STATUS
from bidder._fast.http cimport BidProtocol
from bidder._fast.offers cimport compared, read_offers
from bidder._fast.outcome cimport REASON_OFF
from bidder._fast.peer cimport Peer
from bidder._fast.request cimport Request, pack3
from bidder._fast.row cimport Row

cdef enum:
    NS_PER_S = 1_000_000_000
    NS_PER_US = 1_000
    US_PER_MS = 1_000
    OF_TMAX = 4                # an arm is waited for at most a quarter of tmax
    MINUTES_APART = 1          # of a clock that was read a moment before ours
    ZEROS = 64                 # behind an answer, for its reader

cdef object log = logging.getLogger("bidder.relay")
cdef uint32_t USD = pack3(b"USD", 3)


cdef class Return(Home):
    cdef int come(self, Errand errand, const Reply* reply, int why) except -1:
        try:
            self.sender.arrive(errand, reply, why)
        except Exception:          # the errands behind it have to come home, too
            log.exception("an answer of arm %d failed, and its connection is dropped", errand.arm)
            if errand.waiting is not None:
                (<Caller>errand.waiting).protocol.abort()
        return 0


cdef class Sender(Decider):
    def __init__(self, *, call_at, **parts):
        cdef Return home = Return()
        super().__init__(**parts)
        home.sender = self
        self.relay = Relay(call_at, self.board, self.admission, home)

    cdef bint leaves(self, Desk desk) noexcept nogil:
        if not self.relay.away(desk.key.arm):
            return False
        desk.shadow = self.board.page.arms[desk.key.arm].shadow != 0
        return not desk.shadow

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n, int ticket,
                    const char** out, Py_ssize_t* out_n) noexcept:
        cdef Desk desk = self.desk_of(exchange, exchange_n, body, body_n, ticket)
        cdef int status
        if desk is None:
            return 404
        if desk.leaves:
            self.sent = self.errand_of(desk, body, body_n)
            desk.fallback = <uint8_t>self.relay.send(self.sent)
            if desk.fallback == 0:
                self.admission.lane = desk.row.key
                desk.body = NULL
                return AWAY_STATUS
            self.sent = None
        status = self.finish(desk, body, body_n, out, out_n)
        if desk.shadow and not desk.test:
            self.send_shadow(desk, body, body_n, out[0], out_n[0] if status == 200 else 0)
        return status

    cdef int leave(self, Peer peer, bytes version, bint takes_gzip) except -1:
        self.sent.waiting = Caller(<BidProtocol>peer, version, takes_gzip)
        self.sent = None
        return 0

    def answer(self, bytes exchange not None, bytes body not None):
        cdef bint listens = self.relay.listens
        self.relay.listens = False     # who asks this way gets the answer at once
        try:
            return super().answer(exchange, body)
        finally:
            self.relay.listens = listens

    # --- out

    cdef Errand errand_of(self, Desk desk, const char* body, Py_ssize_t body_n):
        cdef const Row* row = desk.row
        cdef const Request* req = &desk.reader.req
        cdef Errand errand = Errand.__new__(Errand)
        cdef AskHead head
        cdef char* packet
        cdef int64_t wait_us = self.relay.wait_us(desk.key.arm)
        if 0 < req.tmax_ms < OF_TMAX * wait_us // US_PER_MS:
            wait_us = req.tmax_ms * US_PER_MS // OF_TMAX
        memset(&head, 0, sizeof(AskHead))
        head.magic = ASK_MAGIC
        head.wait_us = <uint32_t>wait_us
        head.exchange = row.key
        head.name_n = <uint16_t>row.name.n
        head.sent_ns = self.clock.monotonic_ns()
        if desk.leaves:
            self.seed += <uint64_t>0x9E3779B97F4A7C15
            head.seed = self.seed
        else:                      # what was drawn here already, a shadow draws again
            head.seed = desk.seed
            head.flags = ASKS_SHADOW
        errand.body_at = sizeof(AskHead) + row.name.n
        errand.packet = PyBytes_FromStringAndSize(NULL, errand.body_at + body_n)
        packet = PyBytes_AS_STRING(errand.packet)
        memcpy(packet, &head, sizeof(AskHead))
        memcpy(packet + sizeof(AskHead), row.name.p, row.name.n)
        memcpy(packet + errand.body_at, body, body_n)
        errand.row = row
        errand.arm = desk.key.arm
        errand.bucket = desk.bucket
        errand.test = desk.test
        errand.shadow = not desk.leaves
        errand.began_ns = desk.began_ns
        errand.due_ns = head.sent_ns + wait_us * NS_PER_US
        if req.id_raw.p is not NULL:
            errand.id = req.id_raw.p[:req.id_raw.n]
        return errand

    cdef int send_shadow(self, Desk desk, const char* body, Py_ssize_t body_n, const char* answer,
                         Py_ssize_t answer_n) except -1:
        cdef Errand errand = self.errand_of(desk, body, body_n)
        errand.ours = answer[:answer_n] + bytes(ZEROS)
        if self.relay.send(errand):
            self.count_shadow(errand, SHADOW_NONE)
        return 0

    # --- home

    cdef int arrive(self, Errand errand, const Reply* reply, int why) except -1:
        if why == 0:
            why = self.examine(errand, reply)
        if errand.shadow:
            if why == FALLBACK_BROKEN or why == FALLBACK_PRICE:
                self.count_shadow(errand, SHADOW_INVALID)
            elif why:
                self.count_shadow(errand, SHADOW_NONE)
            else:
                read_offers(errand.ours, PyBytes_GET_SIZE(errand.ours) - ZEROS, &self.mine)
                self.count_shadow(errand, compared(&self.mine, &self.theirs))
                self.keep_reply(errand, reply)
            return 0
        if why:
            return self.decide_here(errand, why)
        self.count_reply(errand, reply)
        self.keep_reply(errand, reply)
        return 0 if errand.waiting is None else errand.waiting.told(reply.status, reply.body, reply.body_n, errand.row.gzip)

    cdef void keep_reply(self, Errand errand, const Reply* reply) noexcept:
        if self.theirs.n and self.keeps >> errand.arm & 1:
            self.keep(errand.arm, errand.row, PyBytes_AS_STRING(errand.packet) + errand.body_at,
                      PyBytes_GET_SIZE(errand.packet) - errand.body_at, reply.body, reply.body_n)

    cdef int examine(self, Errand errand, const Reply* reply) noexcept:
        cdef const RateRec* rate = NULL
        cdef int64_t most = self.most()
        cdef uint32_t i
        self.theirs.n = 0
        if reply.status == 200:
            if not read_offers(reply.body, reply.body_n, &self.theirs) \
                    or self.theirs.id.n != PyBytes_GET_SIZE(errand.id) \
                    or memcmp(self.theirs.id.p, PyBytes_AS_STRING(errand.id), self.theirs.id.n) != 0:
                return FALLBACK_BROKEN
            if self.theirs.n == 0 and not errand.row.gives_nbr:
                return FALLBACK_BROKEN
        elif reply.status != 204 or reply.body_n:
            return FALLBACK_BROKEN
        if self.theirs.currency and self.theirs.currency != USD and self.theirs.n:
            rate = self.book.rate_of(self.theirs.currency, self.clock.wall_ns() // NS_PER_S)
            if rate is NULL:
                return FALLBACK_BROKEN
            most = scaled_nano(most, rate.over, rate.under, True)
        for i in range(self.theirs.n):
            if self.theirs.offers[i].price > most:
                return FALLBACK_PRICE
        return 0 if self.counts_add_up(errand, reply, rate) else FALLBACK_BROKEN

    cdef uint32_t minute(self) noexcept:
        return <uint32_t>(self.clock.wall_ns() // NS_PER_S // 60)

    cdef int64_t most(self) noexcept:
        """What any campaign of the book may bid; books are sorted by it."""
        return self.book.campaigns[0].price_max if self.book is not None and self.book.slot_count else 0

    cdef bint counts_add_up(self, Errand errand, const Reply* reply, const RateRec* rate) noexcept:
        """One request; a bid for every one that was made, at its price, or one reason for none; nothing of a test."""
        cdef CounterEntry entry
        cdef int64_t requests = 0, nobids = 0, bids = 0, said = 0, most = self.most()
        cdef uint32_t minute = self.minute()
        cdef int i
        if errand.test or errand.shadow:
            return reply.counts == 0
        for i in range(reply.counts):
            memcpy(&entry, &reply.count[i], sizeof(CounterEntry))
            if entry.n <= 0 or entry.n > self.theirs.n + 1 or entry.amount < 0 or entry.key.exchange != errand.row.key \
                    or not minute - MINUTES_APART <= entry.key.minute <= minute + MINUTES_APART:
                return False
            if entry.key.kind == COUNT_REQUEST:
                requests += entry.n
            elif entry.key.kind == COUNT_NOBID:
                nobids += entry.n
            elif entry.key.kind == COUNT_BID and 0 < entry.amount <= entry.n * most:
                bids += entry.n
                said += entry.amount
            elif entry.key.kind != COUNT_LATENCY and entry.key.kind < COUNT_GROUP:
                return False           # above are those that a later build may have, and this one does not know
        return requests == 1 and bids == self.theirs.n and nobids == (bids == 0) and self.asks(said, rate)

    cdef bint asks(self, int64_t nano_usd, const RateRec* rate) noexcept:
        """Does the answer ask for so much in all? In another currency a part in a hundred may be rounding."""
        cdef int64_t asked = 0, slack = 0
        cdef uint32_t i
        for i in range(self.theirs.n):
            asked += self.theirs.offers[i].price
        if rate is not NULL:
            nano_usd = scaled_nano(nano_usd, rate.over, rate.under, False)
            slack = nano_usd // 100 + self.theirs.n
        return nano_usd - slack <= asked <= nano_usd + slack

    cdef void count_reply(self, Errand errand, const Reply* reply) noexcept:
        cdef CounterEntry entry
        cdef CounterKey key
        cdef int64_t offered = 0
        cdef int i
        self.admission.ended = self.clock.monotonic_ns()
        self.bids += self.theirs.n
        if errand.test:
            return
        self.counters.begin()
        for i in range(reply.counts):
            memcpy(&entry, &reply.count[i], sizeof(CounterEntry))
            if entry.key.kind == COUNT_LATENCY or entry.key.kind >= COUNT_GROUP:
                continue           # those are known better here, or not at all
            entry.key.arm = errand.arm
            self.counters.add(&entry.key, entry.n, entry.amount if entry.key.kind == COUNT_BID else 0)
            if entry.key.kind == COUNT_BID:
                self.admission.earn(errand.row.key, entry.amount)
                offered += entry.amount
        memset(&key, 0, sizeof(CounterKey))
        key.kind = COUNT_LATENCY
        key.exchange = errand.row.key
        key.arm = errand.arm
        key.minute = self.minute()
        key.reason = latency_bucket(self.admission.ended - errand.began_ns)
        self.counters.add(&key, 1, self.admission.ended - errand.began_ns)
        count_group(self.counters, &key, errand.bucket, offered)
        self.counters.end()

    cdef void count_shadow(self, Errand errand, int how) noexcept:
        cdef CounterKey key
        memset(&key, 0, sizeof(CounterKey))
        key.kind = COUNT_SHADOW
        key.exchange = errand.row.key
        key.arm = errand.arm
        key.reason = <uint8_t>how
        key.minute = self.minute()
        self.counters.begin()
        self.counters.add(&key, 1, 0)
        self.counters.end()

    cdef int decide_here(self, Errand errand, int why) except -1:
        """As if it had never left, but for its arm, and for when it came."""
        cdef Desk desk = <Desk>self.desks[DESKS]
        cdef const char* body = PyBytes_AS_STRING(errand.packet) + errand.body_at
        cdef Py_ssize_t n = PyBytes_GET_SIZE(errand.packet) - errand.body_at
        cdef const char* out = NULL
        cdef Py_ssize_t out_n = 0
        cdef int status
        self.clear(desk, errand.row, body)
        desk.began_ns = errand.began_ns
        desk.fallback = <uint8_t>why
        self.read(desk, body, n, errand.arm)
        if self.board.page.off or self.board.page.exchange_off[errand.row.key]:
            desk.reason = REASON_OFF
        status = self.finish(desk, body, n, &out, &out_n)
        return 0 if errand.waiting is None else errand.waiting.told(status, out, out_n, self.packs)
