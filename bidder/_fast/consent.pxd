"""What the law and the user let us do with one request: a set of MAY_*, from the signals that it carries.

Every law that applies says what it leaves; all of them together leave what is in every set, so the strictest wins.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from bidder._fast.strings cimport Str
from bidder._fast.tcf cimport Vendor

cdef enum:                     # bits
    MAY_BID = 1                # at all
    MAY_PERSONALISE = 2        # by what is said of the person: segments, gender, year of birth
    MAY_IDENTIFY = 4           # know the person again: caps, user_id
    MAY_SYNC = 8               # match cookies
    MAY_LOG = 16               # keep single events to measure by
    MAY_LOCATE = 32            # by city and metro; country and region are always used
    MAY_PINPOINT = 64          # by zip code and point
    MAY_ALL = 127
    MAY_AS_CHILD = MAY_BID                             # COPPA, or a known child
    MAY_IN_CONTEXT = MAY_BID | MAY_LOCATE | MAY_LOG    # opted out, or limited ad tracking
    MAY_WITHOUT_BASIS = MAY_BID | MAY_LOCATE           # GDPR without any legal basis

cdef enum:                     # of gdpr and ATT; 0: nothing is said
    SAYS_NO = 1
    SAYS_YES = 2

cdef enum:                     # of Regs.sections, bits with a meaning of their own
    SID_UNKNOWN = 0            # which sections apply is not known,
    SID_ODD = 63               # or one does that nobody has defined

# All zero: nothing is said.
cdef struct Regs:              # regs, or its ext, where 2.5 has what 2.6 moved up
    uint8_t gdpr               # SAYS_*
    bint coppa, gpc
    Str us_privacy, gpp
    bint sections_named        # gpp_sid names sections, or says that none applies
    uint64_t sections          # those, as bits
    uint8_t dsa                # dsa.dsarequired: 2 and above, a bid has to tell who pays for the ad

cdef struct Signals:
    Regs regs, regs_ext
    Str consent, consent_ext   # user.consent, user.ext.consent
    uint32_t country           # packed; 0: not known
    bint limited               # device.lmt, device.dnt, or an ifa of zeros
    uint8_t att                # does device.ext.atts let us track? SAYS_*

cdef uint8_t decide(const Signals* s, const Vendor* vendor) noexcept nogil
# Does GDPR apply to the request?
cdef bint under_gdpr(const Signals* s) noexcept nogil
