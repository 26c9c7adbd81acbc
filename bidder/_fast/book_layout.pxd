"""Layout of a book file: the one definition. Little endian, structs as C lays them out.

Header (with the section table), then the sections, each at a multiple of 64 bytes.
`bidder/_fast/book_merge.pyx` writes the same structs; a book whose sections have
items of another size does not open. Offsets are bytes into the blob, `first` and
`count` are spans of another section, value ids are positions in VALUES.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    BOOK_VERSION = 8
    CHECKED_FROM = 16          # the checksum covers the file from this byte on
    BLOCK = 512                # slots that are matched at once
    BLOCK_WORDS = 8
    NO_BITMAP = 0xFFFFFFFF
    VERSION_PARTS = 8
    FACTOR_UNIT = 1000000      # multipliers are millionths
    PRICE_CAP = 1000000000     # nano-USD: $1,000 CPM; no multiplier takes a price above

cdef enum:                     # sections, in the order of the table
    S_CAMPAIGNS = 0            # CampaignRec by slot
    S_CREATIVES = 1            # CreativeRec
    S_STRINGS = 2              # StrRef
    S_PIECES = 3               # Piece
    S_FREQUENCIES = 4          # FrequencyRec
    S_FILTERS = 5              # Filter
    S_POINTS = 6               # Point
    S_MULTIPLIERS = 7          # Multiplier
    S_WHENS = 8                # When
    S_VALUE_IDS = 9            # u32: value ids, as Filter.all and When name them
    S_DIMENSIONS = 10          # Dimension, those of the request before those of the imp
    S_VALUES = 11              # Value
    S_INDEX = 12               # u64, a power of two: hash table of VALUES, see below
    S_BITMAPS = 13             # u64: bitmaps of `words` each
    S_SLOTS = 14               # u32: sorted slots of sparse postings
    S_ZONES = 15               # Named: time zones
    S_EXCHANGES = 16           # Named by key: exchanges at the time of compiling
    S_LANDINGS = 17            # Named by key of the creative, sorted: landing URLs, also of campaigns not running
    S_IDS = 18                 # Named by key of the campaign, sorted: ids, also of campaigns not running
    S_BLOB = 19                # bytes
    S_SUMMARIES = 20           # u64: of each bitmap, a bit a block, see below
    S_MEDIA = 21               # MediaRec: of creatives that are no banners
    S_ASSETS = 22              # AssetRec: of native creatives
    S_FILES = 23               # FileRec: of video and audio
    S_RATES = 24               # RateRec by currency
    S_ADVERTISERS = 25         # Named by key, sorted: ids, also of those of whom nothing runs
    S_ARMS = 26                # ArmRec by bucket: of experiments
    SECTIONS = 27

cdef enum:                     # Dimension.id
    D_EXCHANGE = 0
    D_COUNTRY = 1
    D_REGION = 2
    D_CITY = 3
    D_METRO = 4
    D_ZIP = 5
    D_OS = 6
    D_DEVICE_TYPE = 7
    D_MAKE = 8
    D_MODEL = 9
    D_CARRIER = 10
    D_CONNECTION_TYPE = 11
    D_LANGUAGE = 12
    D_INVENTORY = 13
    D_BUNDLE = 14
    D_DOMAIN = 15
    D_PUBLISHER = 16
    D_CAT = 17
    D_GENDER = 18
    D_SEGMENT = 19
    D_USER_ID = 20
    D_VENUE_TYPE = 21
    D_DOOH = 22
    D_DEAL = 23                # from here on: of the imp
    D_FORMAT = 24
    D_SIZE = 25
    D_SECURE = 26              # 1: secure creatives only
    DIMENSIONS = 27

cdef enum:                     # CampaignRec.extra: what the index alone does not decide
    F_OSV = 1
    F_RADIUS = 2
    F_HOURS = 4
    F_AGE = 8
    F_ALL = 16                 # segment.all
    F_FILTERS = 31
    F_MULTIPLIERS = 32
    F_RAISED = 64              # a slot for requests that raise the price above `price`;
    F_PLAIN = 128              # the one of the same campaign for all others
    F_SHADED = 256             # it bids less than its value where the winner pays what it bids; needs no filter
    F_EVERY = 511

cdef enum:                     # Value.dense
    DENSE_INC = 1
    DENSE_EXC = 2

cdef struct SectionRec:
    uint64_t at
    uint64_t count
    uint32_t item              # bytes
    uint32_t reserved

cdef struct Header:
    char magic[8]              # "OUTBIDBK"
    uint32_t checksum          # CRC-32
    uint32_t version
    uint64_t length
    uint64_t revision
    uint64_t seed
    uint32_t sections
    uint32_t words             # 64-bit words of a bitmap: a multiple of BLOCK_WORDS
    SectionRec table[27]

cdef struct Filter:
    uint32_t zone
    uint32_t reserved
    uint64_t hours[3]          # bit n: hour n of the week in the campaign's zone
    uint32_t osv_min[8]
    uint32_t osv_max[8]
    int32_t age_min
    int32_t age_max
    uint32_t point_first
    uint32_t point_count
    uint32_t all_first         # segments, in VALUE_IDS
    uint32_t all_count
    uint32_t multiplier_first
    uint32_t multiplier_count

cdef struct Point:
    double lat                 # degrees
    double lon
    double km

cdef struct Multiplier:
    uint32_t factor            # millionths
    uint32_t when_first
    uint32_t when_count        # all of them must hold

cdef struct When:              # holds where the request has one of these values
    uint32_t value_first       # in VALUE_IDS
    uint32_t value_count

cdef struct Dimension:
    uint32_t id
    uint32_t base              # bitmap of the campaigns that include nothing here; NO_BITMAP: all of them

cdef enum:
    START_BYTES = 16

cdef struct Value:             # one value of one dimension, and who wants or refuses it; a cache line
    uint64_t hash
    uint64_t at                # its bytes; text of dimensions without case is folded
    uint32_t n
    uint32_t dimension
    uint32_t term              # key of a deal, bundle or domain for counters; 0: none
    uint32_t dense             # bits: the posting is a bitmap, `at` its number
    uint32_t inc_at            # campaigns that include it: in SLOTS, or the number of a bitmap
    uint32_t inc_count
    uint32_t exc_at
    uint32_t exc_count
    char start[16]             # of its bytes, zeros behind them: most values are not longer

cdef struct Named:
    uint64_t at
    uint32_t n
    uint32_t key

# SUMMARIES: for each bitmap `summary_words` words. Bit n speaks of block n: of who includes a value, or nothing, that
# some of the block do; of who excludes a value, that all of the block do.
cdef inline uint64_t summary_words(const Header* head) noexcept nogil:
    return (head.words // BLOCK_WORDS + 63) // 64

# INDEX: open addressing with linear steps from `hash & (count - 1)`. An entry is 0 where
# free, else the upper half of the hash, then value id + 1.
cdef extern from *:
    """
    static inline uint64_t book_mix(uint64_t a, uint64_t b) {
        __uint128_t p = (__uint128_t)a * b;
        return (uint64_t)p ^ (uint64_t)(p >> 64);
    }
    static inline uint64_t book_load8(const char *p) { uint64_t x; memcpy(&x, p, 8); return x; }
    static inline uint64_t book_load4(const char *p) { uint32_t x; memcpy(&x, p, 4); return x; }
    static inline uint64_t book_hash(uint64_t seed, uint32_t dimension, const void *bytes, size_t n) {
        const char *p = (const char *)bytes;
        uint64_t h = seed ^ ((uint64_t)(dimension + 1) * 0x9E3779B97F4A7C15u), a = 0, b = 0;
        size_t left = n;
        for (; left > 16; left -= 16, p += 16)
            h = book_mix(book_load8(p) ^ 0xD6E8FEB86659FD93u, book_load8(p + 8) ^ h);
        if (left >= 8) { a = book_load8(p); b = book_load8(p + left - 8); }
        else if (left >= 4) { a = book_load4(p); b = book_load4(p + left - 4); }
        else if (left) a = (uint64_t)(unsigned char)p[0] << 16 | (unsigned char)p[left >> 1] << 8 | (unsigned char)p[left - 1];
        return book_mix(book_mix(a ^ 0xA0761D6478BD642Fu, b ^ h) ^ n, 0xE7037ED1A0B428DBu);
    }
    /* memcmp() == 0, for short texts without a call. */
    static inline int book_same(const void *x, const void *y, size_t n) {
        const char *p = (const char *)x, *q = (const char *)y;
        if (n > 16) return memcmp(p, q, n) == 0;
        if (n >= 8) return book_load8(p) == book_load8(q) && book_load8(p + n - 8) == book_load8(q + n - 8);
        if (n >= 4) return book_load4(p) == book_load4(q) && book_load4(p + n - 4) == book_load4(q + n - 4);
        for (; n; n--) if (p[n - 1] != q[n - 1]) return 0;
        return 1;
    }
    """
    uint64_t book_mix(uint64_t a, uint64_t b) noexcept nogil
    uint64_t book_load8(const char* p) noexcept nogil
    uint64_t book_load4(const char* p) noexcept nogil
    uint64_t book_hash(uint64_t seed, uint32_t dimension, const void* p, size_t n) noexcept nogil
    bint book_same(const void* x, const void* y, size_t n) noexcept nogil
