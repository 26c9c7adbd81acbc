"""The board: what a supervisor tells its workers and they tell it, in a file that all map.

Plain aligned words, one writer each; readers need no lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    EXCHANGES = 256
    WORKERS = 128
    CANARY = 1                 # arms that another build may answer; 0 is the stable one's
    BASELINE = 2

cdef struct WorkerRow:
    uint32_t pid               # 0: no worker in this row
    uint32_t ready
    uint64_t book_revision     # that it serves now
    int64_t heartbeat_ms       # monotonic clock of the host
    uint32_t connections
    uint32_t unread            # of these, not read for a while: overload
    uint32_t arm               # whose requests it answers; one that is not 0 accepts no connections
    uint32_t reserved

cdef struct ArmRow:            # the slice of one arm, and who answers it
    uint32_t buckets           # its first | the one behind its last << 16, in one word: a slice is seen whole
    uint32_t wait_us           # its part of the deadline: who has not answered by then is not waited for
    uint64_t doors[2]          # bit n of both together: the worker of row n has a door
    uint16_t country           # packed: of whose requests only; 0: any
    uint8_t exchange           # key, likewise
    uint8_t shadow             # not 0: what it answers is compared, and not sent
    uint32_t reserved

cdef struct BoardPage:
    char magic[8]
    uint32_t off               # not 0: bid on nothing
    uint32_t features_off      # bits of features.pxd
    uint64_t book_revision     # that workers should serve: <state>/book/book-<revision>.bin
    uint32_t sliced            # not 0: some arm has buckets
    uint32_t reserved_too
    uint8_t exchange_off[256]  # by key of the exchange
    WorkerRow workers[128]
    int64_t next_due[64]       # by key: of exchanges with a rate cap; monotonic ns
    ArmRow arms[3]             # by arm; that of 0 is empty

cdef class Board:
    cdef BoardPage* page
    cdef object _map
    cdef WorkerRow* _row(self, int row) except NULL
    cdef ArmRow* _arm(self, int arm) except NULL
    cdef int _check_key(self, int key) except -1
