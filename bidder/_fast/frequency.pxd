"""Frequency caps: how often a host has shown, or may yet show, ads to one user under one rule.

One table a host in a file that all its workers and its tracker map. Times: unix seconds.
A window counts impressions that are confirmed, and bids that may still become some (holds). A slot has two lots of
holds, each with the second at which it is given back: into the young one new holds go, the old one is closed.
"""

from cython cimport final
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    BUCKET = 8                 # slots in which one key may stand
    MOST = 4_000               # no cap is above: what a slot can count leaves room for late impressions
    CONFIRMED_BITS = 13
    HELD_BITS = 9
    CONFIRMED_TOP = 8_191
    HELD_TOP = 511
    PHASE_BIT = 31
    STATE_BITS = 32
    MARK = 0x7FFFFFFE          # of a state that marks a user
    FORMATS = 5                # of holds, by mtype
    GENERATIONS = 3            # of keys: those of the period before, of this one, and room for the next
    WANTED = 1_024             # users that may wait to be asked for

cdef enum:                     # FrequencyTable.first_touch: of a user whom this host does not know yet
    TOUCH_NOT_ASKED = 0        # there is no store behind this table: whoever is not here has no windows
    TOUCH_BID = 1
    TOUCH_NO_BID = 2

# key: keyed hash; 0: never used.
# state: second at which the window ends << 32 | which lot is young << 31 | held 1 << 22 | held 0 << 13 | confirmed.
# until: second at which lot 1 is given back << 32 | the same of lot 0. Only ever raised, but where a slot marks a user.
cdef struct Bucket:            # three cache lines
    uint64_t key[8]
    uint64_t state[8]
    uint64_t until[8]

cdef struct Place:             # a slot of a bucket
    Bucket* bucket
    int i

cdef struct Wanted:            # a user to be asked for behind the request
    uint64_t digest            # under the keys of this period; 0: free
    uint64_t before            # under those of the one before
    uint64_t check             # of both: two workers may have written here at once

cdef struct TableHead:         # first page of the file
    char magic[8]
    uint64_t capacity
    char boot[16]              # under which windows were counted
    uint64_t period            # whose keys are in use
    int64_t forgotten, confirmed, released, late, beyond, dropped
    uint64_t asked, answered   # of `wanted_ring`: entries ever written, ever read
    uint8_t keys[3][64]        # of three periods: the one before, this one, and room for the next

@final
cdef class FrequencyTable:
    cdef Bucket* buckets       # mapped, shared by all processes of the host
    cdef Wanted* wanted_ring
    cdef TableHead* head
    cdef readonly Py_ssize_t capacity      # slots
    cdef readonly bint private # what is counted here stays here
    cdef public uint8_t first_touch
    cdef uint32_t hold_s[5]    # that a bid waits for its impression, by format (mtype)
    cdef object _map           # keeps the mapping alive
    cdef object _keys
    cdef _open(self, path, bint private=*)
    cdef first_page(self, Py_ssize_t capacity, bytes boot, uint64_t period)
    cdef fill_keys(self, uint8_t* keys, uint64_t period)
    cdef holds_keys(self)
    # This key will be asked for soon.
    cdef void expect(self, uint64_t key) noexcept nogil
    # Impressions and holds of the window that runs; 0: none runs.
    cdef uint32_t seen(self, uint64_t key, int64_t now_s) noexcept nogil
    # Counts one more, held for `hold_s` (0: for good), in the window that runs or one that begins; False: it has `most`.
    cdef bint add(self, uint64_t key, int64_t now_s, uint32_t per_s, uint32_t most, uint32_t hold_s) noexcept nogil
    # An impression of a bid made at `bid_s`: the impressions of its window now.
    cdef uint32_t confirm(self, uint64_t key, int64_t bid_s, int64_t now_s, uint32_t per_s, uint32_t hold_s) noexcept nogil
    # A bid made at `bid_s` is lost, told for the first time: its hold is given back; False: there is none.
    cdef bint release(self, uint64_t key, int64_t bid_s, int64_t now_s, uint32_t per_s, uint32_t hold_s) noexcept nogil
    # Private to this file and acquaintances.pyx.
    cdef bint find(self, uint64_t key, Place* place) noexcept nogil
    # Where a key has its slot, and what stands there: 0 its own, 1 one that is claimed for it; -1: somebody was faster.
    cdef int slot_for(self, uint64_t key, int64_t now_s, Place* place, uint64_t* state) noexcept nogil
    cdef int claim(self, uint64_t key, int64_t now_s, Place* place, uint64_t* state) noexcept nogil


cdef inline bint runs(uint64_t state, int64_t now_s) noexcept nogil:
    return <int64_t> (state >> STATE_BITS) > now_s


# Of a user, see acquaintances.pxd: no window counts so much.
cdef inline bint is_mark(uint64_t state) noexcept nogil:
    return (state & MARK) == MARK
