"""Whose request is away: the connection that waits for the answer of another build."""

from bidder._fast.errand cimport Waiting
from bidder._fast.http cimport BidProtocol

cdef class Caller(Waiting):
    cdef BidProtocol protocol
    cdef bytes version           # what x-openrtb-version says; empty: "2.6"
    cdef bint takes_gzip
