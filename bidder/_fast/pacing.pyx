"""Pacing: what share of its bids may an even lease place now, and at what part of its price?

plan - committed -> wanted rate; takes -> demand -> throttle (fast) and multiplier (slow) -> purse; bids read the two

Plan: a line, tilted as the traffic is, from LEAD_S of its hour at the start to the whole amount.
Committed: billed, and of what is reserved the share that is billed in the end, as observed: so notices that come late,
and losses that nobody tells, do not look like spend.
Demand: what the campaign would spend a second if it placed every bid, as observed while it placed some.
Wanted: the plan's rate, and what it is behind (or ahead) spread over CATCH_S (proportional and, as what is behind is an
integral, integral).
Throttle: wanted / demand; at once, since demand goes with the share of bids. Multiplier: 1 / (1 + mu), the dual variable
of the budget (adaptive pacing, Balseiro and Gur 2019): it falls while demand is above what is wanted and rises while it is
below, a hundredth a second at most, so in the end all bids are placed at the price that the budget can buy most for.
Where floors bind, a lower price buys nothing: a demand that collapses while the multiplier falls takes it back to where
there was room, and it stays there while the throttle does the rest.
All times are in seconds of an hour of 3,600, so that a shorter plan has a quicker controller. No state but Pace.
"""

from libc.math cimport exp, fmax, fmin, log
from libc.string cimport memset

cdef enum:
    CATCH_S = 60
    LEAD_S = 120               # of the plan that may be spent at once, so that a fresh campaign bids
    BAND_S = 60                # of the plan over which the throttle closes, whatever the demand
    MEMORY_S = 8               # of demand, and LUMPS times as long as it takes to buy once
    LUMPS = 10
    LONGEST_S = 600
    PEAK_S = 600
    HOLD_S = 900               # in which the lowest multiplier is forgotten

cdef double HEADROOM = 1.5     # demand above what is wanted that is left to the multiplier
cdef double PACE_DOWN = 0.01   # of the multiplier a second, where demand is e times what is wanted
cdef double PACE_UP = 0.02
cdef double LEAST_MULTIPLIER = 0.0625
cdef double LOST = 0.25        # of what is wanted: less demand than that is none
cdef double FOUND = 0.8
cdef double TIED = 0.125       # of what is left: so much may be reserved in vain
cdef double MOST_WANTED = 5.0  # times the plan's rate
cdef double TRUST = 20.0       # reservations whose fate is known before what was observed outweighs "all are billed"
cdef double LEAST_BILLED = 0.001   # nano-USD billed for each reserved
cdef double MOST_BILLED = 4.0


cdef inline double within(double value, double least, double most) noexcept nogil:
    return least if value < least else most if value > most else value


cdef inline double into_of(const Standing* lease) noexcept nogil:
    return within(<double> lease.into_ms / lease.hour_ms, 0.0, 1.0)


cdef inline double tilt_of(const Standing* lease) noexcept nogil:
    return within(lease.tilt, -1.0, 1.0) if lease.tilt == lease.tilt else 0.0


cdef inline double whole(const Standing* lease) noexcept nogil:
    return lease.plan if lease.plan > 0 else lease.amount


cdef inline double part(const Standing* lease) noexcept nogil:
    """Of the plan's rate, what this host goes for: as much of it as it has had of what was spent. All at first."""
    cdef double lead = LEAD_S * whole(lease) / 3600
    cdef double mine = fmax(0.0, <double> (lease.spent + lease.pending)) + fmax(1.0, lead)
    return mine / (mine + elsewhere(lease))


cdef inline double elsewhere(const Standing* lease) noexcept nogil:
    return fmax(0.0, <double> lease.elsewhere) if lease.plan > 0 else 0.0


cdef double planned(const Standing* lease) noexcept nogil:
    cdef double x = into_of(lease)
    cdef double lead = <double> LEAD_S / 3600
    return whole(lease) * (lead + (1 - lead) * x * (1 + tilt_of(lease) * (1 - x)))


cdef inline double second_of(const Standing* lease) noexcept nogil:
    return lease.hour_ms / 3_600_000.0


cdef inline double rate(const Standing* lease) noexcept nogil:
    """Of the plan, nano-USD a second, this host's part; never nothing, so that everything can be told in it."""
    cdef double steep = fmax(0.05, 1 + tilt_of(lease) * (1 - 2 * into_of(lease)))
    return fmax(1e-3, part(lease) * whole(lease) * steep * 1000.0 / lease.hour_ms)


