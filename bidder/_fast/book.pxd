"""The book: a mapped, read-only, checksummed file of campaigns in descending order of price.

`bidder/campaigns/compile.py` writes it; `book_layout.pxd` has the layout of what is
private to the matcher. A slot is a campaign's position in this book; a key is its
number in Postgres, the same in every book.
"""

from cython cimport final
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from bidder._fast.book_layout cimport Dimension, Filter, Multiplier, Point, When
from bidder._fast.book_probe cimport NumberId, Probe
from bidder._fast.book_rules cimport Version
from bidder._fast.request cimport Imp, Reader, Str

cdef enum:                     # CreativeRec.flags
    CREATIVE_SCRIPT = 1        # markup holds a script: banner type 3
    CREATIVE_IFRAME = 2        # markup holds an iframe: banner type 4
    CREATIVE_SECURE = 4        # no http: in markup or URLs, and at least one https:

cdef enum:                     # Piece.kind: what the writer puts here
    PIECE_TEXT = 0             # bytes of the book, already escaped for where they stand
    PIECE_BID_ID = 1           # 24 hex digits
    PIECE_IMP_ID = 2           # as on the wire, between quotes that the text has
    PIECE_PRICE = 3            # CPM, a JSON number
    PIECE_NOTICE_TOKEN = 4
    PIECE_PAGE_TOKEN = 5
    PIECE_DEAL = 6             # nothing, or ,"dealid":"..."

cdef struct CampaignRec:       # a cache line
    uint32_t key
    uint32_t advertiser        # key
    int64_t price              # nano-USD for one impression, before multipliers
    int64_t price_max          # that it bids from this slot at most; books are sorted by it, descending
    uint32_t flight_start_s    # unix seconds; first second of the flight
    uint32_t flight_end_s      # first second after it
    uint32_t purse             # slot in the host's purses
    uint32_t creative_first    # into creatives
    uint32_t creative_count
    uint32_t frequency_first   # into the frequency section
    uint32_t frequency_count
    uint32_t extra             # private to book.pyx: bits of its post-filters
    uint64_t extra_at          # private to book.pyx: into the filters

cdef struct CreativeRec:
    uint32_t key
    uint32_t slot              # campaign
    uint8_t format             # mtype: 1 banner, 2 video, 3 audio, 4 native
    uint8_t flags
    uint16_t language          # two letters packed (a*26+b+1); 0: none named
    int32_t w, h
    uint64_t attr              # bit n: has attribute n
    uint64_t api               # bit n: needs framework n
    uint64_t not_approved      # bit k: exchange with key k (< 64) has not approved it
    uint32_t adomain_first     # into strings
    uint32_t adomain_count
    uint32_t cat_first         # into strings
    uint32_t cat_count
    uint32_t piece_first       # into pieces
    uint32_t piece_count
    uint32_t deal_any          # reserved, 0
    uint32_t bundle            # of the app that it promotes: into strings, + 1; 0: none named

cdef struct StrRef:
    uint64_t at                # into the blob
    uint32_t n
    uint32_t reserved

cdef struct Piece:
    uint32_t kind
    uint32_t n
    uint64_t at                # into the blob

cdef struct FrequencyRec:
    uint32_t impressions
    uint32_t per_s
    uint32_t level             # 0 campaign, 1 creative
    uint32_t reserved

cdef enum:                     # Matcher.near: why no campaign was left, from the imp's side
    NEAR_DEAL = 1              # some campaign fell by its deals only now,
    NEAR_FORMAT = 2            # by the formats of its creatives,
    NEAR_SIZE = 4,             # by their sizes,
    NEAR_SECURE = 8            # by what is insecure in all of them

cdef struct Plan:              # private: one dimension of the current request
    const uint64_t* base       # NULL: every campaign
    uint32_t dimension
    uint32_t inc_first, inc_end
    uint32_t exc_first, exc_end

