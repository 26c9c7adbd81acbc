"""Is this file a book? Asked when it is opened; the hot path trusts every number of it afterwards.

Whoever publishes a book has all of it checked; who opens that same file afterwards (bidder/campaigns/stamp.py)
needs to look at its header only, which takes microseconds where the whole takes seconds.

Each offset, span, id and bitmap number must stay inside its section, and what is
searched must be sorted. A file that fails is refused with the reason; it is never repaired.
"""

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

import zlib

from bidder._fast.book cimport (
    ArmRec, AssetRec, BUCKETS, CampaignRec, CreativeRec, FileRec, FrequencyRec, MediaRec, Piece, LAST_PIECE, RateRec, StrRef,
)
from bidder._fast.book_layout cimport *


class BookError(ValueError):
    """The file is not a book that can be served; the message says why."""


NAMES = (
    "campaigns", "creatives", "strings", "pieces", "frequencies", "filters", "points", "multipliers", "whens",
    "value ids", "dimensions", "values", "index", "bitmaps", "slots", "zones", "exchanges", "landings", "ids", "blob",
    "summaries", "media", "assets", "files", "rates", "advertisers", "arms",
)
ITEMS = (
    sizeof(CampaignRec), sizeof(CreativeRec), sizeof(StrRef), sizeof(Piece), sizeof(FrequencyRec), sizeof(Filter),
    sizeof(Point), sizeof(Multiplier), sizeof(When), 4, sizeof(Dimension), sizeof(Value), 8, 8, 4,
    sizeof(Named), sizeof(Named), sizeof(Named), sizeof(Named), 1, 8, sizeof(MediaRec), sizeof(AssetRec),
    sizeof(FileRec), sizeof(RateRec), sizeof(Named), sizeof(ArmRec),
)


cdef inline bint _span(uint64_t first, uint64_t count, const SectionRec* section) noexcept nogil:
    return first <= section.count and count <= section.count - first


cdef void _header(const char* base, size_t length, bint whole) except *:
    """Magic, version, length, checksum and the section table."""
    cdef const Header* head = <const Header*>base
    cdef const SectionRec* section
    cdef uint64_t slots
    cdef int i
    if length < sizeof(Header):
        raise BookError(f"{length} bytes are too few for a book")
    if memcmp(head.magic, b"OUTBIDBK", 8):
        raise BookError("not a book: it does not begin with OUTBIDBK")
    if head.version != BOOK_VERSION:
        raise BookError(f"format version {head.version}; this build reads {BOOK_VERSION}")
    if head.length != length:
        raise BookError(f"{length} bytes are there, {head.length} were written")
    content = PyMemoryView_FromMemory(<char*>base + CHECKED_FROM, length - CHECKED_FROM, PyBUF_READ)
    if whole and zlib.crc32(content) != head.checksum:
        raise BookError("the checksum does not fit the content")
    if head.sections != SECTIONS:
        raise BookError(f"{head.sections} sections; this build reads {SECTIONS}")
    for i in range(SECTIONS):
        section = &head.table[i]
        if section.item != ITEMS[i]:
            raise BookError(f"{NAMES[i]}: items of {section.item} bytes; this build reads {ITEMS[i]}")
        if section.at % 64 or section.at > length or section.count > (length - section.at) // section.item:
            raise BookError(f"{NAMES[i]}: outside the file")
        if section.count >= 2**32 and i != S_BLOB:
            raise BookError(f"{NAMES[i]}: more than 2^32 items")
    slots = head.table[S_CAMPAIGNS].count
    if head.words % BLOCK_WORDS or <uint64_t>head.words * 64 < slots or head.words > slots // 64 + BLOCK_WORDS:
        raise BookError(f"bitmaps of {head.words} words for {slots} campaigns")
    if head.table[S_BITMAPS].count % (head.words or 1):
        raise BookError("bitmaps: the last one is incomplete")
    if head.table[S_SUMMARIES].count != head.table[S_BITMAPS].count // (head.words or 1) * summary_words(head):
        raise BookError("summaries: not one for each bitmap")
    if head.table[S_INDEX].count & (head.table[S_INDEX].count - 1) \
            or head.table[S_INDEX].count <= head.table[S_VALUES].count:
        raise BookError("index: not a power of two with room for every value")


