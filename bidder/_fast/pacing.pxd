"""Pacing: what share of its bids may an even lease place now, and at what part of its price?"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from bidder._fast.purses cimport Takes

cdef enum:
    FULL_PRICE = 65536         # multiplier 1.0, 16.16
    ALWAYS = 0xFFFFFFFF        # throttle: every bid

cdef struct Standing:          # of one lease, now; nano-USD
    int64_t amount
    int64_t spent              # billed
    int64_t pending            # reserved, and neither billed nor lost so far
    int64_t taken              # reserved since the last step, whatever became of it
    int64_t into_ms            # since its hour began; < 0 before
    int64_t hour_ms
    double tilt                # of the plan, -1 to 1
    int64_t plan               # of the hour, for all hosts that share it; 0: it is not shared, and `amount` is all
    int64_t elsewhere          # of it, what other hosts have spent or reserved

cdef struct Pace:              # of one campaign; all zeros: nothing known yet
    int64_t lease              # whose step was the last one
    double at                  # of it, monotonic seconds
    int64_t spent, pending     # then
    double share               # of its bids that it placed since then, 0 to 1
    double multiplier          # of its price, LEAST_MULTIPLIER to 1
    double settled             # multiplier when it last had money enough: the next hour begins with it
    double least               # the lowest multiplier at which it is known to find buyers' room: floors are below it
    double takes, open         # reserved a second, and `share`: means over the last while, both without idle seconds
    double peak                # of what it would spend a second unthrottled; forgotten slowly
    double lump                # reserved in a second in which it bids
    double billed, resolved    # of reservations that were billed or came back: sums that fade
    double prior               # what of one is billed, before that is seen; 0: not known
    Takes seen                 # of its half, at the last step
    uint8_t fell               # it has lost its room by bidding less, or its traffic has gone

# What of one nano-USD that is reserved is billed in the end; 1 where nothing is known.
cdef double billed_part(const Pace* pace) noexcept nogil
# What the plan has spent `into_ms` after the hour began, with the lead that it begins with.
cdef double planned(const Standing* lease) noexcept nogil
# A step of the controller: once a second or so. `now`: monotonic seconds, > 0.
cdef void pace_step(Pace* pace, const Standing* lease, int64_t id, double now) noexcept nogil
# As the purse has them.
cdef uint32_t throttle_of(const Pace* pace, const Standing* lease) noexcept nogil
cdef uint32_t multiplier_of(const Pace* pace) noexcept nogil
# By so much that it is worth a write: bids read that line. Its ends are always reached.
cdef bint moved(uint32_t there, uint32_t now) noexcept nogil
# What of a pace outlives the supervisor, in 32 bits, and back.
cdef uint32_t kept(const Pace* pace) noexcept nogil
cdef void remember(Pace* pace, uint32_t kept, uint32_t multiplier) noexcept nogil

cdef class Pacer:
    cdef Pace pace
