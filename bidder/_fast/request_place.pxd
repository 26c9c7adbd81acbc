"""Reads where the impression is: `site`, `app` or `dooh`."""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memset
from bidder._fast.request cimport (
    INVENTORY_APP, INVENTORY_DOOH, INVENTORY_SITE, Property, Reader, Request, Span, Str,
)
from bidder._fast.request_keys cimport *
from bidder._fast.request_values cimport add_str, read_code, read_str, read_strs, skip_value

cdef inline const char* read_publisher(Reader r, const char* p, Str* out) noexcept nogil:
    cdef Key key
    out.p = NULL
    out.n = 0
    if p[0] != c'{':
        return skip_value(p, 2)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ID:
            p = read_str(at(key, KEY_ID), out, 3, &r.spare)
        else:
            p = skip_value(at(key, key.word), 3)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline const char* read_property(Reader r, const char* p, Property* out) noexcept nogil:
    cdef Key key
    memset(out, 0, sizeof(Property))
    if p[0] != c'{':
        return skip_value(p, 1)
    out.there = True
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ID:
            p = read_str(at(key, KEY_ID), &out.id, 2, &r.spare)
        elif key.word == KEY_DOMAIN:
            p = read_str(at(key, KEY_DOMAIN), &out.domain, 2, &r.spare)
        elif key.word == KEY_PAGE:
            p = read_str(at(key, KEY_PAGE), &out.page, 2, &r.spare)
        elif key.word == KEY_BUNDLE:
            p = read_str(at(key, KEY_BUNDLE), &out.bundle, 2, &r.spare)
        elif key.word == KEY_PUBLISHER:
            p = read_publisher(r, at(key, KEY_PUBLISHER), &out.publisher)
        elif key.word == KEY_CAT:
            p = read_strs(r, at(key, KEY_CAT), &out.cat, 2)
        elif key.word == KEY_SECTIONCAT:
            p = read_strs(r, at(key, KEY_SECTIONCAT), &out.sectioncat, 2)
        elif key.word == KEY_PAGECAT:
            p = read_strs(r, at(key, KEY_PAGECAT), &out.pagecat, 2)
        elif key.word == KEY_CATTAX:
            p = read_code(at(key, KEY_CATTAX), &out.cattax, 2, &r.spare)
        elif key.word == KEY_VENUETYPE:
            p = read_strs(r, at(key, KEY_VENUETYPE), &out.venues, 2)
        elif key.word == KEY_VENUETYPEID:
            p = read_str(at(key, KEY_VENUETYPEID), &out.venue, 2, &r.spare)
        else:
            p = skip_value(at(key, key.word), 2)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline Str host_of(Str url) noexcept nogil:
    """Without scheme, user, port and path; the slice of `url`, or absent where nothing is left."""
    cdef const char* p = url.p
    cdef const char* end = url.p + url.n
    cdef const char* q
    cdef Str host
    host.p = NULL
    host.n = 0
    if p == NULL:
        return host
    q = p
    while q < end and q[0] not in (c'/', c'?', c'#'):
        q += 1
    if q + 1 < end and q[0] == c'/' and q[1] == c'/' and (q == p or (q - 1)[0] == c':'):
        p = q = q + 2
        while q < end and q[0] not in (c'/', c'?', c'#'):
            q += 1
    end = q
    while q > p:
        q -= 1
        if q[0] == c'@':
            p = q + 1
            break
    q = <const char*>memchr(p, c']', end - p) if p < end and p[0] == c'[' else NULL
    q = p if q == NULL else q
    q = <const char*>memchr(q, c':', end - q)
    if q != NULL:
        end = q
    if end > p:
        host.p = p
        host.n = <uint32_t>(end - p)
    return host

cdef inline bint join_cats(Reader r, Property* place) noexcept nogil:
    """cat, sectioncat and pagecat as one list; False where there is no memory."""
    cdef Span lists[3]
    cdef Span* out = &r.req.cat
    cdef uint32_t i, k, named = 0
    lists[0], lists[1], lists[2] = place.cat, place.sectioncat, place.pagecat
    for i in range(3):
        if lists[i].n:
            named += 1
            out[0] = lists[i]
    if named < 2:
        return True                # the usual case: no copy
    out.at = r.strs_n
    out.n = 0
    for i in range(3):
        for k in range(lists[i].n):
            if not add_str(r, out, r.strs[lists[i].at + k]):
                return False
    return True

cdef inline bint settle_property(Reader r) noexcept nogil:
    """Several of site, app and dooh are an error of the sender: app counts, then site, then dooh."""
    cdef Request* req = &r.req
    cdef Property* place = NULL
    req.bcattax = req.cattax
    if r.properties[INVENTORY_APP].there:
        req.inventory = INVENTORY_APP
    elif r.properties[INVENTORY_SITE].there:
        req.inventory = INVENTORY_SITE
    elif r.properties[INVENTORY_DOOH].there:
        req.inventory = INVENTORY_DOOH
    else:
        return True
    place = &r.properties[req.inventory]
    req.publisher = place.publisher
    if place.cattax:
        req.cattax = place.cattax
    if req.inventory == INVENTORY_DOOH:
        req.domain = place.domain
        req.dooh = place.id
        req.venues = place.venues
        if place.venues.n or place.venue.p == NULL:
            return True
        req.venues.at = r.strs_n           # as it was written before the standard had a list
        return add_str(r, &req.venues, place.venue)
    if req.inventory == INVENTORY_APP:
        req.bundle = place.bundle
    else:
        req.domain = place.domain if place.domain.p != NULL else host_of(place.page)
    return join_cats(r, place)
