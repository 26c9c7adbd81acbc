"""The relay: packets to the doors of other builds' workers, and what comes back.

    Sender.send -> try_door -> packet ... loop: readable -> turn -> read -> take -> Home.come
                                          timer rings    -> expire -> Home.come(late)

One socket of packets (SOCK_SEQPACKET) a door, opened when it is needed first. Nothing blocks: a door that takes no more is
BUSY, one that is not there GONE, and then the request is decided here at once. What is out is bounded by number
and weight. Every errand that was sent comes home once: with its answer, or with why there is none. Answers that come when nobody
waits any more are dropped and counted. A peer that sends what is no answer is not spoken to again before a while.
"""

import logging

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, EMSGSIZE, ENOBUFS, ENOMEM, errno
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from posix.unistd cimport close
from bidder._fast.board cimport BASELINE, CANARY, WORKERS
from bidder._fast.counters cimport CounterEntry
from bidder._fast.errand cimport (
    AskHead, FALLBACK_BROKEN, FALLBACK_BUSY, FALLBACK_GONE, FALLBACK_LATE, REPLY_MAGIC, Reply, ReplyHead,
)

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC
    Py_ssize_t recv(int fd, void* data, size_t n, int flags)
    Py_ssize_t send(int fd, const void* data, size_t n, int flags)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL
    unsigned int EPOLLIN
    ctypedef union epoll_data_t:
        unsigned int u32
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int op, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms)

cdef enum:
    RETRY_NS = 50_000_000      # until a door that was not there is tried again
    DEFAULT_WAIT_US = 20_000   # where the board says nothing
    ZEROS = 64                 # behind an answer, for its reader

cdef object log = logging.getLogger("bidder.relay")


