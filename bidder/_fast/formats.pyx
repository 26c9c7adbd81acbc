"""Formats: what a player or a native placement asks of a creative.

    imp.video | imp.audio | imp.native + creative -> format_reason -> REASON_NONE | the first rule that stops it

OpenRTB 2.6 sections 3.2.7 and 3.2.8, Dynamic Native Ads 1.2 section 4. What a request does not name it does not
restrict. What a creative does not know of itself (its bit rate, its size) stops it only where all ads must tell:
durations. Media types are compared without ASCII case. Plain C, no allocation; prices in nano for one impression.
"""

from libc.stdint cimport int32_t, uint64_t

from bidder._fast.book cimport StrRef
from bidder._fast.outcome cimport (
    REASON_API, REASON_ASSETS, REASON_BATTR, REASON_BITRATE, REASON_DELIVERY, REASON_DURATION, REASON_LINEARITY,
    REASON_MIME, REASON_NONE, REASON_PLACEMENT, REASON_PROTOCOL, REASON_SIZE, REASON_SKIP,
)
from bidder._fast.request cimport ASKED_IMAGE, ASKED_ICON, ASKED_MAIN, ASKED_TITLE, DurFloor, Native, Span, str_same

cdef enum:
    LINEAR = 1                 # Media.linearity
    NON_LINEAR = 2
    # Where no content plays that an overlay could lie over: in a banner, an article, a feed, an interstitial.
    OUT_OF_STREAM_PLACEMENTS = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5
    OUT_OF_STREAM_PLCMTS = 1 << 3 | 1 << 4
    PROGRESSIVE = 1 << 2           # Media.delivery; beside it download, 3


cdef uint8_t format_reason(Reader reader, Book book, const Imp* imp, const CreativeRec* creative) noexcept nogil:
    cdef const MediaRec* media = media_rec(book, creative)
    cdef const Media* player = player_of(reader, imp, creative.format)
    cdef const Native* native
    cdef uint64_t battr, api
    cdef uint8_t why
    if player is not NULL:
        why = video_reason(player, creative, media) if creative.format == MTYPE_VIDEO else REASON_NONE
        if why == REASON_NONE:
            why = media_reason(reader, book, player, media)
        battr, api = player.battr, player.api
    else:
        native = &reader.natives[imp.native]
        why = assets_reason(reader, book, native, media)
        battr, api = native.battr, native.api
    if why != REASON_NONE:
        return why
    if creative.attr & battr:
        return REASON_BATTR
    return REASON_API if creative.api & ~api else REASON_NONE


cdef uint8_t video_reason(const Media* player, const CreativeRec* creative, const MediaRec* media) noexcept nogil:
    """What there is to see."""
    if media.linear:
        if player.linearity == NON_LINEAR:
            return REASON_LINEARITY
    elif player.linearity == LINEAR:
        return REASON_LINEARITY
    elif in_bits(player.placement, OUT_OF_STREAM_PLACEMENTS) or in_bits(player.plcmt, OUT_OF_STREAM_PLCMTS):
        return REASON_PLACEMENT
    if player.w and player.h and creative.w and creative.h:
        if not media.linear and (creative.w > player.w or creative.h > player.h):
            return REASON_SIZE
        if media.linear and not player.boxed and not same_shape(creative.w, creative.h, player.w, player.h):
            return REASON_SIZE
    return REASON_NONE


cdef uint8_t media_reason(Reader reader, Book book, const Media* player, const MediaRec* media) noexcept nogil:
    """What is the same for all that is played."""
    if player.mimes.n and not mime_listed(reader, book, player.mimes, media):
        return REASON_MIME
    if player.protocols and not (player.protocols >> media.protocol) & 1:
        return REASON_PROTOCOL
    # What comes progressively can be downloaded before it plays.
    if player.delivery and not player.delivery & (media.delivery | (media.delivery & PROGRESSIVE) << 1):
        return REASON_DELIVERY
    if media.bitrate_max and (media.bitrate_max < <uint32_t>player.minbitrate
            or (player.maxbitrate and media.bitrate_min > <uint32_t>player.maxbitrate)):
        return REASON_BITRATE
    if not duration_fits(reader, player, media.duration_s):
        return REASON_DURATION
    if media.skippable and (player.skip == 0 or (player.skipmin and media.duration_s <= <uint32_t>player.skipmin)
            or media.skip_after_s < <uint32_t>player.skipafter):
        return REASON_SKIP
    return REASON_NONE


cdef inline bint in_bits(uint8_t code, uint64_t bits) noexcept nogil:
    return code < 64 and (bits >> code) & 1


