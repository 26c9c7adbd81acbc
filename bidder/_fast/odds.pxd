"""Odds: what part of its bids' prices a campaign pays in the end, and so how much of a price a bid must reserve."""

from libc.stdint cimport int64_t, uint16_t, uint32_t

from bidder._fast.purses cimport Half, Takes

cdef enum:
    OLDEST = 16                # minutes

cdef struct Odds:              # of one campaign; all zeros: nothing known yet
    double at                  # of the last step, monotonic seconds; 0: none
    int64_t lease[2]           # of its halves, then
    int64_t spent[2]           # billed of each
    Takes seen                 # then, of the half that bids take from
    double young[16]           # full prices of bids by minute (minute % 16), that are not old enough for a sum
    double placed_long, billed_long    # sums that fade: full prices of bids, and what was billed
    double placed_short, billed_short

cdef struct Room:              # of the lease that is taken from, now; nano-USD
    int64_t price              # the most that one bid may cost
    int64_t pending            # reserved, and neither billed nor lost so far
    int64_t free               # of the hour's plan, what nobody has used
    int64_t plan

# Bills of one half since the last step; `lease` 0: it has none.
cdef void odds_billed(Odds* odds, int which, int64_t lease, int64_t spent) noexcept nogil
# Bids since the last step, of the half that they take from, while `unreserved` was in force.
cdef void odds_placed(Odds* odds, Half* half, int64_t lease, int64_t minute, uint16_t unreserved, int lag) noexcept nogil
# The part of a price, in 65536ths, that a bid need not reserve now. `lag`: minutes until a reservation comes back.
cdef uint16_t odds_unreserved(const Odds* odds, const Room* room, uint16_t unreserved) noexcept nogil
