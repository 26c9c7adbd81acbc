"""Which campaigns of a book accept a request: all of `targeting`, nothing else."""

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.book cimport Book, CampaignRec
from bidder._fast.book_layout cimport Filter, Multiplier, Point, When
from bidder._fast.book_postings cimport Plan, Posting
from bidder._fast.book_probe cimport Probe
from bidder._fast.book_rules cimport Version
from bidder._fast.request cimport Imp, Reader, Str

cdef enum:                     # Matcher.near: why no campaign was left, from the imp's side
    NEAR_DEAL = 1              # some campaign fell by its deals only now,
    NEAR_FORMAT = 2            # by the formats of its creatives,
    NEAR_SIZE = 4,             # by their sizes,
    NEAR_SECURE = 8            # by what is insecure in all of them

@final
cdef class Matcher(Probe):
    """Finds the campaigns of one book that accept a request; keeps its working memory between requests.

    begin_request once a request, begin_imp once an imp, then next_slot until it is -1:
    slots in ascending order, which is descending price_max. Flight, switch, purse and
    creative are the auction's business; all of `targeting` is the matcher's.
    What begin_request was given must stay as it is until the next one.
    """
    cdef Book book
    cdef readonly uint32_t near      # NEAR_ bits of this imp, as far as next_slot has looked
    cdef uint32_t multiplied         # CampaignRec.extra: those whose multipliers apply; 0: nobody's do
    # `exchange`: key. `now_s`: unix seconds.
    cdef void begin_request(self, Reader reader, uint8_t exchange, int64_t now_s) noexcept nogil
    cdef void begin_imp(self, const Imp* imp) noexcept nogil
    cdef int64_t next_slot(self) noexcept nogil
    # After begin_imp: the scan is of the campaigns that include one of the imp's deals; False: none does, it is of all.
    cdef bint scan_deals(self) noexcept nogil
    # After scan_deals: the scan begins anew, of all campaigns; False: it was of all.
    cdef bint scan_others(self) noexcept nogil
    # The next slots that next_slot will look at, as far as they stand in one block; how many.
    cdef int peek(self, uint32_t* slots, int most) noexcept nogil
    cdef void fetch_filter(self, const CampaignRec* campaign) noexcept nogil
    # Price of this slot for the current request: price times every multiplier that applies.
    # 0 where a multiplier of zero applies: it does not bid.
    cdef int64_t price_of(self, uint32_t slot) noexcept nogil
    # Key of the request's bundle or domain where the book names it, else 0 (for counters).
    cdef uint32_t inventory_key(self) noexcept nogil
    # Key of a deal id that the book names, else 0.
    cdef uint32_t deal_key(self, Str deal) noexcept nogil
    # Does the campaign include deals at all; and this one? (0: it lists none; 1: lists this; 2: lists others only)
    cdef bint includes_deals(self, uint32_t slot) noexcept nogil
    cdef int deal_listed(self, uint32_t slot, Str deal) noexcept nogil
    # Private from here on.
    cdef const uint32_t* value_ids
    cdef const Filter* filters
    cdef const Point* points
    cdef const Multiplier* multipliers
    cdef const When* whens
    cdef const uint64_t* deal_base   # NULL: no campaign includes deals
    cdef const uint64_t* nobody      # the book's
    cdef Plan* deal_plan             # narrowed by scan_deals; NULL: it is not
    cdef Version osv
    cdef uint64_t* accepted          # owned; of the last `kept` blocks, by number: what the request's own dimensions accept,
    cdef uint64_t* accepted_at       # owned; and for which request and block that was worked out
    cdef int64_t kept
    cdef uint64_t serial             # of the request, from 1
    cdef int64_t blocks, block
    cdef const uint64_t* summaries
    cdef uint64_t summary_n          # words of one
    cdef int64_t request_window, imp_window      # 64 blocks for which the next two hold; -1: none
    cdef uint64_t request_open       # bit n: its block n may hold a campaign that the request's own dimensions accept,
    cdef uint64_t imp_open           # that this imp's do
    cdef bint missed                 # a block that was entered had nothing for this imp: the summaries are worth their price
    cdef uint32_t near_most          # the bit of `near` beside which no other matters
    cdef uint64_t now[8]             # of this block: accepted for this imp
    cdef uint32_t word
    cdef uint64_t bits
    cdef int64_t priced_slot, priced     # the last slot of this imp whose price was asked for (-1: none), and that price
    cdef void rewind(self) noexcept nogil
    cdef bint enter(self, int64_t block) noexcept nogil
    cdef void enter_class(self, uint64_t* accept, int64_t block) noexcept nogil
    cdef int64_t block_after(self, int64_t block) noexcept nogil
    cdef const uint64_t* summary_of(self, const uint64_t* bitmap) noexcept nogil
    cdef uint64_t open_of_request(self, int64_t window) noexcept nogil
    cdef uint64_t open_of_imp(self, int64_t window) noexcept nogil
    cdef uint64_t open_of_class(self, int64_t window) noexcept nogil
    cdef uint64_t open_of(self, const Plan* plan, const Posting* incs, const Posting* excs, int64_t window) noexcept nogil
    cdef bint next_block(self) noexcept nogil
    # The filter that refuses the request, as a bit of CampaignRec.extra; 0: none does.
    cdef uint32_t refuses(self, const CampaignRec* campaign) noexcept nogil
    cdef int64_t price_here(self, uint32_t slot) noexcept nogil
    cdef bint priced_here(self, const CampaignRec* campaign, uint32_t slot) noexcept nogil
