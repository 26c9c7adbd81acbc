"""The Global Privacy Platform's string: header, then a section for each law.

header -> ids in order -> of each section that applies what it leaves (MAY_*), or its text for whoever reads it
The US sections are one kind of form: a version, then answers of two bits each, in an order that every section has for
itself (LAYOUTS), then maybe a segment with GPC, the browser's opt-out.
Nothing is allocated or kept. Damaged, of a later version, or answered as no form may be: as if opted out of all.
Source: IAB Tech Lab, Global Privacy Platform, core and sections.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from bidder._fast.consent cimport MAY_ALL, MAY_AS_CHILD, MAY_IN_CONTEXT, MAY_PERSONALISE, MAY_PINPOINT
from bidder._fast.consent_bits cimport PACKED_ROOM, TEXT_MAX, Bits, bits_of, segment_length, take

cdef enum:
    HEADER_TYPE = 3
    HEADER_VERSION = 1
    CODE_BITS = 16             # of a Fibonacci code: no id is so large
    GPC_SEGMENT = 1            # its type
    GPC_CHARACTERS = 2         # at most: three bits, padded
    LAYOUT_MAX = 40

# One letter an answer, in the order of the section.
#   n  a notice; 2: not given, so nobody had the choice       o  an opt-out; 1: opted out
#   v  a notice about sensitive data; 2: not given            s  sensitive data; 1: opted out, or no consent
#   c  a known child; 1 and 2: there is one                   m  service provider mode; 1: on
#   M  MSPA mode; 2: service provider                         .  what does not bear on us
LAYOUTS = {
    7: "nnnnvvooo" + 16 * "s" + "ccc...m",             # US national, as it has been since 2024
    8: "nnvoo" + 9 * "s" + "cc...m",                   # California
    9: "nnnoo" + 8 * "s" + "c..m",                     # Virginia
    10: "nnnoo" + 7 * "s" + "c..m",                    # Colorado
    11: "nnnvoo" + 8 * "s" + "c..m",                   # Utah
    12: "nnnoo" + 8 * "s" + "ccc..m",                  # Connecticut
    13: "nnnoo" + 8 * "s" + "ccc...m",                 # Florida
    14: "nnnoo" + 8 * "s" + "ccc...m",                 # Montana
    15: "nnnoo" + 11 * "s" + "ccc...m",                # Oregon
    16: "nnnoo" + 8 * "s" + "c...m",                   # Texas
    17: "nnnoo" + 9 * "s" + "ccccc...m",               # Delaware
    18: "nnnvoo" + 8 * "s" + "c..m",                   # Iowa
    19: "nnnoo" + 8 * "s" + "c...m",                   # Nebraska
    20: "nnnoo" + 8 * "s" + "ccc...m",                 # New Hampshire
    21: "nnnoo" + 10 * "s" + "ccccc...m",              # New Jersey
    22: "nnnoo" + 8 * "s" + "c...m",                   # Tennessee
    23: "nnnoo" + 8 * "s" + "c...m",                   # Minnesota
    24: ".Mnnnoo.",                                    # Maryland
    25: ".Mnnnooc.",                                   # Indiana
    26: ".Mnnnooc.",                                   # Kentucky
    27: ".Mnnnooc.",                                   # Rhode Island
}
NATIONAL_BEFORE = "nnnnvvooo" + 12 * "s" + "cc...m"    # told apart by its length

cdef enum:
    FIRST_WITH_HEADER = 24     # sections from Maryland's on may begin with a header of their own

cdef char[SECTION_US_LAST + 1][LAYOUT_MAX] layouts     # ends in zero; 0 holds NATIONAL_BEFORE


cdef void learn_layout(int section, bytes layout):
    memcpy(layouts[section], <const char*>layout, len(layout) + 1)


for _section, _layout in LAYOUTS.items():
    learn_layout(_section, _layout.encode())
learn_layout(0, NATIONAL_BEFORE.encode())
del _section, _layout


# --- US sections

cdef uint8_t answers_may(Bits* b, const char* layout) noexcept nogil:
    cdef uint8_t may = MAY_ALL
    cdef uint64_t answer
    while layout[0]:
        answer = take(b, 2)
        if answer == 3:
            b.ok = False
        elif layout[0] == c'c':
            if answer:
                may &= MAY_AS_CHILD
        elif answer == 1:
            if layout[0] == c'o' or layout[0] == c'm':
                may &= MAY_IN_CONTEXT
            elif layout[0] == c's':
                may &= ~(MAY_PINPOINT | MAY_PERSONALISE)       # a segment does not say what it is about
        elif answer == 2:
            if layout[0] == c'n' or layout[0] == c'M':
                may &= MAY_IN_CONTEXT
            elif layout[0] == c'v':
                may &= ~(MAY_PINPOINT | MAY_PERSONALISE)
        layout += 1
    return may if b.ok else may & MAY_IN_CONTEXT


cdef uint8_t segment_may(uint8_t* room, const char* p, uint32_t n) noexcept nogil:
    """A segment behind the core: GPC, or from Indiana's section on sensitive data."""
    cdef Bits b = bits_of(room, p, n)
    if n <= GPC_CHARACTERS:
        if take(&b, 2) != GPC_SEGMENT or take(&b, 1):
            return MAY_IN_CONTEXT
        return MAY_ALL if b.ok else MAY_IN_CONTEXT
    return answers_may(&b, b"ssssssss")


