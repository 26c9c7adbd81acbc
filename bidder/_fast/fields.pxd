"""Fields of a head, looked up where an exchange wants one read: most heads are never looked at again.

`head` is a whole head as `bidder._fast.framing` accepted it: lines end in CRLF or LF, none is folded.
"""

from libc.string cimport memchr
from bidder._fast.request cimport Str

cdef inline char folded(char c) noexcept nogil:
    return c + 32 if c'A' <= c <= c'Z' else c

cdef inline bint begins(const char* text, Py_ssize_t n, const char* word, Py_ssize_t word_n) noexcept nogil:
    """Without ASCII case; `word` is lower case."""
    cdef Py_ssize_t i
    if n < word_n:
        return False
    for i in range(word_n):
        if folded(text[i]) != word[i]:
            return False
    return True

cdef inline bint field_of(const char* head, Py_ssize_t head_n, const char* name, Py_ssize_t name_n,
                          Str* value) noexcept nogil:
    """The first field of this name (lower case), without the blanks around its value; False: there is none."""
    cdef const char* at = head
    cdef const char* end = head + head_n
    cdef const char* line_end
    while at != NULL and at < end:
        line_end = <const char*>memchr(at, c"\n", end - at)
        if line_end == NULL:
            line_end = end
        if line_end - at > name_n and at[name_n] == c':' and begins(at, line_end - at, name, name_n):
            at += name_n + 1
            while at < line_end and (at[0] == c' ' or at[0] == c'\t'):
                at += 1
            value.p = at
            value.n = <unsigned int>(line_end - at)
            while value.n and (at[value.n - 1] == c' ' or at[value.n - 1] == c'\t' or at[value.n - 1] == c'\r'):
                value.n -= 1
            return True
        at = line_end + 1
    return False

cdef inline bint accepts_gzip(const char* head, Py_ssize_t head_n) noexcept nogil:
    """RFC 9110 §12.5.3: named, and not with a weight of 0."""
    cdef Str value
    cdef Py_ssize_t at = 0, end, weight
    if not field_of(head, head_n, b"accept-encoding", 15, &value):
        return False
    while at < value.n:
        while at < value.n and (value.p[at] == c' ' or value.p[at] == c','):
            at += 1
        end = at
        while end < value.n and value.p[end] != c',':
            end += 1
        if begins(value.p + at, end - at, b"gzip", 4) and (
                end - at == 4 or value.p[at + 4] == c';' or value.p[at + 4] == c' '):
            weight = at + 4
            while weight < end and value.p[weight] != c'=':
                weight += 1
            weight += 1
            if weight >= end:
                return True
            while weight < end and (value.p[weight] == c' ' or value.p[weight] == c'0' or value.p[weight] == c'.'):
                weight += 1
            return weight < end
        at = end + 1
    return False
