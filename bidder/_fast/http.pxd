"""HTTP/1.1 on the worker's loop: `/bid/` answered in compiled code, all else handed on."""

from libc.stdint cimport uint32_t

cdef class BidHandler:
    """What the listener asks; `bidder._fast.decision.Decider` is the one in production."""
    # Status 200 with *out/*out_n set to a JSON body that lives until the next call,
    # or 204, 400, 404 without one. `exchange` is the path behind /bid/. Never raises.
    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n,
                    const char* body, Py_ssize_t body_n,
                    const char** out, Py_ssize_t* out_n) noexcept