cdef inline double billed_share(const Pace* pace) noexcept nogil:
    cdef double doubt = TRUST * fmax(1.0, pace.lump)
    cdef double before = pace.prior if pace.prior > 0 else 1.0
    return within((pace.billed + doubt * before) / (pace.resolved + doubt), LEAST_BILLED, MOST_BILLED)


cdef double billed_part(const Pace* pace) noexcept nogil:
    return fmin(1.0, billed_share(pace))


cdef inline double committed(const Pace* pace, const Standing* lease) noexcept nogil:
    return elsewhere(lease) + lease.spent + billed_share(pace) * fmax(0.0, <double> lease.pending)


cdef inline double demand(const Pace* pace) noexcept nogil:
    return billed_share(pace) * pace.takes / pace.open if pace.open > 0 else 0.0


cdef inline double catch_s(const Standing* lease, double memory_s) noexcept nogil:
    """Shorter towards the end: what is behind then is behind for good."""
    cdef double left = (1 - into_of(lease)) * lease.hour_ms / 1000.0
    return fmax(3 * second_of(lease), fmin(fmax(CATCH_S * second_of(lease), memory_s), left / 2))


cdef inline double memory_s(const Pace* pace, const Standing* lease) noexcept nogil:
    cdef double second = second_of(lease)
    return within(LUMPS * billed_share(pace) * pace.lump / rate(lease), MEMORY_S * second, LONGEST_S * second)


cdef inline bint starved(const Pace* pace, const Standing* lease) noexcept nogil:
    """Its purse, not its traffic, is what it wants for: much is reserved that will not be billed, or more is on its way."""
    return lease.amount - lease.spent - lease.pending < 2 * pace.lump


cdef inline void observe(Pace* pace, const Standing* lease, double passed_s) noexcept nogil:
    """Take in what happened since the last step."""
    cdef double second = second_of(lease)
    cdef double fade, back
    cdef double settled = <double> lease.taken - (lease.pending - pace.pending)
    fade = exp(-passed_s / (LONGEST_S * second))
    pace.billed = pace.billed * fade + fmax(0.0, <double> (lease.spent - pace.spent))
    pace.resolved = pace.resolved * fade + fmax(0.0, settled)
    if lease.taken > 0:
        back = 0.1 if pace.lump > 0 else 1.0
        pace.lump += back * (<double> lease.taken - pace.lump)
    if pace.share <= 0 or starved(pace, lease):
        return                 # it placed none, or not what it would have: nothing was seen of its traffic
    fade = exp(-passed_s / memory_s(pace, lease))
    pace.takes = pace.takes * fade + lease.taken / passed_s * (1 - fade)
    pace.open = pace.open * fade + pace.share * (1 - fade)
    pace.peak = fmax(demand(pace), pace.peak * exp(-passed_s / (PEAK_S * second)))


cdef inline void scale(Pace* pace, double wanted, double here, const Standing* lease, double passed_s) noexcept nogil:
    """The multiplier: down while there is too much to be had, up while there is too little."""
    cdef double most = fmax(wanted, rate(lease))   # ahead of the plan for a moment is the throttle's affair
    cdef double want = log(most / fmax(here, 1e-3 * most))
    cdef double left
    pace.least = fmax(LEAST_MULTIPLIER, pace.least * exp(-passed_s / (HOLD_S * second_of(lease))))
    if pace.multiplier < 1 and here < LOST * most:
        pace.fell = 1
    elif pace.fell and here >= FOUND * most:
        pace.fell = 0
        if pace.multiplier < 1:    # not for want of traffic, then
            pace.least = fmin(1.0, pace.multiplier * 1.02)
    left = whole(lease) - elsewhere(lease) - lease.spent
    if left - lease.pending < 2 * pace.lump:
        want = 1.0             # at a better price more of what it reserves is spent
    elif lease.pending > TIED * left:
        want = fmax(0.0, want)
    else:
        pace.settled = pace.multiplier
    want = within(want, -1.0, 1.0) * (PACE_UP if want > 0 else PACE_DOWN) * passed_s * MEMORY_S / memory_s(pace, lease)
    pace.multiplier = within(pace.multiplier * exp(within(want, -0.5, 0.5)), pace.least, 1.0)


