"""Caps of a decision: the user of a request becomes keys of the table, once a campaign with caps asks."""

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book cimport FrequencyRec
from bidder._fast.frequency cimport FrequencyTable
from bidder._fast.identity cimport Identity
from bidder._fast.request cimport Request, Str

cdef enum:                     # FrequencyRec.level: what is counted for a user
    LEVEL_CAMPAIGN = 0
    LEVEL_CREATIVE = 1

cdef enum:                     # TokenFields.user_stamp
    STAMP_PERIOD = 3           # the lowest bits of the period; above them the second of the minute of the bid
    STAMP_SHIFT = 2

@final
cdef class Caps:
    """Of one decision: not for two threads at once."""
    cdef FrequencyTable table
    cdef Identity now, before  # under the keys of this period, and of the one before
    cdef uint64_t period       # of `now`
    cdef int64_t began_s       # when that period began
    cdef int64_t now_s
    cdef Str user              # of the request at hand
    cdef uint8_t origin, exchange      # whose id that is
    cdef uint64_t digest, digest_before        # of `user`; 0: not asked for yet
    cdef uint8_t touch         # does this host know the user? 0: not asked
    # Costs nothing: only a campaign with caps makes it hash.
    cdef void open_request(self, const Request* req, uint8_t exchange, int64_t now_s) noexcept nogil
    # May one more be bid under the rules of this level? `subject`: key of the campaign, or of the creative.
    cdef uint8_t reason(self, const FrequencyRec* rules, uint32_t n, uint32_t level, uint32_t subject) noexcept nogil
    # Counts a bid under every rule of a campaign; REASON_FREQUENCY: another worker was faster, do not bid.
    cdef uint8_t count(self, const FrequencyRec* rules, uint32_t n, uint32_t campaign, uint32_t creative,
                       uint8_t format) noexcept nogil
    # What the tokens of a bid that was counted say of its user.
    cdef void sign(self, uint64_t* user, uint8_t* user_stamp) noexcept nogil
    # Whether it knows that user will be asked soon.
    cdef void expect(self) noexcept nogil
    # Does this host know the user, as far as the store does? Asks the store, behind the request.
    cdef bint known(self) noexcept nogil
    # Private from here on.
    cdef bint identify(self) noexcept nogil
    cdef bint identify_before(self) noexcept nogil
    cdef bint rekey(self) noexcept nogil
    cdef uint64_t key_of(self, const FrequencyRec* rule, uint32_t subject, bint* past) noexcept nogil
