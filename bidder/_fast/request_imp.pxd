"""Reads `imp`: ids, banner, floors, private marketplace. Other media have rooms of their own, out of line."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from bidder._fast.request cimport (
    MEDIA_AUDIO, MEDIA_BANNER, MEDIA_VIDEO, Deal, Imp, Ratio, Reader, Size, Span, str_equal,
)
from bidder._fast.request_keys cimport *
from bidder._fast.request_media cimport read_media
from bidder._fast.request_native cimport read_native
from bidder._fast.request_values cimport (
    LIST_MAX, grow, read_bits, read_code, read_currency, read_flag, read_floor, read_id, read_int32, read_str,
    read_strs, skip_value,
)

cdef enum:
    IMPS_MAX = 256             # further ones are checked as JSON and dropped

cdef inline bint add_size(Reader r, Span* sizes, int32_t w, int32_t h) noexcept nogil:
    if w <= 0 or h <= 0 or sizes.n == LIST_MAX:
        return True
    if r.sizes_n == r.sizes_cap and not grow(<void**>&r.sizes, &r.sizes_cap, sizeof(Size)):
        return False
    r.sizes[r.sizes_n] = Size(w, h)
    r.sizes_n += 1
    sizes.n += 1
    return True

cdef inline bint add_ratio(Reader r, Span* ratios, int32_t w, int32_t h, int32_t wmin) noexcept nogil:
    if w <= 0 or h <= 0 or ratios.n == LIST_MAX:
        return True
    if r.ratios_n == r.ratios_cap and not grow(<void**>&r.ratios, &r.ratios_cap, sizeof(Ratio)):
        return False
    r.ratios[r.ratios_n] = Ratio(w, h, wmin)
    r.ratios_n += 1
    ratios.n += 1
    return True

cdef inline const char* read_formats(Reader r, const char* p, Imp* imp) noexcept nogil:
    cdef Key key
    cdef int32_t w, h, wratio, hratio, wmin
    imp.sizes.at = r.sizes_n
    imp.ratios.at = r.ratios_n
    imp.sizes.n = imp.ratios.n = 0
    if p[0] != c'[':
        return skip_value(p, 4)
    p = first_item(p)
    while is_item(p):
        if p[0] != c'{':
            p = next_item(skip_value(p, 5))
            continue
        w = h = wratio = hratio = wmin = 0
        key = first_key(p, r.spare)
        while key.word != KEY_NONE:
            if key.word == KEY_W:
                p = read_int32(at(key, KEY_W), &w, 0, 6, &r.spare)
            elif key.word == KEY_H:
                p = read_int32(at(key, KEY_H), &h, 0, 6, &r.spare)
            elif key.word == KEY_WRATIO:
                p = read_int32(at(key, KEY_WRATIO), &wratio, 0, 6, &r.spare)
            elif key.word == KEY_HRATIO:
                p = read_int32(at(key, KEY_HRATIO), &hratio, 0, 6, &r.spare)
            elif key.word == KEY_WMIN:
                p = read_int32(at(key, KEY_WMIN), &wmin, 0, 6, &r.spare)
            else:
                p = skip_value(at(key, key.word), 6)
            key = next_key(p, r.spare)
        p = key.begin
        if p == NULL or not add_size(r, &imp.sizes, w, h) or not add_ratio(r, &imp.ratios, wratio, hratio, wmin):
            return NULL
        p = next_item(p)
    return p

cdef inline const char* read_banner(Reader r, const char* p, Imp* imp) noexcept nogil:
    cdef Key key
    cdef int32_t w = 0, h = 0
    cdef uint64_t btype = 0, expdir = 0
    imp.media &= <uint8_t>~MEDIA_BANNER
    imp.sizes.n = imp.ratios.n = 0
    imp.wmin = imp.wmax = imp.hmin = imp.hmax = 0
    imp.battr = imp.api = 0
    imp.btype = imp.expdir = 0
    if p[0] != c'{':
        return skip_value(p, 3)
    imp.media |= MEDIA_BANNER
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_W:
            p = read_int32(at(key, KEY_W), &w, 0, 4, &r.spare)
        elif key.word == KEY_H:
            p = read_int32(at(key, KEY_H), &h, 0, 4, &r.spare)
        elif key.word == KEY_FORMAT:
            p = read_formats(r, at(key, KEY_FORMAT), imp)
        elif key.word == KEY_BATTR:
            p = read_bits(r, at(key, KEY_BATTR), &imp.battr, 63, 4)
        elif key.word == KEY_BTYPE:
            p = read_bits(r, at(key, KEY_BTYPE), &btype, 4, 4)
        elif key.word == KEY_EXPDIR:
            p = read_bits(r, at(key, KEY_EXPDIR), &expdir, 6, 4)
        elif key.word == KEY_API:
            p = read_bits(r, at(key, KEY_API), &imp.api, 63, 4)
        elif key.word == KEY_WMIN:
            p = read_int32(at(key, KEY_WMIN), &imp.wmin, 0, 4, &r.spare)
        elif key.word == KEY_WMAX:
            p = read_int32(at(key, KEY_WMAX), &imp.wmax, 0, 4, &r.spare)
        elif key.word == KEY_HMIN:
            p = read_int32(at(key, KEY_HMIN), &imp.hmin, 0, 4, &r.spare)
        elif key.word == KEY_HMAX:
            p = read_int32(at(key, KEY_HMAX), &imp.hmax, 0, 4, &r.spare)
        else:
            p = skip_value(at(key, key.word), 4)
        key = next_key(p, r.spare)
    p = key.begin
    imp.btype = <uint32_t>btype
    imp.expdir = <uint32_t>expdir
    if imp.sizes.n == 0:
        imp.sizes.at = r.sizes_n
        if not add_size(r, &imp.sizes, w, h):
            return NULL
    return p

cdef inline const char* read_deal(Reader r, const char* p, Imp* imp) noexcept nogil:
    cdef Key key
    cdef Deal deal
    if p[0] != c'{':
        return skip_value(p, 5)
    memset(&deal, 0, sizeof(Deal))
    deal.floor = -1
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ID:
            p = read_str(at(key, KEY_ID), &deal.id, 6, &r.spare)
        elif key.word == KEY_BIDFLOOR:
            p = read_floor(at(key, KEY_BIDFLOOR), &deal.floor, -1, 6, &r.spare)
        elif key.word == KEY_BIDFLOORCUR:
            p = read_currency(r, at(key, KEY_BIDFLOORCUR), &deal.floor_currency, 6)
        elif key.word == KEY_AT:
            p = read_code(at(key, KEY_AT), &deal.at, 6, &r.spare)
        elif key.word == KEY_WSEAT:
            p = read_strs(r, at(key, KEY_WSEAT), &deal.wseat, 6)
        elif key.word == KEY_WADOMAIN:
            p = read_strs(r, at(key, KEY_WADOMAIN), &deal.wadomain, 6)
        else:
            p = skip_value(at(key, key.word), 6)
        key = next_key(p, r.spare)
    p = key.begin
    if p == NULL or deal.id.p == NULL or imp.deals.n == LIST_MAX:
        return p
    if r.deals_n == r.deals_cap and not grow(<void**>&r.deals, &r.deals_cap, sizeof(Deal)):
        return NULL
    r.deals[r.deals_n] = deal
    r.deals_n += 1
    imp.deals.n += 1
    return p

cdef inline const char* read_deals(Reader r, const char* p, Imp* imp) noexcept nogil:
    imp.deals.at = r.deals_n
    imp.deals.n = 0
    if p[0] != c'[':
        return skip_value(p, 4)
    p = first_item(p)
    while is_item(p):
        p = next_item(read_deal(r, p, imp))
    return p

cdef inline const char* read_pmp(Reader r, const char* p, Imp* imp) noexcept nogil:
    cdef Key key
    imp.private_auction = False
    imp.deals.at = imp.deals.n = 0
    if p[0] != c'{':
        return skip_value(p, 3)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_PRIVATE_AUCTION:
            p = read_flag(at(key, KEY_PRIVATE_AUCTION), &imp.private_auction, 4, &r.spare)
        elif key.word == KEY_DEALS:
            p = read_deals(r, at(key, KEY_DEALS), imp)
        else:
            p = skip_value(at(key, key.word), 4)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline const char* read_imp(Reader r, const char* p) noexcept nogil:
    cdef Key key
    cdef Imp* imp
    if p[0] != c'{' or r.imps_n == IMPS_MAX:
        return skip_value(p, 2)
    if r.imps_n == r.imps_cap and not grow(<void**>&r.imps, &r.imps_cap, sizeof(Imp)):
        return NULL
    imp = &r.imps[r.imps_n]
    r.imps_n += 1
    memset(imp, 0, sizeof(Imp))
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ID:
            p = read_id(at(key, KEY_ID), &imp.id, &imp.id_raw, 3, &r.spare)
        elif key.word == KEY_BANNER:
            p = read_banner(r, at(key, KEY_BANNER), imp)
        elif key.word == KEY_VIDEO:
            p = read_media(r, at(key, KEY_VIDEO), imp, MEDIA_VIDEO)
        elif key.word == KEY_AUDIO:
            p = read_media(r, at(key, KEY_AUDIO), imp, MEDIA_AUDIO)
        elif key.word == KEY_NATIVE:
            p = read_native(r, at(key, KEY_NATIVE), imp)
        elif key.word == KEY_PMP:
            p = read_pmp(r, at(key, KEY_PMP), imp)
        elif key.word == KEY_BIDFLOOR:
            p = read_floor(at(key, KEY_BIDFLOOR), &imp.floor, 0, 3, &r.spare)
        elif key.word == KEY_BIDFLOORCUR:
            p = read_currency(r, at(key, KEY_BIDFLOORCUR), &imp.floor_currency, 3)
        elif key.word == KEY_SECURE:
            p = read_flag(at(key, KEY_SECURE), &imp.secure, 3, &r.spare)
        elif key.word == KEY_INSTL:
            p = read_flag(at(key, KEY_INSTL), &imp.instl, 3, &r.spare)
        else:
            p = skip_value(at(key, key.word), 3)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline const char* read_imps(Reader r, const char* p) noexcept nogil:
    r.imps_n = 0
    if p[0] != c'[':
        return skip_value(p, 1)
    p = first_item(p)
    while is_item(p):
        p = next_item(read_imp(r, p))
    return p

cdef inline bint settle_imp_ids(Reader r) noexcept nogil:
    """Marks ids that two imps share; False where no imp has an id."""
    cdef uint32_t i, k
    cdef bint found = False
    for i in range(r.imps_n):
        if r.imps[i].id.p == NULL:
            continue
        found = True
        for k in range(i):
            if r.imps[k].id.p != NULL and str_equal(r.imps[i].id, r.imps[k].id):
                r.imps[i].duplicate_id = r.imps[k].duplicate_id = True
    return found
