"""The text of a body, before its grammar: copied, checked as UTF-8, searched for the ends of strings.

What is searched ends in PAD zero bytes, and a zero ends every search, so nobody asks where the text ends: a whole
vector may be loaded wherever a byte of the text may be. Two ways of each search, chosen by the compiler: SSE2, which
every x86-64 has, else eight bytes in a word.
"""

from libc.stdint cimport uint8_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    #define PAD 32                       /* at least one vector more than any search looks ahead */
    #define EACH(byte) (0x0101010101010101ull * (byte))

    /* The first n <= 8 bytes as a number, first byte lowest; reads 8. */
    static inline uint64_t word_at(const char* p, size_t n)
    {
        static const uint64_t kept[9] = {0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff, 0xffffffffffff,
                                         0xffffffffffffff, 0xffffffffffffffff};
        uint64_t word;
        memcpy(&word, p, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        return word & kept[n];
    }

    /* How many of the first 16 bytes are ASCII before one is not. */
    static inline size_t ascii_length(const char* p)
    {
    #if defined(__SSE2__)
        return (size_t)__builtin_ctzll((uint64_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i*)p)) | 1 << 16);
    #else
        const uint64_t low = word_at(p, 8) & EACH(0x80), high = word_at(p + 8, 8) & EACH(0x80);
        return low ? (size_t)__builtin_ctzll(low) >> 3 : high ? 8 + ((size_t)__builtin_ctzll(high) >> 3) : 16;
    #endif
    }

    /* ASCII letters in lower case, all else as it is; 1 where all is ASCII. Reads and writes up to 15 bytes behind the n. */
    static inline int fold_ascii(char* to, const char* from, size_t n)
    {
        typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));
        uint64_t high = 0;
        size_t i;
        for (i = 0; i < n; i += 16) {
            const Bytes c = *(const Bytes*)(from + i);
            *(Bytes*)(to + i) = c | ((Bytes)(c - 'A' < 26) & 0x20);
        }
        for (i = 0; i + 16 <= n; i += 16)
            high |= ascii_length(from + i) < 16;
        return !high && ascii_length(from + i) >= n - i;
    }

    /* n <= 16 bytes and zeros behind them, as two words, ASCII letters in lower case where `fold`; 1 where all are ASCII.
       Reads up to 15 bytes behind the n. */
    static inline int short_text(const char* p, size_t n, int fold, uint64_t* words)
    {
        typedef uint8_t Bytes __attribute__((vector_size(16), aligned(1), may_alias));
        static const uint8_t kept[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
        Bytes c = *(const Bytes*)p & *(const Bytes*)(kept + 16 - n);
        if (fold) c |= (Bytes)(c - 'A' < 26) & 0x20;
        memcpy(words, &c, 16);
        return ((words[0] | words[1]) & EACH(0x80)) == 0;
    }

    /* The same of 1 to 16 bytes as they are, reading nothing behind them. */
    static inline void exact_words(const char* p, size_t n, uint64_t* words)
    {
        uint32_t low, high;
        words[0] = words[1] = 0;
        if (n >= 8) {
            memcpy(&words[0], p, 8);
            if (n == 8) return;
            memcpy(&words[1], p + n - 8, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            words[1] <<= 8 * (16 - n);
        } else {
            memcpy(words, p, n);
        }
    #else
            words[1] >>= 8 * (16 - n);
        } else if (n >= 4) {
            memcpy(&low, p, 4);
            memcpy(&high, p + n - 4, 4);
            words[0] = low | (uint64_t)high << 8 * (n - 4);
        } else {
            words[0] = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n >> 1] << 8 * (n >> 1)
                | (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1);
        }
    #endif
    }

    /* Copies n bytes and PAD zeros; 1 where all are ASCII. Reads nothing behind the n. */
    static inline int copy_text(char* to, const char* from, size_t n)
    {
        size_t i = 0;
        uint64_t high = 0, word;
    #if defined(__SSE2__)
        if (n >= 16) {
            __m128i all = _mm_loadu_si128((const __m128i*)(from + n - 16));
            _mm_storeu_si128((__m128i*)(to + n - 16), all);    /* what the blocks below leave over */
            for (; i + 64 <= n; i += 64) {
                const __m128i a = _mm_loadu_si128((const __m128i*)(from + i));
                const __m128i b = _mm_loadu_si128((const __m128i*)(from + i + 16));
                const __m128i c = _mm_loadu_si128((const __m128i*)(from + i + 32));
                const __m128i d = _mm_loadu_si128((const __m128i*)(from + i + 48));
                _mm_storeu_si128((__m128i*)(to + i), a);
                _mm_storeu_si128((__m128i*)(to + i + 16), b);
                _mm_storeu_si128((__m128i*)(to + i + 32), c);
                _mm_storeu_si128((__m128i*)(to + i + 48), d);
                all = _mm_or_si128(all, _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d)));
            }
            for (; i + 16 <= n; i += 16) {
                const __m128i a = _mm_loadu_si128((const __m128i*)(from + i));
                _mm_storeu_si128((__m128i*)(to + i), a);
                all = _mm_or_si128(all, a);
            }
            if (_mm_movemask_epi8(all)) high = 0x80;
            i = n;
        }
    #endif
        for (; i + 8 <= n; i += 8) {
            memcpy(&word, from + i, 8);
            memcpy(to + i, &word, 8);
            high |= word;
        }
        for (; i < n; i++) {
            to[i] = from[i];
            high |= (unsigned char)from[i];
        }
        memset(to + n, 0, PAD);
        return (high & EACH(0x80)) == 0;
    }

    #if defined(__SSE2__)
    /* A bit for each quote, backslash and control character. */
    static inline uint64_t string_stops(__m128i v)
    {
        /* Control characters and the quote are, with bit 1 turned over, what is at most a space. */
        const __m128i low = _mm_cmpgt_epi8(_mm_set1_epi8(0x21 - 0x80), _mm_xor_si128(v, _mm_set1_epi8((char)0x82)));
        return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\\\'))));
    }
    #endif

    /* How far it is from p to the first quote, backslash or control character; 16 where it is farther. */
    static inline size_t short_length(const char* p)
    {
    #if defined(__SSE2__)
        return (size_t)__builtin_ctzll(string_stops(_mm_loadu_si128((const __m128i*)p)) | 1 << 16);
    #else
        /* Exact up to the lowest byte that is hit: only a hit borrows from the byte above it. */
        for (size_t n = 0; n < 16; n += 8) {
            const uint64_t v = word_at(p + n, 8), quote = v ^ EACH('"'), slash = v ^ EACH('\\\\');
            const uint64_t hit = (((v - EACH(0x20)) & ~v) | ((quote - EACH(1)) & ~quote) | ((slash - EACH(1)) & ~slash))
                & EACH(0x80);
            if (hit) return n + ((size_t)__builtin_ctzll(hit) >> 3);
        }
        return 16;
    #endif
    }

    /* As short_length, however far it is. */
    static inline size_t plain_length(const char* p)
    {
        size_t n = short_length(p), more = n;
        while (__builtin_expect(more == 16, 0)) {
            more = short_length(p + n);
            n += more;
        }
        return n;
    }

    /* The first quote, backslash or control character from p on. */
    static inline const char* string_end(const char* p)
    {
        return p + plain_length(p);
    }
    """
    enum: PAD
    bint fold_ascii(char* to, const char* text, size_t n) noexcept nogil
    bint short_text(const char* p, size_t n, bint fold, uint64_t* words) noexcept nogil
    void exact_words(const char* p, size_t n, uint64_t* words) noexcept nogil
    bint copy_text(char* to, const char* text, size_t n) noexcept nogil
    size_t ascii_length(const char* p) noexcept nogil
    size_t short_length(const char* p) noexcept nogil
    size_t plain_length(const char* p) noexcept nogil
    const char* string_end(const char* p) noexcept nogil
    uint64_t word_at(const char* p, size_t n) noexcept nogil

cdef inline bint utf8_ok(const char* text, size_t n) noexcept nogil:
    """Well-formed UTF-8 as Unicode's table 3-7 has it: no overlong forms, no surrogates."""
    cdef const uint8_t* p = <const uint8_t*>text
    cdef const uint8_t* end = p + n        # zeros follow, and a zero continues nothing
    cdef uint8_t low, high
    cdef int more
    while p < end:
        p += ascii_length(<const char*>p)
        if p[0] < 0x80:
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= p[0] <= 0xDF:
            more = 1
        elif 0xE0 <= p[0] <= 0xEF:
            more = 2
            if p[0] == 0xE0:
                low = 0xA0
            elif p[0] == 0xED:
                high = 0x9F
        elif 0xF0 <= p[0] <= 0xF4:
            more = 3
            if p[0] == 0xF0:
                low = 0x90
            elif p[0] == 0xF4:
                high = 0x8F
        else:
            return False
        if not low <= p[1] <= high:
            return False
        p += 2
        more -= 1
        while more:
            if p[0] & 0xC0 != 0x80:
                return False
            p += 1
            more -= 1
    return True
