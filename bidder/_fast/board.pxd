"""The board: what a supervisor tells its workers and they tell it, in a file that all map.

Plain aligned words, one writer each; readers need no lock.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    EXCHANGES = 256
    WORKERS = 128

cdef struct WorkerRow:
    uint32_t pid               # 0: no worker in this row
    uint32_t ready
    uint64_t book_revision     # that it serves now
    int64_t heartbeat_ms       # monotonic clock of the host
    uint32_t connections
    uint32_t unread            # of these, not read for a while: overload

cdef struct BoardPage:
    char magic[8]
    uint32_t off               # not 0: bid on nothing
    uint32_t features_off      # bits of features.pxd
    uint64_t book_revision     # that workers should serve: <state>/book/book-<revision>.bin
    uint8_t exchange_off[256]  # by key of the exchange
    WorkerRow workers[128]
    int64_t next_due[64]       # by key: of exchanges with a rate cap; monotonic ns

cdef class Board:
    cdef BoardPage* page
    cdef object _map
    cdef WorkerRow* _row(self, int row) except NULL
    cdef int _check_key(self, int key) except -1
