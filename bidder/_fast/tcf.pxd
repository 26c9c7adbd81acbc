"""The Transparency and Consent Framework, versions 2.2 and 2.3: what one TC string lets one vendor do.

Sets of purposes are bits as the string has them, purpose 1 highest of 24: see `purpose_bit`.
"""

from libc.stdint cimport uint32_t
from bidder._fast.strings cimport Str

cdef struct Vendor:
    uint32_t id                # in the Global Vendor List; 0: we are not on it, so nobody can have agreed to us
    uint32_t consent           # purposes that we declare there on consent
    uint32_t interest          # on legitimate interest
    uint32_t flexible          # of both: a publisher may ask for the other basis
    bint precise_geo           # we declare special feature 1
    bint contextual            # without a legal basis for purpose 2 we bid, without a person; else not at all

cdef struct Grant:
    bint ok                    # False: not a TC string of version 2, or damaged; nothing is granted
    uint32_t purposes          # for which we have a legal basis
    bint precise_geo           # special feature 1: declared, and the user opted in
    bint forbidden             # the publisher forbids us purpose 2: to choose an advertisement at all

cdef inline uint32_t purpose_bit(int purpose) noexcept nogil:
    return <uint32_t>1 << (24 - purpose)

cdef Grant tcf_grant(Str text, const Vendor* vendor) noexcept nogil
# From settings; ValueError where they cannot be.
cdef Vendor vendor_of(settings) except *
