"""What a connection does to its transport, and to the socket behind it."""

from bidder._fast.answers cimport Outbox

cdef enum Pause:                 # why a connection is not read: bits
    WRITING = 1                  # the peer does not read our answers
    AHEAD = 2                    # too much has come in while Tornado answers
    UNREAD = 4                   # overload: others earn more

cdef class Link:
    """A transport that takes answers as they lie in the outbox; `bidder._fast.reactor` has the one in production."""
    # What `out` holds since `out.begin`, behind what was written before; moves `out.begin` to its end.
    cdef int stage(self, Outbox out) except -1

cdef class Peer:
    cdef object transport        # None: gone
    cdef Link link               # the transport, where it is one; else None
    cdef object write            # transport.write, looked up once
    cdef object host             # address; None: it has none
    cdef int pauses              # Pause bits; 0: it is read

    cdef int attach(self, transport) except -1
    cdef int detach(self) except -1
    cdef int put_out(self, Outbox out) except -1
    cdef int stop(self, int why) except -1
    cdef int start(self, int why) except -1
