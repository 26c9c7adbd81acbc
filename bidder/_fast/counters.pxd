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

cdef class Counters:
    """One worker's pair of tables: it writes into one while the supervisor reads the other."""
    cdef char* base            # mapped; this worker's row
    cdef object _map
    cdef int table             # between begin and end: the one written into
    # Between begin and end the table cannot change under the worker.
    cdef void begin(self) noexcept nogil
    cdef void add(self, const CounterKey* key, int64_t n, int64_t amount) noexcept nogil
    cdef void end(self) noexcept nogil
