"""Groups: users of an arm by their bucket, so that a canary's judge knows how much those who come again weigh."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from bidder._fast.counters cimport COUNT_GROUP, CounterKey, Counters

cdef enum:
    GROUPS = 64                # bidder.canary.second.GROUPS

cdef inline void count_group(Counters counters, CounterKey* key, uint32_t bucket, int64_t offered) noexcept nogil:
    """A request; and once more what it offers, in nano-USD, if that is anything. `key`: its exchange, arm and minute."""
    key.kind = COUNT_GROUP
    key.reason = <uint8_t>(bucket % GROUPS)
    counters.add(key, 1, 0)
    if offered:
        key.reason += GROUPS
        counters.add(key, 1, offered)
