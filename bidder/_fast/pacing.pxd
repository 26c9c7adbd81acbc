"""Pacing: what share of its bids may an even lease place now?"""

from libc.stdint cimport int64_t, uint32_t

cdef enum:
    SLACK_MS = 300_000         # of the plan that may be spent at once, so that a fresh campaign bids
    BAND_MS = 60_000           # of the plan over which the throttle closes

# 0 to 2**32 - 1. `amount` >= 0, `hour_ms` > 0; so much is committed (spent or reserved) `into_ms` after the hour began.
cdef uint32_t pacing_throttle(int64_t amount, int64_t committed, int64_t into_ms, int64_t hour_ms) noexcept nogil
