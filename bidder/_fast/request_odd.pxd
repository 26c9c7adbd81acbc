"""What is seldom in a body, or not read, out of line: so the reader's own loops stay short and keep their registers."""

from libc.stdint cimport int64_t, uint64_t
from bidder._fast.json_number cimport Decimal
from bidder._fast.request cimport Str

cdef enum:
    SELDOM_MOST = 13           # bytes of the longest key of seldom_key

cdef struct Key:
    # Two bytes and the key's length before its value; where white space or escapes are between, not that of its text.
    # Of KEY_NONE what is behind the object, or NULL where the grammar is broken.
    const char* begin
    uint64_t word              # see request_keys

# Any member, from behind the opening bracket or the member before it; `spare`: where a key with escapes is undone.
cdef Key odd_key(const char* p, char* spare, bint first) noexcept nogil
# The word of a key of more than eight bytes that few objects have; `other_key` of one that nobody reads.
cdef uint64_t seldom_key(const char* p, size_t n) noexcept nogil
# As their namesakes of request_values, for every value that may be there.
cdef const char* odd_value(const char* p, int depth) noexcept nogil
cdef const char* odd_str(const char* p, Str* out, int depth, char** spare) noexcept nogil
cdef const char* odd_decimal(const char* p, Decimal* out, bint* ok, int depth, char** spare) noexcept nogil
cdef const char* odd_int(const char* p, int64_t* out, int64_t absent, int64_t top, int depth, char** spare) noexcept nogil
