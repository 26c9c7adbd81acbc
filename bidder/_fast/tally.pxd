"""A tally: what a request counts, for somebody else to add to the counters."""

from bidder._fast.counters cimport CounterEntry, Counters

cdef enum:
    TALLY = 1024               # different keys of one request: bids of an answer, and a few

cdef class Tally(Counters):
    cdef CounterEntry[TALLY] listed
    cdef readonly int n
    cdef readonly bint full    # some had no room: what is here does not add up
    cdef bytes take(self)      # the entries one behind the other, and the tally is empty
