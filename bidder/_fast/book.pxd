"""The book: a mapped, read-only, checksummed file of campaigns in descending order of price.

`bidder/campaigns/compile.py` writes it; the layout of its sections is in `book.pyx`
(one place) and documented there. A slot is a campaign's position in this book;
a key is its number in Postgres, the same in every book.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
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

cdef struct CampaignRec:
    uint32_t key
    uint32_t advertiser        # key
    int64_t price              # nano-USD for one impression, before multipliers
    int64_t price_max          # with every multiplier above 1 applied; books are sorted by it, descending
    int64_t flight_start_s     # unix seconds; first second of the flight
    int64_t flight_end_s       # first second after it
    uint32_t purse             # slot in the host's purses
    uint32_t creative_first    # into creatives
    uint32_t creative_count
    uint32_t frequency_first   # into the frequency section
    uint32_t frequency_count
    uint32_t extra             # private to book.pyx: its post-filters
    uint64_t extra_at          # private to book.pyx

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

cdef class Book:
    """One generation, valid from opening to the end of the object."""
    cdef readonly uint64_t revision
    cdef readonly uint32_t campaign_count, creative_count
    cdef CampaignRec* campaigns      # by slot
    cdef CreativeRec* creatives
    cdef StrRef* strings             # advertiser domains and categories, lower case / as listed
    cdef Piece* pieces
    cdef FrequencyRec* frequencies
    cdef const char* blob
    cdef const char* base            # private from here on
    cdef size_t length
    cdef object _map

cdef class Matcher:
    """Finds the campaigns of one book that accept a request; keeps its working memory between requests.

    begin_request once a request, begin_imp once an imp, then next_slot until it is -1:
    slots in ascending order, which is descending price_max. Flight, switch, purse and
    creative are the auction's business; all of `targeting` is the matcher's.
    """
    cdef Book book
    # `exchange`: key. `now_s`: unix seconds.
    cdef void begin_request(self, Reader reader, uint8_t exchange, int64_t now_s) noexcept nogil
    cdef void begin_imp(self, const Imp* imp) noexcept nogil
    cdef int64_t next_slot(self) noexcept nogil
    # Price of this slot for the current request: price times every multiplier that applies.
    cdef int64_t price_of(self, uint32_t slot) noexcept nogil
    # Key of the request's bundle or domain where the book names it, else 0 (for counters).
    cdef uint32_t inventory_key(self) noexcept nogil
    # Key of a deal id that the book names, else 0.
    cdef uint32_t deal_key(self, Str deal) noexcept nogil
    # Does the campaign include deals at all, and this one? (0: it lists none; 1: lists this; 2: lists others only)
    cdef int deal_listed(self, uint32_t slot, Str deal) noexcept nogil

