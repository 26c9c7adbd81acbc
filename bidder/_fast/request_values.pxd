"""Single values of a request, and lists of them, as real traffic writes them.

A number serves as a string, and a string that holds a number as a number. What cannot be
read is absent, and so is an empty string. As in `json`, a function returns the place
behind the value, or NULL. `spare`: the free end of the reader's memory, where escapes
are undone; it moves on behind what was written there.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from bidder._fast.json cimport (
    Decimal, is_digit, scan_decimal, seldom, skip_number, skip_value, undo_string, usual,
)
from bidder._fast.json_text cimport string_end
from bidder._fast.request cimport UNREADABLE_CURRENCY, Reader, Span, Str, pack3
from bidder._fast.request_keys cimport Items, first_item, next_item

cdef enum:
    INT32_TOP = 2_147_483_647
    FLOOR_SCALE = 6            # CPM in units -> nano for one impression: times 10**6
    LIST_MAX = 65_535

cdef inline char lower(char c) noexcept nogil:
    return c + 32 if c'A' <= c <= c'Z' else c

cdef inline const char* read_escaped(const char* p, Str* out, char** spare) noexcept nogil:
    cdef Py_ssize_t n = 0
    p = undo_string(p, spare[0], &n)
    if p != NULL and n > 0:
        out.p = spare[0]
        out.n = <uint32_t>n
        spare[0] += n + 1
    return p

cdef inline const char* read_odd_str(const char* p, Str* out, int depth, char** spare) noexcept nogil:
    """Anything but a string without escapes."""
    cdef const char* end
    out.p = NULL
    out.n = 0
    if p[0] == c'"':
        return read_escaped(p, out, spare)
    if p[0] == c'-' or is_digit(p[0]):
        end = skip_number(p)
        if end != NULL:
            out.p = p
            out.n = <uint32_t>(end - p)
        return end
    return skip_value(p, depth)

cdef inline const char* plain_str(const char* p, Str* out) noexcept nogil:
    """A string without escapes; NULL where there is anything else."""
    cdef const char* end
    if p[0] != c'"':
        return NULL
    end = string_end(p + 1)
    out.n = <uint32_t>(end - p - 1)
    out.p = p + 1 if out.n else NULL
    return end + 1 if end[0] == c'"' else NULL

cdef inline const char* read_str(const char* p, Str* out, int depth, char** spare) noexcept nogil:
    """A string, or a number as its text."""
    cdef const char* end = plain_str(p, out)
    return end if usual(end != NULL) else read_odd_str(p, out, depth, spare)

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
    cdef Str text
    cdef const char* end
    if usual(p[0] == c'-' or is_digit(p[0])):
        end = scan_decimal(p, out)
        ok[0] = end != NULL
        return end
    end = read_str(p, &text, depth, spare)
    ok[0] = end != NULL and text.p != NULL and scan_decimal(text.p, out) == text.p + text.n
    return end

cdef extern from *:
    """
    static inline uint64_t power_of_ten(int n)
    {
        static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};
        return powers[n];
    }
    """
    uint64_t power_of_ten(int n) noexcept nogil   # n: 0 to 9

cdef inline int64_t to_int(const Decimal* d, int power, bint half_up, int64_t top) noexcept nogil:
    """abs(d) * 10**power, its fraction cut off or rounded half up, at most `top` (10**18 or less).

    Exact, although a Decimal keeps 19 digits: what they do not reach stands behind the
    first digit of the fraction, or the value is above `top`.
    """
    cdef uint64_t value = d.digits, last = 0, limit = <uint64_t>top
    cdef int32_t exponent = d.exponent + power
    if usual(0 <= exponent <= 9 and value < 1_000_000_000):
        return <int64_t>min(value * power_of_ten(exponent), limit)     # below 10**18
    while exponent < 0 and (value or last):
        last = value % 10
        value //= 10
        exponent += 1
    if half_up and last >= 5:
        value += 1
    while exponent > 0 and 0 < value <= limit:
        value = value * 10 if value <= limit // 10 else limit + 1
        exponent -= 1
    return <int64_t>min(value, limit)

cdef inline const char* read_odd_int(
    const char* p, int64_t* out, int64_t absent, int64_t low, int64_t top, int depth, char** spare
) noexcept nogil:
    cdef Decimal d
    cdef bint ok = False
    p = read_decimal(p, &d, &ok, depth, spare)
    out[0] = absent
    if ok:
        out[0] = to_int(&d, 0, False, top)
        out[0] = max(low, -out[0] if d.negative else out[0])
    return p

cdef inline const char* plain_int(const char* p, int64_t* out) noexcept nogil:
    """Digits, at most 18, with a comma or a closing brace right behind; NULL where there is anything else."""
    cdef const char* end = p
    cdef int64_t value = 0
    while is_digit(end[0]):
        value = value * 10 + (end[0] - c'0')       # what overflows is too long
        end += 1
    out[0] = value
    if (p[0] == c'0' and end > p + 1) or end == p or end > p + 18 or (end[0] != c',' and end[0] != c'}'):
        return NULL
    return end

cdef inline const char* read_int(
    const char* p, int64_t* out, int64_t absent, int64_t low, int64_t top, int depth, char** spare
) noexcept nogil:
    """A whole number within low..top (the nearer end where it is outside); a fraction is cut off."""
    cdef int64_t value
    cdef const char* end = plain_int(p, &value)
    if seldom(end == NULL):
        return read_odd_int(p, out, absent, low, top, depth, spare)
    out[0] = min(max(value, low), top)
    return end

cdef inline const char* read_int32(const char* p, int32_t* out, int32_t absent, int depth, char** spare) noexcept nogil:
    """A count or code from 0 on; a negative one is absent."""
    cdef int64_t value = absent
    p = read_int(p, &value, absent, -1, INT32_TOP, depth, spare)
    out[0] = <int32_t>value if value >= 0 else absent
    return p

cdef inline const char* read_code(const char* p, uint8_t* out, int depth, char** spare) noexcept nogil:
    cdef int64_t value = 0
    p = read_int(p, &value, 0, 0, 255, depth, spare)
    out[0] = <uint8_t>value
    return p

cdef inline const char* read_flag(const char* p, bint* out, int depth, char** spare) noexcept nogil:
    """1, or the `true` that some send for it."""
    cdef int64_t value = 0
    cdef bint word = p[0] == c't'
    p = read_int(p, &value, 0, 0, 2, depth, spare)
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
    cdef Items items
    cdef Str text
    out.at = r.strs_n
    out.n = 0
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p, &items)
    while p != NULL and not items.closed:
        p = read_str(p, &text, depth + 1, &r.spare)
        if p != NULL and text.p != NULL and not add_str(r, out, text):
            return NULL
        p = next_item(p, &items)
    return p

cdef inline const char* read_bits(Reader r, const char* p, uint64_t* out, int top, int depth) noexcept nogil:
    """A list of codes 1..top as bits; others are left out."""
    cdef Items items
    cdef int64_t code = 0
    out[0] = 0
    if p[0] != c'[':
        return skip_value(p, depth)
    p = first_item(p, &items)
    while p != NULL and not items.closed:
        p = read_int(p, &code, 0, 0, 64, depth + 1, &r.spare)
        if 0 < code <= top:
            out[0] |= <uint64_t>1 << code
        p = next_item(p, &items)
    return p

cdef inline const char* read_currency(Reader r, const char* p, uint32_t* out, int depth) noexcept nogil:
    cdef Str text
    p = read_str(p, &text, depth, &r.spare)
    out[0] = pack3(text.p, text.n)
    if text.p != NULL and out[0] == 0:
        out[0] = UNREADABLE_CURRENCY
    return p

cdef inline const char* read_cur(Reader r, const char* p) noexcept nogil:
    cdef Items items
    cdef uint32_t currency = 0
    r.req.cur.at = r.ints_n
    r.req.cur.n = 0
    r.req.cur_named = False
    if p[0] != c'[':
        return skip_value(p, 1)
    p = first_item(p, &items)
    while p != NULL and not items.closed:
        r.req.cur_named = True
        p = read_currency(r, p, &currency, 2)
        if p != NULL and currency != 0 and currency != UNREADABLE_CURRENCY and r.req.cur.n < LIST_MAX:
            if r.ints_n == r.ints_cap and not grow(<void**>&r.ints, &r.ints_cap, sizeof(int64_t)):
                return NULL
            r.ints[r.ints_n] = currency
            r.ints_n += 1
            r.req.cur.n += 1
        p = next_item(p, &items)
    return p
