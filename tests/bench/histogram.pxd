"""Times in a histogram: 128 buckets an octave, so a quantile is right within 0.4 %; the largest one is exact.

Times: ns. What is negative counts as 0, what is longer than 2^40 (18 minutes) as that long.
"""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    PER_OCTAVE = 128               # a power of two; below it every nanosecond has a bucket of its own
    PER_OCTAVE_BITS = 7
    LONGEST_BITS = 40
    BUCKETS = (LONGEST_BITS - PER_OCTAVE_BITS + 2) * PER_OCTAVE

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef struct Histogram:
    uint64_t n
    int64_t longest
    uint64_t buckets[BUCKETS]

cdef inline void note_time(Histogram* h, int64_t time) noexcept nogil:
    cdef int octave
    if time < 0:
        time = 0
    elif time > <int64_t>1 << LONGEST_BITS:
        time = <int64_t>1 << LONGEST_BITS
    h.n += 1
    if time > h.longest:
        h.longest = time
    if time < PER_OCTAVE:
        h.buckets[time] += 1
        return
    octave = 63 - __builtin_clzll(<unsigned long long>time) - PER_OCTAVE_BITS
    h.buckets[(octave << PER_OCTAVE_BITS) + (time >> octave)] += 1

cdef inline double quantile(const Histogram* h, double q) noexcept nogil:
    """The middle of the bucket that holds it; 0 where there is nothing."""
    cdef uint64_t rank = <uint64_t>(q * <double>h.n), seen = 0
    cdef int i, octave
    if rank >= h.n:
        return <double>h.longest
    for i in range(BUCKETS):
        seen += h.buckets[i]
        if seen > rank:
            break
    if i < PER_OCTAVE:
        return i
    octave = (i >> PER_OCTAVE_BITS) - 1
    return min(<double>h.longest, ((i & (PER_OCTAVE - 1)) + PER_OCTAVE + 0.5) * (<int64_t>1 << octave))
