"""An errand: a request that another build is asked to answer, from sending it to its end.

Sender -> Errand -> Relay -> door ... -> Relay -> Home.come -> Waiting.told

It keeps the packet that was sent, so that the request can still be decided here when nothing comes back.
"""


cdef class Waiting:
    cdef int told(self, int status, const char* body, Py_ssize_t n, bint packs) except -1:
        raise NotImplementedError


cdef class Errand:
    def __cinit__(self):
        self.id = b""


cdef class Home:
    cdef int come(self, Errand errand, const Reply* reply, int why) except -1:
        raise NotImplementedError
