"""Reads `device`, `user` and `regs`, and clears what of the person may not be used."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from bidder._fast.consent cimport (
    MAY_ALL, MAY_IDENTIFY, MAY_LOCATE, MAY_PERSONALISE, MAY_PINPOINT, SAYS_NO, SAYS_YES, SID_ODD, Regs, decide,
)
from bidder._fast.json cimport blank
from bidder._fast.request cimport USER_BUYERUID, USER_ID, USER_IFA, USER_NONE, Reader, Request, Span, Str, pack3
from bidder._fast.request_keys cimport *
from bidder._fast.request_values cimport (
    add_str, read_code, read_degrees, read_flag, read_int, read_int32, read_str, skip_value,
)

cdef inline void clear_geo(Request* req) noexcept nogil:
    req.country = 0
    req.region.p = req.city.p = req.metro.p = req.zip.p = NULL
    req.region.n = req.city.n = req.metro.n = req.zip.n = 0
    req.has_point = False
    req.lat = req.lon = 0

cdef inline const char* read_geo(Reader r, const char* p) noexcept nogil:
    cdef Key key
    cdef Request* req = &r.req
    cdef bint lat_ok = False, lon_ok = False
    cdef Str country
    country.p = NULL
    country.n = 0
    clear_geo(req)
    if p[0] == c'{':
        key = first_key(p, r.spare)
        while key.word != KEY_NONE:
            if key.word == KEY_COUNTRY:
                p = read_str(at(key, KEY_COUNTRY), &country, 3, &r.spare)
            elif key.word == KEY_REGION:
                p = read_str(at(key, KEY_REGION), &req.region, 3, &r.spare)
            elif key.word == KEY_CITY:
                p = read_str(at(key, KEY_CITY), &req.city, 3, &r.spare)
            elif key.word == KEY_METRO:
                p = read_str(at(key, KEY_METRO), &req.metro, 3, &r.spare)
            elif key.word == KEY_ZIP:
                p = read_str(at(key, KEY_ZIP), &req.zip, 3, &r.spare)
            elif key.word == KEY_LAT:
                p = read_degrees(at(key, KEY_LAT), &req.lat, 90, &lat_ok, 3, &r.spare)
            elif key.word == KEY_LON:
                p = read_degrees(at(key, KEY_LON), &req.lon, 180, &lon_ok, 3, &r.spare)
            else:
                p = skip_value(at(key, key.word), 3)
            key = next_key(p, r.spare)
        p = key.begin
    else:
        p = skip_value(p, 2)
    req.country = pack3(country.p, country.n)
    req.has_point = lat_ok and lon_ok
    if not req.has_point:
        req.lat = req.lon = 0
    return p

cdef inline bint is_zero(Str ifa) noexcept nogil:
    """An identifier that says there is none: 00000000-0000-0000-0000-000000000000."""
    cdef uint32_t i
    for i in range(ifa.n):
        if ifa.p[i] != c'0' and ifa.p[i] != c'-':
            return False
    return True

cdef inline const char* read_device_ext(Reader r, const char* p, uint8_t* att) noexcept nogil:
    """Of Apple's tracking authorisation only one status lets us: 3, authorised."""
    cdef Key key
    cdef int64_t status
    att[0] = 0
    if p[0] != c'{':
        return skip_value(p, 2)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ATTS:
            p = at(key, KEY_ATTS)
            att[0] = 0 if p[0] == c'n' else SAYS_NO        # null says nothing
            status = 0
            p = read_int(p, &status, 0, 4, 3, &r.spare)
            if status == 3:
                att[0] = SAYS_YES
        else:
            p = skip_value(at(key, key.word), 3)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline const char* read_device(Reader r, const char* p) noexcept nogil:
    cdef Key key
    cdef Request* req = &r.req
    cdef bint lmt = False, dnt = False
    req.os.p = req.osv.p = req.make.p = req.model.p = req.carrier.p = req.language.p = req.ifa.p = NULL
    req.os.n = req.osv.n = req.make.n = req.model.n = req.carrier.n = req.language.n = req.ifa.n = 0
    req.device_type = 0
    req.connection_type = -1
    r.signals.att = 0
    clear_geo(req)
    if p[0] == c'{':
        key = first_key(p, r.spare)
        while key.word != KEY_NONE:
            if key.word == KEY_OS:
                p = read_str(at(key, KEY_OS), &req.os, 2, &r.spare)
            elif key.word == KEY_OSV:
                p = read_str(at(key, KEY_OSV), &req.osv, 2, &r.spare)
            elif key.word == KEY_MAKE:
                p = read_str(at(key, KEY_MAKE), &req.make, 2, &r.spare)
            elif key.word == KEY_MODEL:
                p = read_str(at(key, KEY_MODEL), &req.model, 2, &r.spare)
            elif key.word == KEY_CARRIER:
                p = read_str(at(key, KEY_CARRIER), &req.carrier, 2, &r.spare)
            elif key.word == KEY_LANGUAGE:
                p = read_str(at(key, KEY_LANGUAGE), &req.language, 2, &r.spare)
            elif key.word == KEY_DEVICETYPE:
                p = read_int32(at(key, KEY_DEVICETYPE), &req.device_type, 0, 2, &r.spare)
            elif key.word == KEY_CONNECTIONTYPE:
                p = read_int32(at(key, KEY_CONNECTIONTYPE), &req.connection_type, -1, 2, &r.spare)
            elif key.word == KEY_IFA:
                p = read_str(at(key, KEY_IFA), &req.ifa, 2, &r.spare)
            elif key.word == KEY_LMT:
                p = read_flag(at(key, KEY_LMT), &lmt, 2, &r.spare)
            elif key.word == KEY_DNT:
                p = read_flag(at(key, KEY_DNT), &dnt, 2, &r.spare)
            elif key.word == KEY_GEO:
                p = read_geo(r, at(key, KEY_GEO))
            elif key.word == KEY_EXT:
                p = read_device_ext(r, at(key, KEY_EXT), &r.signals.att)
            else:
                p = skip_value(at(key, key.word), 2)
            key = next_key(p, r.spare)
        p = key.begin
    else:
        p = skip_value(p, 1)
    r.signals.limited = lmt or dnt
    if req.ifa.n and is_zero(req.ifa):
        r.signals.limited = True           # which is how platforms say lmt
        req.ifa.p = NULL
        req.ifa.n = 0
    return p

