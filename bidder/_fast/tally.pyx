"""A tally: what a request counts, for somebody else to add to the counters.

It stands where a worker's row of the counter file would: who decides does not know the difference.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memcmp
from bidder._fast.counters cimport CounterKey


cdef class Tally(Counters):
    def __init__(self):
        self.n = 0

    cdef void begin(self) noexcept nogil:
        self.n = 0
        self.full = False

    cdef void add(self, const CounterKey* key, int64_t n, int64_t amount) noexcept nogil:
        cdef CounterEntry* entry
        cdef int i
        for i in range(self.n):
            entry = &self.listed[i]
            if memcmp(&entry.key, key, sizeof(CounterKey)) == 0:
                entry.n += n
                entry.amount += amount
                return
        if self.n == TALLY:
            self.full = True
            return
        entry = &self.listed[self.n]
        entry.key, entry.n, entry.amount = key[0], n, amount
        self.n += 1

    cdef void end(self) noexcept nogil:
        pass

    cdef void expect(self, const CounterKey* key) noexcept nogil:
        pass

    cdef bytes take(self):
        cdef bytes found = PyBytes_FromStringAndSize(<const char*>self.listed, self.n * sizeof(CounterEntry))
        self.n = 0
        return found
