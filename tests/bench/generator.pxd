"""The load generator's map: connections, what waits on them, and what is counted."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from tests.bench.answer cimport Head
from tests.bench.histogram cimport Histogram
from tests.bench.lines cimport Lines
from tests.bench.schedule cimport Schedule

cdef enum:
    SLICE_NS = 100_000_000         # of the series
    BURST = 64                     # connections that are written to before answers are looked at again
    EVENTS = 64                    # connections that are read before requests are handed out again; not fewer
    PARTS = 64                     # requests in one write
    READ_BYTES = 262_144
    LAST_WAIT_NS = 1_000_000_000   # for answers, when the last request was due
    CONNECT_NS = 10_000_000_000    # for all connections, before the load
    AGAIN_NS = 100_000_000         # after which a connection is opened again whose end nobody had announced
    DIALS = 100_000                # of closed connections, in all
    AT_ONCE = 64                   # connections that are being opened before the load

cdef enum State:
    CLOSED
    CONNECTING
    OPEN

cdef struct Asked:                 # from when it is given to a connection until it is answered
    int64_t intended
    int64_t sent                   # 0: not yet
    uint32_t payload

cdef struct Connection:
    int fd
    State state
    Asked* ring                    # owned; `head` <= `unwritten` <= `tail` are running numbers
    uint32_t head                  # the oldest that is not answered
    uint32_t unwritten             # the oldest that the socket has not taken whole
    uint32_t tail                  # one past the newest
    size_t written                 # bytes of `unwritten` that the socket has taken
    char* partial                  # the beginning of a head, HEAD_BYTES; owned
    size_t partial_n
    size_t body_left               # of the answer that is being read
    bint in_body
    Head answer
    bint due                       # stands among those that are written to in this turn
    bint waits_out                 # for room in the socket
    int64_t again                  # CLOSED: not opened before

cdef struct Tally:
    uint64_t offered, sent, unsent, skipped
    uint64_t answered, in_time, bids, bids_in_time, nobids_in_time, errors, lost, closed, garbled, refused, unannounced
    Histogram latency, service, lag, unseen

cdef class Load:
    cdef list bodies               # keeps alive what `payloads` points to
    cdef const char** payloads
    cdef size_t* sizes
    cdef uint32_t payloads_n, payload
    cdef uint16_t port
    cdef int epoll, connections_n
    cdef uint32_t mask             # of the rings
    cdef Connection* connections
    cdef Lines all                 # a connection that is being opened stands in none
    cdef int* due                  # connections that are written to in this turn
    cdef int due_n
    cdef char* buffer              # HEAD_BYTES + READ_BYTES
    cdef uint32_t dials
    cdef uint64_t waiting          # requests in flight
    cdef Schedule schedule
    cdef int64_t deadline, late    # after the intended time: an answer's, and the generator's own
    cdef int64_t mark, end         # what was due before the mark is not in the result
    cdef int64_t clear             # when every answer that was there had been seen
    cdef Tally* tallies            # before and after the mark
    cdef uint64_t* series          # of each slice after the mark, so many of each What
    cdef size_t slices
    cdef bint played, stopped

    cdef furnish(self, int connections, int depth)
    cdef connect(self)
    cdef void let_go(self) noexcept

    cdef void play_all(self) noexcept nogil
    cdef Tally* tally_of(self, int64_t intended) noexcept nogil
    cdef void count_slice(self, int64_t intended, int what) noexcept nogil

    cdef void offer(self, int64_t intended, int64_t at) noexcept nogil
    cdef void write_due(self) noexcept nogil
    cdef void write(self, int number) noexcept nogil
    cdef void take(self, Connection* c, size_t n) noexcept nogil

    cdef void hear(self, int number, uint32_t events) noexcept nogil
    cdef void read(self, int number) noexcept nogil
    cdef bint answered(self, int number, int64_t at) noexcept nogil

    cdef bint open(self, int number) noexcept nogil
    cdef void reopen(self, int64_t at) noexcept nogil
    cdef void lose(self, int number, int64_t again) noexcept nogil
    cdef void shut(self, int number, int64_t again) noexcept nogil
