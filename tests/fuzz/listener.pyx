"""Fuzzing `bidder._fast.http`: mutated bytes into the whole protocol, with a transport in memory.

Each input is read three times: in one piece; in pieces, which must be answered alike; and among sweeps, slow
routes, paused writers and lost connections, where only the promises of the protocol are looked at.
Each `oracle_every`th goes to `oracle(data, requests)`, which reads it with an independent parser.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from bidder._fast.handler cimport BidHandler
from bidder._fast.http cimport AWAY, CLOSED, INBOX_BYTES, LINGERING, BidProtocol, Connections, Room
from mutation cimport (
    ASAN_POISON_MEMORY_REGION, ASAN_UNPOISON_MEMORY_REGION, INPUT_BYTES, KEPT_BYTES, Mutator, below, coverage_begin,
    coverage_edges, coverage_end, furnish, mutate, mutator_free, note, pool_add,
)

cdef enum:
    BODY_BYTES = 5_000             # small enough that inputs reach it
    CUTS = 8
    FRESH_EVERY = 64               # executions: memory that once was large hides what is beyond it

cdef bytes ELSEWHERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


cdef double seconds_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class Handler(BidHandler):
    """Notes what it is asked; its answer depends on the body alone."""
    cdef list asked                # (target: bytes, body: bytes)
    cdef bytes last

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n,
                    int ticket, const char** out, Py_ssize_t* out_n) noexcept:
        cdef unsigned int mix = <unsigned int>body_n
        self.last = body[:body_n]
        self.asked.append((b"/bid/" + exchange[:exchange_n], self.last))
        if body_n:
            mix += <unsigned char>body[0]
        if mix % 4 == 1:
            return 204
        if mix % 4 == 2:
            return 400
        out[0] = PyBytes_AS_STRING(self.last)
        out_n[0] = body_n
        return 200


cdef class Wire:
    """The transport: what is written, and what the protocol did to the connection."""
    cdef list written
    cdef bint closed, half_closed, reading, misused

    def __init__(self):
        self.written = []
        self.reading = True

    def write(self, bytes data):
        self.misused |= self.half_closed or self.closed
        self.written.append(data)

    def write_eof(self):
        self.half_closed = True

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def get_extra_info(self, name):
        return None

    def get_write_buffer_size(self):
        return 0


class Guest:
    """Tornado's place: answers when the loop says so."""

    def connection_lost(self):
        pass

    def resume_writing(self):
        pass


cdef class Talk:
    """One connection over the shared memory of a worker."""
    cdef Connections shared
    cdef BidProtocol protocol
    cdef Wire wire

    cdef int open(self, Connections shared) except -1:
        self.shared = shared
        self.wire = Wire()
        self.protocol = shared.protocol()
        self.protocol.connection_made(self.wire)
        return 0

    cdef Py_ssize_t feed(self, const char* text, Py_ssize_t n) except -1:
        """One read of at most n bytes; how many the protocol had room for."""
        cdef Room room = self.protocol.get_buffer(-1)
        n = min(n, room.n)
        if n <= 0:
            raise AssertionError("no room to read into")
        memcpy(room.at, text, n)
        if room.at == self.shared.inbox:
            ASAN_POISON_MEMORY_REGION(room.at + n, INBOX_BYTES - n)
        try:
            self.protocol.buffer_updated(n)
        finally:
            ASAN_UNPOISON_MEMORY_REGION(self.shared.inbox, INBOX_BYTES)
        return n

    cdef int answer_guest(self) except -1:
        while self.protocol.phase == AWAY:
            self.protocol.send(ELSEWHERE)
            self.protocol.finish(self.protocol.head.close)
        return 0

    cdef bint open_still(self) noexcept:
        return self.wire.reading and not self.wire.closed and self.protocol.phase < LINGERING

    cdef int feed_whole(self, const char* text, Py_ssize_t n) except -1:
        cdef Py_ssize_t at = 0
        while at < n and self.open_still():
            at += self.feed(text + at, n - at)
            self.answer_guest()
        return 0

    cdef int lose(self) except -1:
        self.protocol.connection_lost(None)
        if self.protocol.own != NULL:
            raise AssertionError("a lost connection keeps memory")
        if self.wire.misused:
            raise AssertionError("written after the end")
        return 0


cdef bint says_expect(const char* text, Py_ssize_t n) noexcept nogil:
    """Whether 100 Continue is sent depends on what else is there already: such inputs are not compared."""
    cdef Py_ssize_t i
    for i in range(n - 6):
        if (text[i] | 32) == c"e" and (text[i + 1] | 32) == c"x" and (text[i + 2] | 32) == c"p" and text[i + 6] == c":":
            return True
    return False


