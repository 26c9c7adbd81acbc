"""Odds: what part of its bids' prices a campaign pays in the end, and so how much of a price a bid must reserve.

bids placed, bills -> two fading ratios -> share = ratio + Z standard deviations -> purse.unreserved = 1 - share

Reserved in full, a campaign that wins one bid in twenty has twenty times its spend parked. So a bid reserves what it is
expected to cost and a margin: of the ratio, as few bids tell it, and of what is out, as chance has it. Both ratios err to the
safe side, since bids count when they are old enough to be billed, and bills at once. The long one knows much; the short
one hears within minutes that a competitor has gone. In the last stretch of a plan, and as long as little is known, a
bid reserves its full price. What that costs at worst stands in docs/leases.md.
"""

from libc.math cimport exp, fmax, fmin, sqrt
from libc.string cimport memset

from bidder._fast.purses cimport taken_since

cdef enum:
    LONG_MIN = 60              # in which a sum fades to 1/e
    SHORT_MIN = 3
    SHORT_LAG = 2              # minutes after which most bids that were won are billed
    KNOWN = 1_000              # bids that tell something
    STRETCH = 32               # the last part of a plan that is reserved in full
    WORTH = 4                  # less than this part of a price is not worth it

cdef double Z = 4.0


cdef void odds_billed(Odds* odds, int which, int64_t lease, int64_t spent) noexcept nogil:
    cdef int64_t before = odds.spent[which] if odds.lease[which] == lease else 0
    if odds.at != 0 and lease != 0 and spent > before:
        odds.billed_long += spent - before
        odds.billed_short += spent - before
    odds.lease[which] = lease
    odds.spent[which] = spent


cdef void odds_placed(Odds* odds, Half* half, int64_t lease, int64_t minute, uint16_t unreserved, int lag) noexcept nogil:
    cdef int64_t at = odds.seen.minute
    cdef int64_t taken = taken_since(&odds.seen, half, lease, minute)
    if not 0 <= minute - at < OLDEST:
        memset(odds.young, 0, sizeof(odds.young))
        at = minute
    while at < minute:
        at += 1
        odds.placed_short += odds.young[(at - SHORT_LAG) % OLDEST]
        odds.placed_long += odds.young[(at - lag) % OLDEST]
        odds.placed_short *= exp(-1.0 / SHORT_MIN)
        odds.billed_short *= exp(-1.0 / SHORT_MIN)
        odds.placed_long *= exp(-1.0 / LONG_MIN)
        odds.billed_long *= exp(-1.0 / LONG_MIN)
        odds.young[at % OLDEST] = 0
    odds.young[minute % OLDEST] += <double> taken * 65536.0 / (65536.0 - unreserved)


cdef uint16_t odds_unreserved(const Odds* odds, const Room* room, uint16_t unreserved) noexcept nogil:
    cdef double ratio, spread, out, share
    if room.price <= 0 or odds.placed_long < KNOWN * <double> room.price or odds.placed_short <= 0:
        return 0
    ratio = fmin(1.0, fmax(odds.billed_long / odds.placed_long, odds.billed_short / odds.placed_short))
    spread = sqrt(ratio * (1 - ratio))
    out = room.pending * 65536.0 / (65536.0 - unreserved)
    if room.free < fmax(<double> room.plan / STRETCH, Z * spread * sqrt(out * room.price)):
        return 0
    share = ratio + Z * spread * (sqrt(room.price / odds.placed_long) + sqrt(room.price / fmax(out, <double> room.price)))
    return 0 if share > 1 - 1.0 / WORTH else <uint16_t> ((1 - share) * 65535)
