"""The decision of a worker that answers what other workers have read.

    packet -> reply: not too old? -> read -> its arm is ours -> decided as ever -> packet, its counters in front of the answer

Who sent it has admitted it, knows its exchange by name, and counts it: guards, overload and the counter file are the sender's
affair. A shadow's bid asks its purse whether there is enough, and leaves it there; no cap counts it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy
from bidder._fast.counters cimport CounterEntry
from bidder._fast.decision cimport DESKS
from bidder._fast.desk cimport Desk
from bidder._fast.errand cimport ASKS_SHADOW, ASK_MAGIC, AskHead, REPLY_MAGIC, ReplyHead
from bidder._fast.outcome cimport REASON_OFF
from bidder._fast.row cimport Row

cdef enum:
    NS_PER_US = 1_000


cdef class Answerer(Decider):
    def __init__(self, **parts):
        self.tally = Tally()
        super().__init__(counters=self.tally, **parts)

    def reply(self, bytes packet not None, uint8_t arm):
        cdef Desk desk = <Desk>self.desks[DESKS]
        cdef const char* p = PyBytes_AS_STRING(packet)
        cdef Py_ssize_t body_at, n = PyBytes_GET_SIZE(packet)
        cdef const char* out = NULL
        cdef Py_ssize_t out_n = 0
        cdef const Row* row
        cdef AskHead head
        cdef ReplyHead said
        if n < <Py_ssize_t>sizeof(AskHead):
            raise ValueError(f"a packet of {n} bytes is no request")
        memcpy(&head, p, sizeof(AskHead))
        body_at = sizeof(AskHead) + head.name_n
        if head.magic != ASK_MAGIC or body_at > n:
            raise ValueError("a packet that is no request")
        self.admission.polls()
        if self.admission.now - head.sent_ns > <long long>head.wait_us * NS_PER_US:
            return None
        said.magic, said.number, said.counts = REPLY_MAGIC, head.number, 0
        row = self.rows.find(p + sizeof(AskHead), head.name_n)
        if row is NULL or row.key != head.exchange:
            said.status = 404
            return (<char*>&said)[:sizeof(ReplyHead)]
        self.requests += 1
        self.clear(desk, row, p + body_at)
        self.read(desk, p + body_at, n - body_at, arm)
        desk.takes = desk.takes and not head.flags & ASKS_SHADOW
        if self.board.page.off or self.board.page.exchange_off[row.key]:
            desk.reason = REASON_OFF
        self.seed = head.seed - <uint64_t>0x9E3779B97F4A7C15
        said.status = <uint16_t>self.finish(desk, p + body_at, n - body_at, &out, &out_n)
        counts = b"" if desk.test or head.flags & ASKS_SHADOW else self.tally.take()
        if self.tally.full:
            raise ValueError("an answer counts more than a packet says")
        said.counts = <uint16_t>(PyBytes_GET_SIZE(counts) // <Py_ssize_t>sizeof(CounterEntry))
        return (<char*>&said)[:sizeof(ReplyHead)] + counts + PyBytes_FromStringAndSize(out, out_n if said.status == 200 else 0)