cdef inline const char* read_segments(Reader r, const char* p, Span* out) noexcept nogil:
    """The ids of one `segment`, onto the end of the list."""
    cdef Key key
    cdef Str id
    if p[0] != c'[':
        return skip_value(p, 4)
    p = first_item(p)
    while is_item(p):
        if p[0] != c'{':
            p = next_item(skip_value(p, 5))
            continue
        id.p = NULL
        id.n = 0
        key = first_key(p, r.spare)
        while key.word != KEY_NONE:
            if key.word == KEY_ID:
                p = read_str(at(key, KEY_ID), &id, 6, &r.spare)
            else:
                p = skip_value(at(key, key.word), 6)
            key = next_key(p, r.spare)
        p = key.begin
        if p == NULL or not (id.p == NULL or add_str(r, out, id)):
            return NULL
        p = next_item(p)
    return p

cdef inline const char* read_data(Reader r, const char* p) noexcept nogil:
    cdef Key key
    cdef Span* out = &r.req.segments
    cdef uint32_t before
    out.at = r.strs_n
    out.n = 0
    if p[0] != c'[':
        return skip_value(p, 2)
    p = first_item(p)
    while is_item(p):
        if p[0] != c'{':
            p = next_item(skip_value(p, 3))
            continue
        before = out.n
        key = first_key(p, r.spare)
        while key.word != KEY_NONE:
            if key.word == KEY_SEGMENT:
                r.strs_n = out.at + before     # a second `segment` of the same data
                out.n = before
                p = read_segments(r, at(key, KEY_SEGMENT), out)
            else:
                p = skip_value(at(key, key.word), 4)
            key = next_key(p, r.spare)
        p = key.begin
        p = next_item(p)
    return p

