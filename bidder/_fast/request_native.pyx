"""Reads `imp.native`: the assets that its request asks for.

native.request (JSON in a string, or the object itself) -> [native ->] assets -> Asked, in Reader.asked

IAB Dynamic Native Ads 1.0 to 1.2. In 1.0 the request was wrapped in an object with one member, `native`, and many
still write it so. A text that is no JSON leaves `readable` false; the request around it is none the worse.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memset

from bidder._fast.json cimport blank, undo_string
from bidder._fast.request cimport (
    ASKED_DATA, ASKED_ICON, ASKED_IMAGE, ASKED_MAIN, ASKED_OTHER, ASKED_TITLE, MEDIA_NATIVE, Asked, Imp, Native, Reader,
    Str,
)
from bidder._fast.request_keys cimport *
from bidder._fast.request_values cimport (
    LIST_MAX, grow, read_bits, read_code, read_flag, read_int, read_int32, read_str, read_strs, skip_value,
)

cdef enum:
    BITS_TOP = 63
    DATA_TOP = 99              # of data types that have a kind
    IMAGE_ICON = 1             # img.type
    IMAGE_MAIN = 3
    EVENT_IMPRESSION = 1       # of eventtrackers
    EVENT_VIEWABLE = 2         # half of it for a second, as the MRC has it
    METHOD_IMAGE = 1 << 1
    NEWEST = 12                # Native.ver
    ASSETS_MAX = 64            # a request for more is not read

cdef int64_t ID_TOP = 10 ** 15


cdef const char* read_title(Reader r, const char* p, Asked* asked, int depth) noexcept nogil:
    cdef Key key
    memset(asked, 0, sizeof(Asked))
    if p[0] != c'{':
        return skip_value(p, depth)
    asked.kind = ASKED_TITLE
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_LEN:
            p = read_int32(at(key, KEY_LEN), &asked.len, 0, depth + 1, &r.spare)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    return key.begin


cdef const char* read_data(Reader r, const char* p, Asked* asked, int depth) noexcept nogil:
    cdef Key key
    cdef uint8_t type = 0
    memset(asked, 0, sizeof(Asked))
    if p[0] != c'{':
        return skip_value(p, depth)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_TYPE:
            p = read_code(at(key, KEY_TYPE), &type, depth + 1, &r.spare)
        elif key.word == KEY_LEN:
            p = read_int32(at(key, KEY_LEN), &asked.len, 0, depth + 1, &r.spare)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    asked.kind = ASKED_DATA + type if 0 < type <= DATA_TOP else ASKED_OTHER
    return key.begin


cdef const char* read_image(Reader r, const char* p, Asked* asked, int depth) noexcept nogil:
    cdef Key key
    cdef uint8_t type = 0
    memset(asked, 0, sizeof(Asked))
    if p[0] != c'{':
        return skip_value(p, depth)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_TYPE:
            p = read_code(at(key, KEY_TYPE), &type, depth + 1, &r.spare)
        elif key.word == KEY_W:
            p = read_int32(at(key, KEY_W), &asked.w, 0, depth + 1, &r.spare)
        elif key.word == KEY_H:
            p = read_int32(at(key, KEY_H), &asked.h, 0, depth + 1, &r.spare)
        elif key.word == KEY_WMIN:
            p = read_int32(at(key, KEY_WMIN), &asked.wmin, 0, depth + 1, &r.spare)
        elif key.word == KEY_HMIN:
            p = read_int32(at(key, KEY_HMIN), &asked.hmin, 0, depth + 1, &r.spare)
        elif key.word == KEY_MIMES:
            p = read_strs(r, at(key, KEY_MIMES), &asked.mimes, depth + 1)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    asked.kind = ASKED_IMAGE if type == 0 else ASKED_ICON if type == IMAGE_ICON else \
        ASKED_MAIN if type == IMAGE_MAIN else ASKED_OTHER
    return key.begin


cdef const char* read_asset(Reader r, const char* p, Native* native, int depth) noexcept nogil:
    cdef Key key
    cdef Asked title, image, data
    cdef Asked* asked
    cdef int64_t id = -1
    cdef bint required = False
    if p[0] != c'{':
        return skip_value(p, depth)
    memset(&title, 0, sizeof(Asked))
    memset(&image, 0, sizeof(Asked))
    memset(&data, 0, sizeof(Asked))
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ID:
            p = read_int(at(key, KEY_ID), &id, -1, ID_TOP, depth + 1, &r.spare)
        elif key.word == KEY_REQUIRED:
            p = read_flag(at(key, KEY_REQUIRED), &required, depth + 1, &r.spare)
        elif key.word == KEY_TITLE:
            p = read_title(r, at(key, KEY_TITLE), &title, depth + 1)
        elif key.word == KEY_IMG:
            p = read_image(r, at(key, KEY_IMG), &image, depth + 1)
        elif key.word == KEY_DATA:
            p = read_data(r, at(key, KEY_DATA), &data, depth + 1)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    p = key.begin
    if p == NULL or native.assets.n == LIST_MAX:
        return p
    if r.asked_n == r.asked_cap and not grow(<void**>&r.asked, &r.asked_cap, sizeof(Asked)):
        return NULL
    asked = &r.asked[r.asked_n]
    asked[0] = title if title.kind else image if image.kind else data
    asked.id = id
    asked.required = required
    r.asked_n += 1
    native.assets.n += 1
    return p


cdef const char* read_assets(Reader r, const char* p, Native* native, int depth) noexcept nogil:
    native.assets.at = r.asked_n
    native.assets.n = 0
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p)
    while is_item(p):
        p = next_item(read_asset(r, p, native, depth + 1))
    return p


cdef const char* read_version(Reader r, const char* p, uint8_t* out, int depth) noexcept nogil:
    """10, 11, or 12 for 1.2 and all that is newer; 0: absent."""
    cdef Str ver
    p = read_str(p, &ver, depth, &r.spare)
    out[0] = 0 if ver.p == NULL else NEWEST
    if ver.n and ver.p[0] == c'1':
        if ver.n == 1 or (ver.n == 3 and ver.p[1] == c'.' and ver.p[2] == c'0'):
            out[0] = 10
        elif ver.n == 3 and ver.p[1] == c'.' and ver.p[2] == c'1':
            out[0] = 11
    return p


cdef const char* read_tracker(Reader r, const char* p, Native* native, int depth) noexcept nogil:
    cdef Key key
    cdef uint8_t event = 0
    cdef uint64_t methods = 0
    if p[0] != c'{':
        return skip_value(p, depth)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_EVENT:
            p = read_code(at(key, KEY_EVENT), &event, depth + 1, &r.spare)
        elif key.word == KEY_METHODS:
            p = read_bits(r, at(key, KEY_METHODS), &methods, BITS_TOP, depth + 1)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    if methods & METHOD_IMAGE:
        if event == EVENT_IMPRESSION:
            native.image_events = True
        elif event == EVENT_VIEWABLE:
            native.view_events = True
    return key.begin


cdef const char* read_trackers(Reader r, const char* p, Native* native, int depth) noexcept nogil:
    native.image_events = native.view_events = False
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p)
    while is_item(p):
        p = next_item(read_tracker(r, p, native, depth + 1))
    return p


cdef const char* read_wanted(Reader r, const char* p, Native* native, int depth, bint outer) noexcept nogil:
    """The native request; `outer`: it may still be wrapped."""
    cdef Key key
    cdef Native inner
    if p[0] != c'{':
        return skip_value(p, depth)
    native.readable = True
    memset(&inner, 0, sizeof(inner))
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ASSETS:
            p = read_assets(r, at(key, KEY_ASSETS), native, depth + 1)
        elif key.word == KEY_VER:
            p = read_version(r, at(key, KEY_VER), &native.ver, depth + 1)
        elif key.word == KEY_EVENTTRACKERS:
            p = read_trackers(r, at(key, KEY_EVENTTRACKERS), native, depth + 1)
        elif outer and key.word == KEY_NATIVE:
            memset(&inner, 0, sizeof(inner))
            p = read_wanted(r, at(key, KEY_NATIVE), &inner, depth + 1, False)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    if inner.readable:
        native[0] = inner
        native.wrapped = True
    return key.begin


cdef const char* read_text(Reader r, const char* p, Native* native) noexcept nogil:
    """From the opening quote of a string that holds the request over its closing one."""
    cdef const char* end
    cdef const char* text = r.spare
    cdef Py_ssize_t n = 0
    end = undo_string(p, r.spare, &n)
    if end == NULL or n < 0:
        return end
    r.spare += n + 1               # over the zero behind it, which ends every search in it
    p = blank(text)
    if p[0] == c'{':
        p = read_wanted(r, p, native, 0, True)
        if p == NULL or blank(p) != text + n:
            memset(native, 0, sizeof(Native))
    return end


cdef void settle_assets(Reader r, Native* native) noexcept nogil:
    """Of assets with the same id none can be answered: nobody could tell which one is meant."""
    cdef Asked* asked = r.asked + native.assets.at
    cdef uint64_t shared = 0
    cdef uint32_t i, k
    if native.assets.n > ASSETS_MAX:
        native.readable = False
        return
    for i in range(native.assets.n):
        for k in range(i):
            if asked[i].id == asked[k].id:
                shared |= <uint64_t>1 << i | <uint64_t>1 << k
    for i in range(native.assets.n):
        if shared >> i & 1:
            asked[i].id = -1


cdef const char* read_native(Reader r, const char* p, Imp* imp) noexcept nogil:
    cdef Key key
    cdef Native* native
    cdef Native wanted
    cdef uint64_t battr = 0, api = 0
    cdef uint8_t ver = 0
    imp.media &= <uint8_t>~MEDIA_NATIVE
    if p[0] != c'{':
        return skip_value(p, 3)
    if r.natives_n == r.natives_cap and not grow(<void**>&r.natives, &r.natives_cap, sizeof(Native)):
        return NULL
    native = &r.natives[r.natives_n]
    imp.native = r.natives_n
    imp.media |= MEDIA_NATIVE
    r.natives_n += 1
    memset(&wanted, 0, sizeof(Native))
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_REQUEST:
            memset(&wanted, 0, sizeof(Native))
            p = at(key, KEY_REQUEST)
            p = read_text(r, p, &wanted) if p[0] == c'"' else read_wanted(r, p, &wanted, 4, True)
        elif key.word == KEY_VER:
            p = read_version(r, at(key, KEY_VER), &ver, 4)
        elif key.word == KEY_BATTR:
            p = read_bits(r, at(key, KEY_BATTR), &battr, BITS_TOP, 4)
        elif key.word == KEY_API:
            p = read_bits(r, at(key, KEY_API), &api, BITS_TOP, 4)
        else:
            p = skip_value(at(key, key.word), 4)
        key = next_key(p, r.spare)
    settle_assets(r, &wanted)
    native[0] = wanted
    native.ver = wanted.ver or ver or NEWEST
    native.battr = battr
    native.api = api
    return key.begin
