"""Whose request is away: the connection that waits for the answer of another build.

    BidProtocol.decide -> AWAY ... told -> written as if decided here -> BidProtocol.finish -> what came behind it

Of the request only what its answer needs is kept. A connection that is gone by then is not told.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from bidder._fast.answers cimport CLOSES, STAYS, STAYS_10, Ending, Outbox
from bidder._fast.http cimport AWAY
from bidder._fast.packing cimport PACK_LEAST, pack


cdef class Caller(Waiting):
    def __init__(self, BidProtocol protocol not None, bytes version not None, bint takes_gzip):
        self.protocol = protocol
        self.version = version
        self.takes_gzip = takes_gzip

    cdef int told(self, int status, const char* body, Py_ssize_t n, bint packs) except -1:
        cdef BidProtocol protocol = self.protocol
        cdef Outbox out = protocol.shared.out
        cdef bytes packed = None
        cdef bint close
        cdef Ending ending
        if protocol.phase != AWAY:
            return 0
        close = protocol.head.close or (protocol.own == NULL and (protocol.shared.draining or protocol.said_all))
        ending = CLOSES if close else STAYS if protocol.head.minor else STAYS_10
        out.drop()                     # of an answer that failed half-way
        if status == 200:
            if packs and self.takes_gzip and n >= PACK_LEAST:
                packed = pack(body, n)
                body, n = PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed)
            out.json(body, n, packed is not None, PyBytes_AS_STRING(self.version), PyBytes_GET_SIZE(self.version), ending)
        else:
            out.empty(status, ending)
        protocol.flush()
        return protocol.finish(close)
