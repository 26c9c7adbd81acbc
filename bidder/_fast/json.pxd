"""JSON's grammar (RFC 8259), over text that ends in zero bytes: see `json_text`.

A function takes the place where it begins and returns the place behind what it read,
or NULL where the grammar is broken. UTF-8 is checked once for the whole text;
strings are not looked at again. `depth`: containers open around a value.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from bidder._fast.json_text cimport plain_length, short_length, string_end

cdef extern from *:
    int memcmp(const void* a, const void* b, size_t n) noexcept nogil

cdef enum:
    DEPTH_MAX = 64             # containers open at once

cdef inline const char* blank(const char* p) noexcept nogil:
    """Over white space; bodies seldom have any."""
    while p[0] <= c' ' and (p[0] == c' ' or p[0] == c'\n' or p[0] == c'\r' or p[0] == c'\t'):
        p += 1
    return p

cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'

cdef inline bint is_closing(char c) noexcept nogil:
    return (c | 0x20) == c'}'    # which is what one bit makes of ]

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

cdef inline const char* skip_escapes(const char* p) noexcept nogil:
    """From where a string's text was found to stop, which is not at a quote."""
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

cdef inline const char* skip_string(const char* p) noexcept nogil:
    """From the opening quote over the closing one."""
    cdef size_t n = plain_length(p + 1)
    p += n + 1
    return p + 1 if p[0] == c'"' else skip_escapes(p)

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

cdef inline const char* digits_end(const char* p) noexcept nogil:
    """Over digits, of which there must be one."""
    if not is_digit(p[0]):
        return NULL
    p += 1
    while is_digit(p[0]):
        p += 1
    return p

cdef inline const char* skip_number(const char* p) noexcept nogil:
    if p[0] == c'-':
        p += 1
    p = p + 1 if p[0] == c'0' else digits_end(p)
    if p == NULL:
        return NULL
    if p[0] == c'.':
        p = digits_end(p + 1)
        if p == NULL:
            return NULL
    if p[0] == c'e' or p[0] == c'E':
        p += 1
        p = digits_end(p + 1 if p[0] == c'+' or p[0] == c'-' else p)
    return p

cdef inline const char* skip_scalar(const char* p) noexcept nogil:
    """Over a string, a number or a literal."""
    if p[0] == c'"':
        return skip_string(p)
    if p[0] == c't':
        return p + 4 if memcmp(p, b"true", 4) == 0 else NULL
    if p[0] == c'f':
        return p + 5 if memcmp(p, b"false", 5) == 0 else NULL
    if p[0] == c'n':
        return p + 4 if memcmp(p, b"null", 4) == 0 else NULL
    return skip_number(p)

cdef inline const char* skip_key(const char* p) noexcept nogil:
    """From the opening quote of a member's key to its value."""
    cdef size_t n
    if p[0] != c'"':
        return NULL
    n = short_length(p + 1)
    if memcmp(p + 1 + n, b'":', 2) == 0:
        return blank(p + 3 + n)
    p = skip_string(p)
    if p == NULL:
        return NULL
    p = blank(p)
    return blank(p + 1) if p[0] == c':' else NULL

cdef inline const char* skip_container(const char* p, int depth) noexcept nogil:
    """From an opening bracket over its closing one; `depth` does not count it yet."""
    cdef uint64_t objects = 0      # a bit for each container that is open, the innermost lowest: is it an object?
    cdef int outside = depth
    while True:
        if p[0] == c'{' or p[0] == c'[':
            if depth == DEPTH_MAX:
                return NULL
            depth += 1
            objects = objects << 1 | (p[0] == c'{')
            p = blank(p + 1)
            if p[0] != closing(objects):
                if objects & 1:
                    p = skip_key(p)
                    if p == NULL:
                        return NULL
                continue
        else:
            p = skip_scalar(p)
            if p == NULL:
                return NULL
            p = blank(p)
        while p[0] != c',':
            if p[0] != closing(objects):
                return NULL
            objects >>= 1
            depth -= 1
            if depth == outside:
                return p + 1
            p = blank(p + 1)
        p = blank(p + 1)
        if objects & 1:
            p = skip_key(p)
            if p == NULL:
                return NULL

cdef inline char closing(uint64_t objects) noexcept nogil:
    return c'}' if objects & 1 else c']'
