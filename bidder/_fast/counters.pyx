"""Counters: a compiled hash map per worker and window, in a file that the supervisor maps too.

worker: begin -> add... -> end, once a request; supervisor: flip -> quiet? -> drain -> clear, once a window.
File: one page of header, then 128 rows of one page and two open-addressing tables; sparse, so rows
that no worker ever had cost nothing. Amounts: nano-USD. No lock: `active` belongs to the supervisor,
`in_use` to the worker, and each reads the other's after it has written its own.

Promises:
- totals by kind are exact whatever happens: a key that finds no room gives up its details, not its count;
- a worker killed anywhere leaves a table that can be drained; what it lacks is at most the request it died in;
- `flip` leaves a table only for one that has been cleared, so nothing that was not drained is counted over.
"""

import os
from pathlib import Path

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcmp, memcpy, memset

from bidder._fast.atomics cimport atomic_load32, atomic_load64, atomic_store32, atomic_store64
from bidder._fast.mapped cimport base_of
from bidder._fast.memory cimport fetch
from bidder._fast.mapping import PAGE, attach, boot_id, create

MAGIC = b"obcount1"            # the last digit is the layout's

cdef enum:
    ROWS = 128
    HEAD_BYTES = 4096
    DETAILED = TABLE_SLOTS // 8 * 7     # entries up to which a new key is kept whole
    BY_CAMPAIGN = TABLE_SLOTS // 16 * 15
    BY_EXCHANGE = TABLE_SLOTS - 64      # the last 64 are for kinds alone: a byte

cdef struct Header:
    char magic[8]
    char boot[16]              # counts of another boot may be older than what was published
    uint64_t base              # of generations: random, so that those of another file never match

cdef Py_ssize_t TABLE_BYTES = TABLE_SLOTS * sizeof(CounterEntry)
cdef Py_ssize_t ROW_BYTES = HEAD_BYTES + 2 * TABLE_BYTES
cdef Py_ssize_t FILE_BYTES = HEAD_BYTES + ROWS * ROW_BYTES


cdef extern from *:
    """
    #define mark_entry(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    """
    void mark_entry(uint8_t* kind, uint8_t value) noexcept nogil


cdef inline uint64_t hash_of(const CounterKey* key) noexcept nogil:
    cdef uint64_t words[4]
    cdef uint64_t h = 0
    cdef int i
    memcpy(words, key, sizeof(CounterKey))
    for i in range(4):
        h = (h ^ words[i]) * <uint64_t> 0x9E3779B97F4A7C15
        h ^= h >> 29
    return h


cdef CounterEntry* place_of(CounterTable* table, CounterEntry* entries, const CounterKey* key,
                            uint64_t limit) noexcept nogil:
    """The entry of this key, made if fewer than `limit` are used; else NULL."""
    cdef uint64_t at = hash_of(key)
    cdef CounterEntry* entry
    while True:
        entry = &entries[at & (TABLE_SLOTS - 1)]
        if entry.key.kind == 0:
            break
        if memcmp(&entry.key, key, sizeof(CounterKey)) == 0:
            return entry
        at += 1
    if table.used >= limit:
        return NULL
    # In this order a death between two lines loses nothing that was counted before:
    # a table that holds anything is `used`, and the kind, which marks an entry, comes last.
    atomic_store64(&table.used, table.used + 1)
    memcpy(<char*> &entry.key + 1, <const char*> key + 1, sizeof(CounterKey) - 1)
    entry.n = 0
    entry.amount = 0
    mark_entry(&entry.key.kind, key.kind)
    return entry


cdef class Counters:
    def __init__(self):
        raise TypeError("Counters come from CounterFile(path).open_worker(row)")

    cdef void begin(self) noexcept nogil:
        cdef uint32_t table
        while True:
            table = atomic_load32(&self.row.active)
            atomic_store32(&self.row.in_use, table + 1)
            # Flipped between the two lines? Then the supervisor may not have seen that we are here.
            if atomic_load32(&self.row.active) == table:
                break
        self.table = table

    cdef void add(self, const CounterKey* key, int64_t n, int64_t amount) noexcept nogil:
        cdef CounterTable* table = &self.row.table[self.table]
        cdef CounterEntry* entries = self.entries + self.table * TABLE_SLOTS
        cdef CounterEntry* entry = place_of(table, entries, key, DETAILED)
        cdef CounterKey fewer
        if entry == NULL:
            table.overflowed += 1
            memset(&fewer, 0, sizeof(CounterKey))
            fewer.kind, fewer.exchange, fewer.arm = key.kind, key.exchange, key.arm
            fewer.reason, fewer.campaign, fewer.minute = key.reason, key.campaign, key.minute
            entry = place_of(table, entries, &fewer, BY_CAMPAIGN)
            if entry == NULL:
                fewer.arm = fewer.reason = 0
                fewer.campaign = 0
                entry = place_of(table, entries, &fewer, BY_EXCHANGE)
            if entry == NULL:
                fewer.exchange = 0
                fewer.minute = 0
                entry = place_of(table, entries, &fewer, TABLE_SLOTS - 1)
        entry.amount += amount
        entry.n += n

    cdef void end(self) noexcept nogil:
        atomic_store32(&self.row.in_use, 0)

    cdef void expect(self, const CounterKey* key) noexcept nogil:
        cdef CounterEntry* entries = self.entries + (self.row.active & 1) * TABLE_SLOTS
        fetch(&entries[hash_of(key) & (TABLE_SLOTS - 1)], sizeof(CounterEntry))

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, *error):
        self.end()

    def count(self, bytes key, int64_t n, int64_t amount=0):
        cdef CounterKey native
        if len(key) != sizeof(CounterKey) or not 1 <= key[0] <= 32:
            raise ValueError(f"key of {len(key)} bytes, kind {key[:1]!r}: {sizeof(CounterKey)} bytes, kind 1 to 32")
        if atomic_load32(&self.row.in_use) == 0:
            raise ValueError("count() outside of `with counters:`")
        memcpy(&native, <char*> key, sizeof(CounterKey))
        self.add(&native, n, amount)


