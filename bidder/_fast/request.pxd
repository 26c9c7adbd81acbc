"""The bid request as the hot path sees it: plain C, no Python object.

Strings are slices of the body (or of the reader's own memory where an escape
had to be undone) and live until the next `read`. Lists are spans of pools.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from bidder._fast.consent cimport Signals
from bidder._fast.strings cimport Str
from bidder._fast.tcf cimport Vendor

cdef struct Span:
    uint32_t at                # first element in the pool
    uint32_t n

cdef enum:                     # Imp.media, bits
    MEDIA_BANNER = 1
    MEDIA_VIDEO = 2
    MEDIA_AUDIO = 4
    MEDIA_NATIVE = 8

cdef enum:                     # Request.inventory
    INVENTORY_NONE = 0
    INVENTORY_SITE = 1
    INVENTORY_APP = 2
    INVENTORY_DOOH = 3

cdef enum:                     # Request.user_from
    USER_NONE = 0
    USER_IFA = 1               # device.ifa: the same everywhere
    USER_BUYERUID = 2          # user.buyeruid: ours, the same everywhere
    USER_ID = 3                # user.id: means something to its exchange only

cdef enum:                     # result of Reader.read
    READ_OK = 0
    READ_MALFORMED = 1         # not one JSON object: HTTP 400
    READ_INVALID = 2           # JSON, but no usable id or no imp: no-bid

cdef struct Size:
    int32_t w
    int32_t h

cdef struct Ratio:             # of a banner without a size of its own: w : h, so wide at least
    int32_t w
    int32_t h
    int32_t wmin               # 0: absent

cdef struct DurFloor:          # what an ad of this length costs at least
    int32_t mindur             # s; 0: absent
    int32_t maxdur             # s; 0: absent
    int64_t floor              # nano, for one impression, in the currency of the imp or deal

cdef struct Media:             # imp.video or imp.audio
    Span mimes                 # in strs
    int32_t minduration, maxduration   # s; 0: absent
    int32_t maxextended        # s above maxduration; -1: without end
    Span rqddurs               # in ints: s; an ad must have one of them, if there are any
    uint64_t protocols         # bit n: VAST version n (AdCOM creative subtypes); 0: none named
    int32_t w, h               # of the player; 0: absent
    uint8_t linearity          # 1 linear, 2 not; 0: any
    uint8_t placement, plcmt   # 0: absent
    int8_t skip                # may it be skipped: 1 yes, 0 no, -1 absent
    bint boxed                 # an ad of another shape than the player's may have black bars
    int32_t skipmin, skipafter # s
    int32_t minbitrate, maxbitrate     # kbit/s; 0: absent
    uint64_t battr, api        # as those of a banner
    uint32_t delivery          # bit n: method n (1..3); 0: none named
    Str podid                  # of the pod that the ad would be in; absent: of none
    int32_t poddur, maxseq     # of a pod that is not divided: s, ads; 0: absent
    uint32_t poddedupe         # bit n: no two ads of the pod alike in n (1 domain, 2 category, 3 creative, 4 file)
    int64_t mincpmpersec       # nano, for one impression and second; 0: absent
    Span durfloors             # in durfloors

cdef enum:                     # Asked.kind, for what is no AssetKind of ours
    ASKED_OTHER = 0            # nothing that a creative has
    ASKED_TITLE = 1
    ASKED_ICON = 2
    ASKED_MAIN = 3
    ASKED_IMAGE = 4            # of no type: any will do
    ASKED_DATA = 100           # + type, up to 99

cdef struct Asked:             # an asset that a native request asks for
    int64_t id                 # -1: absent, so it cannot be answered
    uint32_t kind
    bint required
    int32_t len                # most characters; 0: absent
    int32_t w, h               # of an image: exactly; 0: absent
    int32_t wmin, hmin         # at least; 0: absent
    Span mimes                 # in strs

cdef struct Native:            # imp.native
    bint readable              # its request is there and can be read
    bint wrapped               # the native object stands in another, under `native`
    uint8_t ver                # 10, 11 or 12: version 1.0, 1.1 or 1.2
    bint image_events          # impressions may be followed by images: event 1, method 1 of eventtrackers
    bint view_events           # so may views: event 2
    Span assets                # in asked
    uint64_t battr, api

cdef struct Deal:
    Str id
    int64_t floor              # nano-USD scale of `floor_currency` for one impression; -1: absent
    uint32_t floor_currency    # packed like Request.country; 0: absent, which means USD
    uint8_t at                 # 0: absent
    bint guaranteed            # `guar`: who has agreed to it must bid
    Span wseat                 # in strs
    Span wadomain              # in strs
    Span durfloors             # in durfloors, in the currency of the deal
    int64_t mincpmpersec       # nano, for one impression and second; 0: absent

cdef struct Imp:
    Str id                     # unescaped, for comparing
    Str id_raw                 # between the quotes as on the wire, for the answer
    uint8_t media
    uint8_t media_off          # bits of media that were taken from it, as a feature is off
    bint secure
    bint instl
    bint duplicate_id          # another imp of this request has the same id
    int64_t floor              # nano, for one impression, in `floor_currency`; 0: absent
    uint32_t floor_currency    # packed; 0: absent, which means USD
    int64_t quantity           # qty.multiplier in millionths: impressions that one bid pays for; 0: absent, which means 1
    # banner
    Span sizes                 # in sizes: `format` where it names any, else w/h where both are there
    Span ratios                # in ratios: each `format` that has one
    int32_t wmin, wmax, hmin, hmax   # 0: absent
    uint64_t battr             # bit n: attribute n blocked (1..63)
    uint32_t btype             # bit n: banner type n blocked (1..4)
    uint32_t expdir            # bit n: it may expand in direction n (1..6); 0: none named
    uint64_t api               # bit n: framework n supported; 0: none named
    # the other media, each where its bit of `media` is set
    uint32_t video, audio      # in medias
    uint32_t native            # in natives
    # pmp
    bint private_auction
    Span deals                 # in deals

cdef struct Request:
    Str id_raw                 # between the quotes as on the wire
    Str id                     # unescaped
    bint test
    uint8_t at                 # 1 first price, 2 second; 0: absent
    int64_t tmax_ms            # 0: absent
    Span imps                  # in imps
    Span cur                   # in ints: packed currencies; n = 0: absent
    bint cur_named             # `cur` was there with at least one entry (readable or not)
    Span wseat, bseat          # in strs
    Span bcat, badv, bapp      # in strs
    Span acat                  # in strs: categories, of which a creative may have these only; n = 0: any
    Span wlang, wlangb         # in strs: languages that a creative may have; n = 0: any
    uint8_t inventory
    uint8_t cattax             # of the inventory object or the request; 0: absent = IAB 1.0
    uint8_t bcattax            # of bcat and acat: the request's; 0: absent = IAB 1.0
    Str domain                 # of site or dooh; the host of site.page where it is absent
    Str bundle                 # app.bundle
    Str publisher              # publisher.id
    Span cat                   # in strs: cat, sectioncat, pagecat of site or app
    Str dooh                   # dooh.id
    Span venues                # in strs: dooh.venuetype
    # device
    Str os, osv, make, model, carrier, language
    int32_t device_type        # 0: absent
    int32_t connection_type    # -1: absent (0 is a value)
    uint32_t country           # alpha-3 packed, see pack3; 0: absent or not three letters
    Str region, city, metro, zip   # device.geo
    double lat, lon
    bint has_point
    # user; never leaves the process, and is here only as far as `may` says
    bint has_user_id           # user.id, user.buyeruid, a non-zero device.ifa or an eid
    Str ifa
    Str user                   # by whom caps count: ifa, else user.buyeruid, else user.id
    uint8_t user_from          # USER_*
    uint8_t gender             # b'M', b'F', b'O'; 0: absent
    int32_t yob                # 0: absent
    Span segments              # in strs: user.data[].segment[].id
    uint8_t may                # MAY_* of consent.pxd; what may not be used is not here, see `consent_gate`

cdef enum:
    UNREADABLE_CURRENCY = 65535    # named, but not three letters: equals no currency

# Three ASCII letters as one number, 1..17576 (A..Z without case); 0 for anything else.
cdef uint32_t pack3(const char* p, uint32_t n) noexcept nogil
cdef bint str_equal(Str a, Str b) noexcept nogil
# Equal without ASCII case.
cdef bint str_same(Str a, Str b) noexcept nogil

# Key of an operating system for counters: its place in OS_NAMES; 0: other or absent.
cdef uint8_t os_key(Str os) noexcept nogil

cdef struct Property:          # private to request.pyx: site, app or dooh while it is read
    bint there
    uint8_t cattax
    Str domain, page, bundle, publisher, id, venue
    Span cat, sectioncat, pagecat, venues

cdef class Reader:
    """Reads one request at a time; owns the pools that its spans point into."""
    cdef Request req
    cdef Imp* imps
    cdef Size* sizes
    cdef Deal* deals
    cdef Str* strs
    cdef int64_t* ints
    cdef Ratio* ratios
    cdef Media* medias
    cdef DurFloor* durfloors
    cdef Native* natives
    cdef Asked* asked
    cdef uint32_t imps_cap, sizes_cap, deals_cap, strs_cap, ints_cap
    cdef uint32_t ratios_cap, medias_cap, durfloors_cap, natives_cap, asked_cap
    cdef char* scratch         # the body, then strings without their escapes
    cdef size_t scratch_cap
    # The body is copied first: its strings live until the next `read`, whatever becomes of `body`.
    cdef int read(self, const char* body, size_t n) noexcept nogil
    # private from here on
    cdef char* spare                   # free end of scratch
    cdef uint32_t imps_n, sizes_n, deals_n, strs_n, ints_n
    cdef uint32_t ratios_n, medias_n, durfloors_n, natives_n, asked_n
    cdef Property properties[4]        # by INVENTORY_*
    cdef Signals signals
    cdef Vendor vendor                 # who we are where consent is given to vendors
    cdef bint user_id                  # user.id, buyeruid or an eid
    cdef Str user_named                # user.buyeruid, else user.id
    cdef uint8_t user_named_from
