"""Bits out of base64url text, a segment at a time: checked and packed at once, then numbers are taken.

text, up to a dot -> packed bytes, in room that the reader of the string has -> Bits
Whoever asks for bits behind the end gets zeros, and `ok` says so from then on. Two ways to pack, chosen by the
compiler: SSE2, which every x86-64 has, else a character at a time. Nothing is allocated.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    #define TEXT_MAX 8192                /* characters; nobody's consent is so long, and what is longer is not read */
    #define PACKED_ROOM (TEXT_MAX / 4 * 3 + 24)
    #define seldom(what) __builtin_expect(what, 0)

    /* The low 48 bits as six bytes, highest first; writes eight. */
    static inline void store_48(uint8_t* out, uint64_t v)
    {
        v <<= 16;
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        v = __builtin_bswap64(v);
    #endif
        memcpy(out, &v, 8);
    }

    static inline uint64_t load_64(const uint8_t* p)
    {
        uint64_t v;
        memcpy(&v, p, 8);
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        v = __builtin_bswap64(v);
    #endif
        return v;
    }

    #if defined(__SSE2__)
    /* `value` in the bytes from `low` to `high`, else 0; *known gathers them. */
    static inline __m128i within(__m128i v, char low, char high, char value, __m128i* known)
    {
        const __m128i hit = _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8(low - 1)),
                                          _mm_cmpgt_epi8(_mm_set1_epi8(high + 1), v));
        *known = _mm_or_si128(*known, hit);
        return _mm_and_si128(hit, _mm_set1_epi8(value));
    }

    /* 16 characters into 12 bytes; 0 where one is none of the alphabet. */
    static inline int pack_16(uint8_t* out, const char* text)
    {
        __m128i v = _mm_loadu_si128((const __m128i*)text), known = _mm_setzero_si128();
        uint64_t lanes[2];
        __m128i shift = within(v, 'A', 'Z', -'A', &known);
        shift = _mm_or_si128(shift, within(v, 'a', 'z', 26 - 'a', &known));
        shift = _mm_or_si128(shift, within(v, '0', '9', 52 - '0', &known));
        shift = _mm_or_si128(shift, within(v, '-', '-', 62 - '-', &known));
        shift = _mm_or_si128(shift, within(v, '_', '_', 63 - '_', &known));
        v = _mm_add_epi8(v, shift);
        /* Neighbours are put together, the first one higher: pairs of 6 bits, then of 12, then of 24. */
        v = _mm_or_si128(_mm_slli_epi16(_mm_and_si128(v, _mm_set1_epi16(0xff)), 6), _mm_srli_epi16(v, 8));
        v = _mm_or_si128(_mm_slli_epi32(_mm_and_si128(v, _mm_set1_epi32(0xffff)), 12), _mm_srli_epi32(v, 16));
        _mm_storeu_si128((__m128i*)lanes, v);
        store_48(out, (lanes[0] & 0xffffffff) << 24 | lanes[0] >> 32);
        store_48(out + 6, (lanes[1] & 0xffffffff) << 24 | lanes[1] >> 32);
        return _mm_movemask_epi8(known) == 0xffff;
    }
    #else
    static inline int pack_16(uint8_t* out, const char* text)
    {
        uint64_t v = 0;
        for (int i = 0; i < 16; i++) {
            const char c = text[i];
            const int value = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26
                : c >= '0' && c <= '9' ? c - '0' + 52 : c == '-' ? 62 : c == '_' ? 63 : -1;
            if (value < 0) return 0;
            v = v << 6 | (uint64_t)value;
            if (i == 7 || i == 15) store_48(out + (i == 15) * 6, v & 0xffffffffffffull);
        }
        return 1;
    }
    #endif

    /* n characters as bytes with zeros behind them; 0 where one is none of the alphabet, or there are too many. */
    static inline int pack_segment(uint8_t* out, const char* text, uint32_t n)
    {
        char last[16];
        if (n > TEXT_MAX) return 0;
        for (; n >= 16; n -= 16, text += 16, out += 12)
            if (!pack_16(out, text)) return 0;
        memset(last, 'A', 16);                             /* zeros */
        memcpy(last, text, n);
        memset(out + 12, 0, 8);
        return pack_16(out, last);
    }
    """
    enum: TEXT_MAX, PACKED_ROOM
    bint seldom(bint what) noexcept nogil
    bint pack_segment(uint8_t* out, const char* text, uint32_t n) noexcept nogil
    uint64_t load_64(const uint8_t* p) noexcept nogil

cdef struct Bits:
    const uint8_t* p
    uint32_t n                     # bits
    uint32_t at                    # of the next one
    bint ok

cdef inline uint32_t segment_length(const char* p, uint32_t n) noexcept nogil:
    """How many characters there are before a dot or the end."""
    cdef const void* dot = memchr(p, c'.', n)
    return n if dot is NULL else <uint32_t>(<const char*>dot - p)

cdef inline Bits bits_of(uint8_t* room, const char* text, uint32_t n) noexcept nogil:
    """Of one segment; they live in the room, PACKED_ROOM bytes. Not `ok`: it is no base64url, or too long."""
    cdef Bits b
    b.p = room
    b.at = 0
    b.ok = pack_segment(room, text, n)
    b.n = 6 * n if b.ok else 0
    return b

cdef inline uint64_t ahead(const Bits* b, uint32_t count) noexcept nogil:
    """The next 1 to 57 bits as a number, the first one highest; behind the end there are zeros, or there is nothing."""
    return load_64(b.p + (b.at >> 3)) << (b.at & 7) >> (64 - count)

cdef inline void skip(Bits* b, uint32_t count) noexcept nogil:
    if count > b.n - b.at:
        b.ok = False
        b.at = b.n
    else:
        b.at += count

cdef inline uint64_t take(Bits* b, uint32_t count) noexcept nogil:
    cdef uint64_t value = ahead(b, count) if count <= b.n - b.at else 0
    skip(b, count)
    return value
