"""The backlog of a connection: memory of its own while a request is not whole, or waits behind one that others answer.

At any other time it has none: all connections of a worker are read into one buffer.
"""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove


cdef class Room:
    def __len__(self):
        return self.n

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.at, self.n, 0, flags)


cdef class Backlog(Peer):
    def __dealloc__(self):
        free(self.own)

    cdef int make_room(self, char** room, Py_ssize_t* n) except -1:
        if self.own != NULL:
            if self.own_cap - self.own_n < ROOM_BYTES:
                self.enlarge(2 * self.own_cap)
            room[0] = self.own + self.own_n
            n[0] = self.own_cap - self.own_n
        return 0

    cdef int keep(self, char* data, Py_ssize_t at, Py_ssize_t n, Py_ssize_t whole) except -1:
        cdef Py_ssize_t rest = n - at
        if rest == 0:
            self.forget()
            return 0
        if data != self.own:
            self.enlarge(whole + ROOM_BYTES)
            memcpy(self.own, data + at, rest)
        else:
            if at:
                memmove(self.own, self.own + at, rest)
            self.enlarge(whole + ROOM_BYTES)
        self.own_n = rest
        return 0

    cdef int enlarge(self, Py_ssize_t capacity) except -1:
        cdef char* more
        if capacity > self.own_cap:
            more = <char*>realloc(self.own, capacity)
            if more == NULL:
                raise MemoryError()
            self.own = more
            self.own_cap = capacity
        return 0

    cdef void forget(self) noexcept:
        free(self.own)
        self.own = NULL
        self.own_n = self.own_cap = 0
