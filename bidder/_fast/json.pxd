"""JSON's grammar (RFC 8259), over text that ends in PAD zero bytes.

A function takes the place where it begins and returns the place behind what it read,
or NULL where the grammar is broken. A zero ends every scan (raw control characters
are allowed nowhere), so nobody asks where the text ends. UTF-8 is checked once for the
whole text (`utf8_ok`); strings are not looked at again. `depth`: containers open around a value.
Inline throughout: this is a header of `request.pyx`, half the CPU of a bid.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    #define PAD 32                       /* at least one vector more than any scan looks ahead */

    /* Copies n bytes and PAD zeros; 1 where all are ASCII. */
    static inline int copy_text(char* to, const char* from, size_t n)
    {
        size_t i = 0;
        uint64_t high = 0, word;
    #if defined(__SSE2__)
        __m128i all = _mm_setzero_si128();
        for (; i + 16 <= n; i += 16) {
            __m128i v = _mm_loadu_si128((const __m128i*)(from + i));
            _mm_storeu_si128((__m128i*)(to + i), v);
            all = _mm_or_si128(all, v);
        }
        if (_mm_movemask_epi8(all)) high = 0x80;
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
        return (high & 0x8080808080808080ull) == 0;
    }

    /* The first quote, backslash or control character from p on. */
    static inline const char* string_end(const char* p)
    {
    #if defined(__SSE2__)
        const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\\\'), top = _mm_set1_epi8(0x1f);
        for (;; p += 16) {
            __m128i v = _mm_loadu_si128((const __m128i*)p);
            int hit = _mm_movemask_epi8(_mm_or_si128(
                _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                _mm_cmpeq_epi8(_mm_min_epu8(v, top), v)));
            if (hit) return p + __builtin_ctz((unsigned)hit);
        }
    #else
        while ((unsigned char)*p > 0x1f && *p != '"' && *p != '\\\\') p++;
        return p;
    #endif
    }

    /* The first n <= 8 bytes as a number, first byte lowest; reads 8. */
    static inline uint64_t word_at(const char* p, size_t n)
    {
        uint64_t word;
        memcpy(&word, p, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
    #endif
        return n >= 8 ? word : word & ((1ull << (8 * n)) - 1);
    }
    """
    enum: PAD
    bint copy_text(char* to, const char* text, size_t n) noexcept nogil
    const char* string_end(const char* p) noexcept nogil
    uint64_t word_at(const char* p, size_t n) noexcept nogil
    int memcmp(const void* a, const void* b, size_t n) noexcept nogil

cdef enum:
    DEPTH_MAX = 64             # containers open at once
    DIGITS = 19                # significant digits that fit a uint64_t

cdef struct Decimal:           # (-1)**negative * digits * 10**exponent; digits behind the 19th are cut off
    uint64_t digits
    int32_t exponent
    bint negative

cdef inline bint utf8_ok(const char* text, size_t n) noexcept nogil:
    """Well-formed UTF-8 as Unicode's table 3-7 has it: no overlong forms, no surrogates."""
    cdef const uint8_t* p = <const uint8_t*>text
    cdef const uint8_t* end = p + n        # zeros follow, and a zero continues nothing
    cdef uint8_t low, high
    cdef int more
    while p < end:
        if p[0] < 0x80:
            p += 1
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

cdef inline const char* blank(const char* p) noexcept nogil:
    """Over white space; bodies seldom have any."""
    while p[0] <= c' ' and (p[0] == c' ' or p[0] == c'\n' or p[0] == c'\r' or p[0] == c'\t'):
        p += 1
    return p

cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'

cdef inline int hex4(const char* p) noexcept nogil:
    """Four hexadecimal digits as a number; -1 where one is none."""
    cdef int value = 0, i
    cdef char c
    for i in range(4):
        c = p[i]
        if is_digit(c):
            value = value * 16 + (c - c'0')
        elif c'a' <= c <= c'f':
            value = value * 16 + (c - c'a' + 10)
        elif c'A' <= c <= c'F':
            value = value * 16 + (c - c'A' + 10)
        else:
            return -1
    return value

cdef inline char escaped(char c) noexcept nogil:
    """What a backslash and `c` stand for; 0 where that is no escape (u is none here)."""
    if c == c'"' or c == c'\\' or c == c'/':
        return c
    if c == c'n':
        return c'\n'
    if c == c't':
        return c'\t'
    if c == c'r':
        return c'\r'
    if c == c'b':
        return c'\b'
    if c == c'f':
        return c'\f'
    return 0

cdef inline const char* skip_string(const char* p) noexcept nogil:
    """From the opening quote over the closing one."""
    p = string_end(p + 1)
    while p[0] == c'\\':
        if p[1] == c'u':
            if hex4(p + 2) < 0:
                return NULL
            p = string_end(p + 6)
        elif escaped(p[1]):
            p = string_end(p + 2)
        else:
            return NULL
    return p + 1 if p[0] == c'"' else NULL

