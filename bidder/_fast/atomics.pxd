"""Atomic words in mapped files: GCC's builtins under names that say the width.

Sequentially consistent throughout: these run a few times a request at most.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint32_t atomic_load32(uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
    static inline void atomic_store32(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
    static inline uint64_t atomic_load64(uint64_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
    static inline void atomic_store64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
    static inline int64_t atomic_read(int64_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
    static inline void atomic_write(int64_t *p, int64_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
    static inline int64_t atomic_add(int64_t *p, int64_t v) { return __atomic_add_fetch(p, v, __ATOMIC_SEQ_CST); }
    static inline int64_t atomic_swap(int64_t *p, int64_t v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
    static inline int atomic_cas(int64_t *p, int64_t *seen, int64_t v)
    { return __atomic_compare_exchange_n(p, seen, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }
    """
    uint32_t atomic_load32(uint32_t* p) noexcept nogil
    void atomic_store32(uint32_t* p, uint32_t v) noexcept nogil
    uint64_t atomic_load64(uint64_t* p) noexcept nogil
    void atomic_store64(uint64_t* p, uint64_t v) noexcept nogil
    int64_t atomic_read(int64_t* p) noexcept nogil
    void atomic_write(int64_t* p, int64_t v) noexcept nogil
    int64_t atomic_add(int64_t* p, int64_t v) noexcept nogil     # the sum
    int64_t atomic_swap(int64_t* p, int64_t v) noexcept nogil    # what was there
    bint atomic_cas(int64_t* p, int64_t* seen, int64_t v) noexcept nogil  # *seen: what is there