cdef inline const char* read_eids(Reader r, const char* p, bint* named, int depth) noexcept nogil:
    """Does the list begin with an eid? Whose does not matter here."""
    named[0] = p[0] == c'[' and blank(p + 1)[0] == c'{'
    return skip_value(p, depth)

cdef inline const char* read_user_ext(Reader r, const char* p, bint* eids) noexcept nogil:
    cdef Key key
    memset(&r.signals.consent_ext, 0, sizeof(Str))
    eids[0] = False
    if p[0] != c'{':
        return skip_value(p, 2)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_CONSENT:
            p = read_str(at(key, KEY_CONSENT), &r.signals.consent_ext, 3, &r.spare)
        elif key.word == KEY_EIDS:
            p = read_eids(r, at(key, KEY_EIDS), eids, 3)
        else:
            p = skip_value(at(key, key.word), 3)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline const char* read_user(Reader r, const char* p) noexcept nogil:
    cdef Key key
    cdef Str id, buyeruid, gender
    cdef bint eids = False, ext_eids = False
    memset(&r.signals.consent, 0, sizeof(Str))
    memset(&r.signals.consent_ext, 0, sizeof(Str))
    id.p = buyeruid.p = gender.p = NULL
    id.n = buyeruid.n = gender.n = 0
    r.req.yob = 0
    r.req.segments.n = 0
    if p[0] == c'{':
        key = first_key(p, r.spare)
        while key.word != KEY_NONE:
            if key.word == KEY_ID:
                p = read_str(at(key, KEY_ID), &id, 2, &r.spare)
            elif key.word == KEY_BUYERUID:
                p = read_str(at(key, KEY_BUYERUID), &buyeruid, 2, &r.spare)
            elif key.word == KEY_GENDER:
                p = read_str(at(key, KEY_GENDER), &gender, 2, &r.spare)
            elif key.word == KEY_YOB:
                p = read_int32(at(key, KEY_YOB), &r.req.yob, 0, 2, &r.spare)
            elif key.word == KEY_DATA:
                p = read_data(r, at(key, KEY_DATA))
            elif key.word == KEY_CONSENT:
                p = read_str(at(key, KEY_CONSENT), &r.signals.consent, 2, &r.spare)
            elif key.word == KEY_EIDS:
                p = read_eids(r, at(key, KEY_EIDS), &eids, 2)
            elif key.word == KEY_EXT:
                p = read_user_ext(r, at(key, KEY_EXT), &ext_eids)
            else:
                p = skip_value(at(key, key.word), 2)
            key = next_key(p, r.spare)
        p = key.begin
    else:
        p = skip_value(p, 1)
    r.user_id = id.p != NULL or buyeruid.p != NULL or eids or ext_eids
    r.user_named = buyeruid if buyeruid.p != NULL else id
    r.user_named_from = USER_BUYERUID if buyeruid.p != NULL else USER_ID if id.p != NULL else USER_NONE
    r.req.gender = 0
    if gender.n == 1 and gender.p[0] in (c'M', c'F', c'O'):
        r.req.gender = <uint8_t>gender.p[0]
    return p

cdef inline const char* read_gdpr(const char* p, uint8_t* says, int depth, char** spare) noexcept nogil:
    """0 or false is no; 1, true or any other number yes."""
    cdef int64_t value = -1
    says[0] = SAYS_YES if p[0] == c't' else SAYS_NO if p[0] == c'f' else 0
    p = read_int(p, &value, -1, 2, depth, spare)
    if value >= 0:
        says[0] = SAYS_YES if value else SAYS_NO
    return p

