"""Admission: requests that have waited too long are answered with a no-bid before they are read.

    read_begins() -> per request: admits(lane)? -> ... -> turn_ends(), before the loop polls again

A worker's queue is the kernel's: what one poll returns has waited while the turn before was served, and
waits on while its own turn is. So a request of this turn has waited at most since the last turn's first
read, or, if the poll had to wait for it, since the poll began. The end of a turn costs a call of the
interpreter, so it is asked for at the turn's eighth read only: shorter turns are no wait worth counting.

A lane is an exchange, by its key; 0 is whatever is no bid. Times: monotonic ns. No queue, no lock, no allocation.
"""

from bidder._fast.clock cimport Clock

cdef enum:
    POLL_NS = 100_000          # a poll that took longer had nothing to return at first
    PAUSE_NS = 250_000         # from one read to the next of an unmarked turn: there was a poll in between
    MS = 1_000_000
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
        self.least = NONE_YET
        self.now = self.begun = self.turned = self.before = self.first = self.clock.monotonic_ns()

    def set_budget(self, int lane, int64_t budget_ns):
        if not 0 < lane < LANES or budget_ns <= 0:
            raise ValueError(f"lane={lane} budget_ns={budget_ns}: a key of 1 to {LANES - 1} and a positive time")
        self.lanes[lane].budget_ns = budget_ns

    cdef bint read_begins(self) noexcept nogil:
        cdef int64_t last = max(self.now, self.ended)
        self.now = self.clock.monotonic_ns()
        self.reads += 1
        if self.reads == 1:
            self.first = self.now
            self.begun = self.before if self.now - self.turned < POLL_NS else self.now
        elif self.reads <= MARK_READS and self.now - last > PAUSE_NS:
            self.reads = 1
            self.first = self.begun = self.now
        self.waited = self.now - self.begun
        if self.waited < self.least:
            self.least = self.waited
        return self.reads == MARK_READS

    def turn_ends(self):
        cdef int64_t mean
        self.turned = self.clock.monotonic_ns()
        if self.reads:
            mean = (self.turned - self.first) // self.reads
            self.service += (mean - self.service) // SERVICE_SHARE
            self.before = self.first
        else:
            self.before = self.turned
        self.reads = 0

    def stalled(self, int64_t began_ns):
        self.turned = self.clock.monotonic_ns()
        self.before = min(began_ns, self.turned)
        self.reads = 0

    cdef bint admits(self, int lane) noexcept nogil:
        cdef Lane* row = &self.lanes[lane]
        self.lane = lane
        if self.standing == LATE:
            self.late += 1
            return False
        if self.standing == OUT_OF_FAVOUR or self.waited + self.service > row.budget_ns:
            row.shed += 1
            return False
        row.served += 1
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