cdef bint same_shape(int32_t w, int32_t h, int32_t player_w, int32_t player_h) noexcept nogil:
    """Fills the player, to a pixel at most."""
    cdef int64_t off = <int64_t>w * player_h - <int64_t>h * player_w
    return -w <= off <= w


cdef bint duration_fits(Reader reader, const Media* player, int64_t seconds) noexcept nogil:
    cdef uint32_t i
    if player.poddur and not 0 < seconds <= player.poddur:
        return False
    for i in range(player.rqddurs.at, player.rqddurs.at + player.rqddurs.n):
        if reader.ints[i] == seconds:
            return True
    if player.rqddurs.n or seconds < player.minduration:
        return False
    if player.maxduration == 0 or player.maxextended < 0:
        return True
    return 0 < seconds <= <int64_t>player.maxduration + player.maxextended


cdef inline Str held(Book book, uint32_t i) noexcept nogil:
    cdef Str text
    text.p = book.blob + book.strings[i].at
    text.n = book.strings[i].n
    return text


cdef bint mime_listed(Reader reader, Book book, Span listed, const MediaRec* media) noexcept nogil:
    """Is there a file that the player plays?"""
    cdef uint32_t i, j
    for i in range(media.mime_first, media.mime_first + media.mime_count):
        for j in range(listed.at, listed.at + listed.n):
            if str_same(held(book, i), reader.strs[j]):
                return True
    return False


cdef bint floored_by_duration(Reader reader, const Imp* imp) noexcept nogil:
    cdef uint8_t format
    cdef const Media* player
    for format in range(MTYPE_VIDEO, MTYPE_AUDIO + 1):
        player = player_of(reader, imp, format)
        if player is not NULL and (player.durfloors.n or player.mincpmpersec):
            return True
    return False


cdef int64_t duration_floor(Reader reader, const Media* player, uint32_t duration_s) noexcept nogil:
    cdef const DurFloor* one
    cdef uint32_t i
    cdef int64_t floor = -1
    for i in range(player.durfloors.at, player.durfloors.at + player.durfloors.n):
        one = &reader.durfloors[i]
        if one.mindur <= <int64_t>duration_s and (one.maxdur == 0 or <int64_t>duration_s <= one.maxdur) \
                and one.floor > floor:
            floor = one.floor
    # Nobody bids what would not fit into the product.
    if player.mincpmpersec and duration_s:
        floor = max(floor, <int64_t>duration_s * min(player.mincpmpersec, <int64_t>10 ** 12))
    return floor


# --- native

cdef uint8_t assets_reason(Reader reader, Book book, const Native* native, const MediaRec* media) noexcept nogil:
    """All that are required can be answered, and at least one at all."""
    cdef const Asked* asked
    cdef uint32_t i, answered = 0
    if not native.readable:
        return REASON_ASSETS
    for i in range(native.assets.at, native.assets.at + native.assets.n):
        asked = &reader.asked[i]
        if asset_for(book, media, asked, reader.strs) is not NULL:
            answered += 1
        elif asked.required:
            return REASON_ASSETS
    return REASON_NONE if answered else REASON_ASSETS


cdef const AssetRec* asset_for(Book book, const MediaRec* media, const Asked* asked, const Str* strs) noexcept nogil:
    cdef const AssetRec* asset
    cdef uint32_t i
    if asked.id < 0:
        return NULL
    for i in range(media.asset_first, media.asset_first + media.asset_count):
        asset = &book.assets[i]
        if asset.kind == ASKED_ICON or asset.kind == ASKED_MAIN:
            if (asked.kind == asset.kind or asked.kind == ASKED_IMAGE) and image_fits(book, asset, asked, strs):
                return asset
        elif asked.kind == asset.kind and (asked.len == 0 or asset.length <= <uint32_t>asked.len):
            return asset
    return NULL


cdef inline bint side_fits(int32_t side, int32_t least, int32_t exact) noexcept nogil:
    """As long as asked for: a least length leaves the rest to the renderer; without one the other is exact."""
    if least:
        return side >= least
    return exact == 0 or side == exact


cdef bint image_fits(Book book, const AssetRec* image, const Asked* asked, const Str* strs) noexcept nogil:
    cdef uint32_t i
    if not (side_fits(image.w, asked.wmin, asked.w) and side_fits(image.h, asked.hmin, asked.h)):
        return False
    for i in range(asked.mimes.at, asked.mimes.at + asked.mimes.n):
        if image.mime and str_same(held(book, image.mime - 1), strs[i]):
            return True
    return asked.mimes.n == 0
