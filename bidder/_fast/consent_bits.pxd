"""Bits out of base64url text, where they stand: six a character, nothing is decoded ahead and nothing copied.

Whoever asks for bits behind the end gets zeros, and `ok` says so from then on.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #define NO_SEXTET 0x80
    #define DOT 0x40                     /* what parts one segment from the next */
    #define __ 0x80
    /* What a character stands for. */
    static const uint8_t sextets[256] = {
        __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __,
        __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, 62, DOT, __, 52, 53, 54, 55, 56, 57, 58, 59,
        60, 61, __, __, __, __, __, __, __, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
        21, 22, 23, 24, 25, __, __, __, __, 63, __, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
        43, 44, 45, 46, 47, 48, 49, 50, 51, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __,
        __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __,
        __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __,
        __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __,
        __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __, __,
        __, __, __, __,
    };
    #undef __
    """
    enum: NO_SEXTET, DOT
    const uint8_t sextets[256]

cdef enum:
    TEXT_MAX = 8_192               # characters; nobody's consent is so long, and what is longer is not read

cdef struct Bits:
    const char* p
    uint32_t n                     # bits
    uint32_t at                    # of the next one
    bint ok

cdef inline uint32_t segment_length(const char* p, uint32_t n) noexcept nogil:
    """How many characters there are before a dot or the end."""
    cdef uint32_t i = 0
    while i < n and p[i] != c'.':
        i += 1
    return i

cdef inline bint segments_ok(const char* p, uint32_t n) noexcept nogil:
    """Base64url and dots, and no more than anybody writes."""
    cdef uint8_t all = 0
    cdef uint32_t i
    if n > TEXT_MAX:
        return False
    for i in range(n):
        all |= sextets[<uint8_t>p[i]]
    return not all & NO_SEXTET

cdef inline Bits bits_of(const char* p, uint32_t n) noexcept nogil:
    cdef Bits b
    b.p = p
    b.n = 6 * n
    b.at = 0
    b.ok = True
    return b

cdef inline uint64_t take(Bits* b, uint32_t count) noexcept nogil:
    """The next 1 to 36 bits as a number, the first one highest."""
    cdef uint32_t i = b.at // 6, have = 6 - b.at % 6
    cdef uint64_t value
    if b.at + count > b.n:
        b.ok = False
        b.at = b.n
        return 0
    b.at += count
    value = sextets[<uint8_t>b.p[i]] & ((<uint32_t>1 << have) - 1)
    while have < count:
        i += 1
        value = value << 6 | sextets[<uint8_t>b.p[i]]
        have += 6
    return value >> (have - count)

cdef inline void skip(Bits* b, uint32_t count) noexcept nogil:
    if count > b.n - b.at:
        b.ok = False
        b.at = b.n
    else:
        b.at += count
