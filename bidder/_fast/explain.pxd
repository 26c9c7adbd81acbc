"""An explanation of one request: a decision on private copies, taken apart campaign by campaign."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from bidder._fast.book cimport CampaignRec, CreativeRec
from bidder._fast.decision cimport Decider
from bidder._fast.desk cimport Desk
from bidder._fast.request cimport Imp

cpdef enum:                    # where a campaign fell, beside its reason; below these: a Dimension
    FIRST_FILTER = 32          # + the number of its bit in CampaignRec.extra
    EXAMINED = 64              # its targeting accepts the imp

cpdef enum:
    SAME_CAMPAIGN = 255        # in place of a reason: a further slot of a campaign that has another

cdef class Explainer(Decider):
    cdef Desk desk
    cdef int written           # bids so far
    cdef int walked            # number of the imp; -1: none yet
    cdef const Imp* imp_at(self, uint32_t number) except NULL
    cdef const CampaignRec* campaign_at(self, uint32_t slot) except NULL
    cdef void examine(self, uint32_t slot, uint8_t* why, uint8_t* step, list candidates)
    cdef int64_t unshaded(self, uint32_t slot)
    cdef list ways(self, uint32_t slot, int64_t full, int64_t price)
    cdef dict creative(self, const CampaignRec* campaign, const CreativeRec* creative)
    cdef list texts(self, uint32_t first, uint32_t count)
