"""Numbers of `bidder.outcome.Reason`, for compiled code; a test holds the two together."""

from libc.stdint cimport uint8_t

cdef uint8_t[256] RANK         # by reason: how close to a bid it came, as bidder.outcome.NEARNESS says

# Did `a` come closer to a bid than `b`?
cdef inline bint closer(uint8_t a, uint8_t b) noexcept nogil:
    return RANK[a] > RANK[b]

cdef enum:
    REASON_NONE = 0
    REASON_MALFORMED = 1
    REASON_INVALID_REQUEST = 2
    REASON_NO_BOOK = 3
    REASON_OFF = 4
    REASON_OVERLOAD = 5
    REASON_SEAT = 6
    REASON_CURRENCY = 7
    REASON_FORMAT = 8
    REASON_TARGETING = 9
    REASON_FLIGHT = 10
    REASON_CAMPAIGN_OFF = 11
    REASON_SIZE = 12
    REASON_DEAL = 13
    REASON_BAPP = 14
    REASON_BADV = 15
    REASON_BCAT = 16
    REASON_BATTR = 17
    REASON_BTYPE = 18
    REASON_API = 19
    REASON_SECURE = 20
    REASON_APPROVAL = 21
    REASON_LANGUAGE = 22
    REASON_FLOOR_CURRENCY = 23
    REASON_FLOOR = 24
    REASON_FREQUENCY = 25
    REASON_PACED = 26
    REASON_PURSE_EMPTY = 27
    REASON_BROKEN = 28
    REASON_LINEARITY = 29
    REASON_PLACEMENT = 30
    REASON_MIME = 31
    REASON_PROTOCOL = 32
    REASON_DELIVERY = 33
    REASON_BITRATE = 34
    REASON_DURATION = 35
    REASON_SKIP = 36
    REASON_ASSETS = 37
    REASON_POD = 38
    REASON_EXPDIR = 39
    REASON_CONSENT = 40
    REASON_DSA = 41
    REASON_SECRET = 45
    REASON_PEER = 46
    REASON_RATE = 47
    REASON_RESPONSE_SIZE = 48
    REASON_QUANTITY = 50
    REASON_USER = 53
    REASON_FEATURE = 54