cdef class Chamber:
    """A worker's connections, and what was asked of its handler and its route."""
    cdef Handler handler
    cdef Connections shared
    cdef list asked
    cdef double clock

    def __init__(self):
        self.handler = Handler()
        self.shared = Connections(self.handler, self.route, max_body_bytes=BODY_BYTES)
        self.clock = 1

    def route(self, connection, bytes method, bytes target, minor, bytes fields, bytes body, keep):
        self.asked.append((target, body))
        return Guest()

    cdef Talk talk(self):
        cdef Talk talk = Talk()
        self.asked = self.handler.asked = []
        talk.open(self.shared)
        return talk

    cdef Talk in_one(self, const char* text, Py_ssize_t n):
        cdef Talk talk = self.talk()
        talk.feed_whole(text, n)
        return talk

    cdef Talk in_pieces(self, Mutator* m, const char* text, Py_ssize_t n):
        cdef Talk talk = self.talk()
        cdef Py_ssize_t at = 0, step
        cdef Py_ssize_t most = 1 + <Py_ssize_t>below(m, 12) if n < 160 else n // CUTS + 1
        while at < n and talk.open_still():
            step = min(n - at, 1 + <Py_ssize_t>below(m, 2 * most))
            step = talk.feed(text + at, step)
            talk.answer_guest()
            at += step
        return talk

    cdef int in_trouble(self, Mutator* m, const char* text, Py_ssize_t n) except -1:
        """Nothing to compare with: the protocol must stay sound whatever comes in between."""
        cdef Talk talk = self.talk()
        cdef Py_ssize_t at = 0
        cdef size_t event
        self.shared.draining = below(m, 4) == 0
        while at < n and not talk.wire.closed:
            if talk.wire.reading:
                at += talk.feed(text + at, min(n - at, 1 + <Py_ssize_t>below(m, n // 3 + 1)))
            event = below(m, 12)
            if event == 0:
                self.clock += <double>below(m, 8)
                self.shared.sweep(self.clock)
            elif event == 1:
                talk.protocol.pause_writing()
            elif event == 2 or (event < 5 and not talk.wire.reading):
                talk.protocol.resume_writing()
            elif event == 5 and below(m, 8) == 0:
                break
            elif event == 6:
                self.shared.close_idle()
            if talk.protocol.phase == AWAY and (below(m, 3) or not talk.wire.reading):
                if below(m, 2):
                    talk.protocol.send(ELSEWHERE)
                talk.protocol.finish(below(m, 4) == 0)
        self.shared.draining = False
        if below(m, 2):
            self.shared.abort()
        talk.lose()
        if talk.protocol.phase != CLOSED or self.shared.count:
            raise AssertionError("a lost connection stays")
        talk.protocol.finish(False)
        return 0


def run(list seeds, list words, char[::1] last, *, uint64_t seed, uint64_t executions, double seconds,
        uint64_t oracle_every, oracle, progress):
    cdef Mutator* m = furnish(seeds, words, seed)
    cdef Chamber chamber = Chamber()
    cdef Talk whole, split
    cdef list asked
    cdef char* text = <char*>malloc(INPUT_BYTES)
    cdef Py_ssize_t n
    cdef uint64_t done = 0
    cdef double end = seconds_now() + seconds
    try:
        while done < executions:
            if done % 1024 == 0:
                PyErr_CheckSignals()
                if done % 65_536 == 0:
                    progress(done, m.pool_n, coverage_edges())
                if seconds_now() >= end:
                    break
            done += 1
            if done % FRESH_EVERY == 0:
                chamber = Chamber()
            n = <Py_ssize_t>mutate(m, text)
            note(&last[0], text, n)
            coverage_begin()
            whole = chamber.in_one(text, n)
            if coverage_end() and n <= KEPT_BYTES:
                pool_add(m, text, n)
            asked = chamber.asked
            whole.lose()
            if not says_expect(text, n):
                split = chamber.in_pieces(m, text, n)
                split.lose()
                if chamber.asked != asked or b"".join(split.wire.written) != b"".join(whole.wire.written):
                    raise AssertionError(f"in pieces {chamber.asked} {split.wire.written}, "
                                         f"in one {asked} {whole.wire.written}")
            chamber.in_trouble(m, text, n)
            if oracle_every and done % oracle_every == 0:
                oracle(text[:n], asked)
        progress(done, m.pool_n, coverage_edges())
        return done
    finally:
        free(text)
        mutator_free(m)
