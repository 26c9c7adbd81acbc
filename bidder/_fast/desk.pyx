"""A desk: reader, matcher and auction of one request at a time, and what is known of the request.

What a request needs of a large book is nowhere near the processor. With a desk each, the requests of one batch
are read and matched first, and decided on when what they need has come.
"""

from libc.stdint cimport uint32_t
from bidder._fast.consent cimport MAY_PERSONALISE
from bidder._fast.segments cimport add_names


cdef class Desk:
    def __init__(self, FrequencyTable frequency not None, consent, SegmentTable segments):
        self.segments = segments
        self.reader = Reader(consent)
        self.caps = Caps(frequency)

    cdef set_book(self, Book book, Purses purses):
        self.auction = Auction(self.reader, book, purses, self.caps)
        self.body = NULL

    cdef void open_user(self) noexcept nogil:
        cdef uint32_t n
        self.caps.open_request(&self.reader.req, self.row.key, self.now_s)
        if self.segments is None or not self.segments.named or self.reader.req.user.p is NULL \
                or not self.reader.req.may & MAY_PERSONALISE:
            return
        if self.caps.identify() and self.caps.known():
            n = self.segments.of(self.caps.digest, self.now_s, self.own_segments)
            if n:
                add_names(self.reader, self.own_segments, n)
