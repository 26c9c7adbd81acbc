"""What is said to the processor about memory."""

# These bytes will be read soon: have them come into the cache.
cdef extern from *:
    """
    static inline void fetch(const void* p, size_t n) {
        const char* at = (const char*)((size_t)p & ~(size_t)63);
        for (; at < (const char*)p + n; at += 64) __builtin_prefetch(at);
    }
    """
    void fetch(const void* p, size_t n) noexcept nogil
    # The same for the one line that holds this byte.
    void fetch_line "__builtin_prefetch"(const void* p) noexcept nogil
