"""The decision of a worker that answers what other workers have read."""

from bidder._fast.decision cimport Decider
from bidder._fast.tally cimport Tally

cdef class Answerer(Decider):
    cdef Tally tally