cdef uint8_t us_may(uint32_t section, Str text) noexcept nogil:
    cdef uint8_t[PACKED_ROOM] room
    cdef const char* p = text.p
    cdef uint32_t n = text.n, length
    cdef const char* layout = layouts[section]
    cdef Bits b
    cdef uint64_t version
    cdef uint8_t may
    if n > TEXT_MAX:
        return MAY_IN_CONTEXT
    length = segment_length(p, n)
    b = bits_of(room, p, length)
    version = take(&b, 6)
    if section >= FIRST_WITH_HEADER and version == section and length < n:
        version = take(&b, 6)
        p += length + 1        # the rest of the header lists the segments, which tell themselves apart
        n -= length + 1
        length = segment_length(p, n)
        b = bits_of(room, p, length)
        take(&b, 6)            # version of the MSPA
    if section == SECTION_US_FIRST and b.n < 6 + 2 * 32:
        layout = layouts[0]
    elif version == 2 and section == SECTION_US_FIRST:
        version = 1            # the same form, since its number was raised for the longer lists
    if version != 1:
        return MAY_IN_CONTEXT
    may = answers_may(&b, layout)
    while length < n:
        p += length + 1
        n -= length + 1
        length = segment_length(p, n)
        may &= segment_may(room, p, length)
    return may


cdef uint8_t usp_may(Str text) noexcept nogil:
    cdef uint32_t i
    cdef char c
    if text.n != 4 or text.p[0] != c'1':
        return MAY_IN_CONTEXT
    for i in range(1, 4):
        c = text.p[i]
        if c != c'-' and (c | 0x20) != c'y' and (c | 0x20) != c'n':
            return MAY_IN_CONTEXT
    return MAY_IN_CONTEXT if (text.p[2] | 0x20) == c'y' else MAY_ALL


# --- the string

cdef uint32_t take_code(Bits* b) noexcept nogil:
    """A Fibonacci code: bits for 1, 2, 3, 5, 8 … until two ones follow each other."""
    cdef uint32_t value = 0, weight = 1, after = 2, i, swap
    cdef bint before = False, bit
    for i in range(<uint32_t>CODE_BITS):
        bit = take(b, 1) != 0
        if bit and before:
            return value
        if bit:
            value += weight
        before = bit
        swap = weight + after
        weight = after
        after = swap
    b.ok = False
    return 0


cdef Str next_section(Str* rest) noexcept nogil:
    """What lies before the next tilde; without text where there is none left."""
    cdef Str out
    cdef uint32_t i = 0
    out.p = rest.p
    if rest.p == NULL:
        out.n = 0
        return out
    while i < rest.n and rest.p[i] != c'~':
        i += 1
    out.n = i
    if i == rest.n:
        rest.p = NULL
        rest.n = 0
    else:
        rest.p += i + 1
        rest.n -= i + 1
    return out


cdef bint read_section(uint32_t id, Str* rest, uint64_t applying, Sections* out) noexcept nogil:
    """False where the string has no such section, although its header says so."""
    cdef Str text = next_section(rest)
    if text.p == NULL or text.n == 0 or id > SECTION_TOP or out.present >> id & 1:
        return False
    out.present |= <uint64_t>1 << id
    if id == SECTION_TCF_EU:
        out.tcf = text
    elif id == SECTION_USP:
        out.usp = text
    elif SECTION_US_FIRST <= id <= SECTION_US_LAST and applying >> id & 1:
        out.may &= us_may(id, text)
    return True


cdef Sections read_sections(Str gpp, uint64_t applying) noexcept nogil:
    cdef Sections out
    cdef Str rest = gpp, head
    cdef Bits b
    cdef uint32_t entries, i, id = 0, last
    cdef bint range_
    cdef uint8_t[PACKED_ROOM] room
    out.ok = False
    out.present = 0
    out.tcf.p = out.usp.p = NULL
    out.tcf.n = out.usp.n = 0
    out.may = MAY_ALL
    head = next_section(&rest)
    if head.p == NULL:
        return out
    b = bits_of(room, head.p, head.n)
    if take(&b, 6) != HEADER_TYPE or take(&b, 6) != HEADER_VERSION:
        return out
    entries = <uint32_t>take(&b, 12)
    for i in range(entries):
        range_ = take(&b, 1) != 0
        id += take_code(&b)
        last = id + take_code(&b) if range_ else id
        if not b.ok or last > SECTION_TOP:
            return out
        while True:
            if not read_section(id, &rest, applying, &out):
                return out
            if id == last:
                break
            id += 1
    out.ok = b.ok and rest.p == NULL
    return out


# --- the face, for tests and tools

def sections_of(bytes text not None, applying):
    cdef Str gpp
    cdef Sections found
    cdef uint64_t wanted = 0
    for id in applying:
        wanted |= <uint64_t>1 << <int>id
    gpp.p = text
    gpp.n = <uint32_t>len(text)
    found = read_sections(gpp, wanted)
    if not found.ok:
        return None
    return [id for id in range(64) if found.present >> id & 1], found.may
