"""Fuzzing `bidder._fast.http`: mutated bytes into the whole protocol, with a transport in memory.

Each input is read three times: in one piece; in pieces, which must be answered alike; and among sweeps, slow
routes, paused writers and lost connections, where only the promises of the protocol are looked at. Some are read by two
or three connections of one batch, each of which must be answered as if it were alone.
Each `oracle_every`th goes to `oracle(data, requests)`, which reads it with an independent parser.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from bidder._fast.answers cimport Outbox
from bidder._fast.handler cimport BidHandler
from bidder._fast.http cimport AWAY, CLOSED, INBOX_BYTES, LINGERING, BidProtocol, Connections, Room
from bidder._fast.peer cimport Link
from mutation cimport (
    ASAN_POISON_MEMORY_REGION, ASAN_UNPOISON_MEMORY_REGION, INPUT_BYTES, KEPT_BYTES, Mutator, below, coverage_begin,
    coverage_edges, coverage_end, furnish, mutate, mutator_free, note, pool_add,
)

cdef enum:
    BODY_BYTES = 5_000             # small enough that inputs reach it
    CUTS = 8
    FRESH_EVERY = 64               # executions: memory that once was large hides what is beyond it
    TOGETHER = 3                   # connections of one batch at most
    TICKETS = 2                    # requests that a handler has room for ahead of time
    BATCH_EVERY = 4                # executions

cdef bytes ELSEWHERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


cdef double seconds_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class Handler(BidHandler):
    """Notes what it is asked; its answer depends on the body alone. Holds the listener to what it says of tickets."""
    cdef list asked                # (target: bytes, body: bytes)
    cdef list named                # of this batch, by ticket: (exchange, body, address of the body); None: decided on
    cdef bint all_named
    cdef str wrong                 # a promise that was broken; it must not raise where it is called
    cdef bytes last

    def __init__(self):
        self.named = []

    cdef void batch_begins(self) noexcept:
        self.check()
        self.named = []
        self.all_named = False

    cdef int foresee(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n) noexcept:
        if self.all_named:
            self.wrong = "named when all had been"
        if len(self.named) == TICKETS:
            return 0
        self.named.append((exchange[:exchange_n], body[:body_n], <Py_ssize_t>body))
        return len(self.named)

    cdef void batch_named(self) noexcept:
        self.all_named = True

    cdef void check(self) noexcept:
        """What was named has been decided on."""
        if any(each is not None for each in self.named):
            self.wrong = f"named and never decided on: {self.named}"

    cdef int decide(self, const char* exchange, Py_ssize_t exchange_n, const char* body, Py_ssize_t body_n,
                    int ticket, const char** out, Py_ssize_t* out_n) noexcept:
        cdef unsigned int mix = <unsigned int>body_n
        self.last = body[:body_n]
        self.asked.append((b"/bid/" + exchange[:exchange_n], self.last))
        if ticket:
            this = (exchange[:exchange_n], self.last, <Py_ssize_t>body)
            if not self.all_named or ticket > len(self.named) or self.named[ticket - 1] != this:
                self.wrong = f"ticket {ticket} of {self.named} came with {this}"
            else:
                self.named[ticket - 1] = None
        if body_n:
            mix += <unsigned char>body[0]
        if mix % 4 == 1:
            return 204
        if mix % 4 == 2:
            return 400
        out[0] = PyBytes_AS_STRING(self.last)
        out_n[0] = body_n
        return 200


cdef class Wire(Link):
    """The transport: what is written, and what the protocol did to the connection."""
    cdef list written
    cdef list staged               # not None: a batch is answered; (at, n) of what the outbox holds for us
    cdef bint closed, half_closed, reading, misused

    def __init__(self):
        self.written = []
        self.reading = True

    cdef int stage(self, Outbox out) except -1:
        if self.staged is None:
            self.write(out.take())
            return 0
        self.misused |= self.half_closed or self.closed
        self.staged.append((out.begin, out.n - out.begin))
        out.begin = out.n
        return 0

    cdef int send_staged(self, Outbox out) except -1:
        cdef Py_ssize_t at, n
        for at, n in self.staged:
            self.written.append(out.text[at:at + n])
        self.staged = None
        return 0

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
    cdef list asked                # for this connection, where there are others
    cdef char* room                # of the batch at hand, owned until it is answered; NULL: no part in it
    cdef char* at                  # what was read of it lies there
    cdef Py_ssize_t n
    cdef bint more

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

    cdef int read(self, const char* text, Py_ssize_t n) except -1:
        """As `feed`, but nobody is told yet; memory ends where the bytes do, or where the connection's own does."""
        cdef Py_ssize_t room_n = n
        self.room = self.at = <char*>malloc(n)
        self.protocol.make_room(&self.at, &room_n)
        self.n = min(n, room_n)
        self.more = self.n == room_n
        memcpy(self.at, text, self.n)
        return 0

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

    cdef int in_batches(self, Mutator* m, list talks, list texts) except -1:
        """Turn after turn, each connection that has more to say says some of it, before any is answered."""
        cdef Talk talk
        cdef bytes text
        cdef list at = [0] * len(talks)
        cdef list turn
        cdef int k
        cdef Py_ssize_t left
        while True:
            turn = []
            for k in range(len(talks)):
                talk, text = talks[k], texts[k]
                left = len(text) - <Py_ssize_t>at[k]
                if left and talk.open_still():
                    turn.append(talk)
                    if below(m, 3):
                        left = 1 + <Py_ssize_t>below(m, left)
                    talk.read(PyBytes_AS_STRING(text) + <Py_ssize_t>at[k], left)
                    at[k] += talk.n
            if not turn:
                return 0
            try:
                self.answer_batch(turn)
            finally:
                for talk in turn:
                    free(talk.room)

    cdef int answer_batch(self, list turn) except -1:
        cdef Talk talk
        cdef Outbox out = self.shared.out
        self.handler.batch_begins()
        for talk in turn:
            talk.wire.staged = []
            talk.protocol.receive(talk.at, talk.n, talk.more)
        self.handler.batch_named()
        for talk in turn:
            self.asked = self.handler.asked = talk.asked
            talk.protocol.answer()
        self.handler.check()
        for talk in turn:
            talk.wire.send_staged(out)
        out.begin = out.n = 0
        for talk in turn:
            self.asked = self.handler.asked = talk.asked
            talk.answer_guest()
        return 0

    cdef int together(self, Mutator* m, const char* text, Py_ssize_t n) except -1:
        """The input, its end and its beginning on connections of one batch: answered as each alone."""
        cdef Talk talk, alone
        cdef bytes said
        cdef Py_ssize_t cut = <Py_ssize_t>below(m, n + 1)
        cdef list texts = [text[:n], text[cut:n], text[:n]][:2 + below(m, TOGETHER - 1)]
        cdef list talks = []
        for said in texts:
            talk = self.talk()
            talk.asked = self.asked
            talks.append(talk)
        self.in_batches(m, talks, texts)
        for said, each in zip(texts, talks):
            talk = each
            talk.lose()
            if says_expect(PyBytes_AS_STRING(said), len(said)):
                continue
            alone = self.in_one(PyBytes_AS_STRING(said), len(said))
            alone.lose()
            if talk.asked != self.asked or b"".join(talk.wire.written) != b"".join(alone.wire.written):
                raise AssertionError(f"in a batch {talk.asked} {talk.wire.written}, "
                                     f"alone {self.asked} {alone.wire.written}")
        return 0

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
            if done % BATCH_EVERY == 0:
                chamber.together(m, text, n)
            chamber.in_trouble(m, text, n)
            chamber.handler.check()
            if chamber.handler.wrong is not None:
                raise AssertionError(chamber.handler.wrong)
            if oracle_every and done % oracle_every == 0:
                oracle(text[:n], asked)
        progress(done, m.pool_n, coverage_edges())
        return done
    finally:
        free(text)
        mutator_free(m)
