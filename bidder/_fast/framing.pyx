"""HTTP/1.1 framing: finds the end of a head and of a body, and refuses what is ambiguous.

bytes -> head_read() until DONE -> body_begin() -> body_read() until DONE -> the next request.
A status instead of MORE or DONE is final: the place of the next request is not known any more.
Never allocates, never touches Python. The map is `framing.pxd`.
"""

from libc.stdint cimport int64_t
from libc.string cimport memchr, memcmp, memmove, memset

cdef enum State:
    FIXED
    CHUNK_LINE
    CHUNK_DATA
    CHUNK_END
    TRAILERS

cdef unsigned char[256] TOKEN    # RFC 9110 §5.6.2
cdef unsigned char[256] HOST     # uri-host and port, RFC 3986 §3.2.2
cdef signed char[256] HEX


cdef void fill_tables() noexcept nogil:
    cdef int c
    cdef const char* more = b"!#$%&'*+-.^_`|~"
    cdef const char* host = b"-._~%!$&'()*+;=:[]"
    memset(TOKEN, 0, 256)
    memset(HOST, 0, 256)
    memset(HEX, -1, 256)
    for c in range(10):
        TOKEN[c"0" + c] = HOST[c"0" + c] = 1
        HEX[c"0" + c] = <signed char>c
    for c in range(26):
        TOKEN[c"a" + c] = TOKEN[c"A" + c] = 1
        HOST[c"a" + c] = HOST[c"A" + c] = 1
    for c in range(6):
        HEX[c"a" + c] = HEX[c"A" + c] = <signed char>(10 + c)
    while more[0]:
        TOKEN[<unsigned char>more[0]] = 1
        more += 1
    while host[0]:
        HOST[<unsigned char>host[0]] = 1
        host += 1


fill_tables()


cdef inline bint same(const char* text, const char* lower, Py_ssize_t n) noexcept nogil:
    """text[:n], without case, is `lower`: for names whose other characters are digits and '-'."""
    cdef Py_ssize_t i
    for i in range(n):
        if (text[i] | 0x20) != lower[i]:
            return False
    return True


cdef inline bint has_control(const char* text, Py_ssize_t n) noexcept nogil:
    """No early exit: gcc makes vector code of it."""
    cdef const unsigned char* c = <const unsigned char*>text
    cdef unsigned char bad = 0
    cdef Py_ssize_t i
    for i in range(n):
        bad |= <unsigned char>(((c[i] < 0x20) & (c[i] != 9)) | (c[i] == 0x7F))
    return bad


cdef inline bint all_visible(const char* text, Py_ssize_t n) noexcept nogil:
    cdef const unsigned char* c = <const unsigned char*>text
    cdef unsigned char bad = 0
    cdef Py_ssize_t i
    for i in range(n):
        bad |= <unsigned char>((c[i] < 0x21) | (c[i] > 0x7E))
    return not bad


