"""The Global Privacy Platform: one string of sections, of which some apply to a request."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from bidder._fast.strings cimport Str

cdef enum:                     # ids of sections
    SECTION_TCF_EU = 2
    SECTION_HEADER = 3
    SECTION_INTEGRITY = 4
    SECTION_USP = 6
    SECTION_US_FIRST = 7       # the national one, then the states'
    SECTION_US_LAST = 27
    SECTION_TOP = 62           # larger ids have no bit of their own

cdef struct Sections:
    bint ok                    # False: the header is damaged; nothing can be said of any section
    uint64_t present           # ids of those that the string has, as bits
    Str tcf                    # the text of section 2
    Str usp                    # of section 6
    uint8_t may                # what the US sections that apply leave, MAY_*

# `applying`: ids as bits.
cdef Sections read_sections(Str gpp, uint64_t applying) noexcept nogil
# What `1YNN` leaves.
cdef uint8_t usp_may(Str text) noexcept nogil
