"""What the listener writes: answers, one behind the other, those of one connection since `begin`."""

cdef enum Ending:                # what an answer says of the connection
    STAYS = 0                    # nothing: HTTP/1.1 keeps it
    STAYS_10 = 1                 # HTTP/1.0 must be told
    CLOSES = 2

cdef class Outbox:
    cdef char* text              # owned
    cdef Py_ssize_t begin        # of what the connection at hand has not put out yet
    cdef Py_ssize_t n, capacity
    cdef int put(self, const char* text, Py_ssize_t n) except -1
    cdef int proceed(self) except -1     # 100 Continue
    cdef int empty(self, int status, Ending ending) except -1
    # `version`: what x-openrtb-version says, "2.6" if version_n is 0. `gzip`: the body is compressed.
    cdef int json(self, const char* body, Py_ssize_t body_n, bint gzip, const char* version, Py_ssize_t version_n,
                  Ending ending) except -1
    # The same where the body may have been written in place: from `body_room` on, behind a head of `head_bytes`.
    cdef Py_ssize_t head_bytes(self, Py_ssize_t version_n, Ending ending) noexcept nogil
    cdef bint grow(self, Py_ssize_t room) noexcept nogil
    cdef int json_here(self, Py_ssize_t body_n, Py_ssize_t head_n, const char* version, Py_ssize_t version_n,
                       Ending ending) except -1
    cdef int json_head(self, Py_ssize_t body_n, bint gzip, const char* version, Py_ssize_t version_n,
                       Ending ending) except -1
    # What there is since `begin`, as an object, and it is dropped here.
    cdef bytes take(self)
    cdef void drop(self) noexcept nogil