cdef class Book:
    """One generation, valid from opening to the end of the object."""
    cdef readonly uint64_t revision
    cdef readonly uint32_t slot_count
    cdef CampaignRec* campaigns      # by slot
    cdef CreativeRec* creatives
    cdef StrRef* strings             # advertiser domains and categories, lower case / as listed
    cdef Piece* pieces
    cdef FrequencyRec* frequencies
    cdef const char* blob
    cdef const char* base            # private from here on
    cdef size_t length
    cdef object _map
    cdef Py_buffer view
    cdef list zone_infos
    cdef uint32_t* zone_hour         # hour of the week now, by zone
    cdef int64_t quarter             # of an hour that zone_hour and year are of
    cdef int32_t year                # UTC
    cdef NumberId* numbers           # of the probes
    cdef int tell_zones(self) except -1
    cdef void new_quarter(self, int64_t now_s) noexcept with gil
    cdef const void* section(self, int number) noexcept nogil
    cdef uint64_t count(self, int number) noexcept nogil
    cdef object named(self, int number, uint32_t key)

cdef class Matcher(Probe):
    """Finds the campaigns of one book that accept a request; keeps its working memory between requests.

    begin_request once a request, begin_imp once an imp, then next_slot until it is -1:
    slots in ascending order, which is descending price_max. Flight, switch, purse and
    creative are the auction's business; all of `targeting` is the matcher's.
    What begin_request was given must stay as it is until the next one.
    """
    cdef Book book
    cdef readonly uint32_t near      # NEAR_ bits of this imp, as far as next_slot has looked
    # `exchange`: key. `now_s`: unix seconds.
    cdef void begin_request(self, Reader reader, uint8_t exchange, int64_t now_s) noexcept nogil
    cdef void begin_imp(self, const Imp* imp) noexcept nogil
    cdef int64_t next_slot(self) noexcept nogil
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
    # Does the campaign include deals at all, and this one? (0: it lists none; 1: lists this; 2: lists others only)
    cdef int deal_listed(self, uint32_t slot, Str deal) noexcept nogil
    # Private from here on.
    cdef const Dimension* dimensions
    cdef const uint32_t* value_ids
    cdef const Filter* filters
    cdef const Point* points
    cdef const Multiplier* multipliers
    cdef const When* whens
    cdef uint32_t dimension_count, of_request    # dimensions in all; those of the request stand first
    cdef const uint64_t* deal_base   # NULL: no campaign includes deals
    cdef Version osv
    cdef Plan plans[25]
    cdef uint32_t plan_count, request_plans
    cdef uint32_t request_incs, request_excs     # postings of the request; those of the imp follow
    cdef uint64_t* accepted          # by block: what the request's own dimensions accept,
    cdef uint64_t* accepted_at       # if that was worked out for this request: then its serial number
    cdef uint64_t serial
    cdef int64_t blocks, block
    cdef const uint64_t* summaries
    cdef uint64_t summary_n          # words of one
    cdef uint64_t* open_request      # bit n: block n may hold a campaign that the request's own dimensions accept,
    cdef uint64_t* open_imp          # and this imp's too
    cdef uint64_t* scratch
    cdef bint request_summed, imp_summed
    cdef uint32_t near_most          # the bit of `near` beside which no other matters
    cdef uint64_t now[8]             # of this block: accepted for this imp
    cdef uint32_t word
    cdef uint64_t bits
    @final
    cdef void plan(self, uint32_t number, const Imp* imp, uint8_t exchange) noexcept nogil
    @final
    cdef void settle_plans(self, uint32_t first) noexcept nogil
    @final
    cdef bint narrow(self, const Plan* plan, uint64_t* accept, uint64_t block) noexcept nogil
    cdef bint enter(self, int64_t block) noexcept nogil
    cdef int64_t block_after(self, int64_t block) noexcept nogil
    cdef const uint64_t* summary_of(self, const uint64_t* bitmap) noexcept nogil
    cdef void sum_up(self, const Plan* plan, uint64_t* open) noexcept nogil
    cdef bint next_block(self) noexcept nogil
    cdef bint passes(self, const CampaignRec* campaign) noexcept nogil
    cdef bint priced_here(self, const CampaignRec* campaign, uint32_t slot) noexcept nogil
