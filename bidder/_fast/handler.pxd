"""Whom the listener asks for an answer to a bid request."""

from libc.stdint cimport uint64_t
from bidder._fast.admission cimport Admission
from bidder._fast.answers cimport Outbox
from bidder._fast.peer cimport Peer

cdef enum:
    AWAY_STATUS = 1             # of `decide`: the answer comes later

cdef class BidHandler:
    """What the listener asks; `bidder._fast.decision.Decider` is the one in production."""
    cdef readonly Admission admission
    cdef bint packs             # the last answer may leave compressed
    # Where the next answer may be written instead: behind what is there, and a head of so many bytes; 0: nowhere.
    cdef Outbox outbox
    cdef Py_ssize_t head_n
    # Status 200 with *out/*out_n set to a JSON body that lives until the next call,
    # or 204, 400, 404 without one. `exchange` is the path behind /bid/. Never raises.
    # `ticket`: what `foresee` said of this very request, or 0.
    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n,
                    const char* body, Py_ssize_t body_n, int ticket,
                    const char** out, Py_ssize_t* out_n) noexcept
    # The last `decide` said AWAY_STATUS: whom its answer is for, what x-openrtb-version it has, may it be compressed?
    cdef int leave(self, Peer peer, bytes version, bint takes_gzip) except -1
    # A batch of requests: begins; `decide` will be asked about this one, and its bytes stay where they are (a ticket,
    # or 0); all of them have been named. What can be fetched from memory for them is on its way meanwhile.
    cdef void batch_begins(self) noexcept
    cdef int foresee(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n) noexcept
    cdef void batch_named(self) noexcept
    # Is there such an exchange? Asked for other methods than POST only: 405 where there is, else 404.
    cdef bint knows(self, const char* exchange, Py_ssize_t exchange_n) noexcept
    # Exchanges that a connection from this address may speak for: bit n, key n. Asked once a connection.
    cdef uint64_t doors(self, host) except? 0

cdef class PythonHandler(BidHandler):
    cdef object answer           # (exchange: bytes, body: bytes) -> (status, body)
    cdef dict lanes              # exchange -> lane of its admission
    cdef bytes last              # keeps *out alive