cdef class CounterFile:
    def __init__(self, path, *, boot=None):
        cdef bytes now
        path = Path(path)
        now = boot_id() if boot is None else boot
        if not path.exists() or (boot_of(path) not in (now, b"")):
            create(path, first_page(now), FILE_BYTES)
        self._map = attach(path, MAGIC, FILE_BYTES)
        self.base = base_of(self._map)

    def open_worker(self, int row):
        cdef CounterRow* head = self._row(row)
        cdef Counters counters = Counters.__new__(Counters)
        counters._map = self._map
        counters.row = head
        counters.entries = self._entries(row, 0)
        atomic_store32(&head.in_use, 0)
        atomic_store32(&head.pid, os.getpid())
        atomic_store32(&head.opened, 1)
        return counters

    def rows(self):
        cdef int row
        return [row for row in range(ROWS) if atomic_load32(&self._row(row).opened)]

    def pid(self, int row):
        return atomic_load32(&self._row(row).pid)

    def flip(self, int row):
        cdef CounterRow* head = self._row(row)
        cdef uint32_t active = head.active
        if atomic_load64(&head.table[1 - active].used):
            return 1 - active
        if atomic_load64(&head.table[active].used) == 0:
            return None
        atomic_store32(&head.active, 1 - active)
        return active

    def quiet(self, int row, int table):
        self._table(row, table)
        return atomic_load32(&self._row(row).in_use) != <uint32_t> table + 1

    def drain(self, int row, int table):
        cdef CounterEntry* entries
        cdef CounterEntry* entry
        cdef Py_ssize_t i
        cdef uint64_t left = atomic_load64(&self._table(row, table).used)
        entries = self._entries(row, table)
        found = []
        if left == 0:
            return found
        for i in range(TABLE_SLOTS):
            entry = &entries[i]
            if entry.key.kind and (entry.n or entry.amount):
                found.append((PyBytes_FromStringAndSize(<char*> &entry.key, sizeof(CounterKey)), entry.n, entry.amount))
        return found

    def generation(self, int row, int table):
        return (<Header*> self.base).base + self._table(row, table).generation

    def overflowed(self, int row, int table):
        return self._table(row, table).overflowed

    def clear(self, int row, int table):
        cdef CounterTable* head = self._table(row, table)
        if self._row(row).active == <uint32_t> table:
            raise ValueError(f"row={row} table={table}: a worker may be counting into it; flip first")
        # `used` before the generation: killed between the two, it is cleared once more, not flipped into.
        memset(self._entries(row, table), 0, TABLE_BYTES)
        head.overflowed = 0
        atomic_store64(&head.generation, head.generation + 1)
        atomic_store64(&head.used, 0)

    cdef CounterRow* _row(self, int row) except NULL:
        if not 0 <= row < ROWS:
            raise IndexError(f"row={row}: 0 to {ROWS - 1}")
        return <CounterRow*> (self.base + HEAD_BYTES + row * ROW_BYTES)

    cdef CounterTable* _table(self, int row, int table) except NULL:
        if table != 0 and table != 1:
            raise IndexError(f"table={table}: 0 or 1")
        return &self._row(row).table[table]

    cdef CounterEntry* _entries(self, int row, int table) noexcept nogil:
        return <CounterEntry*> (self.base + HEAD_BYTES + row * ROW_BYTES + HEAD_BYTES + table * TABLE_BYTES)


def boot_of(path):
    """Boot that a file of this layout belongs to; b"" where it is of another layout (`attach` will say so)."""
    with open(path, "rb") as file:
        head = file.read(sizeof(Header))
    return head[8:24] if head[:8] == MAGIC else b""


cdef bytes first_page(bytes boot):
    cdef Header head
    cdef bytes magic = MAGIC
    memset(&head, 0, sizeof(Header))
    memcpy(head.magic, <char*> magic, 8)
    memcpy(head.boot, <char*> boot, 16)
    head.base = int.from_bytes(os.urandom(4), "little") << 24
    return (<char*> &head)[:sizeof(Header)]
