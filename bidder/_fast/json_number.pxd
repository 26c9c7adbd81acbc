"""Numbers of JSON and their values, exact: as 19 digits and a power of ten."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from bidder._fast.json cimport is_digit

cdef enum:
    DIGITS = 19                # significant digits that fit a uint64_t

cdef struct Decimal:           # (-1)**negative * digits * 10**exponent; digits behind the 19th are cut off
    uint64_t digits
    int32_t exponent
    bint negative

cdef inline void cut_digits(const char* p, const char* end, Decimal* out) noexcept nogil:
    """Of a number of many digits the first DIGITS, leading zeros aside; p..end: digits, and a point perhaps."""
    cdef int kept = 0
    cdef bint fraction = False
    out.digits = 0
    out.exponent = 0
    while p < end:
        if p[0] == c'.':
            fraction = True
        elif kept < DIGITS:
            out.digits = out.digits * 10 + <uint64_t>(p[0] - c'0')
            kept += out.digits > 0
            out.exponent -= fraction
        else:
            out.exponent += not fraction
        p += 1

cdef inline const char* scan_exponent(const char* p, Decimal* out) noexcept nogil:
    """From behind the e. More than 99,999 counts as that: it over- or underflows all the same."""
    cdef int32_t power = 0
    cdef bint down = p[0] == c'-'
    if down or p[0] == c'+':
        p += 1
    if not is_digit(p[0]):
        return NULL
    while is_digit(p[0]):
        if power < 10_000:
            power = power * 10 + (p[0] - c'0')
        p += 1
    out.exponent += -power if down else power
    return p

cdef inline const char* scan_decimal(const char* p, Decimal* out) noexcept nogil:
    """A number with its value."""
    cdef const char* begin
    cdef const char* point
    cdef uint64_t digits = 0
    out.digits = 0
    out.exponent = 0
    out.negative = p[0] == c'-'
    p += out.negative
    begin = p
    while is_digit(p[0]):
        digits = digits * 10 + <uint64_t>(p[0] - c'0')     # what overflows is too long, and read again
        p += 1
    if p == begin or (begin[0] == c'0' and p > begin + 1):
        return NULL
    if p[0] == c'.':
        p += 1
        point = p
        while is_digit(p[0]):
            digits = digits * 10 + <uint64_t>(p[0] - c'0')
            p += 1
        if p == point:
            return NULL
        out.exponent = <int32_t>(point - p)
    out.digits = digits
    if p - begin > DIGITS:
        cut_digits(begin, p, out)
    if p[0] == c'e' or p[0] == c'E':
        return scan_exponent(p + 1, out)
    return p

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
    if 0 <= exponent <= 9 and value < 1_000_000_000:
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
