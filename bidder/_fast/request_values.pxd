"""Single values of a request, and lists of them, as real traffic writes them.

A number serves as a string, and a string that holds a number as a number. What cannot be
read is absent, and so is an empty string. As in `json`, a function returns the place
behind the value, or NULL. `spare`: the free end of the reader's memory, where escapes
are undone; it moves on behind what was written there.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from bidder._fast.json cimport is_closing, is_digit
from bidder._fast.json_number cimport Decimal, scan_decimal, to_int
from bidder._fast.json_text cimport plain_length
from bidder._fast.request cimport UNREADABLE_CURRENCY, Reader, Span, Str, pack3
from bidder._fast.request_keys cimport first_item, is_item, next_item
from bidder._fast.request_odd cimport odd_decimal, odd_int, odd_str, odd_value

cdef enum:
    INT32_TOP = 2_147_483_647
    FLOOR_SCALE = 6            # CPM in units -> nano for one impression: times 10**6
    LIST_MAX = 65_535

cdef extern from *:
    """
    #define EXACT 9007199254740992ull
    static const double TENS[23] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
                                    1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    """
    uint64_t EXACT                 # up to here each whole number is a double
    const double* TENS

cdef inline char lower(char c) noexcept nogil:
    return c + 32 if c'A' <= c <= c'Z' else c

cdef inline const char* skip_value(const char* p, int depth) noexcept nogil:
    """Over any value, checked."""
    cdef size_t n
    if p[0] == c'"':
        n = plain_length(p + 1)
        if p[1 + n] == c'"':
            return p + 2 + n
    elif is_digit(p[0]) and (p[1] == c',' or is_closing(p[1])):
        return p + 1
    return odd_value(p, depth)

cdef inline const char* read_str(const char* p, Str* out, int depth, char** spare) noexcept nogil:
    """A string, or a number as its text."""
    cdef size_t n
    if p[0] == c'"':
        n = plain_length(p + 1)
        if p[1 + n] == c'"':
            out.n = <uint32_t>n
            out.p = p + 1 if n else NULL
            return p + 2 + n
    return odd_str(p, out, depth, spare)

cdef inline const char* read_id(const char* p, Str* out, Str* raw, int depth, char** spare) noexcept nogil:
    """As read_str, with its bytes on the wire."""
    cdef const char* end = read_str(p, out, depth, spare)
    cdef int quote = p[0] == c'"'
    raw[0] = out[0]
    if end != NULL and out.p != NULL:
        raw.p = p + quote
        raw.n = <uint32_t>(end - p - 2 * quote)
    return end

cdef inline const char* read_decimal(const char* p, Decimal* out, bint* ok, int depth, char** spare) noexcept nogil:
    """A number, or a string that holds one and nothing else."""
    cdef const char* end
    if not is_digit(p[0]) and p[0] != c'-':
        return odd_decimal(p, out, ok, depth, spare)
    end = scan_decimal(p, out)
    ok[0] = end != NULL
    return end

cdef inline const char* read_int(
    const char* p, int64_t* out, int64_t absent, int64_t top, int depth, char** spare
) noexcept nogil:
    """A whole number from 0 to `top` (or that where it is larger); a fraction is cut off, a negative one is absent."""
    cdef const char* end = p + 1
    cdef uint64_t value = <uint8_t>(p[0] - c'0')
    cdef uint8_t digit
    if value <= 9:
        digit = <uint8_t>(end[0] - c'0')
        while digit <= 9:
            value = value * 10 + digit             # what overflows is too long
            end += 1
            digit = <uint8_t>(end[0] - c'0')
        if (end[0] == c',' or is_closing(end[0])) and (end == p + 1 or (p[0] != c'0' and end <= p + 18)):
            out[0] = min(<int64_t>value, top)
            return end
    return odd_int(p, out, absent, top, depth, spare)

cdef inline const char* read_int32(const char* p, int32_t* out, int32_t absent, int depth, char** spare) noexcept nogil:
    """A count or code."""
    cdef int64_t value = absent
    p = read_int(p, &value, absent, INT32_TOP, depth, spare)
    out[0] = <int32_t>value
    return p

cdef inline const char* read_code(const char* p, uint8_t* out, int depth, char** spare) noexcept nogil:
    cdef int64_t value = 0
    p = read_int(p, &value, 0, 255, depth, spare)
    out[0] = <uint8_t>value
    return p

cdef inline const char* read_flag(const char* p, bint* out, int depth, char** spare) noexcept nogil:
    """1, or the `true` that some send for it."""
    cdef int64_t value = 0
    cdef bint word = p[0] == c't'
    p = read_int(p, &value, 0, 2, depth, spare)
    out[0] = value == 1 or word
    return p

cdef inline const char* read_floor(const char* p, int64_t* out, int64_t absent, int depth, char** spare) noexcept nogil:
    """CPM as nano for one impression; a negative one is 0, one above 10**18 nano is that."""
    cdef Decimal d
    cdef bint ok = False
    p = read_decimal(p, &d, &ok, depth, spare)
    out[0] = absent
    if ok:
        out[0] = 0 if d.negative else to_int(&d, FLOOR_SCALE, True, 10 ** 18)
    return p

cdef inline const char* read_degrees(
    const char* p, double* out, double top, bint* ok, int depth, char** spare
) noexcept nogil:
    """An angle within -top..top."""
    cdef Decimal d
    cdef long double value, scale = 1
    p = read_decimal(p, &d, ok, depth, spare)
    if not ok[0]:
        return p
    if d.digits <= EXACT and -22 <= d.exponent <= 0:
        # Both exact as doubles, so their quotient is rounded once.
        out[0] = <double>d.digits / TENS[-d.exponent]
        out[0] = -out[0] if d.negative else out[0]
        ok[0] = -top <= out[0] <= top
        return p
    value = <long double>d.digits
    if d.exponent < -60:
        value = 0
    while d.exponent > 0 and 0 < value <= top:
        value *= 10
        d.exponent -= 1
    while d.exponent < 0 and value > 0:
        scale *= 10
        d.exponent += 1
    value /= scale
    out[0] = <double>(-value if d.negative else value)
    ok[0] = -top <= out[0] <= top
    return p

cdef inline bint grow(void** pool, uint32_t* cap, size_t size) noexcept nogil:
    """Doubles a full pool; False, with the pool as it was, where there is no memory."""
    cdef void* larger = realloc(pool[0], 2 * <size_t>cap[0] * size)
    if larger == NULL:
        return False
    pool[0] = larger
    cap[0] *= 2
    return True

cdef inline bint add_str(Reader r, Span* list, Str text) noexcept nogil:
    """Onto the end of the list that is being read; False where there is no memory."""
    if list.n == LIST_MAX:
        return True
    if r.strs_n == r.strs_cap and not grow(<void**>&r.strs, &r.strs_cap, sizeof(Str)):
        return False
    r.strs[r.strs_n] = text
    r.strs_n += 1
    list.n += 1
    return True

cdef inline const char* read_strs(Reader r, const char* p, Span* out, int depth) noexcept nogil:
    """A list of strings; entries that cannot be read are left out."""
    cdef Str text
    out.at = r.strs_n
    out.n = 0
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p)
    while is_item(p):
        p = read_str(p, &text, depth + 1, &r.spare)
        if p != NULL and text.p != NULL and not add_str(r, out, text):
            return NULL
        p = next_item(p)
    return p

cdef inline const char* read_bits(Reader r, const char* p, uint64_t* out, int top, int depth) noexcept nogil:
    """A list of codes 1..top as bits; others are left out."""
    cdef int64_t code = 0
    out[0] = 0
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p)
    while is_item(p):
        p = read_int(p, &code, 0, 64, depth + 1, &r.spare)
        if 0 < code <= top:
            out[0] |= <uint64_t>1 << code
        p = next_item(p)
    return p

cdef inline const char* read_currency(Reader r, const char* p, uint32_t* out, int depth) noexcept nogil:
    cdef Str text
    p = read_str(p, &text, depth, &r.spare)
    out[0] = pack3(text.p, text.n)
    if text.p != NULL and out[0] == 0:
        out[0] = UNREADABLE_CURRENCY
    return p

cdef inline const char* read_cur(Reader r, const char* p) noexcept nogil:
    cdef uint32_t currency = 0
    r.req.cur.at = r.ints_n
    r.req.cur.n = 0
    r.req.cur_named = False
    if p[0] != c'[':
        return skip_value(p, 1)
    p = first_item(p)
    while is_item(p):
        r.req.cur_named = True
        p = read_currency(r, p, &currency, 2)
        if p != NULL and currency != 0 and currency != UNREADABLE_CURRENCY and r.req.cur.n < LIST_MAX:
            if r.ints_n == r.ints_cap and not grow(<void**>&r.ints, &r.ints_cap, sizeof(int64_t)):
                return NULL
            r.ints[r.ints_n] = currency
            r.ints_n += 1
            r.req.cur.n += 1
        p = next_item(p)
    return p