cdef inline const char* read_gpp_sid(Reader r, const char* p, Regs* regs, int depth) noexcept nogil:
    """A list of ids of sections; a negative one says that none applies."""
    cdef int64_t id
    regs.sections = 0
    regs.sections_named = False
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p)
    while is_item(p):
        regs.sections_named = True
        id = 0 if p[0] != c'-' else -1
        p = read_int(p, &id, id, SID_ODD, depth + 1, &r.spare)
        if id >= 0:
            regs.sections |= <uint64_t>1 << id
        p = next_item(p)
    return p

cdef inline const char* read_dsa(Reader r, const char* p, Regs* regs, int depth) noexcept nogil:
    """What the Digital Services Act asks of the ad."""
    cdef Key key
    regs.dsa = 0
    if p[0] != c'{':
        return skip_value(p, depth)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_DSAREQUIRED:
            p = read_code(at(key, KEY_DSAREQUIRED), &regs.dsa, depth + 1, &r.spare)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline const char* read_regs(Reader r, const char* p, Regs* regs, Regs* ext, int depth) noexcept nogil:
    """regs, or its ext, where 2.5 has what 2.6 moved up; `ext`: where that of regs goes."""
    cdef Key key
    memset(regs, 0, sizeof(Regs))
    if ext != NULL:
        memset(ext, 0, sizeof(Regs))
    if p[0] != c'{':
        return skip_value(p, depth)
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_GDPR:
            p = read_gdpr(at(key, KEY_GDPR), &regs.gdpr, depth + 1, &r.spare)
        elif key.word == KEY_US_PRIVACY:
            p = read_str(at(key, KEY_US_PRIVACY), &regs.us_privacy, depth + 1, &r.spare)
        elif key.word == KEY_COPPA:
            p = read_flag(at(key, KEY_COPPA), &regs.coppa, depth + 1, &r.spare)
        elif key.word == KEY_GPP:
            p = read_str(at(key, KEY_GPP), &regs.gpp, depth + 1, &r.spare)
        elif key.word == KEY_GPP_SID:
            p = read_gpp_sid(r, at(key, KEY_GPP_SID), regs, depth + 1)
        elif key.word == KEY_GPC:
            p = read_flag(at(key, KEY_GPC), &regs.gpc, depth + 1, &r.spare)
        elif key.word == KEY_DSA:
            p = read_dsa(r, at(key, KEY_DSA), regs, depth + 1)
        elif key.word == KEY_EXT and ext != NULL:
            p = read_regs(r, at(key, KEY_EXT), ext, NULL, depth + 1)
        else:
            p = skip_value(at(key, key.word), depth + 1)
        key = next_key(p, r.spare)
    p = key.begin
    return p

cdef inline void consent_gate(Reader r) noexcept nogil:
    """What may be used is decided, and what may not is gone, before anything looks at the person."""
    cdef Request* req = &r.req
    r.signals.country = req.country
    req.may = decide(&r.signals, &r.vendor)
    if req.may & MAY_IDENTIFY:
        req.has_user_id = r.user_id or req.ifa.p != NULL
        req.user = req.ifa if req.ifa.p != NULL else r.user_named
        req.user_from = USER_IFA if req.ifa.p != NULL else r.user_named_from
    else:
        req.ifa.p = NULL
        req.ifa.n = 0
    if req.may == MAY_ALL:
        return
    if not req.may & MAY_PERSONALISE:
        req.gender = 0
        req.yob = 0
        req.segments.n = 0
    if not req.may & MAY_PINPOINT:
        req.has_point = False
        req.lat = req.lon = 0
        req.zip.p = NULL
        req.zip.n = 0
    if not req.may & MAY_LOCATE:
        req.city.p = req.metro.p = NULL
        req.city.n = req.metro.n = 0
