"""Rules: what one imp and its request forbid one creative.

    request + imp + creative -> creative_reason -> REASON_NONE | the first rule that stops it

Of a banner its size, attributes, type and frameworks, of the rest what `formats` asks; of all secure, approval,
languages, apps, categories, advertisers: OpenRTB 2.6 sections 3.2.4 and 3.2.6, with what exchanges check beyond its text.
Bundles, categories and domains are compared without ASCII case. Plain C, no allocation.
"""

from bidder._fast.book cimport CREATIVE_IFRAME, CREATIVE_SCRIPT, CREATIVE_SECURE
from bidder._fast.formats cimport MTYPE_BANNER, format_reason
from bidder._fast.outcome cimport (
    REASON_API, REASON_APPROVAL, REASON_BADV, REASON_BAPP, REASON_BATTR, REASON_BCAT, REASON_BTYPE, REASON_EXPDIR,
    REASON_FORMAT, REASON_LANGUAGE, REASON_NONE, REASON_SECURE, REASON_SIZE,
)
from bidder._fast.request cimport Ratio, str_equal, str_same
from bidder._fast.taxonomy cimport Codes, codes_of
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t

cdef enum:
    BTYPE_XHTML = 1 << 2       # AdCOM banner types, as bits of Imp.btype
    BTYPE_SCRIPT = 1 << 3
    BTYPE_IFRAME = 1 << 4


cdef uint8_t creative_reason(Reader reader, Book book, const Imp* imp, const CreativeRec* creative,
                             uint8_t exchange) noexcept nogil:
    cdef uint8_t why
    if not (imp.media >> (creative.format - 1)) & 1:       # bit n of media is mtype n + 1
        return REASON_FORMAT
    why = banner_reason(reader, imp, creative) if creative.format == MTYPE_BANNER else \
        format_reason(reader, book, imp, creative)
    if why != REASON_NONE:
        return why
    if imp.secure and not creative.flags & CREATIVE_SECURE:
        return REASON_SECURE
    if exchange < 64 and (creative.not_approved >> exchange) & 1:
        return REASON_APPROVAL
    if creative.language and not (language_listed(reader, reader.req.wlang, creative.language)
                                  and language_listed(reader, reader.req.wlangb, creative.language)):
        return REASON_LANGUAGE
    if creative.bundle and bundle_listed(reader, held(book, creative.bundle - 1)):
        return REASON_BAPP
    if categories_listed(reader, book, reader.req.bcat, creative) > 0:
        return REASON_BCAT
    # A creative that names no category cannot show that it has an allowed one.
    if reader.req.acat.n and (creative.cat_count == 0
            or categories_listed(reader, book, reader.req.acat, creative) < creative.cat_count):
        return REASON_BCAT
    # Exchanges drop a bid without adomain where the publisher blocks advertisers.
    if reader.req.badv.n and (creative.adomain_count == 0 or domain_listed(reader, book, reader.req.badv, creative)):
        return REASON_BADV
    return REASON_NONE


cdef inline uint8_t banner_reason(Reader reader, const Imp* imp, const CreativeRec* creative) noexcept nogil:
    if not size_fits(reader, imp, creative.w, creative.h):
        return REASON_SIZE
    if creative.attr & imp.battr:
        return REASON_BATTR
    # Markup of ours is XHTML; what it holds besides makes it a script or iframe ad as well.
    if (imp.btype & BTYPE_XHTML
            or (imp.btype & BTYPE_SCRIPT and creative.flags & CREATIVE_SCRIPT)
            or (imp.btype & BTYPE_IFRAME and creative.flags & CREATIVE_IFRAME)):
        return REASON_BTYPE
    if imp.expdir and creative.expdir & ~imp.expdir:
        return REASON_EXPDIR
    return REASON_API if creative.api & ~imp.api else REASON_NONE


