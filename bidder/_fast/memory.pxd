"""What is said to the processor about memory."""

cdef extern from *:
    """
    /* For gcc a function that does nothing but this has no effect, and calls of it are left out; the empty line of
       assembler is one. */
    static inline void fetch_line(const void* p) {
        __builtin_prefetch(p);
        __asm__ volatile ("");
    }
    static inline void fetch(const void* p, size_t n) {
        const char* at = (const char*)((size_t)p & ~(size_t)63);
        for (; at < (const char*)p + n; at += 64) fetch_line(at);
    }
    """
    # These bytes will be read soon: have them come into the cache.
    void fetch(const void* p, size_t n) noexcept nogil
    # The same for the one line that holds this byte.
    void fetch_line(const void* p) noexcept nogil
