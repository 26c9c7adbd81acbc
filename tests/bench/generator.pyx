"""The open-loop load generator: a busy loop over epoll that touches no Python object while it runs.

due requests -> a connection each -> one write a connection -> answers in order -> counts, histograms, series.
openloop.py says what is measured and what the counts mean; here is how. Every turn writes to at most BURST
connections and reads at most EVENTS, so neither keeps the other waiting for long. Times: ns, monotonic.
"""

from libc.math cimport ceil
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from tests.bench.answer cimport HEAD_BYTES, read_head
from tests.bench.histogram cimport note_time, quantile
from tests.bench.lines cimport NOBODY, Line, Place, choose, first_closed, leave, stand
from tests.bench.schedule cimport next_due
from tests.bench.sockets cimport (
    EAGAIN, EINTR, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, close, dial,
    epoll_create1, epoll_event, epoll_wait, errno, iovec, is_connected, now_ns, recv, send, wait_for, watch,
    writev,
)

LIMITS = {"rate": 1e7, "seconds": 3_600.0, "connections": 8192, "depth": 1024}

cdef enum What:                    # of a slice
    OFFERED
    SKIPPED
    BIDS_IN_TIME
    NOBIDS_IN_TIME
    WHATS


cdef dict times(const Histogram* h):
    """Microseconds."""
    names = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    return {name: quantile(h, q) / 1e3 for name, q in names.items()} | {"max": h.longest / 1e3}


def quantiles(list of_ns):
    cdef Histogram* h = <Histogram*>calloc(1, sizeof(Histogram))
    if h == NULL:
        raise MemoryError
    try:
        for time in of_ns:
            note_time(h, time)
        return times(h)
    finally:
        free(h)


