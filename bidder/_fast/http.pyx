"""The listener's protocol: bytes in, answers out.

reactor reads -> framing -> BidHandler.decide() -> answers of one read joined -> one write. `POST /bid/{exchange}` makes
no Python object but the bytes that are written. Any other request goes, once it is whole, to `route` (Tornado); that one and a
bid that another build decides on (`away`) have what follows on their connection wait.

Framing errors, sizes and timeouts end the connection after the answer; every other refusal leaves it open. Times are seconds
of the loop's clock, looked at by `sweep` only. All connections of a worker are read into one buffer; one gets memory of its
own only while a request is not whole, or waits behind one that is AWAY. Any loop can drive the protocol through `get_buffer`
and `buffer_updated`, as tests do.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memmove
from bidder._fast.admission cimport IN_FAVOUR, LATE, OUT_OF_FAVOUR, Admission
from bidder._fast.answers cimport CLOSES, STAYS, STAYS_10, Ending, Outbox
from bidder._fast.backlog cimport Backlog, Room
from bidder._fast.fields cimport accepts_gzip
from bidder._fast.framing cimport (
    DONE, GZIP, IDENTITY, MORE, OTHER, PREFIX_N, Head, body_begin, body_read, head_begin, head_read, is_bid, is_post,
)
from bidder._fast.handler cimport AWAY_STATUS, BidHandler
from bidder._fast.heads cimport HEADS, KnownHead, head_known, head_remember
from bidder._fast.packing cimport PACK_LEAST, pack, unpack
from bidder._fast.peer cimport AHEAD, UNREAD, WRITING

cdef double LINGER_S = 2.0           # for the peer to read the refusal; a closed socket would cut it off
cdef double DRAIN_IDLE_S = 1.0       # for a connection that came while draining and says nothing


cdef class Connections:
    def __cinit__(self):
        self.inbox = <char*>malloc(INBOX_BYTES)
        if self.inbox == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.inbox)

    def __init__(self, BidHandler handler not None, route, *, on_empty=None, Py_ssize_t max_body_bytes=262_144,
                 double header_s=10.0, double body_s=2.0, double body_total_s=10.0, double idle_s=160.0):
        if max_body_bytes <= 0 or min(header_s, body_s, body_total_s, idle_s) <= 0:
            raise ValueError(f"limits: {max_body_bytes=} {header_s=} {body_s=} {body_total_s=} {idle_s=}: positive")
        self.handler, self.admission = handler, handler.admission
        self.read_to = 1.0
        self.route, self.on_empty = route, on_empty
        self.max_body_bytes = max_body_bytes
        self.header_s, self.idle_s = header_s, idle_s
        self.body_s, self.body_total_s = body_s, body_total_s
        self.members, self.peers = set(), {}
        self.room, self.out = Room(), Outbox()

    @property
    def count(self):
        return len(self.members)

    def held_by(self, host):
        return self.peers.get(host, 0)

    def protocol(self):
        return BidProtocol(self)

    def sweep(self, double now):
        for member in list(self.members):
            (<BidProtocol>member).check(now)

    def close_idle(self):
        return len([(<BidProtocol>member).close() for member in list(self.members) if (<BidProtocol>member).phase == IDLE])

    def release_idle(self):
        idle = [member for member in self.members if (<BidProtocol>member).phase == IDLE]
        return [sock for member in idle if (sock := (<BidProtocol>member).transport.release()) is not None]

    def abort(self):
        for member in list(self.members):
            (<BidProtocol>member).transport.abort()
        return len(self.members)


cdef class BidProtocol(Backlog):
    def __init__(self, Connections shared not None):
        cdef uint64_t lot
        self.shared = shared
        self.phase = IDLE
        self.since = self.body_began = -1
        self.lane = -1
        self.head_status = ASK
        shared.lots += 1
        lot = shared.lots * <uint64_t>0x9E3779B97F4A7C15  # as even as a draw, and the same in every run
        self.lot = <double>(lot >> 11) / <double>(1 << 53)

    # --- called by the loop

    def connection_made(self, transport):
        self.attach(transport)
        self.read_at = self.shared.admission.clock.monotonic_ns()
        self.shared.members.add(self)
        self.doors = self.shared.handler.doors(self.host)
        if self.host is not None:
            self.shared.peers[self.host] = self.shared.peers.get(self.host, 0) + 1

    def connection_lost(self, error):
        guest, self.guest = self.guest, None
        self.detach()
        self.phase = CLOSED
        self.forget()
        self.shared.members.discard(self)
        if self.unread:
            self.unread = False
            self.shared.unread -= 1
        if self.host is not None:
            held = self.shared.peers.pop(self.host) - 1
            if held:
                self.shared.peers[self.host] = held
        if guest is not None:
            guest.connection_lost()
        if not self.shared.members and self.shared.on_empty is not None:
            self.shared.on_empty()

    def get_buffer(self, hint):
        cdef Room room = self.shared.room
        room.at = self.shared.inbox
        room.n = INBOX_BYTES
        self.make_room(&room.at, &room.n)
        return room

    def buffer_updated(self, Py_ssize_t n):
        cdef Room room = self.shared.room
        self.shared.handler.batch_begins()
        self.receive(room.at, n, n == room.n)
        self.shared.handler.batch_named()
        self.answer()

    cdef int receive(self, char* data, Py_ssize_t n, bint more) except -1:
        cdef Admission admission = self.shared.admission
        self.ticket = 0
        if self.phase >= LINGERING:
            return 0
        if self.phase == READING_BODY:
            self.since = -1
        self.come_since = admission.read_begins(&self.read_at, more)
        if self.lane < 0:  # overload does not wait for the next look at all connections
            self.lane = 0
            self.standing = IN_FAVOUR if self.lot < self.shared.read_to else OUT_OF_FAVOUR
        admission.standing = LATE if self.late else self.standing
        admission.doors = self.doors
        self.come = data
        self.come_n = n
        self.come_more = more
        if self.own != NULL:
            self.own_n += n
        elif self.phase == IDLE:
            self.foresee(data, n)
        return 0

    cdef int foresee(self, char* data, Py_ssize_t n) except -1:
        """Read the head of the first request, and name the request if it is whole and plain."""
        cdef Head* head = &self.head
        cdef KnownHead* known = &self.shared.heads[self.lane & (HEADS - 1)]
        self.phase = READING_HEAD
        self.since = -1
        if head_known(known, head, data, n):
            self.head_status = DONE
        else:
            head_begin(head)
            self.head_status = head_read(head, data, n)
            if self.head_status == DONE:
                head_remember(known, head, data)
        if (self.head_status == DONE and is_bid(head, data) and is_post(head, data) and not head.chunked
                and not head.expect and not head.expect_other and head.coding == IDENTITY
                and 0 < head.content_length <= min(n - head.next, self.shared.max_body_bytes)):
            self.shared.admission.head, self.shared.admission.head_n = data, head.next
            self.ticket = self.shared.handler.foresee(
                data + head.path_at + PREFIX_N, self.exchange_n(data + head.path_at), data + head.next,
                head.content_length)
        return 0

    cdef int answer(self) except -1:
        cdef Admission admission = self.shared.admission
        if self.phase >= LINGERING or self.come == NULL:
            return 0
        admission.since = self.come_since
        admission.standing = LATE if self.late else self.standing
        admission.doors = self.doors
        if self.phase == AWAY:
            if self.own == NULL:
                self.keep_rest(self.come, 0, self.come_n)
            if self.own_n > AWAY_BYTES:
                self.stop(AHEAD)
        elif self.own == NULL:
            self.consume(self.come, self.come_n)
        else:
            self.consume(self.own, self.own_n)
        self.come = NULL
        if self.late:
            self.late = self.come_more   # else that was all that had waited
            if self.unread:
                self.stop(UNREAD)
        return 0

    def eof_received(self):
        """True: not yet. Else the loop closes, after what is still to be written: what is not whole cannot become so."""
        self.said_all = self.phase == AWAY and self.guest is None
        return self.said_all

    def pause_writing(self):
        self.stop(WRITING)

    def resume_writing(self):
        self.since = -1
        self.start(WRITING)
        if self.guest is not None:
            self.guest.resume_writing()

    # --- called by who answers while the request is AWAY

    cpdef int finish(self, bint close) except -1:
        if self.phase != AWAY:
            return 0
        self.guest = None
        self.since = -1
        self.phase = IDLE
        self.shared.admission.goes_on(self.doors)
        if not close:
            if self.own != NULL:
                self.consume(self.own, self.own_n)
        elif self.own != NULL:
            self.linger()
        else:
            self.close()
        if self.phase != AWAY:
            self.start(AHEAD)
            if self.said_all and self.phase < LINGERING:
                self.close()
        return 0

    @property
    def closing(self):
        return self.shared.draining and self.own == NULL

    # --- bytes

    cdef int consume(self, char* data, Py_ssize_t n) except -1:
        """Answer every request that is whole in data[:n], keep the rest, write once."""
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t end, hole
        cdef int status
        self.shared.out.drop()
        while at < n:
            if self.phase == IDLE:
                head_begin(&self.head)
                self.phase = READING_HEAD
                self.since = -1
            if self.phase == READING_HEAD:
                status = self.head_status
                if status == ASK:
                    status = head_read(&self.head, data + at, n - at)
                self.head_status = ASK
                if status == DONE:
                    status = self.admit(data + at, n - at)
                if status == MORE:
                    break
                if status != DONE:
                    return self.refuse(status)
            status = body_read(&self.body, data + at, n - at, self.shared.max_body_bytes)
            if status == MORE:
                # Close the hole between what is decoded and what is not, or chunks would eat memory.
                hole = self.body.raw - self.body.at - self.body.n
                if hole > 0:
                    memmove(data + at + self.body.raw - hole, data + at + self.body.raw, n - at - self.body.raw)
                    self.body.raw -= hole
                    n -= hole
                break
            if status != DONE:
                return self.refuse(status)
            end = at + self.body.raw
            if self.bid:
                self.decide(data + at, end == n)
            else:
                self.hand_over(data + at)
            at = end
            if self.phase != IDLE:
                break
        if self.phase >= LINGERING:
            return 0
        self.keep_rest(data, at, n)
        return self.flush()

    cdef int keep_rest(self, char* data, Py_ssize_t at, Py_ssize_t n) except -1:
        """data[at:n] waits for what is still to come of its request."""
        cdef Py_ssize_t whole = n - at
        if self.phase == READING_BODY and self.head.content_length > 0:
            whole = self.head.next + self.head.content_length
        return self.keep(data, at, n, whole)

    # --- a request

    cdef int admit(self, const char* text, Py_ssize_t n) except -1:
        """The head is whole: DONE, or the status to refuse it with before its body."""
        cdef const char* path = text + self.head.path_at
        cdef bint body_to_come = self.head.chunked or self.head.content_length > 0
        self.verdict = 0
        self.bid = is_bid(&self.head, text)
        if self.head.expect_other:
            return 417
        if self.head.content_length > self.shared.max_body_bytes:
            return 413
        if self.bid:
            if not is_post(&self.head, text):
                self.verdict = 405 if self.shared.handler.knows(path + PREFIX_N, self.exchange_n(path)) else 404
            elif self.head.coding == OTHER:
                self.verdict = 415
        body_begin(&self.body, &self.head)
        self.phase = READING_BODY
        self.body_began = -1
        if self.head.expect and body_to_come and n == self.head.next:
            if self.verdict:
                return self.verdict
            self.shared.out.proceed()
        return DONE

    cdef Py_ssize_t exchange_n(self, const char* path) noexcept:
        """Length of what stands between /bid/ and the query."""
        cdef const char* query = <const char*>memchr(path + PREFIX_N, c"?", self.head.path_n - PREFIX_N)
        return (self.head.path_n if query == NULL else query - path) - PREFIX_N

    cdef int decide(self, const char* text, bint last) except -1:
        """Ask the handler and put its answer behind the others of this batch."""
        cdef Py_ssize_t exchange_n = self.exchange_n(text + self.head.path_at)
        cdef const char* out = NULL
        cdef Py_ssize_t out_n = 0
        cdef bytes packed = None
        cdef Outbox outbox = self.shared.out
        cdef BidHandler handler = self.shared.handler
        cdef Py_ssize_t head_n
        cdef bint close = self.head.close or (last and self.shared.draining)
        cdef Ending ending = CLOSES if close else STAYS if self.head.minor else STAYS_10
        cdef int status = self.verdict
        head_n = outbox.head_bytes(self.head.version_n, ending)
        if status == 0:
            handler.outbox, handler.head_n = outbox, head_n
            self.shared.admission.lane = 0   # for whoever answers without asking it
            self.shared.admission.head, self.shared.admission.head_n = text, self.head.next
            if self.head.coding == GZIP:
                status = self.decide_gzip(text, exchange_n, &out, &out_n)
            else:
                status = handler.decide(text + self.head.path_at + PREFIX_N, exchange_n, text + self.body.at,
                                        self.body.n, self.ticket, &out, &out_n)
            handler.head_n = 0
            self.ticket = 0
            self.lane = self.shared.admission.lane
        if status == AWAY_STATUS:
            self.phase = AWAY
            self.since = -1
            return handler.leave(self, text[self.head.version_at:self.head.version_at + self.head.version_n],
                                 accepts_gzip(text, self.head.next))
        if status == 200:
            if handler.packs and out_n >= PACK_LEAST and accepts_gzip(text, self.head.next):
                packed = pack(out, out_n)
                out, out_n = PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed)
            if out == outbox.text + outbox.n + head_n:
                outbox.json_here(out_n, head_n, text + self.head.version_at, self.head.version_n, ending)
            else:
                outbox.json(out, out_n, packed is not None, text + self.head.version_at, self.head.version_n, ending)
        else:
            outbox.empty(status, ending)
        self.phase = IDLE
        self.since = -1
        if close:
            self.flush()
            return self.close() if last else self.linger()
        return 0

    cdef int decide_gzip(self, const char* text, Py_ssize_t exchange_n,
                         const char** out, Py_ssize_t* out_n) except -1:
        body = unpack(text + self.body.at, self.body.n, self.shared.max_body_bytes)
        if isinstance(body, int):
            return body
        self.shared.plain = body
        return self.shared.handler.decide(text + self.head.path_at + PREFIX_N, exchange_n, PyBytes_AS_STRING(body),
                                          PyBytes_GET_SIZE(body), 0, out, out_n)

    cdef int hand_over(self, const char* text) except -1:
        cdef Py_ssize_t fields_at = self.head.path_at + self.head.path_n + 11  # " HTTP/1.1\r\n"
        cdef bytes method = text[self.head.method_at:self.head.method_at + self.head.method_n]
        cdef bytes target = text[self.head.path_at:self.head.path_at + self.head.path_n] or b"/"
        cdef bytes fields = text[fields_at:self.head.next - 2]
        cdef bytes body = text[self.body.at:self.body.at + self.body.n]
        self.flush()
        self.phase = AWAY
        self.since = -1
        self.guest = self.shared.route(self, method, target, self.head.minor, fields, body, not self.head.close)
        return 0

    # --- answers

    cdef int refuse(self, int status) except -1:
        self.shared.refused += 1
        self.shared.out.empty(status, CLOSES)
        self.flush()
        return self.linger()

    cdef int flush(self) except -1:
        return self.put_out(self.shared.out)

    cdef int linger(self) except -1:
        self.phase = LINGERING
        self.since = -1
        self.forget()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()
        return 0

    cdef int close(self) except -1:
        self.phase = CLOSED
        self.since = -1
        self.forget()
        if self.transport is not None:
            self.transport.close()
        return 0

    cdef int check(self, double now) except -1:
        """Once a sweep: has this phase taken too long?"""
        cdef double age = now - self.since
        if self.pauses & UNREAD and self.phase <= READING_BODY:
            self.since = self.body_began = -1  # it is we who keep the peer waiting
            return 0
        if self.phase == READING_BODY:
            if self.body_began < 0:
                self.body_began = now
            elif now - self.body_began >= self.shared.body_total_s:
                self.shared.out.drop()
                return self.refuse(408)
        if self.since < 0:
            self.since = now
        elif self.phase == IDLE:
            if age >= (DRAIN_IDLE_S if self.shared.draining else self.shared.idle_s):
                self.close()
        elif self.phase == READING_HEAD or self.phase == READING_BODY:
            if age >= (self.shared.header_s if self.phase == READING_HEAD else self.shared.body_s):
                self.shared.out.drop()
                self.refuse(408)
        elif self.phase == AWAY:
            if self.pauses & WRITING and age >= self.shared.idle_s:
                self.transport.abort()
        elif age >= (self.shared.idle_s if self.transport.get_write_buffer_size() else LINGER_S):
            self.transport.abort()
        return 0
