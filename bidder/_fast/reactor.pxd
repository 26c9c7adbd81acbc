"""The sockets of a worker: on one epoll of their own, read, answered and written to in batches."""

from libc.stdint cimport uint32_t
from bidder._fast.admission cimport Admission
from bidder._fast.answers cimport Outbox
from bidder._fast.http cimport BidProtocol, Connections
from bidder._fast.peer cimport Link

cdef enum:
    BATCH = 32                   # connections of one turn at most
    ROUNDS = 8                   # turns before the loop looks at its other work
    READ_BYTES = 65_536          # of one connection in one turn at most
    LEAST_READ_BYTES = 4_096     # with less room than that, what is there is answered first
    BATCH_BYTES = 262_144        # of all connections, at one time
    HIGH_BYTES = 65_536          # of answers that wait: their reader is not read any more,
    LOW_BYTES = 16_384           # until only so much waits

cdef struct Reading:             # what one connection has said
    void* link                   # SocketLink; alive, as it is in `links` or in `gone`
    char* at
    Py_ssize_t n
    bint more                    # there may be more where this came from

cdef struct Segment:             # what one connection is answered, in the outbox
    void* link
    Py_ssize_t at, n

cdef class SocketLink(Link):
    """The socket of one connection."""
    cdef Reactor reactor
    cdef BidProtocol protocol
    cdef object sock             # owns fd
    cdef int fd                  # -1: closed
    cdef bint known              # to epoll
    cdef uint32_t watched        # epoll events
    cdef bint paused             # not to be read
    cdef bint held               # the protocol knows that its answers wait
    cdef bint half               # nothing more will be written: say so, once all is
    cdef bint ending             # close, once all is written
    cdef bint broken             # close now
    cdef char* rest              # owned: what the socket has not taken yet, rest_n bytes at rest_at
    cdef Py_ssize_t rest_at, rest_n, rest_cap
    cdef int begin(self, Reactor reactor, sock, BidProtocol protocol) except -1
    cdef int transmit(self, const char* data, Py_ssize_t n) except -1
    cdef int keep(self, const char* data, Py_ssize_t n) except -1
    cdef int push(self) except -1
    cdef int watch(self) except -1
    cdef int watch_again(self) except -1
    cdef int ends(self) except -1
    cdef int settle(self) except -1

cdef class Reactor:
    """Owns the links; the loop sees one descriptor, which is readable when any of them has something to say."""
    cdef object loop
    cdef Connections connections
    cdef Admission admission
    cdef Outbox out
    cdef int epoll
    cdef size_t link_bytes, protocol_bytes
    cdef set links
    cdef list ended              # links that have to come to some end
    cdef list gone               # closed in this turn: events and readings may still point to them
    cdef bint turning            # answers are collected, and sent at the end of the batch
    cdef bint called             # settle_all is on its way
    cdef object interrupt        # raised in the middle of a batch, to be raised at its end; else None
    cdef char* inbox             # owned, BATCH_BYTES
    cdef Reading[32] readings
    cdef Segment* segments       # owned
    cdef Py_ssize_t segment_n, segment_cap
    cdef int turn_once(self) except -1
    cdef int read(self, SocketLink link, Reading* reading, char* room, Py_ssize_t room_n) except -1
    cdef int serve(self, int n) except -1
    cdef int collect(self, SocketLink link, Py_ssize_t at, Py_ssize_t n) except -1
    cdef int send_all(self) except -1
    cdef int settle_all(self) except -1
    cdef int fail(self, SocketLink link) except -1
