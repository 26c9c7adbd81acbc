"""The auction of one imp among our own campaigns: who bids, with which creative, at what price."""

from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book cimport Book, CampaignRec, CreativeRec, RateRec
from bidder._fast.caps cimport Caps
from bidder._fast.matcher cimport Matcher
from bidder._fast.pods cimport Pods
from bidder._fast.purses cimport Purse, Purses
from bidder._fast.request cimport Deal, Imp, Reader
from bidder._fast.row cimport Row

cdef enum:
    TOP = 8                    # candidates kept per imp
    NEXT = 4                   # campaigns that are fetched from memory ahead of time
    AGREED_PRICE = 3           # Deal.at: the floor is the price
    OPEN = -1                  # Candidate.deal: no deal
    NO_CREATIVE = -1
    ANY_LENGTH = -1            # Candidate.floor
    FIRST_PRICE = 1            # Req.at, Deal.at

cdef enum:                     # Candidate.standing: a higher one bids before any price of a lower one
    STANDS_OPEN = 0
    STANDS_DEAL = 1
    STANDS_GUARANTEED = 2      # Deal.guaranteed

cdef struct Terms:             # of one request, for all its imps
    const Row* row             # of the exchange
    const RateRec* rate        # of the currency of the answer; NULL: USD
    int64_t now_s              # unix
    uint64_t seed              # random, drawn once a request
    uint32_t features_off      # bits of features.pxd

cdef struct Candidate:
    int64_t price              # nano-USD for one impression
    uint32_t tie               # among equal prices the higher one goes first
    uint32_t slot
    int32_t creative           # into Book.creatives
    int32_t deal               # into Reader.deals, or OPEN
    int64_t floor              # below which it may not bid; ANY_LENGTH: that depends on the creative
    uint8_t standing

# Why a campaign that refuses the imp in this dimension of the index is lost to it.
cdef uint8_t lost_reason(uint32_t dimension) noexcept nogil
cdef const Purse* purse_of(Purses purses, const CampaignRec* campaign) noexcept nogil
cdef uint64_t draw_of(uint64_t seed, const CampaignRec* campaign) noexcept nogil

@final
cdef class Auction:
    """Made for one book; works for one imp at a time: open_request, then open_imp and next_best until a purse gives."""
    cdef Reader reader
    cdef Book book
    cdef Matcher matcher
    cdef Purses purses
    cdef Caps caps
    cdef Terms terms
    cdef uint32_t shaded       # CampaignRec.extra: those whose bids are shaded; 0: nobody's are
    cdef size_t room           # bytes that a bid of this imp may take in the answer; 0: any number
    cdef const Imp* imp
    cdef uint64_t imp_seed
    cdef int64_t imp_floor     # of the imp itself, nano-USD, or NO_RATE
    cdef int64_t floor_least   # no option of this imp can be had for less; 0: one has no floor
    cdef bint deals_done       # who includes deals has been examined
    cdef uint8_t standing_most # no candidate of this scan can stand higher
    cdef bint by_duration      # the imp's own floor depends on the length of the ad
    cdef Pods pods
    cdef Candidate top[8]      # best first
    cdef int count
    cdef int64_t ahead         # slot that the matcher named and that nobody examined yet; < 0: see auction.pyx
    cdef readonly uint8_t reason   # of this imp: the one that came closest to a bid
    cdef uint32_t next[4]      # slots that will be examined first
    cdef int next_n
    # The caps have been opened before.
    cdef void open_request(self, const Terms* terms) noexcept nogil
    # Between open_imp and next_best, with other work in between, one after the other: have what will be looked at
    # first come from memory. For speed alone.
    cdef void fetch_campaigns(self) noexcept nogil
    cdef void fetch_purses(self) noexcept nogil
    cdef void fetch_pieces(self) noexcept nogil
    cdef void open_imp(self, const Imp* imp, uint32_t number) noexcept nogil
    # The best candidate not handed out yet; False: there is none, and `reason` says why.
    cdef bint next_best(self, Candidate* best) noexcept nogil
    # The one that next_best gave bids. True: this imp is a pod that takes more ads.
    cdef bint place(self, const Candidate* best) noexcept nogil
    # The one that next_best gave could not bid after all.
    cdef void refuse(self, uint8_t why) noexcept nogil
    # Counts the best candidate under its campaign's caps; not REASON_NONE: it must not bid.
    cdef uint8_t count_caps(self, const Candidate* best) noexcept nogil
    cdef bint worth_a_look(self, int64_t price_max) noexcept nogil
    cdef bint scan(self) noexcept nogil
    cdef void refuse_near(self) noexcept nogil
    cdef uint8_t capped(self, const CampaignRec* campaign, uint32_t level, uint32_t subject) noexcept nogil
    cdef void shade(self, const CampaignRec* campaign, int64_t full, uint32_t multiplier, Candidate* found) noexcept nogil
    cdef uint8_t examine(self, uint32_t slot) noexcept nogil
    cdef uint8_t choose(self, uint32_t slot, int64_t full, int64_t price, uint64_t draw,
                        Candidate* found) noexcept nogil
    cdef uint8_t choose_creative(self, uint32_t slot, const Deal* deal, int64_t price, uint64_t draw,
                                 int32_t* creative) noexcept nogil
    cdef bint floored_later(self, const Deal* deal) noexcept nogil
    cdef uint8_t creative_floor(self, const CreativeRec* creative, const Deal* deal, int64_t price) noexcept nogil
    # The least price in nano-USD that meets this floor; -1: of its currency there is no rate.
    cdef int64_t usd(self, int64_t floor, uint32_t currency) noexcept nogil
    cdef bint too_long(self, const CreativeRec* creative, const Deal* deal) noexcept nogil
    cdef void rank(self, const Candidate* candidate) noexcept nogil
