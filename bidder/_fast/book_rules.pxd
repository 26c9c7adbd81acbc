"""Rules of targeting that are arithmetic: versions, distances, multiplied prices."""

from libc.math cimport asin, cos, fabs, fmin, sin, sqrt
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from bidder._fast.book_layout cimport PRICE_CAP, VERSION_PARTS, Point
from bidder._fast.request cimport Str

cdef struct Version:           # dotted numbers, missing parts zero
    uint32_t part[8]
    bint more                  # a part after these is not zero
    bint known

# `12.1`; not known for anything else than numbers with dots between them.
cdef inline Version version_of(Str text) noexcept nogil:
    cdef Version version
    cdef uint32_t i, number = 0, digits = 0
    cdef uint64_t part = 0
    memset(&version, 0, sizeof(version))
    if text.p == NULL:
        return version
    for i in range(text.n + 1):
        if i == text.n or text.p[i] == b'.':
            if digits == 0:
                return version
            if number < VERSION_PARTS:
                version.part[number] = <uint32_t>part
            elif part:
                version.more = True
            number += 1
            part = digits = 0
        elif 48 <= text.p[i] <= 57:
            part = part * 10 + (text.p[i] - 48)
            if part > <uint64_t>0xFFFFFFFF:
                part = <uint64_t>0xFFFFFFFF   # above every bound: those have nine digits at most
            digits += 1
        else:
            return version
    version.known = True
    return version

cdef inline int version_compare(const Version* version, const uint32_t* bound) noexcept nogil:
    cdef int i
    for i in range(VERSION_PARTS):
        if version.part[i] != bound[i]:
            return -1 if version.part[i] < bound[i] else 1
    return version.more

# Within the circle, on a sphere of the earth's mean radius (haversine).
cdef inline bint point_reaches(const Point* point, double lat, double lon) noexcept nogil:
    cdef double radians = 0.017453292519943295, earth_km = 6371.0088
    cdef double half_lat = (point.lat - lat) * radians / 2
    cdef double half_lon = (point.lon - lon) * radians / 2
    cdef double a
    if fabs(half_lat) * 2 * earth_km > point.km * 1.000001:      # saves the sines for all that is far
        return False
    a = sin(half_lat) * sin(half_lat) \
        + cos(lat * radians) * cos(point.lat * radians) * sin(half_lon) * sin(half_lon)
    return 2 * earth_km * asin(fmin(1.0, sqrt(a))) <= point.km

# Divides in place, dropping the remainder.
cdef inline void _divide(uint32_t* limbs, int n, uint32_t divisor) noexcept nogil:
    cdef uint64_t rest = 0
    cdef int i
    for i in range(n - 1, -1, -1):
        rest = rest << 32 | limbs[i]
        limbs[i] = <uint32_t>(rest // divisor)
        rest = rest % divisor

# price * product of the factors (millionths), exact, rounded half up once; PRICE_CAP at most. `n` <= 16.
cdef inline int64_t price_times(int64_t price, const uint32_t* factors, int n) noexcept nogil:
    cdef uint32_t limbs[18]                    # 30 bits of price + 16 * 27 bits of factors
    cdef uint64_t carry
    cdef int i, k, used = 1
    if n == 0:
        return price
    limbs[0] = <uint32_t>price
    for k in range(n):
        carry = 0
        for i in range(used):
            carry += <uint64_t>limbs[i] * factors[k]
            limbs[i] = <uint32_t>carry
            carry >>= 32
        if carry:
            limbs[used] = <uint32_t>carry
            used += 1
    for k in range(n - 1):
        _divide(limbs, used, 1000000)
    _divide(limbs, used, 100000)               # one decimal is left, which rounds
    for i in range(2, used):
        if limbs[i]:
            return PRICE_CAP
    carry = limbs[0] + (<uint64_t>limbs[1] << 32 if used > 1 else 0)
    carry = carry // 10 + (carry % 10 >= 5)
    return PRICE_CAP if carry > PRICE_CAP else <int64_t>carry
