"""Frequency caps: how often a host has bid for one user under one rule, and whether that was enough.

One table a host in a file that all its workers map; one `Caps` a decision, which turns
the user of a request into keys of it. Times: unix seconds.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book cimport FrequencyRec
from bidder._fast.request cimport Request, Str

cdef enum:                     # FrequencyRec.level: what is counted for a user
    LEVEL_CAMPAIGN = 0
    LEVEL_CREATIVE = 1

cdef enum:
    BUCKET = 8                 # slots in which one key may stand: two cache lines

cdef struct Seen:              # one user under one rule
    uint64_t key               # keyed hash; 0: never used
    uint64_t window            # second at which it ends << 32 | bids counted in it

cdef class FrequencyTable:
    cdef Seen* slots           # mapped, shared by all processes of the host
    cdef readonly Py_ssize_t capacity
    cdef char* head            # first page of the file
    cdef readonly bint private # what is counted here stays here
    cdef object _map           # keeps the mapping alive
    cdef object _draw
    cdef _open(self, path, bint private=*)
    # Bids counted in the window that runs; 0: none runs.
    cdef uint32_t seen(self, uint64_t key, int64_t now_s) noexcept nogil
    # Counts one more, in the window that runs or in one that begins; False: it has `most` already.
    cdef bint add(self, uint64_t key, int64_t now_s, uint32_t per_s, uint32_t most) noexcept nogil
    cdef bint claim(self, Seen* bucket, uint64_t key, int64_t now_s, Seen** slot, uint64_t* window) noexcept nogil

cdef struct Keyed:             # OpenSSL's contexts under the keys of one period
    void* mac
    void* cipher

cdef class Caps:
    """Of one decision: not for two threads at once."""
    cdef FrequencyTable table
    cdef Keyed keyed[2]        # of this period, and of the one before
    cdef uint64_t generation   # of the keys in `keyed`
    cdef int64_t rotated_s     # when that generation began
    cdef int64_t now_s
    cdef Str user              # of the request at hand
    cdef uint8_t origin[2]     # namespace of `user`
    cdef bint identified       # `digest` is of `user`
    cdef uint64_t digest[2]
    # Costs nothing: only a campaign with caps makes it hash.
    cdef void open_request(self, const Request* req, uint8_t exchange, int64_t now_s) noexcept nogil
    # May one more be bid under the rules of this level? `subject`: key of the campaign, or of the creative.
    cdef uint8_t reason(self, const FrequencyRec* rules, uint32_t n, uint32_t level, uint32_t subject) noexcept nogil
    # Counts a bid under every rule of a campaign; REASON_FREQUENCY: another worker was faster, do not bid.
    cdef uint8_t count(self, const FrequencyRec* rules, uint32_t n, uint32_t campaign,
                       uint32_t creative) noexcept nogil
    # Private from here on.
    cdef bint identify(self) noexcept nogil
    cdef bint rekey(self) noexcept nogil
    cdef uint64_t key_of(self, const FrequencyRec* rule, uint32_t subject) noexcept nogil
    cdef uint64_t hashed(self, int which, const FrequencyRec* rule, uint32_t subject) noexcept nogil