cdef uint64_t _campaigns(const char* base, const Header* head) noexcept nogil:
    """Number of the first bad campaign + 1, or 0."""
    cdef const CampaignRec* rec = <const CampaignRec*>(base + head.table[S_CAMPAIGNS].at)
    cdef const Filter* filters = <const Filter*>(base + head.table[S_FILTERS].at)
    cdef const Filter* filter
    cdef uint64_t i
    for i in range(head.table[S_CAMPAIGNS].count):
        if rec[i].key == 0 or rec[i].price < 1 or rec[i].price > PRICE_CAP or rec[i].price_max < 0 \
                or rec[i].price_max > PRICE_CAP or (i and rec[i].price_max > rec[i - 1].price_max) \
                or rec[i].extra & ~<uint32_t>F_EVERY \
                or not _span(rec[i].creative_first, rec[i].creative_count, &head.table[S_CREATIVES]) \
                or not _span(rec[i].frequency_first, rec[i].frequency_count, &head.table[S_FREQUENCIES]):
            return i + 1
        if rec[i].extra & ~<uint32_t>F_SHADED:
            if rec[i].extra_at >= head.table[S_FILTERS].count:
                return i + 1
            filter = &filters[rec[i].extra_at]
            if (rec[i].extra & F_HOURS and filter.zone >= head.table[S_ZONES].count) \
                    or not _span(filter.point_first, filter.point_count, &head.table[S_POINTS]) \
                    or not _span(filter.all_first, filter.all_count, &head.table[S_VALUE_IDS]) \
                    or not _span(filter.multiplier_first, filter.multiplier_count, &head.table[S_MULTIPLIERS]):
                return i + 1
    return 0


cdef uint64_t _creatives(const char* base, const Header* head) noexcept nogil:
    cdef const CreativeRec* rec = <const CreativeRec*>(base + head.table[S_CREATIVES].at)
    cdef uint64_t i
    for i in range(head.table[S_CREATIVES].count):
        if rec[i].key == 0 or rec[i].slot >= head.table[S_CAMPAIGNS].count \
                or not 1 <= rec[i].format <= 4 or (rec[i].format == 1) != (rec[i].media == 0) \
                or rec[i].media > head.table[S_MEDIA].count or rec[i].bundle > head.table[S_STRINGS].count \
                or not _span(rec[i].adomain_first, rec[i].adomain_count, &head.table[S_STRINGS]) \
                or not _span(rec[i].cat_first, rec[i].cat_count, &head.table[S_STRINGS]) \
                or not _span(rec[i].piece_first, rec[i].piece_count, &head.table[S_PIECES]):
            return i + 1
    return 0


cdef uint64_t _media(const char* base, const Header* head) noexcept nogil:
    """Media, then assets, then files."""
    cdef const MediaRec* media = <const MediaRec*>(base + head.table[S_MEDIA].at)
    cdef const AssetRec* asset = <const AssetRec*>(base + head.table[S_ASSETS].at)
    cdef const FileRec* file = <const FileRec*>(base + head.table[S_FILES].at)
    cdef uint64_t i
    for i in range(head.table[S_MEDIA].count):
        if not _span(media[i].file_first, media[i].file_count, &head.table[S_FILES]) \
                or not _span(media[i].asset_first, media[i].asset_count, &head.table[S_ASSETS]):
            return i + 1
    for i in range(head.table[S_ASSETS].count):
        if not _span(asset[i].at, asset[i].n, &head.table[S_BLOB]) or asset[i].mime > head.table[S_STRINGS].count:
            return i + 1
    for i in range(head.table[S_FILES].count):
        if file[i].mime >= head.table[S_STRINGS].count:
            return i + 1
    return 0


cdef uint64_t _texts(const char* base, const Header* head) noexcept nogil:
    """Strings, then pieces."""
    cdef const StrRef* text = <const StrRef*>(base + head.table[S_STRINGS].at)
    cdef const Piece* piece = <const Piece*>(base + head.table[S_PIECES].at)
    cdef uint64_t i
    for i in range(head.table[S_STRINGS].count):
        if not _span(text[i].at, text[i].n, &head.table[S_BLOB]):
            return i + 1
    for i in range(head.table[S_PIECES].count):
        if piece[i].kind > LAST_PIECE or not _span(piece[i].at, piece[i].n, &head.table[S_BLOB]):
            return i + 1
    return 0


cdef uint64_t _spans(const char* base, const Header* head) noexcept nogil:
    """Multipliers, their conditions, and the value ids that these and the filters name."""
    cdef const Multiplier* multiplier = <const Multiplier*>(base + head.table[S_MULTIPLIERS].at)
    cdef const When* when = <const When*>(base + head.table[S_WHENS].at)
    cdef const uint32_t* ids = <const uint32_t*>(base + head.table[S_VALUE_IDS].at)
    cdef uint64_t i
    for i in range(head.table[S_MULTIPLIERS].count):
        if not _span(multiplier[i].when_first, multiplier[i].when_count, &head.table[S_WHENS]) \
                or multiplier[i].factor > 100 * FACTOR_UNIT:
            return i + 1
    for i in range(head.table[S_WHENS].count):
        if not _span(when[i].value_first, when[i].value_count, &head.table[S_VALUE_IDS]):
            return i + 1
    for i in range(head.table[S_VALUE_IDS].count):
        if ids[i] >= head.table[S_VALUES].count:
            return i + 1
    return 0


