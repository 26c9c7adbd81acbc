"""The book: a mapped, read-only, checksummed file of campaigns in descending order of price.

`bidder/campaigns/compile.py` writes it; `book_layout.pxd` has the layout of what is
private to the matcher (`matcher.pxd`). A slot is a campaign's position in this book; a key is its
number in Postgres, the same in every book.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from bidder._fast.book_classes cimport Class
from bidder._fast.book_questions cimport Known

cdef enum:                     # CreativeRec.flags
    CREATIVE_SCRIPT = 1        # markup holds a script: banner type 3
    CREATIVE_IFRAME = 2        # markup holds an iframe: banner type 4
    CREATIVE_SECURE = 4        # no http: in markup or URLs, and at least one https:

cdef enum:                     # Piece.kind: what the writer puts here
    PIECE_TEXT = 0             # bytes of the book, already escaped for where they stand
    PIECE_BID_ID = 1           # 24 hex digits
    PIECE_IMP_ID = 2           # as on the wire, between quotes that the text has
    PIECE_PRICE = 3            # CPM, a JSON number
    PIECE_PAGE_TOKEN = 5
    PIECE_DEAL = 6             # nothing, or ,"dealid":"..."
    PIECE_ASSETS = 7           # of a native: those that the request asks for, between them commas
    PIECE_NATIVE_VER = 8       # 1.0, 1.1 or 1.2, as the native request's
    PIECE_WRAPPED_TEXT = 9     # bytes, only where that was wrapped in an object of its own,
    PIECE_EVENTS_TEXT = 10     # where impressions may be followed by images,
    PIECE_NO_EVENTS_TEXT = 11  # and where not
    PIECE_NOTICES = 12         # nurl, burl, lurl, as far as the exchange calls them
    PIECE_PIXEL_PRICE = 13     # behind the page token of a pixel: its price, where the exchange pays by that
    PIECE_VIEWABLE = 14        # bytes, the page token and the end of an object, where views may be followed by images
    PIECE_FOLLOW_TEXT = 15     # bytes, and
    PIECE_FOLLOW_TOKEN = 16    # the page token, both only where answers may have any size
    LAST_PIECE = 16

cdef enum:                     # AssetRec.kind, as Asked.kind of the reader
    ASSET_TITLE = 1
    ASSET_ICON = 2
    ASSET_MAIN = 3
    ASSET_DATA = 100           # + type

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
    uint32_t expdir            # bit n: expands in direction n
    uint64_t attr              # bit n: has attribute n
    uint64_t api               # bit n: needs framework n
    uint64_t not_approved      # bit k: exchange with key k (< 64) has not approved it
    uint32_t adomain_first     # into strings
    uint32_t adomain_count
    uint32_t cat_first         # into strings
    uint32_t cat_count
    uint32_t piece_first       # into pieces
    uint32_t piece_count
    uint32_t media             # what is no banner: into media, + 1; 0: a banner
    uint32_t bundle            # of the app that it promotes: into strings, + 1; 0: none named

cdef struct MediaRec:          # what players and natives ask of a creative
    uint8_t protocol           # VAST version (AdCOM creative subtype); 0: none
    uint8_t linear, skippable  # 0 or 1
    uint8_t reserved
    uint32_t duration_s        # 0: not known
    uint32_t skip_after_s
    uint32_t file_first        # into files
    uint32_t file_count
    uint32_t asset_first       # into assets
    uint32_t asset_count

cdef struct FileRec:           # a media file
    uint32_t mime              # into strings
    uint32_t kbps              # 0: not known
    uint32_t delivery          # 1 streaming, 2 progressive

cdef struct AssetRec:
    uint64_t at                # into the blob: what follows its id in the answer, up to its brace
    uint32_t n
    uint32_t kind
    uint32_t length            # characters of a title or of data
    int32_t w, h               # pixels of an image; 0: not known
    uint32_t mime              # of an image: into strings, + 1; 0: not known

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

cdef struct RateRec:           # what one USD is worth in another currency
    uint32_t currency          # packed as in requests
    uint32_t day               # of the rate; days since 1970
    int64_t until_s            # unix seconds; from then on there is no such rate
    uint64_t over              # so many of the currency for one USD: over / under, both below 2**62
    uint64_t under

cdef struct ArmRec:            # of an experiment: the buckets first to end - 1
    uint32_t first
    uint32_t end
    uint32_t arm               # 3 to 255
    uint32_t features_off      # bits of features.pxd

cdef enum:
    BUCKETS = 10_000           # of requests, see slice.pxd
    QUARTER_S = 900            # no zone changes its offset off a quarter of an hour

cdef class Book:
    """One generation, valid from opening to the end of the object."""
    cdef readonly uint64_t revision
    cdef readonly uint32_t slot_count
    cdef CampaignRec* campaigns      # by slot
    cdef CreativeRec* creatives
    cdef StrRef* strings             # advertiser domains and categories, lower case / as listed
    cdef Piece* pieces
    cdef FrequencyRec* frequencies
    cdef RateRec* rates              # by currency, ascending
    cdef uint32_t rate_count
    cdef ArmRec* arms                # of experiments, by bucket, ascending
    cdef uint32_t arm_count
    cdef MediaRec* media
    cdef AssetRec* assets
    cdef FileRec* files
    cdef const char* blob
    cdef const char* base            # private from here on
    cdef size_t length
    cdef object _map
    cdef Py_buffer view
    cdef list zone_infos
    cdef uint32_t* zone_hour         # hour of the week now, by zone
    cdef int64_t quarter             # of an hour that zone_hour and year are of
    cdef int32_t year                # UTC
    cdef Known* known                # to the probes,
    cdef Class* classes              # and of their requests: CLASSES, on lines of the cache
    cdef void* classes_room
    cdef const uint64_t* nobody      # owned: an empty base
    cdef int tell_zones(self) except -1
    cdef void new_quarter(self, int64_t now_s) noexcept with gil
    # NULL: no rate, or it is too old. USD has none.
    cdef const RateRec* rate_of(self, uint32_t currency, int64_t now_s) noexcept nogil
    cdef const void* section(self, int number) noexcept nogil
    cdef uint64_t count(self, int number) noexcept nogil
    cdef object named(self, int number, uint32_t key)
    cdef dict keys_of(self, int number)
