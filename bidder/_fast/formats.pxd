"""Formats: what a player or a native placement asks of a creative. Asked only where an imp offers one."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from bidder._fast.book cimport AssetRec, Book, CreativeRec, MediaRec
from bidder._fast.request cimport Asked, Imp, Media, Reader, Str

cdef enum:                     # CreativeRec.format, bid.mtype
    MTYPE_BANNER = 1
    MTYPE_VIDEO = 2
    MTYPE_AUDIO = 3
    MTYPE_NATIVE = 4

# Of a creative that is no banner.
cdef inline const MediaRec* media_rec(Book book, const CreativeRec* creative) noexcept nogil:
    return &book.media[creative.media - 1]

# The player that a creative of this format would play in; NULL: the imp offers none.
cdef inline const Media* player_of(Reader reader, const Imp* imp, uint8_t format) noexcept nogil:
    if format == MTYPE_VIDEO and imp.media & 2:
        return &reader.medias[imp.video]
    if format == MTYPE_AUDIO and imp.media & 4:
        return &reader.medias[imp.audio]
    return NULL

# Video, audio, native, of a format that the imp offers: the reason that stops it; REASON_NONE: none does.
cdef uint8_t format_reason(Reader reader, Book book, const Imp* imp, const CreativeRec* creative) noexcept nogil
# Is the floor of this imp one for each length, for any player that it offers?
cdef bint floored_by_duration(Reader reader, const Imp* imp) noexcept nogil
# What an ad of so many seconds costs at least in this player, in the currency of the imp; -1: as the imp says.
cdef int64_t duration_floor(Reader reader, const Media* player, uint32_t duration_s) noexcept nogil
# What the creative answers an asset with; NULL: it has nothing that fits. `strs`: of the reader.
cdef const AssetRec* asset_for(Book book, const MediaRec* media, const Asked* asked, const Str* strs) noexcept nogil
