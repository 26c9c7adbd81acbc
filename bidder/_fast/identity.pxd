"""Who a user is to us: 64 bits that nobody can turn back, or make, without our keys.

    id of the user, whose id it is -> digest_of -> 64 bits
    that, campaign or creative, rule -> key_of -> 64 bits, of a window of the table of caps
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    USER_KEY = 64              # bytes of one period's keys: 32 for digests, 32 for windows
    CIPHER_BLOCK = 16

cdef class Identity:
    """The keys of one period, ready for use; not for two threads at once."""
    cdef void* chain           # EVP_CIPHER_CTX: AES-256-CBC, of ids
    cdef void* single          # EVP_CIPHER_CTX: AES-256, of what makes a window
    cdef uint8_t last[16]      # what `chain` has in store for its next block
    cdef bint use(self, const uint8_t* keys) noexcept nogil
    # 0: OpenSSL refused. `exchange`: 0 unless the id means something to that exchange only.
    cdef uint64_t digest_of(self, uint8_t origin, uint8_t exchange, const char* id, uint32_t n) noexcept nogil
    cdef uint64_t key_of(self, uint64_t digest, uint32_t subject, uint32_t rule) noexcept nogil
