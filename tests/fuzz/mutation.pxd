"""The mutator and the coverage map as Cython sees them (mutation.h, coverage.c), and the frame of a fuzz loop."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc

cdef extern from "mutation.h":
    enum: INPUT_BYTES
    enum: KEPT_BYTES
    ctypedef struct Mutator:
        uint64_t state             # never 0
        size_t pool_n
    size_t mutate(Mutator* m, char* text) nogil
    size_t below(Mutator* m, size_t n) nogil
    bint pool_add(Mutator* m, const char* text, size_t n) nogil
    bint word_add(Mutator* m, const char* text, size_t n) nogil
    void mutator_free(Mutator* m) nogil
    void coverage_begin() nogil
    bint coverage_end() nogil
    uint64_t coverage_edges() nogil
    void ASAN_POISON_MEMORY_REGION(const void* at, size_t n) nogil
    void ASAN_UNPOISON_MEMORY_REGION(const void* at, size_t n) nogil

cdef inline Mutator* furnish(list seeds, list words, uint64_t seed) except NULL:
    """A mutator with its pool; to be freed by `mutator_free`. Without words, inputs are the seeds unchanged."""
    cdef Mutator* m = <Mutator*>calloc(1, sizeof(Mutator))
    cdef bytes text
    if m == NULL:
        raise MemoryError
    m.state = 2 * seed + 0x9E3779B97F4A7C15
    for text in seeds:
        pool_add(m, text, len(text))
    for text in words:
        word_add(m, text, len(text))
    if m.pool_n == 0:
        mutator_free(m)
        raise ValueError("no seeds")
    return m

cdef inline void note(char* last, const char* text, size_t n) noexcept nogil:
    """The input at hand, where it outlives the process: eight bytes of length, then the text."""
    cdef size_t i
    (<uint64_t*>last)[0] = n
    for i in range(n):
        last[8 + i] = text[i]
