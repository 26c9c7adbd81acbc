"""Counters: a compiled hash map per worker and window, in a file that the supervisor maps too.

Keys are numbers of business things only (the allow-list of DESIGN "Events"): there is
no place for a string, so nothing of a request can leave by this door.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:                     # CounterKey.kind; bidder.events.schema.Kind has the same numbers
    COUNT_REQUEST = 1          # one a request
    COUNT_BID = 2              # one a bid; amount: its price in nano-USD
    COUNT_NOBID = 3            # one a request without a bid; `reason` set
    COUNT_LATENCY = 4          # one a request; `reason` = bucket, 2**bucket microseconds or less
    COUNT_CAP = 5              # of the tracker; `reason` = CapEvent
    COUNT_FALLBACK = 6         # a request of an arm that the stable build answered; `reason` = Fallback
    COUNT_LINT = 7             # `reason` = LintResult
    COUNT_NOTICE = 8           # of the tracker, for bids of arms; `reason` = NoticeKind, amount: what it books in nano-USD
    COUNT_SHADOW = 9           # `reason` = Shadow
    COUNT_GROUP = 10           # a request of an arm; `reason` = its bucket mod 64, and once more with 64 to it if it got a bid

cdef struct CounterKey:        # 32 bytes, compared as such: zero it before filling it
    uint8_t kind
    uint8_t exchange           # key; 0: unknown
    uint8_t arm                # 0: stable
    uint8_t reason             # Reason, or the latency bucket
    uint8_t format             # 0 none, 1 banner, 2 video, 3 audio, 4 native (mtype)
    uint8_t os                 # bidder.openrtb.os; 0: other
    uint16_t country           # packed alpha-3; 0: unknown
    uint16_t w
    uint16_t h
    uint32_t campaign          # keys of bidder.campaigns.model; 0: none
    uint32_t creative
    uint32_t deal
    uint32_t inventory         # key of a bundle or domain that the book names; 0: other
    uint32_t minute            # UTC minutes since 1970

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef enum:
    LATENCY_TOP = 31           # half an hour: nothing takes longer

cdef inline uint8_t latency_bucket(int64_t ns) noexcept nogil:
    """The smallest b with ns <= 2**b microseconds."""
    return <uint8_t>min(64 - __builtin_clzll(<uint64_t>(ns - 1) // 1000), LATENCY_TOP) if ns > 1000 else 0

cdef enum:
    TABLE_SLOTS = 16384        # of one table: keys of one worker and window, 7/8 of it in full detail

cdef struct CounterEntry:
    CounterKey key             # kind 0: free
    int64_t n
    int64_t amount

cdef struct CounterTable:
    uint64_t generation        # how often it has been cleared
    uint64_t used              # entries; 0: clean
    uint64_t overflowed        # additions whose key lost its details for want of room

cdef struct CounterRow:        # first page of a worker's part of the file; its two tables follow
    uint32_t active            # the table that the next request counts into; the supervisor's word
    uint32_t in_use            # table + 1 that the worker is in; 0: none; the worker's word
    uint32_t pid               # of the worker that opened it last
    uint32_t opened            # not 0: some worker has had this row
    CounterTable table[2]

cdef class Counters:
    """One worker's pair of tables: it writes into one while the supervisor reads the other."""
    cdef CounterRow* row       # mapped
    cdef CounterEntry* entries # mapped: of both tables
    cdef object _map
    cdef int table             # between begin and end: the one that is written into
    # Between begin and end the table cannot change under the worker.
    cdef void begin(self) noexcept nogil
    cdef void add(self, const CounterKey* key, int64_t n, int64_t amount) noexcept nogil
    cdef void end(self) noexcept nogil
    # This key will be counted soon: have its place come from memory.
    cdef void expect(self, const CounterKey* key) noexcept nogil

cdef class CounterFile:
    """All rows, as the supervisor sees them."""
    cdef char* base
    cdef object _map
    cdef CounterRow* _row(self, int row) except NULL
    cdef CounterTable* _table(self, int row, int table) except NULL
    cdef CounterEntry* _entries(self, int row, int table) noexcept nogil
