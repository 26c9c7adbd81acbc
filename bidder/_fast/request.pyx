"""Reads one OpenRTB 2.5/2.6 bid request in one pass, and says what of it may be used.

body -> copy with zeros behind it -> the members that the bidder uses -> `consent_gate`
Text that is not JSON by the letter is malformed, all of it is checked; a value of a
type that cannot be read counts as absent. Of a key given twice the last one holds.
Where the standard has two places (regs, consent, eids) both are read, and the stricter holds.
Money: int64 nano for one impression, from the decimal text, rounded half up.
Allocates only where a request needs more room than any before it.
Measured: 8,600 instructions for a request of 1.3 kB on average (`scripts/bench stages`), and a time that hangs on how
far the processor sees ahead: where the next thing to read lies follows from what is being read.

Every reader of an object first clears what it owns, then goes from key to key; the
number in its calls is how many containers are open around the value.
Rooms, inline: `json_text`, `json`, `json_number` the grammar, `request_values` tolerance, `request_keys` dispatch,
`request_imp`, `request_place`, `request_person` the fields; here: the top level and the face. Out of line, what few bodies
have: `request_odd`, and of imps `request_media` and `request_native`.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memset

from bidder._fast.consent import MAY
from bidder._fast.json cimport blank
from bidder._fast.json_text cimport PAD, copy_text, utf8_ok
from bidder._fast.request_imp cimport read_imps, settle_imp_ids
from bidder._fast.request_keys cimport *
from bidder._fast.request_person cimport consent_gate, read_device, read_regs, read_user
from bidder._fast.request_place cimport read_property, settle_property
from bidder._fast.request_values cimport (
    INT32_TOP, lower, read_code, read_cur, read_flag, read_id, read_int, read_strs, skip_value,
)
from bidder._fast.tcf cimport vendor_of


cdef uint32_t pack3(const char* p, uint32_t n) noexcept nogil:
    cdef uint32_t a, b, c
    if n != 3 or p == NULL:
        return 0
    # Letters of both cases differ in one bit; what is none is above 25, or far above.
    a = <uint32_t>(p[0] | 0x20) - c'a'
    b = <uint32_t>(p[1] | 0x20) - c'a'
    c = <uint32_t>(p[2] | 0x20) - c'a'
    if a > 25 or b > 25 or c > 25:
        return 0
    return (a * 26 + b) * 26 + c + 1


cdef bint str_equal(Str a, Str b) noexcept nogil:
    return a.n == b.n and (a.n == 0 or memcmp(a.p, b.p, a.n) == 0)


cdef bint str_same(Str a, Str b) noexcept nogil:
    cdef uint32_t i
    if a.n != b.n:
        return False
    for i in range(a.n):
        if lower(a.p[i]) != lower(b.p[i]):
            return False
    return True


# --- operating systems, for counters

# The place of a name is its key in counters, rollups and tokens: new ones go to the end.
OS_NAMES = (
    "other", "android", "ios", "windows", "macos", "linux", "chromeos", "tvos", "tizen", "webos", "roku", "fireos",
    "kaios", "ipados", "watchos", "playstation", "xbox", "harmonyos", "blackberry", "windowsphone", "vizio", "vidaa",
)
# Without case, and without a version behind the name.
OS_ALIASES = {
    "android os": "android", "android tv": "android", "androidtv": "android", "google tv": "android",
    "iphone os": "ios", "iphone": "ios", "ipad": "ipados", "ipad os": "ipados", "iphoneos": "ios",
    "mac": "macos", "mac os": "macos", "mac os x": "macos", "macosx": "macos", "mac osx": "macos", "os x": "macos",
    "osx": "macos", "macintosh": "macos", "win": "windows", "windows nt": "windows", "microsoft windows": "windows",
    "windows phone": "windowsphone", "windows mobile": "windowsphone", "windows phone os": "windowsphone",
    "gnu/linux": "linux", "ubuntu": "linux", "chrome os": "chromeos", "cros": "chromeos", "chromium os": "chromeos",
    "apple tv": "tvos", "appletv": "tvos", "tv os": "tvos", "apple tvos": "tvos", "tizen os": "tizen",
    "web os": "webos", "webos tv": "webos", "netcast": "webos", "roku os": "roku", "rokuos": "roku",
    "fire os": "fireos", "fire tv": "fireos", "firetv": "fireos", "amazon fire os": "fireos", "kai os": "kaios",
    "watch os": "watchos", "ps": "playstation", "orbis os": "playstation", "xbox one": "xbox", "xbox os": "xbox",
    "harmony os": "harmonyos", "openharmony": "harmonyos", "blackberry os": "blackberry", "rim os": "blackberry",
    "smartcast": "vizio", "vizio os": "vizio",
}

cdef enum:
    OS_SLOTS = 256             # a power of two, far above the number of names
    OS_LONGEST = 24

cdef struct OsSlot:
    uint8_t n                  # 0: free
    uint8_t key
    char name[24]              # lower case

cdef OsSlot[OS_SLOTS] os_table


cdef uint32_t os_hash(const char* name, uint32_t n) noexcept nogil:
    """On lower-case ends and length: enough to tell fifty names apart."""
    return 31 * <uint8_t>lower(name[0]) + 7 * <uint8_t>lower(name[n - 1]) + 57 * <uint8_t>lower(name[n >> 1]) + n


cdef uint8_t os_key(Str os) noexcept nogil:
    cdef uint32_t at, i
    cdef OsSlot* slot
    while os.n and (c'0' <= os.p[os.n - 1] <= c'9' or os.p[os.n - 1] == c'.' or os.p[os.n - 1] == c' '):
        os.n -= 1
    if os.n == 0 or os.n > OS_LONGEST:
        return 0
    at = os_hash(os.p, os.n)
    while True:
        slot = &os_table[at % OS_SLOTS]
        if slot.n == os.n:
            i = 0
            while i < os.n and slot.name[i] == lower(os.p[i]):
                i += 1
            if i == os.n:
                return slot.key
        elif slot.n == 0:
            return 0
        at += 1


cdef void learn_os(bytes name, uint8_t key):
    cdef uint32_t at = os_hash(name, <uint32_t>len(name)), i
    while os_table[at % OS_SLOTS].n:
        at += 1
    for i in range(<uint32_t>len(name)):
        os_table[at % OS_SLOTS].name[i] = name[i]
    os_table[at % OS_SLOTS].n = <uint8_t>len(name)
    os_table[at % OS_SLOTS].key = key


for _name in OS_NAMES[1:]:
    learn_os(_name.encode(), OS_NAMES.index(_name))
for _name, _is in OS_ALIASES.items():
    learn_os(_name.encode(), OS_NAMES.index(_is))
del _name, _is


def os_key_of(text: str) -> int:
    cdef bytes name = text.encode()
    cdef Str os
    os.p = name
    os.n = <uint32_t>len(name)
    return os_key(os)


# --- the request

cdef extern from *:
    """
    /* memset, from libc: for so few bytes gcc would write `rep stos`, which takes longer to start than libc to end. */
    static inline void clear_bytes(void* p, size_t n)
    {
        __asm__("" : "+r"(n));
        memset(p, 0, n);
    }
    """
    void clear_bytes(void* p, size_t n) noexcept nogil


cdef const char* read_request(Reader r, const char* p) noexcept nogil:
    cdef Key key
    cdef Request* req = &r.req
    key = first_key(p, r.spare)
    while key.word != KEY_NONE:
        if key.word == KEY_ID:
            p = read_id(at(key, KEY_ID), &req.id, &req.id_raw, 1, &r.spare)
        elif key.word == KEY_IMP:
            p = read_imps(r, at(key, KEY_IMP))
        elif key.word == KEY_SITE:
            p = read_property(r, at(key, KEY_SITE), &r.properties[INVENTORY_SITE])
        elif key.word == KEY_APP:
            p = read_property(r, at(key, KEY_APP), &r.properties[INVENTORY_APP])
        elif key.word == KEY_DOOH:
            p = read_property(r, at(key, KEY_DOOH), &r.properties[INVENTORY_DOOH])
        elif key.word == KEY_DEVICE:
            p = read_device(r, at(key, KEY_DEVICE))
        elif key.word == KEY_USER:
            p = read_user(r, at(key, KEY_USER))
        elif key.word == KEY_REGS:
            p = read_regs(r, at(key, KEY_REGS), &r.signals.regs, &r.signals.regs_ext, 1)
        elif key.word == KEY_TMAX:
            p = read_int(at(key, KEY_TMAX), &req.tmax_ms, 0, INT32_TOP, 1, &r.spare)
        elif key.word == KEY_AT:
            p = read_code(at(key, KEY_AT), &req.at, 1, &r.spare)
        elif key.word == KEY_TEST:
            p = read_flag(at(key, KEY_TEST), &req.test, 1, &r.spare)
        elif key.word == KEY_CUR:
            p = read_cur(r, at(key, KEY_CUR))
        elif key.word == KEY_WSEAT:
            p = read_strs(r, at(key, KEY_WSEAT), &req.wseat, 1)
        elif key.word == KEY_BSEAT:
            p = read_strs(r, at(key, KEY_BSEAT), &req.bseat, 1)
        elif key.word == KEY_BCAT:
            p = read_strs(r, at(key, KEY_BCAT), &req.bcat, 1)
        elif key.word == KEY_BADV:
            p = read_strs(r, at(key, KEY_BADV), &req.badv, 1)
        elif key.word == KEY_BAPP:
            p = read_strs(r, at(key, KEY_BAPP), &req.bapp, 1)
        elif key.word == KEY_ACAT:
            p = read_strs(r, at(key, KEY_ACAT), &req.acat, 1)
        elif key.word == KEY_WLANG:
            p = read_strs(r, at(key, KEY_WLANG), &req.wlang, 1)
        elif key.word == KEY_WLANGB:
            p = read_strs(r, at(key, KEY_WLANGB), &req.wlangb, 1)
        elif key.word == KEY_CATTAX:
            p = read_code(at(key, KEY_CATTAX), &req.cattax, 1, &r.spare)
        else:
            p = skip_value(at(key, key.word), 1)
        key = next_key(p, r.spare)
    p = key.begin
    return p


cdef bint make_room(Reader r, size_t n) noexcept nogil:
    """For the body, for its strings without escapes, for the strings of those that hold JSON, and for zeros behind."""
    cdef size_t cap = 3 * (n + PAD)
    cdef void* larger
    if cap <= r.scratch_cap:
        return True
    larger = realloc(r.scratch, 2 * cap)
    if larger == NULL:
        return False
    r.scratch = <char*>larger
    r.scratch_cap = 2 * cap
    return True


cdef class Reader:
    def __cinit__(self, consent=None):
        self.vendor = vendor_of(consent)
        self.imps_cap, self.sizes_cap, self.deals_cap, self.strs_cap, self.ints_cap = 8, 64, 16, 256, 8
        self.imps = <Imp*>malloc(self.imps_cap * sizeof(Imp))
        self.sizes = <Size*>malloc(self.sizes_cap * sizeof(Size))
        self.deals = <Deal*>malloc(self.deals_cap * sizeof(Deal))
        self.strs = <Str*>malloc(self.strs_cap * sizeof(Str))
        self.ints = <int64_t*>malloc(self.ints_cap * sizeof(int64_t))
        self.ratios_cap, self.medias_cap, self.durfloors_cap, self.natives_cap, self.asked_cap = 8, 4, 8, 4, 16
        self.ratios = <Ratio*>malloc(self.ratios_cap * sizeof(Ratio))
        self.medias = <Media*>malloc(self.medias_cap * sizeof(Media))
        self.durfloors = <DurFloor*>malloc(self.durfloors_cap * sizeof(DurFloor))
        self.natives = <Native*>malloc(self.natives_cap * sizeof(Native))
        self.asked = <Asked*>malloc(self.asked_cap * sizeof(Asked))
        if not (self.imps and self.sizes and self.deals and self.strs and self.ints and self.ratios and self.medias
                and self.durfloors and self.natives and self.asked):
            raise MemoryError

    def __dealloc__(self):
        free(self.imps)
        free(self.sizes)
        free(self.deals)
        free(self.strs)
        free(self.ints)
        free(self.ratios)
        free(self.medias)
        free(self.durfloors)
        free(self.natives)
        free(self.asked)
        free(self.scratch)

    cdef int read(self, const char* body, size_t n) noexcept nogil:
        cdef Request* req = &self.req
        cdef const char* p
        cdef int i
        clear_bytes(req, sizeof(Request))
        clear_bytes(&self.signals, sizeof(Signals))
        for i in range(4):
            self.properties[i].there = False
        req.connection_type = -1
        self.user_id = False
        memset(&self.user_named, 0, sizeof(Str))
        self.user_named_from = 0
        self.imps_n = self.sizes_n = self.deals_n = self.strs_n = self.ints_n = 0
        self.ratios_n = self.medias_n = self.durfloors_n = self.natives_n = self.asked_n = 0
        if n == 0 or not make_room(self, n):
            return READ_MALFORMED
        self.spare = self.scratch + n + PAD
        if not copy_text(self.scratch, body, n) and not utf8_ok(self.scratch, n):
            return READ_MALFORMED
        p = blank(self.scratch)
        if p[0] != c'{':
            return READ_MALFORMED
        p = read_request(self, p)
        if p == NULL or blank(p) != self.scratch + n or not settle_property(self):
            return READ_MALFORMED
        req.imps.n = self.imps_n
        consent_gate(self)
        return READ_OK if settle_imp_ids(self) and req.id.p != NULL else READ_INVALID

    def parse(self, body: bytes) -> int:
        return self.read(<const char*>body, len(body))

    def view(self) -> dict:
        cdef Request* req = &self.req
        cdef Py_ssize_t i
        return {
            "id": text(req.id), "id_raw": text(req.id_raw), "test": bool(req.test), "at": req.at,
            "tmax_ms": req.tmax_ms, "imps": [view_imp(self, &self.imps[i]) for i in range(req.imps.n)],
            "cur": [packed_text(<uint32_t>self.ints[req.cur.at + i]) for i in range(req.cur.n)],
            "cur_named": bool(req.cur_named), "wseat": texts(self, req.wseat), "bseat": texts(self, req.bseat),
            "bcat": texts(self, req.bcat), "badv": texts(self, req.badv), "bapp": texts(self, req.bapp),
            "acat": texts(self, req.acat), "wlang": texts(self, req.wlang), "wlangb": texts(self, req.wlangb),
            "inventory": (None, "site", "app", "dooh")[req.inventory], "cattax": req.cattax, "bcattax": req.bcattax,
            "domain": text(req.domain), "bundle": text(req.bundle), "publisher": text(req.publisher),
            "cat": texts(self, req.cat), "dooh": text(req.dooh), "venue_type": texts(self, req.venues), "os": text(req.os), "osv": text(req.osv), "make": text(req.make),
            "model": text(req.model), "carrier": text(req.carrier), "language": text(req.language),
            "device_type": req.device_type, "connection_type": req.connection_type,
            "country": packed_text(req.country), "region": text(req.region), "city": text(req.city),
            "metro": text(req.metro), "zip": text(req.zip), "lat": req.lat, "lon": req.lon,
            "has_point": bool(req.has_point), "has_user_id": bool(req.has_user_id), "ifa": text(req.ifa),
            "user": text(req.user), "user_from": (None, "ifa", "buyeruid", "id")[req.user_from],
            "gender": chr(req.gender) if req.gender else None, "yob": req.yob,
            "segments": texts(self, req.segments), "may": [name for name, bit in MAY.items() if req.may & bit],
            "dsa": max(self.signals.regs.dsa, self.signals.regs_ext.dsa),
        }


# --- the view, for tests and tools

cdef text(Str s):
    return None if s.p == NULL else s.p[:s.n].decode()


cdef texts(Reader r, Span span):
    cdef Py_ssize_t i
    return [text(r.strs[span.at + i]) for i in range(span.n)]


cdef packed_text(uint32_t packed):
    """Three letters, None for 0, "?" for a currency that could not be read."""
    if packed == 0 or packed == UNREADABLE_CURRENCY:
        return "?" if packed else None
    packed -= 1
    return "".join(chr(65 + n) for n in (packed // 676, packed // 26 % 26, packed % 26))


cdef bits(uint64_t set_):
    return [n for n in range(64) if set_ >> n & 1]


cdef view_durfloors(Reader r, Span span):
    cdef Py_ssize_t i
    return [
        (r.durfloors[span.at + i].mindur, r.durfloors[span.at + i].maxdur, r.durfloors[span.at + i].floor)
        for i in range(span.n)
    ]


cdef view_deal(Reader r, Deal* deal):
    return {
        "id": text(deal.id), "floor": deal.floor, "floor_currency": packed_text(deal.floor_currency),
        "at": deal.at, "guaranteed": bool(deal.guaranteed), "wseat": texts(r, deal.wseat),
        "wadomain": texts(r, deal.wadomain),
        "durfloors": view_durfloors(r, deal.durfloors), "mincpmpersec": deal.mincpmpersec,
    }


cdef view_media(Reader r, Media* media):
    cdef Py_ssize_t i
    return {
        "mimes": texts(r, media.mimes), "minduration": media.minduration, "maxduration": media.maxduration,
        "maxextended": media.maxextended,
        "rqddurs": [r.ints[media.rqddurs.at + i] for i in range(media.rqddurs.n)],
        "protocols": bits(media.protocols), "w": media.w, "h": media.h, "linearity": media.linearity,
        "placement": media.placement, "plcmt": media.plcmt, "skip": None if media.skip < 0 else bool(media.skip),
        "boxed": bool(media.boxed), "skipmin": media.skipmin, "skipafter": media.skipafter,
        "minbitrate": media.minbitrate, "maxbitrate": media.maxbitrate, "battr": bits(media.battr),
        "api": bits(media.api), "delivery": bits(media.delivery), "podid": text(media.podid), "poddur": media.poddur,
        "maxseq": media.maxseq, "poddedupe": bits(media.poddedupe), "mincpmpersec": media.mincpmpersec,
        "durfloors": view_durfloors(r, media.durfloors),
    }


cdef view_asked(Reader r, Asked* asked):
    return {
        "id": asked.id, "kind": asked.kind, "required": bool(asked.required), "len": asked.len, "w": asked.w,
        "h": asked.h, "wmin": asked.wmin, "hmin": asked.hmin, "mimes": texts(r, asked.mimes),
    }


cdef view_native(Reader r, Native* native):
    cdef Py_ssize_t i
    return {
        "assets": [view_asked(r, &r.asked[native.assets.at + i]) for i in range(native.assets.n)]
        if native.readable else None,
        "ver": native.ver, "wrapped": bool(native.wrapped), "image_events": bool(native.image_events),
        "view_events": bool(native.view_events),
        "battr": bits(native.battr), "api": bits(native.api),
    }


cdef view_imp(Reader r, Imp* imp):
    cdef Py_ssize_t i
    return {
        "id": text(imp.id), "id_raw": text(imp.id_raw),
        "media": [name for n, name in enumerate(("banner", "video", "audio", "native")) if imp.media >> n & 1],
        "secure": bool(imp.secure), "instl": bool(imp.instl), "duplicate_id": bool(imp.duplicate_id),
        "floor": imp.floor, "floor_currency": packed_text(imp.floor_currency), "quantity": imp.quantity,
        "sizes": [(r.sizes[imp.sizes.at + i].w, r.sizes[imp.sizes.at + i].h) for i in range(imp.sizes.n)],
        "ratios": [(r.ratios[imp.ratios.at + i].w, r.ratios[imp.ratios.at + i].h, r.ratios[imp.ratios.at + i].wmin)
                   for i in range(imp.ratios.n)],
        "wmin": imp.wmin, "wmax": imp.wmax, "hmin": imp.hmin, "hmax": imp.hmax,
        "battr": bits(imp.battr), "btype": bits(imp.btype), "expdir": bits(imp.expdir), "api": bits(imp.api),
        "video": view_media(r, &r.medias[imp.video]) if imp.media & MEDIA_VIDEO else None,
        "audio": view_media(r, &r.medias[imp.audio]) if imp.media & MEDIA_AUDIO else None,
        "native": view_native(r, &r.natives[imp.native]) if imp.media & MEDIA_NATIVE else None,
        "private_auction": bool(imp.private_auction),
        "deals": [view_deal(r, &r.deals[imp.deals.at + i]) for i in range(imp.deals.n)],
    }
