"""Admission: requests that have waited too long are answered with a no-bid before they are read.

    polls() -> polled(all) -> per connection: read_begins() -> per request: admits(lane)? -> turn_ends(reads)

A worker's queue is the kernel's: what one poll returns has waited while the turn before was served, and
waits on while its own turn is. How long, nobody says; but it has come after all that its connection had to say was
read last, and after the last poll that returned all that was ready. The later of both bounds the wait. A poll that
came long after the turn before had to wait itself: then nothing has waited.

A lane is an exchange, by its key; 0 is whatever is no bid. Times: monotonic ns. No queue, no lock, no allocation.
"""

from bidder._fast.clock cimport Clock

cdef enum:
    POLL_NS = 100_000          # between two turns: there was nothing to serve in between
    MS = 1_000_000
    OF_TMAX = 4                # a request may wait for a quarter of its tmax
    SERVICE_SHARE = 16         # of a turn in the mean service time
    NONE_YET = 0x7FFFFFFFFFFFFFFF


cdef class Admission:
    def __init__(self, Clock clock=None, *, int64_t budget_ns=10 * MS):
        cdef int lane
        if budget_ns <= 0:
            raise ValueError(f"budget_ns={budget_ns}: a positive time is wanted")
        self.clock = Clock() if clock is None else clock
        for lane in range(LANES):
            self.lanes[lane].budget_ns = budget_ns
        self.doors = <uint64_t>-1
        self.least = NONE_YET
        self.now = self.since = self.clear = self.clear_next = self.turned = self.clock.monotonic_ns()

    def set_budget(self, int lane, int64_t budget_ns):
        if not 0 < lane < LANES or budget_ns <= 0:
            raise ValueError(f"lane={lane} budget_ns={budget_ns}: a key of 1 to {LANES - 1} and a positive time")
        self.lanes[lane].budget_ns = budget_ns

    cpdef void polls(self) noexcept:
        self.now = self.clock.monotonic_ns()
        if self.now - self.turned > POLL_NS:
            self.clear = self.now
        self.clear_next = self.clear

    cpdef void polled(self, bint all) noexcept:
        if all:
            self.clear_next = self.now

    cdef int64_t read_begins(self, int64_t* read_at, bint more) noexcept nogil:
        self.since = max(self.clear, read_at[0])
        if not more:
            read_at[0] = self.now
        if self.now - self.since < self.least:
            self.least = max(self.now - self.since, 0)
        return self.since

    cdef void goes_on(self, uint64_t doors) noexcept nogil:
        self.now = self.since = self.clock.monotonic_ns()
        self.standing = IN_FAVOUR
        self.doors = doors

    cpdef void turn_ends(self, int reads) noexcept:
        self.turned = self.clock.monotonic_ns()
        self.clear = self.clear_next
        if reads:
            self.service += ((self.turned - self.now) // reads - self.service) // SERVICE_SHARE

    def stalled(self, int64_t began_ns):
        self.turned = self.clock.monotonic_ns()
        self.clear = min(began_ns, self.turned)

    cdef bint admits(self, int lane) noexcept nogil:
        cdef Lane* row = &self.lanes[lane]
        self.lane = lane
        if self.standing == LATE:
            self.late += 1
            return False
        if self.standing == OUT_OF_FAVOUR or max(self.now, self.ended) - self.since + self.service > row.budget_ns:
            row.shed += 1
            return False
        row.served += 1
        return True

    cdef bint too_late(self, int lane, int64_t tmax_ms) noexcept nogil:
        cdef Lane* row = &self.lanes[lane]
        if tmax_ms <= 0 or tmax_ms > row.budget_ns // (MS // OF_TMAX) \
                or max(self.now, self.ended) - self.since + self.service <= tmax_ms * (MS // OF_TMAX):
            return False
        row.served -= 1
        row.shed += 1
        return True

    cdef void earn(self, int lane, int64_t nano) noexcept nogil:
        self.lanes[lane].earned += nano

    def earned(self, int lane, int64_t nano):
        if not 0 < lane < LANES:
            raise ValueError(f"lane={lane}: a key of 1 to {LANES - 1} is wanted")
        self.earn(lane, nano)

    def sample(self):
        cdef int lane
        cdef Lane* row
        cdef int64_t least = 0 if self.least == NONE_YET else self.least
        found = {}
        for lane in range(LANES):
            row = &self.lanes[lane]
            if row.served or row.shed:
                found[lane] = (row.served, row.shed, row.earned)
                row.served = row.shed = 0
                row.earned = 0
        self.least = NONE_YET
        return found, least
