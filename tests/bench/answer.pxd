"""Heads of answers: where one ends, its status, how long its body is, and whether it is the connection's last."""

from libc.string cimport memchr

cdef enum:
    HEAD_BYTES = 8192              # a longer head is no answer to us
    LONGEST_BODY = 1 << 30

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* a, const char* b, size_t n) noexcept

cdef struct Head:
    int status                     # 100 to 599
    size_t body                    # bytes that follow the head
    bint last                      # the server closes after it

cdef inline bint _is_field(const char* line, size_t n, const char* name, size_t name_n) noexcept nogil:
    return n >= name_n and strncasecmp(line, name, name_n) == 0

cdef inline int _status_line(const char* p, size_t n, Head* head) noexcept nogil:
    """-1: it is none."""
    cdef int i
    if n < 12 or strncasecmp(p, b"HTTP/1.", 7) != 0 or p[8] != c' ':
        return -1
    for i in range(9, 12):
        if not c'0' <= p[i] <= c'9':
            return -1
    head.status = (p[9] - c'0') * 100 + (p[10] - c'0') * 10 + p[11] - c'0'
    head.last = p[7] == c'0'
    return 0 if 100 <= head.status < 600 else -1

cdef inline int _length(const char* p, size_t n, size_t* length) noexcept nogil:
    """-1: it is none."""
    cdef size_t i = 0
    length[0] = 0
    while i < n and (p[i] == c' ' or p[i] == c'\t'):
        i += 1
    if i == n or not c'0' <= p[i] <= c'9':
        return -1
    while i < n and c'0' <= p[i] <= c'9':
        length[0] = length[0] * 10 + (p[i] - c'0')
        if length[0] > LONGEST_BODY:
            return -1
        i += 1
    return 0

cdef inline bint _says_close(const char* p, size_t n) noexcept nogil:
    while n and (p[0] == c' ' or p[0] == c'\t'):
        p += 1
        n -= 1
    return n >= 5 and strncasecmp(p, b"close", 5) == 0

cdef inline Py_ssize_t read_head(const char* p, size_t n, Head* head) noexcept nogil:
    """Its bytes; 0: not whole yet; -1: no answer, or one whose end only the end of the connection would show."""
    cdef size_t at = 0, line_n
    cdef const char* end
    cdef const char* line
    cdef bint measured = False
    while True:
        line = p + at
        end = <const char*>memchr(line, c'\n', n - at)
        if end == NULL:
            return 0 if n < HEAD_BYTES else -1
        line_n = end - line
        if line_n and line[line_n - 1] == c'\r':
            line_n -= 1
        if at == 0:
            if _status_line(line, line_n, head) < 0:
                return -1
        elif line_n == 0:
            break
        elif _is_field(line, line_n, b"content-length:", 15):
            if _length(line + 15, line_n - 15, &head.body) < 0:
                return -1
            measured = True
        elif _is_field(line, line_n, b"transfer-encoding:", 18):
            return -1
        elif _is_field(line, line_n, b"connection:", 11):
            head.last = head.last or _says_close(line + 11, line_n - 11)
        at = end - p + 1
    if head.status < 200 or head.status == 204 or head.status == 304:
        head.body = 0
    elif not measured:
        return -1
    return end - p + 1
