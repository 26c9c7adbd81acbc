"""Shading: what part of its value should a campaign bid where the winner pays what it bids?

File: one page of header, then ROWS rows, a hash table by class; a row once given to a class stays its own, and shares are
replaced one by one, so who reads meanwhile reads an old share or a new one. Only the supervisor writes.
"""

from pathlib import Path

from bidder._fast.atomics cimport atomic_load32, atomic_store32
from bidder._fast.currency cimport scaled_part
from bidder._fast.mapped cimport base_of
from bidder._fast.mapping import PAGE, attach, create

MAGIC = b"obshade1"            # the last digit is the layout's


cdef extern from *:
    """
    static inline int leading(unsigned long long x) { return 63 - __builtin_clzll(x); }
    """
    int leading(unsigned long long x) noexcept nogil       # x > 0: number of its highest bit


cdef inline uint32_t home(uint32_t key) noexcept nogil:
    return (key * <uint32_t>2654435761) >> 22


cdef inline int step_of(int64_t value) noexcept nogil:
    """Of a value >= 1."""
    cdef int top = leading(<unsigned long long> value)
    cdef int step = (top - FIRST_DOUBLING) * 4
    if step < 0:
        return 0
    step += <int> (value >> (top - 2) & 3)
    return step if step < STEPS else <int> STEPS - 1


cdef int64_t shaded(const ShadeRow* rows, uint32_t key, int64_t value) noexcept nogil:
    cdef uint32_t at = home(key), tries
    cdef uint32_t found
    cdef int64_t share
    if value < 1:
        return value
    for tries in range(<uint32_t> ROWS):
        found = rows[at].key
        if found == key:
            share = rows[at].share[step_of(value)]
            if share == 0:
                return value
            return scaled_part(value, <uint32_t> share)
        if found == 0:
            return value
        at = (at + 1) % ROWS
    return value


cdef class Shading:
    def __init__(self, path, *, bint make=False, bint private=False):
        path = Path(path)
        if make and not path.exists():
            create(path, MAGIC, PAGE + ROWS * sizeof(ShadeRow))
        self.path = path
        self._map = attach(path, MAGIC, PAGE + ROWS * sizeof(ShadeRow), private=private)
        self.rows = <ShadeRow*> (base_of(self._map) + <Py_ssize_t> PAGE)

    cdef ShadeRow* row(self, uint32_t key) except? NULL:
        """Its own, or a free one; NULL: the table is full."""
        cdef uint32_t at = home(key), tries, found
        for tries in range(<uint32_t> ROWS):
            found = atomic_load32(&self.rows[at].key)
            if found == key or found == 0:
                return &self.rows[at]
            at = (at + 1) % ROWS
        return NULL

    def put(self, uint32_t key, shares):
        cdef ShadeRow* row
        cdef int step
        if key < <uint32_t>1 << 31 or len(shares) != STEPS:
            raise ValueError(f"key={key} with {len(shares)} shares")
        row = self.row(key)
        if row == NULL:
            return False
        for step in range(<int> STEPS):
            row.share[step] = shares[step]
        atomic_store32(&row.key, key)
        return True

    def keep(self, keys):
        cdef uint32_t at
        cdef int step
        kept = set(keys)
        for at in range(<uint32_t> ROWS):
            if self.rows[at].key != 0 and self.rows[at].key not in kept:
                for step in range(<int> STEPS):
                    self.rows[at].share[step] = 0

    def shade(self, uint32_t key, int64_t value):
        return shaded(self.rows, key, value)


def key_of(uint32_t exchange, uint32_t format, int64_t w, int64_t h):
    if exchange >= 1 << 16 or format > 15:
        raise ValueError(f"exchange={exchange} format={format}")
    return class_of(exchange, format, w, h)
