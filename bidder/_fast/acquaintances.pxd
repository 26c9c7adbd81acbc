"""Whom this host has asked the store for: a mark a user in the table of caps, and a ring of those to be asked for.

Workers look and ask, the supervisor answers; nobody waits for anybody. Times: unix seconds.
"""

from libc.stdint cimport int64_t, uint64_t
from bidder._fast.frequency cimport FrequencyTable

cdef enum:                     # bits
    ACQUAINTED = 1             # the store has been asked for this user, and has answered
    TO_BE_ASKED = 2            # nobody else asks now: the caller has to want() it

cdef int acquainted(FrequencyTable table, uint64_t digest, int64_t now_s) noexcept nogil
# Behind the request. `before`: the digest of the same user under the keys of the period before; 0: none.
cdef void want(FrequencyTable table, uint64_t digest, uint64_t before) noexcept nogil
