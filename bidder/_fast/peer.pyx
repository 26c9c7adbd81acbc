"""A peer: the transport of one connection, read as long as no reason speaks against it, written to directly.

Answers go into the socket while the loop hands us what it has read from it: no object, no queue of the loop's, and
they leave before the next connection is looked at. At any other time the socket may be closed already and
its number be somebody else's; then, and for what the socket does not take, the transport writes.
"""

from bidder._fast.answers cimport Outbox


cdef class Peer:
    def __cinit__(self):
        self.fd = -1

    cdef int attach(self, transport) except -1:
        self.transport = transport
        self.write = transport.write
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            self.host = address[0]
        socket = transport.get_extra_info("socket")
        if socket is not None and transport.get_extra_info("sslcontext") is None:
            self.fd = socket.fileno()
        return 0

    cdef int detach(self) except -1:
        self.transport = self.write = None
        self.fd = -1
        return 0

    cdef int put_out(self, Outbox out) except -1:
        """All of `out`, behind what is written already."""
        if out.n == 0 or self.transport is None:
            out.n = 0
            return 0
        if self.queued:
            self.queued = self.transport.get_write_buffer_size() > 0
        if self.reading and self.fd >= 0 and not self.queued:
            out.send(self.fd)
        if out.n:
            self.queued = True
            self.write(out.take())
        return 0

    cdef int stop(self, int why) except -1:
        """Read no more, for this reason as well."""
        if self.pauses == 0 and self.transport is not None:
            self.transport.pause_reading()
        self.pauses |= why
        return 0

    cdef int start(self, int why) except -1:
        """This reason is gone: read on, unless there is another."""
        if self.pauses == why and self.transport is not None:
            self.transport.resume_reading()
        self.pauses &= ~why
        return 0

    def send(self, bytes data):
        if self.write is not None:
            self.queued = True
            self.write(data)

    def abort(self):
        if self.transport is not None:
            self.transport.abort()

    @property
    def peer(self):
        return None if self.transport is None else self.transport.get_extra_info("peername")

    @property
    def writable(self):
        return not self.pauses & WRITING