cdef class Relay:
    def __cinit__(self):
        self.epoll = -1
        self.inbox = <char*>malloc(REPLY_BYTES + ZEROS)
        if self.inbox == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.inbox)
        if self.epoll >= 0:
            close(self.epoll)

    def __init__(self, call_at, Board board not None, Admission admission not None, Home home not None):
        self.call_at = call_at
        self.board = board
        self.admission = admission
        self.home = home
        self.doors = {}
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")

    @property
    def out(self):
        return sum([len((<Door>door).out) for door in self.doors.values()])

    def begin(self, loop):
        self.loop = loop
        self.listens = True
        loop.add_reader(self.epoll, self.turn)

    def end_all(self):
        """Whatever is out comes home, and no more is sent."""
        self.loop.remove_reader(self.epoll)
        self.loop = None
        self.listens = False
        for door in list(self.doors.values()):
            if (<Door>door).fd >= 0:
                self.lose(<Door>door, FALLBACK_GONE)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # --- out

    cdef bint away(self, int arm) noexcept nogil:
        return self.listens and CANARY <= arm <= BASELINE

    cdef uint32_t wait_us(self, int arm) noexcept nogil:
        cdef uint32_t wait = self.board.page.arms[arm].wait_us
        return wait if wait else DEFAULT_WAIT_US

    cdef int send(self, Errand errand) except -1:
        cdef uint64_t* bits = self.board.page.arms[errand.arm].doors
        cdef int why = FALLBACK_GONE, tried
        cdef uint32_t row, first
        self.last += 1
        errand.number = self.last
        first = self.last % WORKERS
        if not self.listens:
            return why
        for row in range(first, first + WORKERS):
            row %= WORKERS
            if not bits[row >> 6] >> (row & 63) & 1:
                continue
            key = errand.arm << 8 | row
            door = self.doors.get(key)
            if door is None:
                door = self.doors[key] = opening(errand.arm, row)
            tried = self.try_door(<Door>door, errand)
            if tried == 0:
                self.ring(errand.due_ns)
                return 0
            if tried == FALLBACK_BUSY:
                why = tried
        return why

    cdef int try_door(self, Door door, Errand errand) except -1:
        cdef char* packet = PyBytes_AS_STRING(errand.packet)
        cdef Py_ssize_t n = PyBytes_GET_SIZE(errand.packet)
        cdef AskHead head
        if door.broken or (door.fd < 0 and not self.connect(door)):
            return FALLBACK_GONE
        if len(door.out) >= MOST_OUT or door.bytes_out + n > MOST_OUT_BYTES:
            return FALLBACK_BUSY
        memcpy(&head, packet, sizeof(AskHead))
        head.number = errand.number
        memcpy(packet, &head, sizeof(AskHead))
        if send(door.fd, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL) != n:
            if errno == EAGAIN or errno == EINTR or errno == ENOBUFS or errno == ENOMEM or errno == EMSGSIZE:
                return FALLBACK_BUSY
            door.broken = True     # epoll says so, too, and then it is lost
            return FALLBACK_GONE
        door.out[errand.number] = errand
        door.bytes_out += n
        return 0

    cdef bint connect(self, Door door) except? False:
        cdef epoll_event event
        cdef int64_t now = self.admission.clock.monotonic_ns()
        if now < door.retry_ns:
            return False
        door.retry_ns = now + RETRY_NS
        try:
            door.fd = self.call_at(door.arm, door.row).detach()
        except OSError:
            return False
        event.events = EPOLLIN
        event.data.u32 = door.arm << 8 | door.row
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, door.fd, &event) != 0:
            close(door.fd)
            door.fd = -1
            return False
        return True

    # --- home

    def turn(self):
        cdef int64_t began = self.admission.clock.monotonic_ns()
        cdef epoll_event[16] events
        cdef Door door
        cdef int i, n = epoll_wait(self.epoll, events, 16, 0)
        for i in range(n):
            door = <Door>self.doors[events[i].data.u32]
            if door.fd >= 0:
                self.read(door)
        if n > 0:
            self.admission.stalled(began)

    def rings(self):
        cdef int64_t began = self.admission.clock.monotonic_ns()
        self.timer = None
        self.turn()                # an answer that is there has come in time
        self.expire()
        self.admission.stalled(began)

    cdef int read(self, Door door) except -1:
        cdef Py_ssize_t n
        cdef int i
        for i in range(ROUND):
            n = recv(door.fd, self.inbox, REPLY_BYTES, MSG_DONTWAIT | MSG_TRUNC)
            if n < 0 and (errno == EAGAIN or errno == EINTR):
                return 0
            if n <= 0:
                return self.lose(door, FALLBACK_GONE)
            self.take(door, n)
            if door.fd < 0:
                return 0
        return 0

    cdef int take(self, Door door, Py_ssize_t n) except -1:
        """One packet lies in the inbox, or as much of it as there is room for."""
        cdef ReplyHead head
        cdef Reply reply
        cdef Errand errand
        cdef Py_ssize_t body_at
        if n >= <Py_ssize_t>sizeof(ReplyHead):
            memcpy(&head, self.inbox, sizeof(ReplyHead))
        if n < <Py_ssize_t>sizeof(ReplyHead) or head.magic != REPLY_MAGIC:
            log.error("door %d of arm %d: a packet that is no answer; the door is closed", door.row, door.arm)
            return self.lose(door, FALLBACK_BROKEN)
        found = door.out.get(head.number)
        if found is None:
            self.dropped += 1
            return 0
        errand = <Errand>found
        self.end(door, errand)
        body_at = sizeof(ReplyHead) + head.counts * sizeof(CounterEntry)
        if n > REPLY_BYTES or n < body_at:
            return self.home.come(errand, NULL, FALLBACK_BROKEN)
        memset(self.inbox + n, 0, ZEROS)
        reply.status, reply.counts = head.status, head.counts
        reply.count = <const CounterEntry*>(self.inbox + sizeof(ReplyHead))
        reply.body, reply.body_n = self.inbox + body_at, n - body_at
        return self.home.come(errand, &reply, 0)

    cdef int end(self, Door door, Errand errand) except -1:
        del door.out[errand.number]
        door.bytes_out -= PyBytes_GET_SIZE(errand.packet)
        return 0

    cdef int lose(self, Door door, int why) except -1:
        """The door is no more; what was out there comes home."""
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, door.fd, NULL)
        close(door.fd)
        door.fd = -1
        door.broken = False
        door.retry_ns = self.admission.clock.monotonic_ns() + RETRY_NS
        out, door.out = door.out, {}
        door.bytes_out = 0
        for errand in out.values():
            self.home.come(<Errand>errand, NULL, why)
        return 0

    cdef int expire(self) except -1:
        cdef int64_t now = self.admission.clock.monotonic_ns()
        cdef int64_t least = 0
        for door in list(self.doors.values()):
            for errand in list((<Door>door).out.values()):
                if (<Errand>errand).due_ns <= now:
                    if (<Errand>errand).number in (<Door>door).out:
                        self.end(<Door>door, <Errand>errand)
                        self.home.come(<Errand>errand, NULL, FALLBACK_LATE)
                elif least == 0 or (<Errand>errand).due_ns < least:
                    least = (<Errand>errand).due_ns
        return self.ring(least) if least else 0

    cdef int ring(self, int64_t at_ns) except -1:
        """At that time, or before, somebody has to be looked for."""
        cdef int64_t left
        if self.timer is not None:
            if self.timer_ns <= at_ns:
                return 0
            self.timer.cancel()
        left = max(at_ns - self.admission.clock.monotonic_ns(), 0)
        self.timer_ns = at_ns
        # Up to the next whole millisecond, which is what the loop knows: rung too early, nobody would be late yet.
        self.timer = self.loop.call_later((left // 1_000_000 + 1) / 1_000.0, self.rings)
        return 0


cdef Door opening(int arm, int row):
    cdef Door door = Door.__new__(Door)
    door.arm, door.row = arm, row
    door.fd = -1
    door.out = {}
    return door
