"""Heads that were read before: who sends bid requests says the same with each, but for the length of its body.

A head that is, byte for byte, the one remembered, other digits in Content-Length aside, reads as that did. So the next
one of its kind costs a comparison. What is remembered was whole, plain and at the beginning of what had come.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy
from bidder._fast.framing cimport Head

cdef enum:
    HEADS = 16                 # remembered by each worker, a power of two
    HEAD_MOST = 1_008          # bytes of one
    LENGTH_DIGITS = 9          # of a Content-Length that is compared; longer ones are read

cdef struct KnownHead:
    Py_ssize_t n               # 0: nothing is remembered
    Py_ssize_t length_at, length_n     # the digits
    Head head
    char text[1008]

# True, with *head as head_read would leave it at DONE; False: it has to be read. 
cdef inline bint head_known(const KnownHead* known, Head* head, const char* text, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t at = known.length_at, more
    cdef int64_t value = 0
    if known.n == 0 or n < known.n - known.length_n + 1 or memcmp(text, known.text, at) != 0:
        return False
    while at < n and c'0' <= text[at] <= c'9':
        if at - known.length_at == LENGTH_DIGITS:
            return False
        value = value * 10 + (text[at] - c'0')
        at += 1
    more = known.n - known.length_at - known.length_n
    if at == known.length_at or n - at < more or memcmp(text + at, known.text + (known.n - more), more) != 0:
        return False
    head[0] = known.head
    head.content_length = value
    head.next = head.scanned = at + more
    if head.version_at > at:
        head.version_at += at - known.length_at - known.length_n
    return True

cdef inline void head_remember(KnownHead* known, const Head* head, const char* text) noexcept nogil:
    """`head` was read of `text`, is DONE, and says how long its body is."""
    known.n = 0
    if head.next > HEAD_MOST or head.length_n == 0:
        return
    memcpy(known.text, text, head.next)
    known.head = head[0]
    known.length_at = head.length_at
    known.length_n = head.length_n
    known.n = head.next
