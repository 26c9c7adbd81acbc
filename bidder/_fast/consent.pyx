"""One decision a request: what the law and the user let us do with it.

signals of the request -> every law that applies takes away what it forbids -> MAY_*
    GDPR        regs.gdpr, or where it is not named a country of the EEA or a consent string; TCF, our vendor id
    US states   us_privacy, GPC, and the GPP sections that apply
    children    COPPA, or a GPP section that knows of a child
    the user    lmt, dnt, an ifa of zeros, ATT
Both places of a moved field count. Unparsable means deny; what does not apply is not asked; nothing is kept.
A request without any of these signals costs a dozen comparisons.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from bidder._fast.gpp cimport (
    SECTION_HEADER, SECTION_INTEGRITY, SECTION_TCF_EU, SECTION_US_FIRST, SECTION_US_LAST, SECTION_USP,
    Sections, read_sections, usp_may,
)
from bidder._fast.tcf cimport Grant, purpose_bit, tcf_grant, vendor_of

cdef enum:
    COUNTRIES = 26 * 26 * 26 + 1

# The EEA and the United Kingdom, whose law is the same in this.
EEA = (
    "AUT", "BEL", "BGR", "CYP", "CZE", "DEU", "DNK", "ESP", "EST", "FIN", "FRA", "GBR", "GRC", "HRV", "HUN", "IRL",
    "ISL", "ITA", "LIE", "LTU", "LUX", "LVA", "MLT", "NLD", "NOR", "POL", "PRT", "ROU", "SVK", "SVN", "SWE",
)
MAY = {
    "bid": MAY_BID, "personalise": MAY_PERSONALISE, "identify": MAY_IDENTIFY, "sync": MAY_SYNC, "log": MAY_LOG,
    "locate": MAY_LOCATE, "pinpoint": MAY_PINPOINT,
}

cdef uint8_t[COUNTRIES] in_eea         # by packed country, see pack3

for _name in EEA:
    _packed = 0
    for _letter in _name:
        _packed = _packed * 26 + ord(_letter) - 65
    in_eea[<uint32_t>_packed + 1] = 1
del _name, _packed, _letter

cdef uint64_t US_SECTIONS = ((<uint64_t>1 << (SECTION_US_LAST + 1)) - 1) ^ ((<uint64_t>1 << SECTION_US_FIRST) - 1)
cdef uint64_t READ_SECTIONS = US_SECTIONS | <uint64_t>1 << SECTION_TCF_EU | <uint64_t>1 << SECTION_USP
# The header and the signature say nothing of anybody's choice.
cdef uint64_t MUTE_SECTIONS = <uint64_t>1 << SECTION_HEADER | <uint64_t>1 << SECTION_INTEGRITY
cdef uint64_t EVERY_SECTION = ~<uint64_t>0
cdef uint32_t ANY_USE = (
    purpose_bit(2) | purpose_bit(3) | purpose_bit(4) | purpose_bit(5) | purpose_bit(6) | purpose_bit(7)
    | purpose_bit(8) | purpose_bit(9) | purpose_bit(10)
)


cdef bint under_gdpr(const Signals* s) noexcept nogil:
    cdef uint64_t named = (s.regs.sections if s.regs.sections_named else 0) \
        | (s.regs_ext.sections if s.regs_ext.sections_named else 0)
    if s.regs.gdpr == SAYS_YES or s.regs_ext.gdpr == SAYS_YES or named >> SECTION_TCF_EU & 1:
        return True
    if s.regs.gdpr == SAYS_NO or s.regs_ext.gdpr == SAYS_NO:
        return False
    if s.country:
        return in_eea[s.country]
    return s.consent.p != NULL or s.consent_ext.p != NULL


cdef uint8_t grant_may(const Grant* grant, const Vendor* vendor) noexcept nogil:
    cdef uint8_t may = MAY_WITHOUT_BASIS
    if grant.forbidden or not (vendor.contextual or grant.purposes & purpose_bit(2)):
        return 0
    if not grant.purposes & ANY_USE:
        return may
    may |= MAY_IDENTIFY
    if grant.purposes & purpose_bit(4):
        may |= MAY_PERSONALISE
    if grant.purposes & purpose_bit(1):
        may |= MAY_SYNC
    if grant.purposes & purpose_bit(7):
        may |= MAY_LOG
    if grant.precise_geo:
        may |= MAY_PINPOINT
    return may


cdef inline uint8_t tcf_may(Str text, const Vendor* vendor) noexcept nogil:
    cdef Grant grant = tcf_grant(text, vendor)
    return grant_may(&grant, vendor)


cdef inline bint same(Str a, Str b) noexcept nogil:
    return a.n == b.n and (a.n == 0 or memcmp(a.p, b.p, a.n) == 0)


cdef uint8_t gpp_may(Str gpp, uint64_t applying, bint gdpr, const Vendor* vendor, bint* granted,
                     uint64_t* present) noexcept nogil:
    """What one string leaves; `granted`: it said something of GDPR."""
    cdef Sections found = read_sections(gpp, applying)
    cdef uint8_t may = found.may
    if not found.ok:
        return MAY_IN_CONTEXT if applying & ~MUTE_SECTIONS else MAY_ALL
    present[0] |= found.present
    if found.tcf.p != NULL and gdpr and applying >> SECTION_TCF_EU & 1:
        may &= tcf_may(found.tcf, vendor)
        granted[0] = True
    if found.usp.p != NULL and applying >> SECTION_USP & 1:
        may &= usp_may(found.usp)
    if found.present & applying & ~(READ_SECTIONS | MUTE_SECTIONS):
        may &= MAY_IN_CONTEXT  # a law whose section we cannot read
    return may


cdef uint8_t platform_may(const Signals* s, bint gdpr, const Vendor* vendor, bint* granted) noexcept nogil:
    """What GPP leaves: both strings, each for the sections that either list names."""
    cdef bint named = s.regs.sections_named or s.regs_ext.sections_named
    cdef uint64_t applying = s.regs.sections | s.regs_ext.sections, present = 0
    cdef uint8_t may = MAY_ALL
    if not named and s.regs.gpp.p == NULL and s.regs_ext.gpp.p == NULL:
        return may
    if not named or applying >> SID_UNKNOWN & 1:
        applying = EVERY_SECTION
        named = False
    if s.regs.gpp.p != NULL:
        may &= gpp_may(s.regs.gpp, applying, gdpr, vendor, granted, &present)
    if s.regs_ext.gpp.p != NULL and not same(s.regs.gpp, s.regs_ext.gpp):
        may &= gpp_may(s.regs_ext.gpp, applying, gdpr, vendor, granted, &present)
    if named:
        # Applying, but in neither string: TCF and us_privacy have places of their own, the others' choice is not known.
        applying &= ~present & ~MUTE_SECTIONS & ~(<uint64_t>1 << SECTION_TCF_EU)
        if s.regs.us_privacy.p != NULL or s.regs_ext.us_privacy.p != NULL:
            applying &= ~(<uint64_t>1 << SECTION_USP)
        if applying:
            may &= MAY_IN_CONTEXT
    return may


cdef uint8_t decide(const Signals* s, const Vendor* vendor) noexcept nogil:
    cdef uint8_t may = MAY_ALL
    cdef bint gdpr = under_gdpr(s), granted = False
    if s.regs.coppa or s.regs_ext.coppa:
        may &= MAY_AS_CHILD
    if s.limited or s.regs.gpc or s.regs_ext.gpc or s.att == SAYS_NO:
        may &= MAY_IN_CONTEXT
    if s.regs.us_privacy.p != NULL:
        may &= usp_may(s.regs.us_privacy)
    if s.regs_ext.us_privacy.p != NULL:
        may &= usp_may(s.regs_ext.us_privacy)
    may &= platform_may(s, gdpr, vendor, &granted)
    if gdpr:
        if s.consent.p != NULL:
            may &= tcf_may(s.consent, vendor)
            granted = True
        if s.consent_ext.p != NULL and not same(s.consent, s.consent_ext):
            may &= tcf_may(s.consent_ext, vendor)
            granted = True
        if not granted:
            may &= MAY_WITHOUT_BASIS if vendor.contextual else 0
    return may
