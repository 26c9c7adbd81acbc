"""Where an HTTP/1.1 request begins and ends: its head line by line, its body by length or in chunks.

Nothing here owns memory or holds a pointer between calls: text is passed in again, grown at
its end, and every position counts from the first byte of the request, so that the
caller may move it. Both readers take up where they stopped: how bytes were split on the
wire changes nothing, and no byte is looked at twice but those of the line that is open.

Strict as RFC 9112 allows: what two readers could understand differently is refused.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcmp

cdef enum:
    HEAD_BYTES = 32_768          # request line and fields: 431
    REQUEST_LINE_BYTES = 8_192   # 414
    HEAD_FIELDS = 64             # 431
    CHUNK_LINE_BYTES = 256       # size and extension of one chunk: 400
    PREFIX_N = 5                 # of "/bid/"
    CHUNK_EXTRA_BYTES = 4_096    # extensions and trailers of one body together: 400

# What the readers return; any other value is the status to refuse with.
cdef enum:
    MORE = 0
    DONE = 1

cdef enum Coding:                # of the body's content
    IDENTITY = 0
    GZIP = 1
    OTHER = 2                    # 415

cdef struct Head:
    Py_ssize_t next              # first byte of the line that is read next; after DONE: size of the head
    Py_ssize_t scanned           # no LF between `next` and here
    Py_ssize_t method_at, method_n
    Py_ssize_t path_at, path_n   # with the query; empty: the origin of an absolute URI
    Py_ssize_t version_at, version_n  # x-openrtb-version where it reads \d+\.\d+, else empty
    int64_t content_length       # -1: none
    Py_ssize_t length_at, length_n    # its digits
    int fields
    int hosts
    int minor                    # HTTP/1.minor
    bint blank                   # one empty line stood before the request
    bint chunked
    bint close                   # the connection ends with this request
    bint keep                    # `Connection: keep-alive`
    bint expect                  # `Expect: 100-continue`
    bint expect_other            # 417
    Coding coding

cdef struct Body:
    Py_ssize_t at                # first byte of the decoded body
    Py_ssize_t n                 # decoded
    Py_ssize_t raw               # first byte that is not decoded yet; after DONE: end of the request
    int64_t left                 # bytes to come, of the body or of this chunk
    int extra                    # bytes of extensions and trailers
    int state

cdef void head_begin(Head* head) noexcept nogil
# MORE, DONE, or the status of what is wrong. text[:n] is all of the request that is here.
cdef int head_read(Head* head, const char* text, Py_ssize_t n) noexcept nogil

cdef inline bint is_bid(const Head* head, const char* text) noexcept nogil:
    return head.path_n >= PREFIX_N and memcmp(text + head.path_at, b"/bid/", PREFIX_N) == 0


cdef inline bint is_post(const Head* head, const char* text) noexcept nogil:
    return head.method_n == 4 and memcmp(text + head.method_at, b"POST", 4) == 0

cdef void body_begin(Body* body, const Head* head) noexcept nogil
# MORE, DONE, or the status of what is wrong. Chunks are decoded in place: text[at:at + n] is the body.
cdef int body_read(Body* body, char* text, Py_ssize_t n, Py_ssize_t most) noexcept nogil
