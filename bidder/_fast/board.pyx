"""The board: what a supervisor tells its workers and they tell it, in a file that all map.

Plain aligned words, one writer each; readers need no lock and see each word whole.
The compiled path reads `page` directly; this is the face for Python.
"""

from collections import namedtuple
from pathlib import Path

from libc.string cimport memset

from bidder._fast.atomics cimport atomic_load32, atomic_load64, atomic_store32, atomic_store64, atomic_write
from bidder._fast.mapped cimport base_of
from bidder._fast.mapping import PAGE, attach, create

MAGIC = b"obboard3"            # the last digit is the layout's
FILE_BYTES = 4 * PAGE          # more than the page takes: a later build may put something behind what is there

Worker = namedtuple("Worker", "row pid ready book_revision heartbeat_ms connections unread arm")
Arm = namedtuple("Arm", "begin end doors wait_us shadow exchange country")

cdef enum:
    TOP_BUCKET = 10_000


cdef class Board:
    def __init__(self, path, *, bint private=False, bint anew=False):
        path = Path(path)
        if not private and (not path.exists() or (anew and is_older(path))):
            create(path, MAGIC, FILE_BYTES)
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

    def arm(self, int arm):
        cdef ArmRow* row = self._arm(arm)
        cdef uint32_t buckets = atomic_load32(&row.buckets)
        doors = tuple([n for n in range(WORKERS) if row.doors[n >> 6] >> (n & 63) & 1])
        return Arm(buckets & 0xFFFF, buckets >> 16, doors, row.wait_us, bool(row.shadow), row.exchange, row.country)

    def set_arm(self, int arm, *, begin=None, end=None, doors=None, wait_us=None, shadow=None, exchange=None,
                country=None):
        cdef ArmRow* row = self._arm(arm)
        cdef uint64_t bits[2]
        cdef int n
        bits[0] = bits[1] = 0
        now = self.arm(arm)
        first = now.begin if begin is None else begin
        behind = now.end if end is None else end
        if not 0 <= first <= behind <= TOP_BUCKET:
            raise ValueError(f"arm {arm}: buckets {first} to {behind}: a range within 0 to {TOP_BUCKET} is wanted")
        if wait_us is not None and not 0 < wait_us < 1_000_000:
            raise ValueError(f"arm {arm}: wait_us={wait_us}: 1 to 999,999 is wanted")
        if exchange is not None:
            self._check_key(exchange)
        for n in now.doors if doors is None else doors:
            self._row(n)
            bits[n >> 6] |= <uint64_t> 1 << (n & 63)
        if first == behind:        # a slice that ends ends first, one that begins begins last
            atomic_store32(&row.buckets, 0)
        row.exchange = now.exchange if exchange is None else exchange
        row.country = now.country if country is None else country
        row.shadow = now.shadow if shadow is None else bool(shadow)
        atomic_store32(&row.wait_us, now.wait_us if wait_us is None else wait_us)
        atomic_store64(&row.doors[0], bits[0])
        atomic_store64(&row.doors[1], bits[1])
        if first != behind:
            atomic_store32(&row.buckets, <uint32_t> first | <uint32_t> behind << 16)
        atomic_store32(&self.page.sliced, self.page.arms[CANARY].buckets | self.page.arms[BASELINE].buckets)

    def claim(self, int row, uint32_t pid, uint32_t arm=0):
        cdef WorkerRow* worker = self._row(row)
        if pid == 0:
            raise ValueError("pid=0 claims nothing")
        self.release(row)
        worker.arm = arm
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

    def row(self, int row):
        cdef WorkerRow* worker = self._row(row)
        if atomic_load32(&worker.pid) == 0:
            return None
        return Worker(row, worker.pid, bool(worker.ready), worker.book_revision,
                      worker.heartbeat_ms, worker.connections, worker.unread, worker.arm)

    def rows(self):
        return [said for said in map(self.row, range(WORKERS)) if said is not None]

    cdef WorkerRow* _row(self, int row) except NULL:
        if not 0 <= row < WORKERS:
            raise IndexError(f"row={row}: 0 to {WORKERS - 1}")
        return &self.page.workers[row]

    cdef ArmRow* _arm(self, int arm) except NULL:
        if not CANARY <= arm <= BASELINE:
            raise IndexError(f"arm={arm}: {CANARY} (canary) and {BASELINE} (baseline) have a row")
        return &self.page.arms[arm]

    cdef int _check_key(self, int key) except -1:
        if not 0 <= key < EXCHANGES:
            raise IndexError(f"exchange key {key}: 0 to {EXCHANGES - 1}")
        return 0


def is_older(path):
    """Is the file a board of a layout before this one?"""
    with open(path, "rb") as file:
        magic = file.read(len(MAGIC))
    return magic.startswith(b"obboard") and magic < MAGIC
