"""Rows of a part in the book: the numbers that they hold of other rows become those of the book. Private to the merger."""

from libc.stdint cimport uint32_t, uint64_t
from bidder._fast.book cimport AssetRec, CreativeRec, MediaRec, Piece, StrRef
from bidder._fast.book_layout cimport Filter, Multiplier, When
from bidder._fast.book_part cimport (
    P_ASSETS, P_BLOB, P_MEDIA, P_MULTIPLIERS, P_PIECES, P_POINTS, P_STRINGS, P_VALUE_IDS, P_WHENS,
)

# `by`: for each kind of rows, the number in the book of the part's first one. What is empty keeps its 0.

cdef inline void move_creative(CreativeRec* row, const uint64_t* by) noexcept nogil:
    row.adomain_first += <uint32_t>by[P_STRINGS] if row.adomain_count else 0
    row.cat_first += <uint32_t>by[P_STRINGS] if row.cat_count else 0
    row.bundle += <uint32_t>by[P_STRINGS] if row.bundle else 0
    row.media += <uint32_t>by[P_MEDIA] if row.media else 0
    row.piece_first += <uint32_t>by[P_PIECES] if row.piece_count else 0

cdef inline void move_texts(StrRef* row, uint32_t count, const uint64_t* by) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        row[n].at += by[P_BLOB]

cdef inline void move_pieces(Piece* row, uint32_t count, const uint64_t* by) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        row[n].at += by[P_BLOB]

cdef inline void move_media(MediaRec* row, uint32_t count, const uint64_t* by) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        row[n].mime_first += <uint32_t>by[P_STRINGS] if row[n].mime_count else 0
        row[n].asset_first += <uint32_t>by[P_ASSETS] if row[n].asset_count else 0

cdef inline void move_assets(AssetRec* row, uint32_t count, const uint64_t* by) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        row[n].at += by[P_BLOB]
        row[n].mime += <uint32_t>by[P_STRINGS] if row[n].mime else 0

# `zones`: of the part, by its numbers; NULL: it has none.
cdef inline void move_filters(Filter* row, uint32_t count, const uint64_t* by, const uint32_t* zones) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        if zones != NULL:
            row[n].zone = zones[row[n].zone]
        row[n].point_first += <uint32_t>by[P_POINTS] if row[n].point_count else 0
        row[n].all_first += <uint32_t>by[P_VALUE_IDS] if row[n].all_count else 0
        row[n].multiplier_first += <uint32_t>by[P_MULTIPLIERS] if row[n].multiplier_count else 0

cdef inline void move_multipliers(Multiplier* row, uint32_t count, const uint64_t* by) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        row[n].when_first += <uint32_t>by[P_WHENS] if row[n].when_count else 0

cdef inline void move_whens(When* row, uint32_t count, const uint64_t* by) noexcept nogil:
    cdef uint32_t n
    for n in range(count):
        row[n].value_first += <uint32_t>by[P_VALUE_IDS] if row[n].value_count else 0
