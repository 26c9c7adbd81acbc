"""Pacing: what share of its bids may an even lease place now?

Even: a plan grows in a line from five minutes' worth at the start of the hour to the whole amount. Up to the plan
every bid may go; above it the share of bids falls in a line and reaches none a minute's worth later.
Money: int64 nano-USD; time: milliseconds; no floats touch the plan.
"""

cdef extern from *:
    """
    static inline int64_t part_of(int64_t whole, int64_t times, int64_t by, int64_t most)
    { __int128 part = (__int128)whole * times / by; return part < most ? (int64_t)part : most; }
    """
    int64_t part_of(int64_t whole, int64_t times, int64_t by, int64_t most) noexcept nogil  # whole * times / by


cdef uint32_t pacing_throttle(int64_t amount, int64_t committed, int64_t into_ms, int64_t hour_ms) noexcept nogil:
    cdef int64_t over = committed - part_of(amount, max(0, into_ms) + SLACK_MS, hour_ms, amount)
    cdef int64_t band = max(1, part_of(amount, BAND_MS, hour_ms, amount))
    if over <= 0:
        return 0xFFFFFFFF
    return 0 if over >= band else <uint32_t> part_of(0xFFFFFFFF, band - over, band, 0xFFFFFFFF)


def throttle(int64_t amount, int64_t committed, int64_t into_ms, int64_t hour_ms):
    if amount < 0 or hour_ms <= 0:
        raise ValueError(f"amount={amount} hour_ms={hour_ms}")
    return pacing_throttle(amount, committed, into_ms, hour_ms)