cdef inline Py_ssize_t skip_token(const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Behind the token that begins here; -1: none does."""
    cdef Py_ssize_t begin = at
    while at < end and TOKEN[<unsigned char>text[at]]:
        at += 1
    return at if at > begin else -1


cdef inline void trim(const char* text, Py_ssize_t* at, Py_ssize_t* end) noexcept nogil:
    while at[0] < end[0] and (text[at[0]] == c" " or text[at[0]] == c"\t"):
        at[0] += 1
    while end[0] > at[0] and (text[end[0] - 1] == c" " or text[end[0] - 1] == c"\t"):
        end[0] -= 1


# --- head ---------------------------------------------------------------------------------


cdef void head_begin(Head* head) noexcept nogil:
    memset(head, 0, sizeof(Head))
    head.content_length = -1


cdef int head_read(Head* head, const char* text, Py_ssize_t n) noexcept nogil:
    cdef const char* found
    cdef Py_ssize_t end, at
    cdef int status
    while True:
        found = NULL
        if n > head.scanned:
            found = <const char*>memchr(text + head.scanned, c"\n", n - head.scanned)
        end = n if found == NULL else found - text
        # The limits hold for an open line as for a whole one: an answer must not depend on the split.
        if head.method_n == 0 and end - head.next > REQUEST_LINE_BYTES:
            return 414
        if end >= HEAD_BYTES:
            return 431
        if found == NULL:
            head.scanned = n
            return MORE
        at = head.next
        if end == at or text[end - 1] != c"\r":
            return 400
        head.next = head.scanned = end + 1
        end -= 1
        if end == at:
            if head.method_n:
                return head_end(head)
            if head.blank:
                return 400
            head.blank = True
            continue
        if head.method_n == 0:
            status = read_request_line(head, text, at, end)
        else:
            status = read_field(head, text, at, end)
        if status:
            return status


cdef int read_request_line(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef const char* found
    cdef Py_ssize_t i = skip_token(text, at, end)
    if i < 0 or i - at > 32 or i == end or text[i] != c" ":
        return 400
    head.method_at = at
    head.method_n = i - at
    at = i + 1
    found = <const char*>memchr(text + at, c" ", end - at)
    if found == NULL:
        return 400
    i = found - text
    if i == at or not all_visible(text + at, i - at) or memchr(text + at, c"#", i - at) != NULL:
        return 400
    if end - i != 9 or memcmp(text + i, b" HTTP/", 6) != 0 or text[i + 7] != c".":
        return 400
    if text[i + 6] != c"1" or (text[i + 8] != c"0" and text[i + 8] != c"1"):
        return 505
    head.minor = text[i + 8] - c"0"
    if text[at] != c"/":
        if i - at == 1 and text[at] == c"*" and head.method_n == 7 and memcmp(text + head.method_at, b"OPTIONS", 7) == 0:
            pass
        elif i - at > 7 and same(text + at, b"http://", 7):
            at = skip_authority(text, at + 7, i)
        elif i - at > 8 and same(text + at, b"https://", 8):
            at = skip_authority(text, at + 8, i)
        else:
            return 400
        if at < 0:
            return 400
    head.path_at = at
    head.path_n = i - at
    return 0


cdef Py_ssize_t skip_authority(const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Where the path of an absolute URI begins, `end` where it has none; -1: not an authority."""
    cdef Py_ssize_t begin = at
    while at < end and HOST[<unsigned char>text[at]]:
        at += 1
    return -1 if at == begin or (at < end and text[at] != c"/") else at


cdef int read_field(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t colon = skip_token(text, at, end)
    cdef Py_ssize_t name_n
    cdef const char* name = text + at
    if colon < 0 or colon == end or text[colon] != c":":
        return 400
    head.fields += 1
    if head.fields > HEAD_FIELDS:
        return 431
    name_n = colon - at
    at = colon + 1
    if has_control(text + at, end - at):
        return 400
    trim(text, &at, &end)
    if name_n == 4:
        if same(name, b"host", 4):
            return read_host(head, text, at, end)
    elif name_n == 6:
        if same(name, b"expect", 6):
            if end - at == 12 and same(text + at, b"100-continue", 12):
                head.expect = True
            else:
                head.expect_other = True
    elif name_n == 10:
        if same(name, b"connection", 10):
            read_connection(head, text, at, end)
    elif name_n == 14:
        if same(name, b"content-length", 14):
            return read_content_length(head, text, at, end)
    elif name_n == 16:
        if same(name, b"content-encoding", 16):
            read_coding(head, text, at, end)
    elif name_n == 17:
        if same(name, b"transfer-encoding", 17):
            # Whitespace behind the value is legal, but some readers take it for another coding.
            if head.chunked or end - at != 7 or text[end] != c"\r" or not same(text + at, b"chunked", 7):
                return 400
            head.chunked = True
        elif same(name, b"x-openrtb-version", 17):
            read_version(head, text, at, end)
    return 0


cdef int read_host(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    head.hosts += 1
    if head.hosts > 1:
        return 400
    while at < end:
        if not HOST[<unsigned char>text[at]]:
            return 400
        at += 1
    return 0


cdef void read_connection(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef const char* found
    cdef Py_ssize_t begin, stop
    while at < end:
        found = <const char*>memchr(text + at, c",", end - at)
        begin = at
        stop = end if found == NULL else found - text
        at = stop + 1
        trim(text, &begin, &stop)
        if stop - begin == 5 and same(text + begin, b"close", 5):
            head.close = True
        elif stop - begin == 10 and same(text + begin, b"keep-alive", 10):
            head.keep = True


cdef int read_content_length(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef int64_t value = 0
    if head.content_length >= 0 or at == end:
        return 400
    head.length_at = at
    head.length_n = end - at
    while at < end:
        if not c"0" <= text[at] <= c"9":
            return 400
        # Saturates far above any limit: too large, not malformed.
        value = min(value * 10 + (text[at] - c"0"), <int64_t>1 << 48)
        at += 1
    head.content_length = value
    return 0


cdef void read_coding(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t n = end - at
    if n == 0 or (n == 8 and same(text + at, b"identity", 8)):
        return
    if head.coding == IDENTITY and ((n == 4 and same(text + at, b"gzip", 4)) or (n == 6 and same(text + at, b"x-gzip", 6))):
        head.coding = GZIP
    else:
        head.coding = OTHER


cdef void read_version(Head* head, const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t i, dots = 0
    if not 3 <= end - at <= 7 or text[at] == c"." or text[end - 1] == c".":
        return
    for i in range(at, end):
        if text[i] == c".":
            dots += 1
        elif not c"0" <= text[i] <= c"9":
            return
    if dots == 1:
        head.version_at = at
        head.version_n = end - at


cdef int head_end(Head* head) noexcept nogil:
    if head.minor == 1 and head.hosts != 1:
        return 400
    if head.chunked and (head.content_length >= 0 or head.minor == 0):
        return 400
    if head.minor == 0:
        head.expect = head.expect_other = False
        head.close = head.close or not head.keep
    return DONE


# --- body ---------------------------------------------------------------------------------


cdef void body_begin(Body* body, const Head* head) noexcept nogil:
    body.at = body.raw = head.next
    body.n = 0
    body.extra = 0
    body.left = max(head.content_length, 0)
    body.state = CHUNK_LINE if head.chunked else FIXED


cdef int body_read(Body* body, char* text, Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    cdef Py_ssize_t take
    cdef int status
    if body.state == FIXED:
        if body.left > most:
            return 413
        if n - body.at < body.left:
            return MORE
        body.n = body.left
        body.raw = body.at + body.n
        return DONE
    while True:
        if body.state == CHUNK_LINE:
            status = read_chunk_line(body, text, n, most)
            if status != DONE:
                return status
        elif body.state == CHUNK_DATA:
            take = min(body.left, n - body.raw)
            memmove(text + body.at + body.n, text + body.raw, take)
            body.n += take
            body.raw += take
            body.left -= take
            if body.left:
                return MORE
            body.state = CHUNK_END
        elif body.state == CHUNK_END:
            if n - body.raw < 2:
                return MORE
            if text[body.raw] != c"\r" or text[body.raw + 1] != c"\n":
                return 400
            body.raw += 2
            body.state = CHUNK_LINE
        else:
            return read_trailers(body, text, n)


cdef int read_chunk_line(Body* body, const char* text, Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    """Size and extension of one chunk; extensions are read over."""
    cdef Py_ssize_t begin = body.raw
    cdef Py_ssize_t at = begin
    cdef const char* found = <const char*>memchr(text + begin, c"\n", n - begin)
    cdef Py_ssize_t end = n if found == NULL else found - text
    cdef int64_t size = 0
    if end - begin > CHUNK_LINE_BYTES:
        return 400
    if found == NULL:
        return MORE
    if end == begin or text[end - 1] != c"\r":
        return 400
    end -= 1
    while HEX[<unsigned char>text[at]] >= 0:
        if at - begin == 15:  # 60 bits: more would overflow
            return 400
        size = size * 16 + HEX[<unsigned char>text[at]]
        at += 1
    if at == begin or not are_extensions(text, at, end):
        return 400
    body.extra += <int>(end - at)
    if body.extra > CHUNK_EXTRA_BYTES:
        return 400
    if size > most - body.n:
        return 413
    body.raw = end + 2
    body.left = size
    body.state = CHUNK_DATA if size else TRAILERS
    return DONE


cdef bint are_extensions(const char* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """*( ";" token [ "=" ( token / quoted-string ) ] ), RFC 9112 §7.1.1, without the whitespace of bad old times."""
    cdef Py_ssize_t begin
    while at < end:
        if text[at] != c";":
            return False
        at = skip_token(text, at + 1, end)
        if at < 0:
            return False
        if at < end and text[at] == c"=":
            if at + 1 < end and text[at + 1] == c'"':
                begin = at = at + 2
                while at < end and text[at] != c'"':
                    at += 2 if text[at] == c"\\" else 1
                if at >= end or has_control(text + begin, at - begin):
                    return False
                at += 1
            else:
                at = skip_token(text, at + 1, end)
                if at < 0:
                    return False
    return True


cdef bint is_framing(const char* name, Py_ssize_t n) noexcept nogil:
    """What must not stand in trailers (RFC 9110 §6.5.1), because some reader might believe it."""
    return ((n == 4 and same(name, b"host", 4)) or (n == 10 and same(name, b"connection", 10))
            or (n == 14 and same(name, b"content-length", 14)) or (n == 17 and same(name, b"transfer-encoding", 17)))


cdef int read_trailers(Body* body, const char* text, Py_ssize_t n) noexcept nogil:
    """Fields behind the last chunk: checked, counted and dropped (RFC 9112 §7.1.2 lets us)."""
    cdef const char* found
    cdef Py_ssize_t begin, at, end
    while True:
        begin = at = body.raw
        found = <const char*>memchr(text + begin, c"\n", n - begin)
        end = n if found == NULL else found - text
        if body.extra + end - begin > CHUNK_EXTRA_BYTES:
            return 400
        if found == NULL:
            return MORE
        if end == begin or text[end - 1] != c"\r":
            return 400
        body.raw = end + 1
        body.extra += <int>(end - begin)
        end -= 1
        if end == begin:
            return DONE
        at = skip_token(text, begin, end)
        if at < 0 or at == end or text[at] != c":" or has_control(text + at, end - at):
            return 400
        if is_framing(text + begin, at - begin):
            return 400
