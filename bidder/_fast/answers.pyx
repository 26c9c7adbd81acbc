"""The outbox: answers are put one behind the other; those of one connection leave together.

A batch of connections is answered in one outbox, each behind the other (`bidder._fast.reactor` sends them);
any other transport takes what one connection is told as one bytes object.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, strlen

cdef enum:
    USUAL_DIGITS = 4           # of a Content-Length
    HEAD_CHARS = 88            # of an answer's head, aside from version, length and last lines


cdef const char* status_lines(int status) noexcept nogil:
    """Status line and fields of an answer without a body; RFC 9110 §8.6: a 204 has no length."""
    if status == 204:
        return b"HTTP/1.1 204 No Content\r\n"
    if status == 400:
        return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
    if status == 404:
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
    if status == 405:
        return b"HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n"
    if status == 408:
        return b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n"
    if status == 413:
        return b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n"
    if status == 414:
        return b"HTTP/1.1 414 URI Too Long\r\nContent-Length: 0\r\n"
    if status == 415:
        return b"HTTP/1.1 415 Unsupported Media Type\r\nAccept-Encoding: gzip, identity\r\nContent-Length: 0\r\n"
    if status == 417:
        return b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n"
    if status == 431:
        return b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
    if status == 503:
        return b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
    if status == 505:
        return b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Length: 0\r\n"
    return b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"


cdef const char* last_lines(Ending ending) noexcept nogil:
    if ending == STAYS:
        return b"\r\n"
    return b"Connection: keep-alive\r\n\r\n" if ending == STAYS_10 else b"Connection: close\r\n\r\n"


cdef class Outbox:
    def __cinit__(self):
        self.capacity = 16_384
        self.text = <char*>malloc(self.capacity)
        if self.text == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.text)

    cdef bint grow(self, Py_ssize_t room) noexcept nogil:
        """Room for so much behind what there is; False: no memory."""
        cdef Py_ssize_t capacity = max(2 * self.capacity, self.n + room)
        cdef char* more
        if room <= self.capacity - self.n:
            return True
        more = <char*>realloc(self.text, capacity)
        if more == NULL:
            return False
        self.text = more
        self.capacity = capacity
        return True

    cdef int put(self, const char* text, Py_ssize_t n) except -1:
        if n > self.capacity - self.n and not self.grow(n):
            raise MemoryError()
        memcpy(self.text + self.n, text, n)
        self.n += n
        return 0

    cdef int proceed(self) except -1:
        return self.put(b"HTTP/1.1 100 Continue\r\n\r\n", 25)

    cdef int empty(self, int status, Ending ending) except -1:
        cdef const char* lines = status_lines(status)
        self.put(lines, strlen(lines))
        lines = last_lines(ending)
        return self.put(lines, strlen(lines))

    cdef int json(self, const char* body, Py_ssize_t body_n, bint gzip, const char* version, Py_ssize_t version_n,
                  Ending ending) except -1:
        self.json_head(body_n, gzip, version, version_n, ending)
        return self.put(body, body_n)

    cdef Py_ssize_t head_bytes(self, Py_ssize_t version_n, Ending ending) noexcept nogil:
        """Of an answer whose length has as many digits as most."""
        return HEAD_CHARS + (version_n if version_n else 3) + USUAL_DIGITS + <Py_ssize_t>strlen(last_lines(ending))

    cdef int json_here(self, Py_ssize_t body_n, Py_ssize_t head_n, const char* version, Py_ssize_t version_n,
                       Ending ending) except -1:
        cdef Py_ssize_t left = body_n, more = -USUAL_DIGITS
        while left or more == -USUAL_DIGITS:
            left //= 10
            more += 1
        if more:
            if not self.grow(head_n + more + body_n):
                raise MemoryError()
            memmove(self.text + self.n + head_n + more, self.text + self.n + head_n, body_n)
        self.json_head(body_n, False, version, version_n, ending)
        self.n += body_n
        return 0

    cdef int json_head(self, Py_ssize_t body_n, bint gzip, const char* version, Py_ssize_t version_n,
                       Ending ending) except -1:
        cdef const char* lines = last_lines(ending)
        cdef char[24] digits
        cdef int i = 24
        cdef Py_ssize_t left = body_n
        self.put(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-openrtb-version: ", 68)
        if version_n:
            self.put(version, version_n)
        else:
            self.put(b"2.6", 3)
        if gzip:
            self.put(b"\r\nContent-Encoding: gzip", 24)
        self.put(b"\r\nContent-Length: ", 18)
        while True:
            i -= 1
            digits[i] = <char>(c"0" + left % 10)
            left //= 10
            if left == 0:
                break
        self.put(digits + i, 24 - i)
        self.put(b"\r\n", 2)
        return self.put(lines, strlen(lines))

    cdef bytes take(self):
        cdef Py_ssize_t n = self.n - self.begin
        self.n = self.begin
        return PyBytes_FromStringAndSize(self.text + self.begin, n)

    cdef void drop(self) noexcept nogil:
        self.n = self.begin