cdef bint size_fits(Reader reader, const Imp* imp, int32_t w, int32_t h) noexcept nogil:
    """Of a size or a ratio of the imp; where it names none, within its ranges, as far as it has any."""
    cdef const Ratio* ratio
    cdef uint32_t i
    cdef int64_t off
    for i in range(imp.sizes.at, imp.sizes.at + imp.sizes.n):
        if reader.sizes[i].w == w and reader.sizes[i].h == h:
            return True
    for i in range(imp.ratios.at, imp.ratios.at + imp.ratios.n):
        ratio = &reader.ratios[i]
        off = <int64_t>w * ratio.h - <int64_t>h * ratio.w
        if w >= ratio.wmin and -ratio.w <= 2 * off < ratio.w:      # the height that the ratio gives, rounded
            return True
    if imp.sizes.n or imp.ratios.n:
        return False
    return ((imp.wmin == 0 or w >= imp.wmin) and (imp.wmax == 0 or w <= imp.wmax)
            and (imp.hmin == 0 or h >= imp.hmin) and (imp.hmax == 0 or h <= imp.hmax))


cdef inline Str held(Book book, uint32_t i) noexcept nogil:
    cdef Str text
    text.p = book.blob + book.strings[i].at
    text.n = book.strings[i].n
    return text


cdef bint bundle_listed(Reader reader, Str bundle) noexcept nogil:
    """Does the publisher block the app that the creative promotes?"""
    cdef uint32_t i
    for i in range(reader.req.bapp.at, reader.req.bapp.at + reader.req.bapp.n):
        if str_same(reader.strs[i], bundle):
            return True
    return False


cdef uint32_t categories_listed(Reader reader, Book book, Span listed, const CreativeRec* creative) noexcept nogil:
    """How many categories of the creative are equal to or children of a listed one: IAB25 covers IAB25-3, not IAB250."""
    cdef uint32_t i, j, found = 0
    if listed.n == 0:
        return 0
    for i in range(creative.cat_first, creative.cat_first + creative.cat_count):
        for j in range(listed.at, listed.at + listed.n):
            if category_covered(held(book, i), reader.strs[j], reader.req.bcattax):
                found += 1
                break
    return found


cdef bint category_covered(Str ours, Str listed, uint8_t taxonomy) noexcept nogil:
    cdef Codes codes
    cdef Str theirs, start = ours
    cdef int i
    codes_of(taxonomy, listed, &codes)
    for i in range(codes.n):
        theirs = codes.code[i]
        if theirs.n and (ours.n == theirs.n or (ours.n > theirs.n and ours.p[theirs.n] == c'-')):
            start.n = theirs.n
            if str_same(start, theirs):
                return True
    return False


cdef bint language_listed(Reader reader, Span listed, uint16_t language) noexcept nogil:
    """Is the creative's language among those asked for, if any are, as `en` or with a region, `en-GB`?"""
    cdef uint32_t i
    cdef Str theirs, ours
    cdef char[2] letters
    letters[0] = <char>(c'a' + (language - 1) // 26)
    letters[1] = <char>(c'a' + (language - 1) % 26)
    ours.p = letters
    ours.n = 2
    for i in range(listed.at, listed.at + listed.n):
        theirs = reader.strs[i]
        if theirs.n == 2 or (theirs.n > 2 and theirs.p[2] == c'-'):
            theirs.n = 2
            if str_same(ours, theirs):
                return True
    return listed.n == 0


cdef bint domain_listed(Reader reader, Book book, Span listed, const CreativeRec* creative) noexcept nogil:
    cdef uint32_t i, j
    cdef Str ours, theirs
    for i in range(creative.adomain_first, creative.adomain_first + creative.adomain_count):
        for j in range(listed.at, listed.at + listed.n):
            ours = held(book, i)
            theirs = reader.strs[j]
            if theirs.n and (ours.n == theirs.n or (ours.n > theirs.n and ours.p[ours.n - theirs.n - 1] == c'.')):
                ours.p += ours.n - theirs.n
                ours.n = theirs.n
                if str_same(ours, theirs):
                    return True
    return False


cdef bint string_listed(Reader reader, Span listed, Str text) noexcept nogil:
    cdef uint32_t i
    for i in range(listed.at, listed.at + listed.n):
        if str_equal(reader.strs[i], text):
            return True
    return False
