"""Rows: the exchanges that we serve, as the hot path sees them, and who may speak for them."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.admission cimport Admission
from bidder._fast.board cimport Board
from bidder._fast.request cimport Str

cdef enum:
    ROWS = 63                  # keys of exchanges are 1 to 63
    NOTICES = 3                # of a bid at most
    CURRENCY_AT = 9            # in Row.opening: three letters

cdef struct Row:               # one exchange
    Str name                   # the path behind /bid/
    Str seat
    Str opening                # of the answer, from behind its id to its first bid
    Str notices[4]             # text before, between and behind the tokens of its notices, as JSON
    uint32_t notice_count      # so many tokens
    uint32_t notice_bytes      # texts and tokens
    Str pixel_price            # behind the token of a pixel: its price, or nothing
    uint32_t response_bytes    # of the longest answer; 0: any
    uint8_t key
    bint gives_nbr             # a no-bid says why, where its request was read
    bint gzip                  # answers may be compressed
    bint guarded               # there is something to look at before a request is read:
    bint listed                # its addresses, in Admission.doors
    Str secret                 # p is NULL: none
    Str secret_field           # that carries it, in lower case; p is NULL: the path, behind the name
    int64_t interval_ns        # from one request to the next, on the whole host; 0: any number

cdef class Rows:
    """Filled once, at start."""
    cdef Row rows[ROWS]
    cdef int count
    cdef list held             # bytes that rows point into
    cdef list networks         # (bit of Admission.doors, what is listed)
    cdef Str behind            # of the path that was found last: what follows its name
    cdef Str hold(self, bytes text)
    cdef int add(self, one) except -1
    # NULL: no such exchange. `path` is what stands behind /bid/.
    cdef const Row* find(self, const char* path, Py_ssize_t n) noexcept nogil
    # Why the request that was found last is not read; REASON_NONE: it is.
    cdef uint8_t refusal(self, const Row* row, Admission admission, Board board) noexcept nogil
    # Of which exchanges a request from this address may be: bit n, key n.
    cdef uint64_t doors(self, host) except? 0
