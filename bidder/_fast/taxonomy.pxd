"""Categories of other taxonomies in ours, IAB Content Categories 1.0."""

from libc.stdint cimport uint8_t
from bidder._fast.request cimport Str

cdef enum:
    MOST_CODES = 3             # of ours for one of theirs

cdef struct Codes:
    Str code[MOST_CODES]
    int n                      # 0: none

# `taxonomy`: AdCOM's list (cattax); 0: none was named, which means 1. A category that has no counterpart gives none.
cdef void codes_of(uint8_t taxonomy, Str category, Codes* found) noexcept nogil
