"""Whom this host has asked the store for: a mark a user in the table of caps, and a ring of those to be asked for.

Workers look and ask, the supervisor answers; nobody waits for anybody. Times: unix seconds.
"""

from libc.stdint cimport int64_t, uint64_t
from bidder._fast.frequency cimport FrequencyTable

# Has the store been asked for this user, and has it answered? Where it has not, or a while ago, it will be.
# `before`: the digest of the same user under the keys of the period before.
cdef bint acquainted(FrequencyTable table, uint64_t digest, uint64_t before, int64_t now_s) noexcept nogil
