"""A desk: reader, matcher and auction of one request at a time, and what is known of the request.

What a request needs of a large book is nowhere near the processor. With a desk each, the requests of one batch
are read and matched first, and decided on when what they need has come.
"""


cdef class Desk:
    def __init__(self, FrequencyTable frequency not None, consent):
        self.reader = Reader(consent)
        self.caps = Caps(frequency)

    cdef set_book(self, Book book, Purses purses):
        self.auction = Auction(self.reader, book, purses, self.caps)
        self.body = NULL
