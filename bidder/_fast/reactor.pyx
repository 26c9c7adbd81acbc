"""The reactor: a worker's connections on an epoll of their own, inside the loop's.

    loop: readable -> turn() -> poll -> read all -> answer all -> send all -> poll ... -> back to the loop

Reading, deciding and sending are done for a batch of connections each. The network's code and ours would push each
other out of the processor's caches once a request otherwise, and a peer that sleeps would be woken for every single answer.
A batch is what one poll returns, `BATCH` connections at most: it costs the first of them some tens of microseconds
under load, and nothing at ease, when there is one.

Nothing is closed and no protocol is told so in the middle of a turn: links come to their ends when it is over.
"""

import logging
import socket
import sys

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove
from posix.unistd cimport close
from bidder._fast.memory cimport fetch
from bidder._fast.sockets cimport recv_now, send_now

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLET
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int op, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms)

cdef object log = logging.getLogger("bidder.http")


cdef class SocketLink(Link):
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        free(self.rest)

    cdef int begin(self, Reactor reactor, sock, BidProtocol protocol) except -1:
        self.reactor = reactor
        self.protocol = protocol
        self.sock = sock
        self.fd = sock.fileno()
        return self.watch()

    def release(self):
        """The socket, open and ours no more; None: something is still to be written, or to end. Between turns."""
        cdef Reactor reactor = self.reactor
        if self.fd < 0 or self.rest_n or self.half or self.ending or self.broken or reactor.turning:
            return None
        epoll_ctl(reactor.epoll, EPOLL_CTL_DEL, self.fd, NULL)
        self.fd = -1
        reactor.links.discard(self)
        reactor.gone.append(self)
        self.protocol.connection_lost(None)
        return reactor.settle_all() or self.sock

    # --- asyncio's transport, as far as the protocol and Tornado's bridge know it

    def get_extra_info(self, str name):
        if name == "peername" and self.fd >= 0:
            try:
                return self.sock.getpeername()
            except OSError:
                return None
        return self.sock if name == "socket" else None

    def write(self, bytes data not None):
        if self.reactor.segment_n:
            self.reactor.send_all()
        self.transmit(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def write_eof(self):
        self.half = True
        self.ends()

    def close(self):
        self.ending = True
        self.watch()
        self.ends()

    def abort(self):
        self.broken = True
        self.ends()

    def is_closing(self):
        return self.ending or self.broken or self.fd < 0

    def pause_reading(self):
        self.paused = True
        self.watch()

    def resume_reading(self):
        self.paused = False
        self.watch()

    def get_write_buffer_size(self):
        return self.rest_n

    # --- answers

    cdef int stage(self, Outbox out) except -1:
        cdef Py_ssize_t at = out.begin
        cdef Py_ssize_t n = out.n - at
        if self.reactor.turning and self.rest_n == 0:
            out.begin = out.n
            return self.reactor.collect(self, at, n)
        self.transmit(out.text + at, n)
        out.drop()
        return 0

    cdef int transmit(self, const char* data, Py_ssize_t n) except -1:
        """Into the socket, behind what waits already."""
        cdef Py_ssize_t sent = 0
        if self.fd < 0 or self.broken:
            return 0
        if self.rest_n == 0:
            sent = send_now(self.fd, data, n)
            if sent == n:
                return 0
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.broken = True
                    return self.ends()
                sent = 0
        return self.keep(data + sent, n - sent)

    cdef int keep(self, const char* data, Py_ssize_t n) except -1:
        cdef char* more
        if self.rest_at:
            memmove(self.rest, self.rest + self.rest_at, self.rest_n)
            self.rest_at = 0
        if self.rest_n + n > self.rest_cap:
            more = <char*>realloc(self.rest, 2 * (self.rest_n + n))
            if more == NULL:           # what was sent already has no end now
                self.broken = True
                return self.ends()
            self.rest = more
            self.rest_cap = 2 * (self.rest_n + n)
        memcpy(self.rest + self.rest_n, data, n)
        self.rest_n += n
        self.watch()
        if not self.held and self.rest_n > HIGH_BYTES:
            self.held = True
            self.protocol.pause_writing()
        return 0

    cdef int push(self) except -1:
        """The socket takes something again."""
        cdef Py_ssize_t sent
        if self.rest_n:
            sent = send_now(self.fd, self.rest + self.rest_at, self.rest_n)
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.broken = True
                    self.ends()
                return 0
            self.rest_at += sent
            self.rest_n -= sent
        if self.rest_n == 0:
            free(self.rest)
            self.rest = NULL
            self.rest_at = self.rest_cap = 0
            self.watch()
            if self.half or self.ending:
                self.ends()
        if self.held and self.rest_n <= LOW_BYTES:
            self.held = False
            self.protocol.resume_writing()
        return 0

    cdef int watch(self) except -1:
        """Have epoll look for what we can do something about.

        That something has come is said once: epoll would look at every connection of a batch again otherwise, once or
        twice, to find that it was read. Who leaves something unread has to `watch_again`.
        """
        cdef uint32_t wanted = 0
        if not self.paused and not self.ending:
            wanted |= EPOLLIN | EPOLLRDHUP
        if self.rest_n:
            wanted |= EPOLLOUT
        else:
            wanted |= EPOLLET
        if self.fd < 0 or (wanted == self.watched and self.known):
            return 0
        self.watched = wanted
        return self.watch_again()

    cdef int watch_again(self) except -1:
        """Have epoll say once more what is there already."""
        cdef epoll_event event
        event.events = self.watched
        event.data.ptr = <void*>self
        if epoll_ctl(self.reactor.epoll, EPOLL_CTL_MOD if self.known else EPOLL_CTL_ADD, self.fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        self.known = True
        return 0

    # --- the end

    cdef int ends(self) except -1:
        """Something is to end here, when the turn is over."""
        if self.fd >= 0:
            self.reactor.ended.append(self)
            if not self.reactor.turning and not self.reactor.called:
                self.reactor.called = True
                self.reactor.loop.call_soon(self.reactor.settle)
        return 0

    cdef int settle(self) except -1:
        cdef Reactor reactor = self.reactor
        if self.fd < 0 or (self.rest_n and not self.broken):
            return 0
        if self.broken or self.ending:
            epoll_ctl(reactor.epoll, EPOLL_CTL_DEL, self.fd, NULL)
            self.fd = -1
            self.sock.close()
            reactor.links.discard(self)
            reactor.gone.append(self)
            self.protocol.connection_lost(None)
        elif self.half:
            self.half = False
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self.broken = True
                self.settle()
        return 0


cdef void fetch_links(const epoll_event* events, int n, size_t link_bytes, size_t protocol_bytes) noexcept:
    """Of many connections few are in the processor's caches when they speak."""
    cdef int i
    for i in range(n):
        fetch(events[i].data.ptr, link_bytes)
    for i in range(n):
        fetch(<void*>(<SocketLink>events[i].data.ptr).protocol, protocol_bytes)


cdef class Reactor:
    def __cinit__(self):
        self.epoll = -1
        self.inbox = <char*>malloc(BATCH_BYTES)
        if self.inbox == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.inbox)
        free(self.segments)
        if self.epoll >= 0:
            close(self.epoll)

    def __init__(self, loop, Connections connections not None):
        self.loop = loop
        self.connections = connections
        self.admission = connections.admission
        self.out = connections.out
        self.links = set()
        self.ended = []
        self.gone = []
        self.link_bytes = SocketLink.__basicsize__
        self.protocol_bytes = BidProtocol.__basicsize__
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")

    def open(self, sock, BidProtocol protocol not None):
        cdef SocketLink link = SocketLink()
        link.begin(self, sock, protocol)
        if not self.links:
            self.loop.add_reader(self.epoll, self.turn)
        self.links.add(link)
        protocol.connection_made(link)

    def turn(self):
        cdef int rounds = 0
        while rounds < ROUNDS and self.turn_once():
            rounds += 1

    def settle(self):
        self.called = False
        self.settle_all()

    cdef int turn_once(self) except -1:
        """How many connections had something to say or to take."""
        cdef epoll_event[32] events
        cdef SocketLink link
        cdef int i = 0, n, reads = 0, read = 0
        cdef Py_ssize_t used = 0
        self.admission.polls()
        n = epoll_wait(self.epoll, events, BATCH, 0)
        if n <= 0:
            return 0
        self.admission.polled(n < BATCH)
        fetch_links(events, n, self.link_bytes, self.protocol_bytes)
        self.turning = True
        try:
            for i in range(n):
                link = <SocketLink>events[i].data.ptr
                if link.fd < 0 or link.broken:
                    continue
                if events[i].events & EPOLLOUT:
                    link.push()
                if link.paused or link.ending:
                    if events[i].events & (EPOLLERR | EPOLLHUP):
                        link.abort()       # nobody is there any more; epoll would say so again and again
                    continue
                if not events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP):
                    continue
                if BATCH_BYTES - used < LEAST_READ_BYTES:
                    self.serve(reads)
                    reads = 0
                    used = 0
                if self.read(link, &self.readings[reads], self.inbox + used, min(BATCH_BYTES - used, READ_BYTES)):
                    if self.readings[reads].more or events[i].events & EPOLLRDHUP:
                        link.watch_again()     # for the rest of it, or its end
                    if self.readings[reads].at == self.inbox + used:
                        used += (self.readings[reads].n + 63) & ~63
                    reads += 1
                    read += 1
            self.serve(reads)
        except BaseException:
            while i < n:                       # what was not come to is not said twice
                link = <SocketLink>events[i].data.ptr
                if link.fd >= 0:
                    link.watch_again()
                i += 1
            raise
        finally:
            self.turning = False
            self.settle_all()
        self.admission.turn_ends(read)
        return n

    cdef int read(self, SocketLink link, Reading* reading, char* room, Py_ssize_t room_n) except -1:
        """1: something was read; 0: nothing, or the end."""
        cdef Py_ssize_t n
        link.protocol.make_room(&room, &room_n)
        n = recv_now(link.fd, room, room_n)
        if n > 0:
            reading.link = <void*>link
            reading.at = room
            reading.n = n
            reading.more = n == room_n
            return 1
        if n == 0:
            if not link.protocol.eof_received():
                link.close()
        elif errno == EINTR:
            link.watch_again()
        elif errno != EAGAIN:
            link.abort()
        return 0

    cdef int serve(self, int n) except -1:
        """Look at all that was read, answer it, send the answers."""
        cdef Reading* reading
        cdef SocketLink link
        cdef int i
        self.connections.handler.batch_begins()
        for i in range(n):
            reading = &self.readings[i]
            link = <SocketLink>reading.link
            try:
                link.protocol.receive(reading.at, reading.n, reading.more)
            except BaseException:
                self.fail(link)
        self.connections.handler.batch_named()
        for i in range(n):
            link = <SocketLink>self.readings[i].link
            if link.broken:
                continue
            try:
                link.protocol.answer()
            except BaseException:
                self.fail(link)
        self.send_all()
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            raise interrupt
        return 0

    cdef int fail(self, SocketLink link) except -1:
        """Of whatever an answer raised: the others of the batch get theirs. An interrupt goes on when they have."""
        failure = sys.exc_info()[1]
        if isinstance(failure, Exception):
            log.exception("a connection failed, and is dropped")
        else:
            self.interrupt = failure
        self.out.drop()
        link.abort()
        return 0

    cdef int collect(self, SocketLink link, Py_ssize_t at, Py_ssize_t n) except -1:
        cdef Segment* last = &self.segments[self.segment_n - 1]
        cdef Segment* more
        if self.segment_n and last.link == <void*>link and last.at + last.n == at:
            last.n += n
            return 0
        if self.segment_n == self.segment_cap:
            more = <Segment*>realloc(self.segments, (2 * self.segment_cap + BATCH) * sizeof(Segment))
            if more == NULL:
                raise MemoryError()
            self.segments = more
            self.segment_cap = 2 * self.segment_cap + BATCH
        self.segments[self.segment_n].link = <void*>link
        self.segments[self.segment_n].at = at
        self.segments[self.segment_n].n = n
        self.segment_n += 1
        return 0

    cdef int send_all(self) except -1:
        """What was collected leaves; nothing may be half written into the outbox."""
        cdef Py_ssize_t i, n = self.segment_n
        cdef Segment* segment
        self.segment_n = 0
        for i in range(n):
            segment = &self.segments[i]
            (<SocketLink>segment.link).transmit(self.out.text + segment.at, segment.n)
        self.out.begin = self.out.n = 0
        return 0

    cdef int settle_all(self) except -1:
        cdef SocketLink link
        while self.ended:
            links, self.ended = self.ended, []
            for each in links:
                link = <SocketLink>each
                try:
                    link.settle()
                except Exception:
                    log.exception("a connection's end failed")
        if self.gone:
            self.gone.clear()
            if not self.links:
                self.loop.remove_reader(self.epoll)
        return 0
