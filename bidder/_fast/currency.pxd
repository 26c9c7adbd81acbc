"""Money of one currency in another, exactly: whole numbers, and rounded to the side that is asked for.

A rate says how many of a currency one USD is, as a fraction (`RateRec` of the book). Amounts are nano for one impression.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define MOST_NANO 1000000000000000000LL /* what is more is no price */
    /* amount * over / under, rounded up or down; at most MOST_NANO. 0 <= amount <= MOST_NANO, over < 2^62, under > 0. */
    static inline int64_t scaled_nano(int64_t amount, uint64_t over, uint64_t under, int up)
    {
        unsigned __int128 product = (unsigned __int128)(uint64_t)amount * over;
        unsigned __int128 whole = product / under;
        if (up && product % under) whole++;
        return whole > (unsigned __int128)MOST_NANO ? MOST_NANO : (int64_t)whole;
    }
    """
    const int64_t MOST_NANO
    int64_t scaled_nano(int64_t amount, uint64_t over, uint64_t under, bint up) noexcept nogil

cdef inline int64_t scaled_part(int64_t price, uint32_t part) noexcept nogil:
    """price x part (16.16), rounded down to a nano, at least 1; no overflow for any price."""
    cdef int64_t scaled = (price >> 16) * part + (((price & 0xFFFF) * part) >> 16)
    return scaled if scaled > 0 else 1

cdef inline void write_currency(char* out, uint32_t packed) noexcept nogil:
    """The letters of `pack3`."""
    out[0] = <char>(c'A' + (packed - 1) // 676)
    out[1] = <char>(c'A' + (packed - 1) // 26 % 26)
    out[2] = <char>(c'A' + (packed - 1) % 26)