cdef class Load:
    def __cinit__(self):
        self.epoll = NOBODY

    def __init__(self, int port, list payloads, *, double rate, double seconds, int connections, int depth,
                 double deadline_ms, double late_ms, uint64_t seed, double rate_before=0, double seconds_before=0):
        cdef bytes payload
        if self.connections != NULL:
            raise RuntimeError("a load is made once")
        asked = {"rate": max(rate, rate_before), "seconds": seconds + seconds_before, "connections": connections,
                 "depth": depth}
        for name, value in asked.items():
            if not 0 < value <= LIMITS[name]:
                raise ValueError(f"{name}={value}, at most {LIMITS[name]}")
        if rate <= 0 or seconds_before < 0 or (seconds_before and rate_before <= 0) or min(deadline_ms, late_ms) <= 0:
            raise ValueError(f"{rate=} {rate_before=} {seconds_before=} {deadline_ms=} {late_ms=}")
        if not payloads or not 0 < port < 65_536:
            raise ValueError(f"{len(payloads)} requests, {port=}")
        self.port = port
        self.schedule.dice = seed
        self.schedule.gap, self.schedule.gap_before = 1e9 / rate, 1e9 / rate_before if rate_before else 0
        self.schedule.mark, self.schedule.end = seconds_before * 1e9, (seconds_before + seconds) * 1e9
        self.deadline, self.late = <int64_t>(deadline_ms * 1e6), <int64_t>(late_ms * 1e6)
        self.slices = <size_t>ceil(seconds * 1e9 / SLICE_NS)
        self.furnish(connections, depth)
        self.bodies = list(payloads)
        self.payloads = <const char**>calloc(len(payloads), sizeof(char*))
        self.sizes = <size_t*>calloc(len(payloads), sizeof(size_t))
        if self.payloads == NULL or self.sizes == NULL:
            raise MemoryError
        for payload in self.bodies:
            self.payloads[self.payloads_n] = payload
            self.sizes[self.payloads_n] = len(payload)
            self.payloads_n += 1
        self.connect()

    cdef furnish(self, int connections, int depth):
        """Everything that will be needed: nothing is allocated while the load runs."""
        cdef uint32_t ring = 1
        cdef Connection* c
        cdef int i
        while ring < <uint32_t>depth:
            ring *= 2
        self.mask = ring - 1
        self.connections = <Connection*>calloc(connections, sizeof(Connection))
        self.all.depth = depth
        self.all.lines = <Line*>calloc(depth + 2, sizeof(Line))
        self.all.places = <Place*>calloc(connections, sizeof(Place))
        self.due = <int*>calloc(connections, sizeof(int))
        self.buffer = <char*>malloc(HEAD_BYTES + READ_BYTES)
        self.tallies = <Tally*>calloc(2, sizeof(Tally))
        self.series = <uint64_t*>calloc(self.slices * WHATS, sizeof(uint64_t))
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if (self.connections == NULL or self.all.lines == NULL or self.all.places == NULL or self.due == NULL
                or self.buffer == NULL or self.tallies == NULL or self.series == NULL or self.epoll < 0):
            raise MemoryError
        for i in range(depth + 2):
            self.all.lines[i] = Line(NOBODY, NOBODY)
        for i in range(connections):
            c = &self.connections[i]
            c.fd = self.all.places[i].line = NOBODY
            c.ring = <Asked*>calloc(ring, sizeof(Asked))
            c.partial = <char*>malloc(HEAD_BYTES)
            self.connections_n += 1
            if c.ring == NULL or c.partial == NULL:
                raise MemoryError

    cdef connect(self):
        """All of them; a few at a time, for the server's backlog is short."""
        cdef epoll_event found[AT_ONCE]
        cdef int begun = 0, settled = 0, n, i
        cdef int64_t end = now_ns() + CONNECT_NS
        while settled < self.connections_n:
            while begun < self.connections_n and begun - settled < AT_ONCE:
                if not self.open(begun):
                    raise ConnectionRefusedError(f"127.0.0.1:{self.port}")
                begun += 1
            with nogil:
                n = epoll_wait(self.epoll, found, AT_ONCE, 10)
                for i in range(n):
                    self.hear(found[i].data.u32, found[i].events)
            settled = 0
            for i in range(begun):
                settled += self.connections[i].state == OPEN
                if self.connections[i].state == CLOSED:
                    raise ConnectionRefusedError(f"127.0.0.1:{self.port}")
            if now_ns() > end:
                raise TimeoutError(f"127.0.0.1:{self.port}: {settled} of {self.connections_n} connections")

    def play(self):
        if self.played or self.epoll == NOBODY:
            raise RuntimeError("a load is played once, before it is closed")
        self.played = True
        with nogil:
            self.play_all()

    def stop(self):
        self.stopped = True

    def counts(self):
        cdef Tally* t = &self.tallies[1]
        cdef size_t i
        return {
            "offered": t.offered, "sent": t.sent, "unsent": t.unsent, "skipped": t.skipped, "answered": t.answered,
            "in_time": t.in_time, "bids": t.bids, "bids_in_time": t.bids_in_time, "nobids_in_time": t.nobids_in_time,
            "errors": t.errors, "lost": t.lost, "unanswered": t.sent - t.answered - t.lost, "closed": t.closed,
            "garbled": t.garbled, "refused": t.refused, "unannounced": t.unannounced, "latency_us": times(&t.latency), "service_us": times(&t.service),
            "lag_us": times(&t.lag), "unseen_us": times(&t.unseen),
            "per_100_ms": {
                name: [self.series[i * WHATS + what] for i in range(self.slices)]
                for name, what in (("offered", OFFERED), ("skipped", SKIPPED), ("bids_in_time", BIDS_IN_TIME),
                                   ("nobids_in_time", NOBIDS_IN_TIME))
            },
        }

    def close(self):
        self.let_go()

    cdef void let_go(self) noexcept:
        cdef int i
        for i in range(self.connections_n):
            if self.connections[i].fd != NOBODY:
                close(self.connections[i].fd)
                self.connections[i].fd = NOBODY
        if self.epoll != NOBODY:
            close(self.epoll)
            self.epoll = NOBODY

    def __dealloc__(self):
        cdef int i
        self.let_go()
        for i in range(self.connections_n):
            free(self.connections[i].ring)
            free(self.connections[i].partial)
        free(self.connections)
        free(self.all.lines)
        free(self.all.places)
        free(self.due)
        free(self.buffer)
        free(self.tallies)
        free(self.series)
        free(self.payloads)
        free(self.sizes)

    # ---- the loop ----

    cdef void play_all(self) noexcept nogil:
        cdef epoll_event found[EVENTS]
        cdef int64_t start = now_ns(), at, polled
        cdef double due = next_due(&self.schedule, 0), last = self.schedule.end
        cdef int n, i
        self.mark, self.end = start + <int64_t>self.schedule.mark, start + <int64_t>last
        self.clear = start
        while True:
            at = now_ns()
            if self.stopped and due < last:
                last, self.end = due, at
            while self.due_n < BURST and due < last and start + <int64_t>due <= at:
                self.offer(start + <int64_t>due, at)
                due = next_due(&self.schedule, due)
            self.write_due()
            if due >= last and (self.waiting == 0 or at > self.end + LAST_WAIT_NS):
                return
            self.reopen(at)
            polled = now_ns()
            n = wait_for(self.epoll, found, EVENTS, start + <int64_t>due - polled if due < last else 0)
            for i in range(n):
                self.hear(found[i].data.u32, found[i].events)
            if n < EVENTS:
                self.clear = polled

    cdef Tally* tally_of(self, int64_t intended) noexcept nogil:
        return &self.tallies[intended >= self.mark]

    cdef void count_slice(self, int64_t intended, int what) noexcept nogil:
        cdef int64_t slice = (intended - self.mark) // SLICE_NS
        if intended >= self.mark and slice < <int64_t>self.slices:
            self.series[slice * WHATS + what] += 1

    # ---- requests ----

    cdef void offer(self, int64_t intended, int64_t at) noexcept nogil:
        cdef Tally* tally = self.tally_of(intended)
        cdef Connection* c
        cdef int number
        tally.offered += 1
        self.count_slice(intended, OFFERED)
        if at - intended > self.late:
            tally.skipped += 1
            self.count_slice(intended, SKIPPED)
            return
        number = choose(&self.all)
        if number == NOBODY:
            tally.unsent += 1
            return
        c = &self.connections[number]
        c.ring[c.tail & self.mask] = Asked(intended, 0, self.payload)
        c.tail += 1
        self.payload = self.payload + 1 if self.payload + 1 < self.payloads_n else 0
        self.waiting += 1
        tally.sent += 1
        stand(&self.all, number, <int>(c.tail - c.head))
        if not c.due:
            c.due = True
            self.due[self.due_n] = number
            self.due_n += 1

    cdef void write_due(self) noexcept nogil:
        cdef int i
        for i in range(self.due_n):
            self.connections[self.due[i]].due = False
            self.write(self.due[i])
        self.due_n = 0

    cdef void write(self, int number) noexcept nogil:
        """What the socket takes of all that was given to the connection."""
        cdef iovec parts[PARTS]
        cdef Connection* c = &self.connections[number]
        cdef Asked* asked
        cdef int64_t at = now_ns()
        cdef uint32_t i
        cdef size_t n, done
        cdef ssize_t taken
        while c.state == OPEN and c.unwritten != c.tail:
            n = 0
            i = c.unwritten
            while i != c.tail and n < PARTS:
                asked = &c.ring[i & self.mask]
                if asked.sent == 0:
                    asked.sent = at
                    note_time(&self.tally_of(asked.intended).lag, at - asked.intended)
                done = c.written if n == 0 else 0
                parts[n].iov_base = <void*>(self.payloads[asked.payload] + done)
                parts[n].iov_len = self.sizes[asked.payload] - done
                i += 1
                n += 1
            taken = send(c.fd, parts[0].iov_base, parts[0].iov_len, 0) if n == 1 else writev(c.fd, parts, <int>n)
            if taken >= 0:
                self.take(c, taken)
            elif errno == EAGAIN:
                break
            elif errno != EINTR:
                self.lose(number, at + AGAIN_NS)
        if c.state == OPEN and c.waits_out != (c.unwritten != c.tail):
            c.waits_out = not c.waits_out
            watch(self.epoll, EPOLL_CTL_MOD, c.fd, number, EPOLLIN | (EPOLLOUT if c.waits_out else 0))

    cdef void take(self, Connection* c, size_t n) noexcept nogil:
        """So many bytes are on their way."""
        cdef size_t left
        while c.unwritten != c.tail:
            left = self.sizes[c.ring[c.unwritten & self.mask].payload] - c.written
            if n < left:
                c.written += n
                return
            n -= left
            c.written = 0
            c.unwritten += 1

    # ---- answers ----

    cdef void hear(self, int number, uint32_t events) noexcept nogil:
        cdef Connection* c = &self.connections[number]
        if c.state == CONNECTING:
            if is_connected(c.fd) and watch(self.epoll, EPOLL_CTL_MOD, c.fd, number, EPOLLIN):
                c.state = OPEN
                stand(&self.all, number, 0)
            else:
                self.tally_of(now_ns()).refused += 1
                self.shut(number, now_ns() + AGAIN_NS)
            return
        if events & EPOLLOUT:
            self.write(number)
        if c.state == OPEN and events & ~<uint32_t>EPOLLOUT:
            self.read(number)

    cdef void read(self, int number) noexcept nogil:
        """Answers split anywhere: of a head the beginning is kept, of a body how much is to come."""
        cdef Connection* c = &self.connections[number]
        cdef const char* p = self.buffer
        cdef size_t left, n
        cdef ssize_t got, head
        cdef int64_t at
        memcpy(self.buffer, c.partial, c.partial_n)
        got = recv(c.fd, self.buffer + c.partial_n, READ_BYTES, 0)
        if got < 0 and (errno == EAGAIN or errno == EINTR):
            return
        at = now_ns()
        if got <= 0:
            self.tally_of(at).unannounced += c.head == c.tail
            self.lose(number, at + AGAIN_NS)
            return
        left = c.partial_n + got
        c.partial_n = 0
        while True:
            if c.in_body:
                n = min(left, c.body_left)
                p += n
                left -= n
                c.body_left -= n
                if c.body_left:
                    break
                c.in_body = False
                if not self.answered(number, at):
                    self.lose(number, at)
                    return
            if left == 0:
                break
            head = read_head(p, left, &c.answer)
            if head < 0:
                self.tally_of(at).garbled += 1
                self.lose(number, at + AGAIN_NS)
                return
            if head == 0:
                memcpy(c.partial, p, left)
                c.partial_n = left
                break
            p += head
            left -= head
            c.in_body = c.answer.status >= 200  # what comes before is no answer yet
            c.body_left = c.answer.body
        stand(&self.all, number, <int>(c.tail - c.head))

    cdef bint answered(self, int number, int64_t at) noexcept nogil:
        """The oldest request, by the answer that is whole now. False: it is the connection's last."""
        cdef Connection* c = &self.connections[number]
        cdef Asked* asked = &c.ring[c.head & self.mask]
        cdef Tally* tally
        cdef bint in_time
        if c.head == c.unwritten:
            self.tally_of(at).garbled += 1
            return False
        tally = self.tally_of(asked.intended)
        in_time = at - asked.intended <= self.deadline
        c.head += 1
        self.waiting -= 1
        tally.answered += 1
        tally.in_time += in_time
        if c.answer.status == 200:
            tally.bids += 1
            tally.bids_in_time += in_time
            if in_time:
                self.count_slice(asked.intended, BIDS_IN_TIME)
        elif c.answer.status == 204:
            tally.nobids_in_time += in_time
            if in_time:
                self.count_slice(asked.intended, NOBIDS_IN_TIME)
        else:
            tally.errors += 1
        note_time(&tally.latency, at - asked.intended)
        note_time(&tally.service, at - asked.sent)
        note_time(&tally.unseen, at - self.clear)
        return not c.answer.last

    # ---- connections ----

    cdef bint open(self, int number) noexcept nogil:
        cdef Connection* c = &self.connections[number]
        c.fd = dial(self.port)
        if c.fd == NOBODY or not watch(self.epoll, EPOLL_CTL_ADD, c.fd, number, EPOLLOUT):
            self.tally_of(now_ns()).refused += 1
            self.shut(number, now_ns() + AGAIN_NS)
            return False
        c.state = CONNECTING
        return True

    cdef void reopen(self, int64_t at) noexcept nogil:
        """The one that has been closed for longest, if it is time; while the load lasts."""
        cdef int number = first_closed(&self.all)
        if number == NOBODY or self.connections[number].again > at or at > self.end or self.dials == DIALS:
            return
        self.dials += 1
        leave(&self.all, number)
        self.open(number)

    cdef void lose(self, int number, int64_t again) noexcept nogil:
        """A connection, and what waits on it; not opened before `again`."""
        cdef Connection* c = &self.connections[number]
        self.tally_of(now_ns()).closed += 1
        while c.head != c.tail:
            self.tally_of(c.ring[c.head & self.mask].intended).lost += 1
            self.waiting -= 1
            c.head += 1
        self.shut(number, again)

    cdef void shut(self, int number, int64_t again) noexcept nogil:
        cdef Connection* c = &self.connections[number]
        if c.fd != NOBODY:
            close(c.fd)
        c.fd, c.state, c.again = NOBODY, CLOSED, again
        c.unwritten = c.tail
        c.written = c.partial_n = c.body_left = 0
        c.in_body = c.waits_out = False
        stand(&self.all, number, self.all.depth + 1)
