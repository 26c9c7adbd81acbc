"""What has come on a connection and is not answered yet, kept by the connection itself."""

from bidder._fast.peer cimport Peer

cdef enum:
    ROOM_BYTES = 4_096           # least room behind what is kept

cdef class Room:
    """Where the loop reads the next bytes to; valid from get_buffer to buffer_updated."""
    cdef char* at
    cdef Py_ssize_t n

cdef class Backlog(Peer):
    cdef char* own               # owned; NULL unless bytes wait for more, or for Tornado
    cdef Py_ssize_t own_n, own_cap
    # Memory for the next bytes: our own where some wait there, else *room of *n bytes.
    cdef int make_room(self, char** room, Py_ssize_t* n) except -1
    # data[at:n] waits in memory of our own, with room for `whole` bytes in all; `data` may be that memory.
    cdef int keep(self, char* data, Py_ssize_t at, Py_ssize_t n, Py_ssize_t whole) except -1
    cdef int enlarge(self, Py_ssize_t capacity) except -1
    cdef void forget(self) noexcept
