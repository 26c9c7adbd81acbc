"""A peer: the transport of one connection, read as long as no reason speaks against it.

A transport is asyncio's, or a `Link`, which takes answers as they lie in the outbox: no object, no copy.
"""

from bidder._fast.answers cimport Outbox


cdef class Link:
    cdef int stage(self, Outbox out) except -1:
        raise NotImplementedError


cdef class Peer:
    cdef int attach(self, transport) except -1:
        self.transport = transport
        self.link = <Link>transport if isinstance(transport, Link) else None
        self.write = transport.write
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            self.host = address[0]
        return 0

    cdef int detach(self) except -1:
        self.transport = self.link = self.write = None
        return 0

    cdef int put_out(self, Outbox out) except -1:
        """All that `out` holds of this connection, behind what is written already."""
        if out.n == out.begin:
            return 0
        if self.link is not None:
            self.link.stage(out)
        elif self.write is not None:
            self.write(out.take())
        else:
            out.drop()
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
