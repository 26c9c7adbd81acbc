"""The slice: a request's stable hash picks its bucket of 10,000, the board says whose bucket that is.

    device.ifa, where consent permits ids, else the request's id -> xxh32 -> mod 10,000 -> arm

The key is hashed as it is written, its escapes undone: a balancer that takes the same field from the same JSON, and
hashes it the same way, finds the same bucket. An ifa of zeros and dashes is nobody's, so it is as good as none. A request without
an id as well (it is invalid) has the bucket of the empty string; one that was not read has no bucket, and arm 0.
"""

from libc.string cimport memcpy
from bidder._fast.board cimport ArmRow, BASELINE, CANARY
from bidder._fast.book cimport ArmRec, BUCKETS
from bidder._fast.strings cimport Str

cdef enum:
    PRIME_1 = 0x9E3779B1
    PRIME_2 = 0x85EBCA77
    PRIME_3 = 0xC2B2AE3D
    PRIME_4 = 0x27D4EB2F
    PRIME_5 = 0x165667B1


cdef inline uint32_t turned(uint32_t x, int by) noexcept nogil:
    return x << by | x >> (32 - by)


cdef inline uint32_t word(const char* p) noexcept nogil:
    cdef uint32_t x
    memcpy(&x, p, 4)
    return x


cdef inline uint32_t mixed(uint32_t lane, uint32_t x) noexcept nogil:
    return turned(lane + x * <uint32_t>PRIME_2, 13) * <uint32_t>PRIME_1


cdef uint32_t xxh32(const char* text, size_t n) noexcept nogil:
    cdef const char* p = text
    cdef size_t left = n
    cdef uint32_t a, b, c, d, h
    if n >= 16:
        a, b = <uint32_t>PRIME_1 + <uint32_t>PRIME_2, <uint32_t>PRIME_2
        c, d = 0, <uint32_t>0 - <uint32_t>PRIME_1
        while left >= 16:
            a, b = mixed(a, word(p)), mixed(b, word(p + 4))
            c, d = mixed(c, word(p + 8)), mixed(d, word(p + 12))
            p += 16
            left -= 16
        h = turned(a, 1) + turned(b, 7) + turned(c, 12) + turned(d, 18)
    else:
        h = <uint32_t>PRIME_5
    h += <uint32_t>n
    while left >= 4:
        h = turned(h + word(p) * <uint32_t>PRIME_3, 17) * <uint32_t>PRIME_4
        p += 4
        left -= 4
    while left:
        h = turned(h + <uint8_t>p[0] * <uint32_t>PRIME_5, 11) * <uint32_t>PRIME_1
        p += 1
        left -= 1
    h = (h ^ h >> 15) * <uint32_t>PRIME_2
    h = (h ^ h >> 13) * <uint32_t>PRIME_3
    return h ^ h >> 16


cdef uint32_t bucket_of(const Request* req) noexcept nogil:
    cdef Str key = req.ifa if req.ifa.n else req.id
    return xxh32(key.p, key.n) % BUCKETS


cdef uint8_t arm_in(const BoardPage* page, const Request* req, uint32_t bucket, uint8_t exchange) noexcept nogil:
    cdef const ArmRow* row
    cdef uint32_t buckets
    cdef uint8_t arm
    for arm in range(CANARY, BASELINE + 1):
        row = &page.arms[arm]
        buckets = row.buckets
        if (buckets & 0xFFFF) <= bucket < buckets >> 16:
            if (row.exchange and row.exchange != exchange) or (row.country and row.country != req.country):
                return 0
            return arm
    return 0


cdef const ArmRec* experiment_of(const ArmRec* arms, uint32_t count, uint32_t bucket) noexcept nogil:
    cdef uint32_t low = 0, high = count, middle
    while low < high:
        middle = (low + high) // 2
        if arms[middle].end <= bucket:
            low = middle + 1
        else:
            high = middle
    return &arms[low] if low < count and arms[low].first <= bucket else NULL


def hash32(bytes text not None):
    return xxh32(<const char*>text, <size_t>len(text))


def bucket(bytes key not None):
    return hash32(key) % BUCKETS
