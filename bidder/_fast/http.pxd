"""HTTP/1.1 on the worker's loop: `/bid/` answered in compiled code, all else handed on."""

from libc.stdint cimport int64_t, uint64_t
from bidder._fast.admission cimport Admission, Standing
from bidder._fast.answers cimport Outbox
from bidder._fast.backlog cimport Backlog, Room
from bidder._fast.framing cimport Body, Head
from bidder._fast.handler cimport BidHandler
from bidder._fast.heads cimport KnownHead

cdef enum:
    INBOX_BYTES = 65_536         # one read where the loop reads for us, shared by all connections of a worker
    AWAY_BYTES = 65_536          # read ahead while Tornado answers; then reading stops

cdef enum:
    ASK = -1                     # BidProtocol.head_status

cdef enum Phase:
    IDLE                         # between requests, no byte of the next one
    READING_HEAD
    READING_BODY
    AWAY                         # the request is with Tornado, or another build; what follows it waits
    LINGERING                    # refused and half closed: read and drop until the peer closes
    CLOSED

cdef class Connections:
    """All connections of one worker, and the memory they share."""
    cdef BidHandler handler
    cdef Admission admission     # the handler's
    cdef object route            # of every request that is not below /bid/
    cdef object on_empty         # called when the last connection is gone
    cdef set members
    cdef dict peers              # address -> its connections
    cdef Room room
    cdef char* inbox             # owned, INBOX_BYTES
    cdef KnownHead heads[16]     # by the last lane of who sends them
    cdef Outbox out              # answers of the batch at hand, written at once
    cdef bytes plain             # the body that was gzip, while it is decided on
    cdef readonly Py_ssize_t max_body_bytes
    cdef double header_s, body_s, body_total_s, idle_s
    cdef double read_to          # connections whose lot is less are read: 1: all
    cdef uint64_t lots           # drawn so far
    cdef readonly int unread     # connections that are not read for a while
    cdef public bint draining    # from now on the last answer of every connection says close
    cdef readonly uint64_t refused   # requests whose framing, size or time was not accepted

cdef class BidProtocol(Backlog):
    """One connection, as an asyncio BufferedProtocol."""
    cdef Connections shared
    cdef object guest            # the answer that Tornado is writing, while AWAY
    cdef bint said_all           # the peer has closed its side while another build answered
    cdef Head head
    cdef Body body
    cdef int head_status         # what `head_read` said ahead of time; ASK: it was not asked
    cdef int ticket              # the handler's, for the first request of what has come; 0: none
    cdef char* come              # what has come, and was not looked at yet: come_n bytes; NULL: nothing
    cdef Py_ssize_t come_n
    cdef bint come_more          # perhaps not all of it
    cdef int64_t come_since      # since then at most it has waited; monotonic ns
    cdef Phase phase
    cdef int64_t read_at         # all that had come by then was read; monotonic ns
    cdef int verdict             # not 0: the status that the request gets once its body is read
    cdef bint bid                # below /bid/
    cdef uint64_t doors          # exchanges that its address may speak for: bit n, key n
    cdef int lane                # of the last bid request; 0: none was ours; -1: none yet
    cdef double lot              # 0 to 1, for life: who is read when not all can be
    cdef Standing standing
    cdef bint unread             # by the last look at all connections
    cdef bint late               # what it says next has waited unread
    cdef double unread_since
    cdef double body_began       # as `since`
    cdef double since            # when this phase began, or last moved on; < 0: since the last sweep

    # data[:n] has come, where `make_room` said; `more`: perhaps not all of it. It is answered by `answer`; between the
    # two the handler is told of the first request in it.
    cdef int receive(self, char* data, Py_ssize_t n, bint more) except -1
    cdef int answer(self) except -1
    cdef int foresee(self, char* data, Py_ssize_t n) except -1

    cdef int consume(self, char* data, Py_ssize_t n) except -1
    cdef int keep_rest(self, char* data, Py_ssize_t at, Py_ssize_t n) except -1

    cdef int admit(self, const char* text, Py_ssize_t n) except -1
    cdef Py_ssize_t exchange_n(self, const char* path) noexcept
    cdef int decide(self, const char* text, bint last) except -1
    cdef int decide_gzip(self, const char* text, Py_ssize_t exchange_n, const char** out, Py_ssize_t* out_n) except -1
    cpdef int finish(self, bint close) except -1     # the answer of what was AWAY is written
    cdef int hand_over(self, const char* text) except -1

    cdef int refuse(self, int status) except -1      # of what cannot be read on behind: the connection ends
    cdef int flush(self) except -1
    cdef int linger(self) except -1
    cdef int close(self) except -1
    cdef int check(self, double now) except -1
