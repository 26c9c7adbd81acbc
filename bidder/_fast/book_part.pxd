"""A part of a book: the rows of some campaigns, with numbers, offsets and values of their own.

Parts are made beside each other, each from a shard of records, and put together by
`bidder/_fast/book_merge.pyx`. As bytes: PartHeader, then the rows of each kind, each at a multiple of 8 bytes.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    PART_VERSION = 4

cdef enum:                     # kinds of rows
    P_CAMPAIGNS = 0            # CampaignRec; no purse yet
    P_AIMS = 1                 # Aim, of the same campaign
    P_CREATIVES = 2            # CreativeRec; `slot` is the number of the campaign in the part
    P_STRINGS = 3              # StrRef
    P_PIECES = 4               # Piece
    P_FREQUENCIES = 5          # FrequencyRec
    P_FILTERS = 6              # Filter
    P_POINTS = 7               # Point
    P_MULTIPLIERS = 8          # Multiplier
    P_WHENS = 9                # When
    P_VALUE_IDS = 10           # u32: values of the part
    P_VALUES = 11              # PartValue
    P_TERMS = 12               # u32: values of the part, as Aim names them
    P_ZONES = 13               # Named, by number
    P_LANDINGS = 14            # Named, by key of the creative
    P_IDS = 15                 # Named, by key of the campaign
    P_LEFT_OUT = 16            # Named, by key of the campaign: why it cannot be served
    P_BLOB = 17                # bytes
    P_MEDIA = 18               # MediaRec
    P_ASSETS = 19              # AssetRec
    P_FILES = 20               # FileRec
    P_ADVERTISERS = 21         # Named, by key of the advertiser
    PART_ROWS = 22

cdef struct PartHeader:
    char magic[8]              # "OUTBIDPT"
    uint32_t checksum          # CRC-32 of all that follows the first 16 bytes
    uint32_t version
    uint64_t length
    uint64_t count[22]         # rows, by kind

cdef struct Aim:               # what the index needs to know of one campaign
    uint32_t include_first     # in TERMS
    uint32_t include_count
    uint32_t exclude_first
    uint32_t exclude_count
    uint32_t bound             # bit d: includes something in dimension d, even where no request can have it

cdef struct PartValue:
    uint64_t at                # in the blob
    uint32_t n
    uint32_t dimension
    uint32_t term
    uint32_t reserved

cdef struct Rows:              # a buffer that only grows
    char* data
    size_t size, room

cdef size_t part_item(int kind) noexcept nogil

cdef class Part:
    """Filled campaign by campaign, then `bytes()`."""
    cdef Rows rows[22]
    cdef dict values           # (dimension, bytes) -> number
    cdef dict texts            # bytes -> offset in the blob
    cdef dict zones            # name -> number
    cdef set advertisers       # keys of those that are named
    cdef char* more(self, int kind, size_t items) except NULL
    cdef uint32_t count(self, int kind) noexcept
    cdef uint64_t text(self, bytes raw) except? 0xFFFFFFFFFFFFFFFF
    cdef uint32_t value(self, uint32_t dimension, bytes raw, dict terms) except? 0xFFFFFFFF
    cdef int string(self, str text) except -1
    cdef int named(self, int kind, uint32_t key, str text) except -1
    cdef uint32_t aim(self, list listed, dict terms, uint32_t* bound) except? 0xFFFFFFFF
    cdef int campaign(self, object entry, list includes, list excludes, int64_t price_max, uint32_t bits,
                      uint32_t filter_at) except -1
    cdef uint32_t media(self, object one) except 0
    cdef int creative(self, object one, uint32_t campaign) except -1
    cdef int value_ids(self, pairs, dict terms, uint32_t* first, uint32_t* count) except -1
    cdef int filter(self, object entry, uint32_t bits) except -1
