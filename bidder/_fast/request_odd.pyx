"""What is seldom in a body, or not read: white space, escapes, odd types, nested values that nobody asks for.

The reader's loops try what nearly all bodies have (`request_keys`, `request_values`) and come here with everything else,
from the beginning of it: each function here takes every case and does not rely on what was tried.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from bidder._fast.json cimport blank, is_digit, memcmp, skip_container, skip_number, skip_scalar, undo_string
from bidder._fast.json_number cimport Decimal, scan_decimal, to_int
from bidder._fast.json_text cimport string_end, word_at
from bidder._fast.request_keys cimport *


cdef Key odd_key(const char* p, char* spare, bint first) noexcept nogil:
    cdef Key key
    cdef const char* end
    cdef uint64_t word
    cdef Py_ssize_t n = 0
    key.begin = NULL
    key.word = KEY_NONE
    p = blank(p)
    if p[0] == c'}':
        key.begin = p + 1
        return key
    if not first:
        if p[0] != c',':
            return key
        p = blank(p + 1)
    if p[0] != c'"':
        return key
    end = string_end(p + 1)
    if end[0] == c'"':
        word = key_word(p + 1, <size_t>(end - p - 1))
        end += 1
    else:
        end = undo_string(p, spare, &n)
        if end == NULL:
            return key
        # An escape can make control characters; such a key is none of ours.
        word = key_word(spare, <size_t>n) if n > 0 and string_end(spare) == spare + n else other_key(0)
    end = blank(end)
    if end[0] == c':':
        key.begin = blank(end + 1) - key_length(word) - 2
        key.word = word
    return key


cdef struct Seldom:
    size_t n
    const char* name
    uint64_t word

cdef enum:
    SELDOM_KEYS = 18

cdef Seldom[SELDOM_KEYS] SELDOM = [
    Seldom(9, b"protocols", KEY_PROTOCOLS),
    Seldom(9, b"linearity", KEY_LINEARITY),
    Seldom(9, b"placement", KEY_PLACEMENT),
    Seldom(9, b"skipafter", KEY_SKIPAFTER),
    Seldom(9, b"durfloors", KEY_DURFLOORS),
    Seldom(9, b"poddedupe", KEY_PODDEDUPE),
    Seldom(10, b"minbitrate", KEY_MINBITRATE),
    Seldom(10, b"maxbitrate", KEY_MAXBITRATE),
    Seldom(11, b"minduration", KEY_MINDURATION),
    Seldom(11, b"maxduration", KEY_MAXDURATION),
    Seldom(11, b"maxextended", KEY_MAXEXTENDED),
    Seldom(12, b"mincpmpersec", KEY_MINCPMPERSEC),
    Seldom(13, b"boxingallowed", KEY_BOXINGALLOWED),
    Seldom(13, b"eventtrackers", KEY_EVENTTRACKERS),
    Seldom(9, b"venuetype", KEY_VENUETYPE),
    Seldom(10, b"multiplier", KEY_MULTIPLIER),
    Seldom(11, b"venuetypeid", KEY_VENUETYPEID),
    Seldom(11, b"dsarequired", KEY_DSAREQUIRED),
]


cdef uint64_t seldom_key(const char* p, size_t n) noexcept nogil:
    cdef int i
    for i in range(SELDOM_KEYS):
        if SELDOM[i].n == n and word_at(p, 8) == word_at(SELDOM[i].name, 8) and memcmp(p, SELDOM[i].name, n) == 0:
            return SELDOM[i].word
    return other_key(n)


cdef const char* odd_value(const char* p, int depth) noexcept nogil:
    return skip_container(p, depth) if p[0] == c'{' or p[0] == c'[' else skip_scalar(p)


cdef const char* odd_str(const char* p, Str* out, int depth, char** spare) noexcept nogil:
    cdef const char* end
    cdef Py_ssize_t n = 0
    out.p = NULL
    out.n = 0
    if p[0] == c'"':
        end = undo_string(p, spare[0], &n)
        if end != NULL and n > 0:
            out.p = spare[0]
            out.n = <uint32_t>n
            spare[0] += n + 1
        return end
    if p[0] == c'-' or is_digit(p[0]):
        end = skip_number(p)
        if end != NULL:
            out.p = p
            out.n = <uint32_t>(end - p)
        return end
    return odd_value(p, depth)


cdef const char* odd_decimal(const char* p, Decimal* out, bint* ok, int depth, char** spare) noexcept nogil:
    cdef Str text
    cdef const char* end = odd_str(p, &text, depth, spare)
    ok[0] = end != NULL and text.p != NULL and scan_decimal(text.p, out) == text.p + text.n
    return end


cdef const char* odd_int(const char* p, int64_t* out, int64_t absent, int64_t top, int depth, char** spare) noexcept nogil:
    cdef Decimal d
    cdef bint ok = False
    p = odd_decimal(p, &d, &ok, depth, spare)
    out[0] = absent
    if ok:
        out[0] = to_int(&d, 0, False, top)
        if d.negative and out[0] > 0:
            out[0] = absent
    return p