cdef bint _posting(const char* base, const Header* head, bint dense, uint64_t at, uint64_t count) noexcept nogil:
    cdef const uint32_t* slots = <const uint32_t*>(base + head.table[S_SLOTS].at)
    cdef uint64_t i
    if dense:
        return at < head.table[S_BITMAPS].count // head.words
    if not _span(at, count, &head.table[S_SLOTS]):
        return False
    for i in range(at, at + count):
        if slots[i] >= head.table[S_CAMPAIGNS].count or (i > at and slots[i] <= slots[i - 1]):
            return False
    return True


cdef uint64_t _values(const char* base, const Header* head) noexcept nogil:
    cdef const Value* value = <const Value*>(base + head.table[S_VALUES].at)
    cdef uint64_t i
    for i in range(head.table[S_VALUES].count):
        if value[i].dimension >= DIMENSIONS or not _span(value[i].at, value[i].n, &head.table[S_BLOB]) \
                or not _posting(base, head, value[i].dense & DENSE_INC, value[i].inc_at, value[i].inc_count) \
                or not _posting(base, head, value[i].dense & DENSE_EXC, value[i].exc_at, value[i].exc_count) \
                or memcmp(value[i].start, base + head.table[S_BLOB].at + value[i].at, min(value[i].n, <uint32_t>START_BYTES)):
            return i + 1
    return 0


cdef uint64_t _index(const char* base, const Header* head) noexcept nogil:
    cdef const Dimension* dimension = <const Dimension*>(base + head.table[S_DIMENSIONS].at)
    cdef const uint64_t* entry = <const uint64_t*>(base + head.table[S_INDEX].at)
    cdef uint64_t i, used = 0, seen = 0
    cdef bint of_imp = False
    for i in range(head.table[S_DIMENSIONS].count):
        if dimension[i].id >= DIMENSIONS or seen >> dimension[i].id & 1 or (of_imp and dimension[i].id < D_DEAL) \
                or (dimension[i].base != NO_BITMAP
                    and dimension[i].base >= head.table[S_BITMAPS].count // head.words):
            return i + 1
        seen |= <uint64_t>1 << dimension[i].id
        of_imp = dimension[i].id >= D_DEAL
    for i in range(head.table[S_INDEX].count):
        if entry[i]:
            used += 1
            if <uint32_t>entry[i] == 0 or <uint32_t>entry[i] > head.table[S_VALUES].count:
                return i + 1
    return 0 if used < head.table[S_INDEX].count else used    # a full table would never end a search


cdef uint64_t _named(const char* base, const Header* head, int number, bint by_key) noexcept nogil:
    cdef const Named* named = <const Named*>(base + head.table[number].at)
    cdef uint64_t i
    for i in range(head.table[number].count):
        if not _span(named[i].at, named[i].n, &head.table[S_BLOB]) \
                or (by_key and i and named[i].key <= named[i - 1].key):
            return i + 1
    return 0


cdef uint64_t _rates(const char* base, const Header* head) noexcept nogil:
    cdef const RateRec* rate = <const RateRec*>(base + head.table[S_RATES].at)
    cdef uint64_t i
    for i in range(head.table[S_RATES].count):
        if rate[i].over == 0 or rate[i].under == 0 or (rate[i].over | rate[i].under) >> 62 \
                or (i and rate[i].currency <= rate[i - 1].currency):
            return i + 1
    return 0


cdef uint64_t _arms(const char* base, const Header* head) noexcept nogil:
    cdef const ArmRec* arm = <const ArmRec*>(base + head.table[S_ARMS].at)
    cdef uint64_t i
    for i in range(head.table[S_ARMS].count):
        if not 3 <= arm[i].arm <= 255 or not arm[i].first < arm[i].end <= BUCKETS or (i and arm[i].first < arm[i - 1].end):
            return i + 1
    return 0


cdef void _refuse(uint64_t bad, str what) except *:
    if bad:
        raise BookError(f"{what}: number {bad - 1} points outside the book or is out of order")


cdef void check_book(const char* base, size_t length, bint whole) except *:
    cdef const Header* head = <const Header*>base
    _header(base, length, whole)
    if not whole:
        return
    _refuse(_campaigns(base, head), "campaigns")
    _refuse(_creatives(base, head), "creatives")
    _refuse(_media(base, head), "media")
    _refuse(_texts(base, head), "texts")
    _refuse(_spans(base, head), "multipliers")
    _refuse(_values(base, head), "values")
    _refuse(_index(base, head), "index")
    _refuse(_named(base, head, S_ZONES, False), "zones")
    _refuse(_named(base, head, S_EXCHANGES, True), "exchanges")
    _refuse(_named(base, head, S_LANDINGS, True), "landing URLs")
    _refuse(_named(base, head, S_IDS, True), "ids")
    _refuse(_named(base, head, S_ADVERTISERS, True), "advertisers")
    _refuse(_rates(base, head), "rates")
    _refuse(_arms(base, head), "arms")
