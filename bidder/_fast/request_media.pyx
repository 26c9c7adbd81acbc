"""Reads `imp.video` and `imp.audio`: what a player can play, and for how much.

object -> Media, in Reader.medias; the imp has its number

OpenRTB 2.6 sections 3.2.7 and 3.2.8, and what 2.5 and its readers wrote before: `protocol`, alone or a list.
Of what the player says the bidder reads what decides which ad it may have; where in a page or a stream the
player stands, and when it starts, decides nothing here. Times in seconds, bit rates in kbit/s.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from bidder._fast.json_number cimport Decimal, to_int
from bidder._fast.request cimport MEDIA_VIDEO, DurFloor, Imp, Media, Reader, Span
from bidder._fast.request_keys cimport *
from bidder._fast.request_values cimport (
    INT32_TOP, LIST_MAX, grow, read_bits, read_code, read_decimal, read_floor, read_int, read_int32, read_str,
    read_strs, skip_value,
)

cdef enum:
    ABSENT = -1
    BITS_TOP = 63


cdef const char* read_answer(const char* p, int8_t* out, char** spare) noexcept nogil:
    """A flag of which it matters whether it is there: 1, 0, or ABSENT."""
    cdef int64_t value = ABSENT
    cdef char first = p[0]
    p = read_int(p, &value, ABSENT, 2, 4, spare)
    out[0] = 1 if value == 1 or first == c't' else 0 if value == 0 or first == c'f' else ABSENT
    return p


cdef const char* read_extension(const char* p, int32_t* out, char** spare) noexcept nogil:
    """Seconds; anything below zero is -1."""
    cdef Decimal d
    cdef bint ok = False
    p = read_decimal(p, &d, &ok, 4, spare)
    out[0] = 0
    if ok:
        out[0] = <int32_t>to_int(&d, 0, False, INT32_TOP)
        if d.negative and out[0]:
            out[0] = -1
    return p


cdef const char* read_protocol(Reader r, const char* p, uint64_t* out) noexcept nogil:
    cdef uint8_t code = 0
    if p[0] == c'[':
        return read_bits(r, p, out, BITS_TOP, 4)
    p = read_code(p, &code, 4, &r.spare)
    out[0] = <uint64_t>1 << code if 0 < code <= BITS_TOP else 0
    return p


cdef const char* read_durations(Reader r, const char* p, Span* out) noexcept nogil:
    cdef int64_t seconds = 0
    out.at = r.ints_n
    out.n = 0
    if p[0] != c'[':
        return skip_value(p, 4)
    p = first_item(p)
    while is_item(p):
        p = read_int(p, &seconds, 0, INT32_TOP, 5, &r.spare)
        if p != NULL and seconds > 0 and out.n < LIST_MAX:
            if r.ints_n == r.ints_cap and not grow(<void**>&r.ints, &r.ints_cap, sizeof(int64_t)):
                return NULL
            r.ints[r.ints_n] = seconds
            r.ints_n += 1
            out.n += 1
        p = next_item(p)
    return p


cdef const char* read_durfloor(Reader r, const char* p, Span* out) noexcept nogil:
    cdef Key key
    cdef DurFloor found
    if p[0] != c'{':
        return skip_value(p, 5)
    memset(&found, 0, sizeof(found))
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_MINDUR:
            p = read_int32(at(key, KEY_MINDUR), &found.mindur, 0, 6, &r.spare)
        elif key.word == KEY_MAXDUR:
            p = read_int32(at(key, KEY_MAXDUR), &found.maxdur, 0, 6, &r.spare)
        elif key.word == KEY_BIDFLOOR:
            p = read_floor(at(key, KEY_BIDFLOOR), &found.floor, 0, 6, &r.spare)
        else:
            p = skip_value(at(key, key.word), 6)
        key = next_key(p, r.spare)
    p = key.begin
    if p == NULL or out.n == LIST_MAX:
        return p
    if r.durfloors_n == r.durfloors_cap and not grow(<void**>&r.durfloors, &r.durfloors_cap, sizeof(DurFloor)):
        return NULL
    r.durfloors[r.durfloors_n] = found
    r.durfloors_n += 1
    out.n += 1
    return p


cdef const char* read_durfloors(Reader r, const char* p, Span* out) noexcept nogil:
    out.at = r.durfloors_n
    out.n = 0
    if p[0] != c'[':
        return skip_value(p, 4)
    p = first_item(p)
    while is_item(p):
        p = next_item(read_durfloor(r, p, out))
    return p


cdef const char* read_field(Reader r, Key key, Media* media, uint64_t* single, int8_t* boxing) noexcept nogil:
    """Times, floors and pods: what fewer players say than the rest."""
    if key.word == KEY_RQDDURS:
        return read_durations(r, at(key, KEY_RQDDURS), &media.rqddurs)
    if key.word == KEY_MAXEXTENDED:
        return read_extension(at(key, KEY_MAXEXTENDED), &media.maxextended, &r.spare)
    if key.word == KEY_PROTOCOL:
        return read_protocol(r, at(key, KEY_PROTOCOL), single)
    if key.word == KEY_SKIPMIN:
        return read_int32(at(key, KEY_SKIPMIN), &media.skipmin, 0, 4, &r.spare)
    if key.word == KEY_SKIPAFTER:
        return read_int32(at(key, KEY_SKIPAFTER), &media.skipafter, 0, 4, &r.spare)
    if key.word == KEY_BOXINGALLOWED:
        return read_answer(at(key, KEY_BOXINGALLOWED), boxing, &r.spare)
    if key.word == KEY_MINBITRATE:
        return read_int32(at(key, KEY_MINBITRATE), &media.minbitrate, 0, 4, &r.spare)
    if key.word == KEY_MAXBITRATE:
        return read_int32(at(key, KEY_MAXBITRATE), &media.maxbitrate, 0, 4, &r.spare)
    if key.word == KEY_PODID:
        return read_str(at(key, KEY_PODID), &media.podid, 4, &r.spare)
    if key.word == KEY_PODDUR:
        return read_int32(at(key, KEY_PODDUR), &media.poddur, 0, 4, &r.spare)
    if key.word == KEY_MAXSEQ:
        return read_int32(at(key, KEY_MAXSEQ), &media.maxseq, 0, 4, &r.spare)
    if key.word == KEY_MINCPMPERSEC:
        return read_floor(at(key, KEY_MINCPMPERSEC), &media.mincpmpersec, 0, 4, &r.spare)
    if key.word == KEY_DURFLOORS:
        return read_durfloors(r, at(key, KEY_DURFLOORS), &media.durfloors)
    return skip_value(at(key, key.word), 4)


cdef const char* read_object(Reader r, const char* p, Media* media) noexcept nogil:
    cdef Key key
    cdef uint64_t single = 0, delivery = 0, poddedupe = 0
    cdef int8_t boxing = ABSENT
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_MIMES:
            p = read_strs(r, at(key, KEY_MIMES), &media.mimes, 4)
        elif key.word == KEY_MINDURATION:
            p = read_int32(at(key, KEY_MINDURATION), &media.minduration, 0, 4, &r.spare)
        elif key.word == KEY_MAXDURATION:
            p = read_int32(at(key, KEY_MAXDURATION), &media.maxduration, 0, 4, &r.spare)
        elif key.word == KEY_PROTOCOLS:
            p = read_bits(r, at(key, KEY_PROTOCOLS), &media.protocols, BITS_TOP, 4)
        elif key.word == KEY_W:
            p = read_int32(at(key, KEY_W), &media.w, 0, 4, &r.spare)
        elif key.word == KEY_H:
            p = read_int32(at(key, KEY_H), &media.h, 0, 4, &r.spare)
        elif key.word == KEY_LINEARITY:
            p = read_code(at(key, KEY_LINEARITY), &media.linearity, 4, &r.spare)
        elif key.word == KEY_PLACEMENT:
            p = read_code(at(key, KEY_PLACEMENT), &media.placement, 4, &r.spare)
        elif key.word == KEY_PLCMT:
            p = read_code(at(key, KEY_PLCMT), &media.plcmt, 4, &r.spare)
        elif key.word == KEY_SKIP:
            p = read_answer(at(key, KEY_SKIP), &media.skip, &r.spare)
        elif key.word == KEY_BATTR:
            p = read_bits(r, at(key, KEY_BATTR), &media.battr, BITS_TOP, 4)
        elif key.word == KEY_API:
            p = read_bits(r, at(key, KEY_API), &media.api, BITS_TOP, 4)
        elif key.word == KEY_DELIVERY:
            p = read_bits(r, at(key, KEY_DELIVERY), &delivery, 3, 4)
        elif key.word == KEY_PODDEDUPE:
            p = read_bits(r, at(key, KEY_PODDEDUPE), &poddedupe, 4, 4)
        else:
            p = read_field(r, key, media, &single, &boxing)
        key = next_key(p, r.spare)
    media.protocols |= single
    media.delivery = <uint32_t>delivery
    media.poddedupe = <uint32_t>poddedupe
    media.boxed = boxing != 0
    return key.begin


cdef const char* read_media(Reader r, const char* p, Imp* imp, uint8_t medium) noexcept nogil:
    cdef Media* media
    imp.media &= <uint8_t>~medium
    if p[0] != c'{':
        return skip_value(p, 3)
    if r.medias_n == r.medias_cap and not grow(<void**>&r.medias, &r.medias_cap, sizeof(Media)):
        return NULL
    media = &r.medias[r.medias_n]
    memset(media, 0, sizeof(Media))
    media.skip = ABSENT
    if medium == MEDIA_VIDEO:
        imp.video = r.medias_n
    else:
        imp.audio = r.medias_n
    imp.media |= medium
    r.medias_n += 1
    return read_object(r, p, media)
