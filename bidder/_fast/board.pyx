"""The board: what a supervisor tells its workers and they tell it, in a file that all map.

Plain aligned words, one writer each; readers need no lock and see each word whole.
The compiled path reads `page` directly; this is the face for Python.
"""

from collections import namedtuple
from pathlib import Path

from libc.string cimport memset

from bidder._fast.atomics cimport atomic_load32, atomic_load64, atomic_store32, atomic_store64, atomic_write
from bidder._fast.mapped cimport base_of
from bidder._fast.mapping import attach, create

MAGIC = b"obboard2"

Worker = namedtuple("Worker", "row pid ready book_revision heartbeat_ms connections unread")


cdef class Board:
    def __init__(self, path, *, bint private=False):
        path = Path(path)
        if not private and not path.exists():
            create(path, MAGIC, sizeof(BoardPage))
        self._map = attach(path, MAGIC, sizeof(BoardPage), private=private)
        self.page = <BoardPage*> base_of(self._map)

    @property
    def off(self):
        return atomic_load32(&self.page.off) != 0

    @off.setter
    def off(self, bint value):
        atomic_store32(&self.page.off, value)

    @property
    def features_off(self):
        return atomic_load32(&self.page.features_off)

    @features_off.setter
    def features_off(self, uint32_t mask):
        atomic_store32(&self.page.features_off, mask)

    def exchange_off(self, int key):
        self._check_key(key)
        return self.page.exchange_off[key] != 0

    def set_exchange_off(self, int key, bint off):
        self._check_key(key)
        self.page.exchange_off[key] = off

    @property
    def book_revision(self):
        return atomic_load64(&self.page.book_revision)

    @book_revision.setter
    def book_revision(self, uint64_t revision):
        atomic_store64(&self.page.book_revision, revision)

    def claim(self, int row, uint32_t pid):
        cdef WorkerRow* worker = self._row(row)
        if pid == 0:
            raise ValueError("pid=0 claims nothing")
        self.release(row)
        atomic_store32(&worker.pid, pid)

    def beat(self, int row, int64_t monotonic_ms, uint64_t book_revision, uint32_t connections, bint ready,
             uint32_t unread=0):
        cdef WorkerRow* worker = self._row(row)
        atomic_store64(&worker.book_revision, book_revision)
        atomic_store32(&worker.connections, connections)
        atomic_store32(&worker.unread, unread)
        atomic_store32(&worker.ready, ready)
        # Last: whoever sees this beat sees what it came with.
        atomic_write(&worker.heartbeat_ms, monotonic_ms)

    def release(self, int row):
        cdef WorkerRow* worker = self._row(row)
        atomic_store32(&worker.pid, 0)
        memset(worker, 0, sizeof(WorkerRow))

    def rows(self):
        cdef WorkerRow* worker
        cdef int row
        found = []
        for row in range(WORKERS):
            worker = &self.page.workers[row]
            if atomic_load32(&worker.pid):
                found.append(Worker(row, worker.pid, bool(worker.ready), worker.book_revision,
                                    worker.heartbeat_ms, worker.connections, worker.unread))
        return found

    cdef WorkerRow* _row(self, int row) except NULL:
        if not 0 <= row < WORKERS:
            raise IndexError(f"row={row}: 0 to {WORKERS - 1}")
        return &self.page.workers[row]

    cdef int _check_key(self, int key) except -1:
        if not 0 <= key < EXCHANGES:
            raise IndexError(f"exchange key {key}: 0 to {EXCHANGES - 1}")
        return 0