cdef void pace_step(Pace* pace, const Standing* lease, int64_t id, double now) noexcept nogil:
    cdef double passed_s = now - pace.at
    cdef double wanted, here, room
    if pace.multiplier <= 0:
        pace.multiplier = 1
        pace.share = 1
    if pace.least <= 0:
        pace.least = LEAST_MULTIPLIER
    if pace.lease == id and passed_s > 0:
        observe(pace, lease, passed_s)
    else:
        passed_s = 0           # another lease: its totals have nothing to do with those before
        if pace.settled > 0:
            pace.multiplier = pace.settled
    pace.lease = id
    pace.at = now
    pace.spent = lease.spent
    pace.pending = lease.pending
    wanted = rate(lease)
    wanted = within(
        wanted + part(lease) * (planned(lease) - committed(pace, lease)) / catch_s(lease, memory_s(pace, lease)),
        0.0, MOST_WANTED * wanted,
    )
    here = demand(pace)
    if passed_s > 0 and pace.open > 0:
        scale(pace, wanted, here, lease, passed_s)
    if here <= 0 and pace.peak <= 0:
        # Nothing is known: all; or as before, and, where that finds nothing, twice as much each second. What was ahead of
        # its plan when its supervisor ended placed none, and would go on so for good.
        if passed_s > 0:
            pace.share = fmin(1.0, pace.share * exp(log(2.0) * fmin(passed_s / second_of(lease), 10.0)))
        return
    room = HEADROOM if pace.multiplier > pace.least else 1.0
    pace.share = within(room * wanted / fmax(fmax(here, pace.peak / 8), 1e-9), 0.0, 1.0)


cdef uint32_t throttle_of(const Pace* pace, const Standing* lease) noexcept nogil:
    """The share, less what the band takes: above the plan by BAND_S worth nothing may go."""
    cdef double over = committed(pace, lease) - planned(lease)
    cdef double band = fmax(1.0, whole(lease) * <double> BAND_S / 3600)
    cdef double share = pace.share * within(1 - over / band, 0.0, 1.0)
    return ALWAYS if share >= 1 else <uint32_t> (share * 4294967295.0)


cdef uint32_t multiplier_of(const Pace* pace) noexcept nogil:
    return <uint32_t> within(pace.multiplier * FULL_PRICE + 0.5, 1, FULL_PRICE)


cdef bint moved(uint32_t there, uint32_t now) noexcept nogil:
    if there == now:
        return False
    return now == 0 or now == ALWAYS or now == FULL_PRICE or now > there + (there >> 8) or now < there - (there >> 8)


cdef uint32_t kept(const Pace* pace) noexcept nogil:
    """16 bits of the share on a scale of doublings (0: not known), 16 of the share that is billed."""
    cdef double doublings = within(65535 + 2048 * log(fmax(pace.share, 1e-12)) / log(2.0), 1, 65535)
    return <uint32_t> doublings << 16 | <uint32_t> within(billed_share(pace) * 16383.75, 0, 65535)


cdef void remember(Pace* pace, uint32_t kept, uint32_t multiplier) noexcept nogil:
    memset(pace, 0, sizeof(Pace))
    if kept == 0:
        return
    pace.multiplier = within(multiplier / 65536.0, LEAST_MULTIPLIER, 1.0)
    pace.share = exp(log(2.0) * (<double> (kept >> 16) - 65535) / 2048)
    pace.prior = (kept & 0xFFFF) / 16383.75


cdef class Pacer:
    def __init__(self, uint32_t kept=0, uint32_t multiplier=FULL_PRICE):
        remember(&self.pace, kept, multiplier)

    def step(self, int64_t amount, int64_t spent, int64_t pending, int64_t taken, int64_t into_ms, int64_t hour_ms,
             double now, *, double tilt=0.0, int64_t lease=1, int64_t plan=0, int64_t elsewhere=0):
        cdef Standing standing
        if amount < 0 or hour_ms <= 0 or now <= 0:
            raise ValueError(f"amount={amount} hour_ms={hour_ms} now={now}")
        standing = Standing(amount, spent, pending, taken, into_ms, hour_ms, tilt, plan, elsewhere)
        pace_step(&self.pace, &standing, lease, now)
        return throttle_of(&self.pace, &standing), multiplier_of(&self.pace)

    @property
    def share(self):
        return self.pace.share

    @property
    def multiplier(self):
        return self.pace.multiplier

    @property
    def demand(self):
        return demand(&self.pace)

    @property
    def billed_share(self):
        return billed_share(&self.pace)

    @property
    def kept(self):
        return kept(&self.pace)


def plan(int64_t amount, int64_t into_ms, int64_t hour_ms, double tilt=0.0):
    cdef Standing standing
    if amount < 0 or hour_ms <= 0:
        raise ValueError(f"amount={amount} hour_ms={hour_ms}")
    standing = Standing(amount, 0, 0, 0, into_ms, hour_ms, tilt, 0, 0)
    return planned(&standing)