cdef inline const char* undo_string(const char* p, char* out, Py_ssize_t* n) noexcept nogil:
    """As skip_string, with the text written to `out` without escapes, and a zero behind it.

    *n = -1 where a surrogate stands alone: such a string has no UTF-8.
    Never writes more than the string has bytes on the wire.
    """
    cdef const char* stop
    cdef char* to = out
    cdef int code, low
    cdef bint lone = False
    p += 1
    while True:
        stop = string_end(p)
        while p < stop:
            to[0] = p[0]
            to += 1
            p += 1
        if p[0] != c'\\':
            break
        if p[1] != c'u':
            to[0] = escaped(p[1])
            if not to[0]:
                return NULL
            to += 1
            p += 2
            continue
        code = hex4(p + 2)
        if code < 0:
            return NULL
        p += 6
        if code & 0xF800 == 0xD800:
            low = hex4(p + 2) if p[0] == c'\\' and p[1] == c'u' else -1
            if code & 0xFC00 != 0xD800 or low & 0xFC00 != 0xDC00 or low < 0:
                lone = True
                continue
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
            p += 6
        if code < 0x80:
            to[0] = <char>code
            to += 1
            continue
        if code < 0x800:
            to[0] = <char>(0xC0 | code >> 6)
            to += 1
        else:
            if code < 0x10000:
                to[0] = <char>(0xE0 | code >> 12)
                to += 1
            else:
                to[0] = <char>(0xF0 | code >> 18)
                to[1] = <char>(0x80 | code >> 12 & 0x3F)
                to += 2
            to[0] = <char>(0x80 | code >> 6 & 0x3F)
            to += 1
        to[0] = <char>(0x80 | code & 0x3F)
        to += 1
    to[0] = 0
    n[0] = -1 if lone else to - out
    return p + 1 if p[0] == c'"' else NULL

cdef inline const char* skip_number(const char* p) noexcept nogil:
    if p[0] == c'-':
        p += 1
    if p[0] == c'0':
        p += 1
    elif is_digit(p[0]):
        while is_digit(p[0]):
            p += 1
    else:
        return NULL
    if p[0] == c'.':
        p += 1
        if not is_digit(p[0]):
            return NULL
        while is_digit(p[0]):
            p += 1
    if p[0] == c'e' or p[0] == c'E':
        p += 1
        if p[0] == c'+' or p[0] == c'-':
            p += 1
        if not is_digit(p[0]):
            return NULL
        while is_digit(p[0]):
            p += 1
    return p

cdef inline const char* scan_decimal(const char* p, Decimal* out) noexcept nogil:
    """A number with its value. An exponent beyond 99,999 counts as that: it over- or underflows all the same."""
    cdef const char* end = skip_number(p)
    cdef int kept = 0
    cdef int32_t power = 0
    cdef bint fraction = False, down
    out.digits = 0
    out.exponent = 0
    out.negative = False
    if end == NULL:
        return NULL
    if p[0] == c'-':
        out.negative = True
        p += 1
    while p < end and (is_digit(p[0]) or p[0] == c'.'):
        if p[0] == c'.':
            fraction = True
        elif kept < DIGITS:
            out.digits = out.digits * 10 + <uint64_t>(p[0] - c'0')
            kept += out.digits > 0
            out.exponent -= fraction
        else:
            out.exponent += not fraction
        p += 1
    if p < end:
        p += 1
        down = p[0] == c'-'
        if down or p[0] == c'+':
            p += 1
        while p < end:
            if power < 10_000:
                power = power * 10 + (p[0] - c'0')
            p += 1
        out.exponent += -power if down else power
    return end

cdef inline const char* skip_value(const char* p, int depth) noexcept nogil:
    """Over any value, checked."""
    if p[0] == c'"':
        return skip_string(p)
    if p[0] == c'{' or p[0] == c'[':
        return skip_container(p, depth + 1)
    if p[0] == c't':
        return p + 4 if memcmp(p, b"true", 4) == 0 else NULL
    if p[0] == c'f':
        return p + 5 if memcmp(p, b"false", 5) == 0 else NULL
    if p[0] == c'n':
        return p + 4 if memcmp(p, b"null", 4) == 0 else NULL
    return skip_number(p)

cdef inline const char* skip_container(const char* p, int depth) noexcept nogil:
    """From an opening bracket over its closing one; `depth` counts it."""
    cdef bint members = p[0] == c'{'
    cdef char closing = c'}' if members else c']'
    if depth > DEPTH_MAX:
        return NULL
    p = blank(p + 1)
    if p[0] == closing:
        return p + 1
    while True:
        if members:
            if p[0] != c'"':
                return NULL
            p = skip_string(p)
            if p == NULL:
                return NULL
            p = blank(p)
            if p[0] != c':':
                return NULL
            p = blank(p + 1)
        p = skip_value(p, depth)
        if p == NULL:
            return NULL
        p = blank(p)
        if p[0] != c',':
            return p + 1 if p[0] == closing else NULL
        p = blank(p + 1)
