"""Handlers of bid requests: the base that production subclasses, and one in Python for tests and small tools.

A handler asks its admission first, where it knows the exchange, and before it looks at the body.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from bidder._fast.admission cimport Admission
from bidder._fast.peer cimport Peer

cdef object log = logging.getLogger("bidder.http")


cdef class BidHandler:
    def __cinit__(self):
        self.admission = Admission()

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n,
                    const char* body, Py_ssize_t body_n, int ticket,
                    const char** out, Py_ssize_t* out_n) noexcept:
        return 204

    cdef int leave(self, Peer peer, bytes version, bint takes_gzip) except -1:
        raise NotImplementedError

    cdef void batch_begins(self) noexcept:
        pass

    cdef int foresee(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n) noexcept:
        return 0

    cdef void batch_named(self) noexcept:
        pass

    cdef bint knows(self, const char* exchange, Py_ssize_t exchange_n) noexcept:
        return True

    cdef uint64_t doors(self, host) except? 0:
        return <uint64_t>-1


cdef class PythonHandler(BidHandler):
    def __init__(self, answer, *, Admission admission=None, lanes=None):
        self.answer = answer
        self.last = b""
        self.lanes = dict(lanes or {})
        if admission is not None:
            self.admission = admission

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n,
                    const char* body, Py_ssize_t body_n, int ticket,
                    const char** out, Py_ssize_t* out_n) noexcept:
        cdef int status
        try:
            if self.lanes and not self.admission.admits(self.lanes.get(exchange[:exchange_n], 0)):
                return 204
            status, self.last = self.answer(exchange[:exchange_n], body[:body_n])
        except Exception:
            log.exception("the handler of /bid/ failed; answered 500")
            return 500
        self.admission.ended = self.admission.clock.monotonic_ns()
        out[0] = PyBytes_AS_STRING(self.last)
        out_n[0] = PyBytes_GET_SIZE(self.last)
        return status
