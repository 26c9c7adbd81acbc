"""Where a mapped file lies in memory, and memory that is only taken when it is touched."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef inline char* base_of(object mapping) except NULL:
    """It stays: nobody but who asks holds the map, and it is never closed."""
    cdef Py_buffer view
    cdef char* base
    PyObject_GetBuffer(mapping, &view, PyBUF_WRITABLE)
    base = <char*> view.buf
    PyBuffer_Release(&view)
    return base

cdef inline void* grown(void* old, size_t had, size_t wanted) except NULL:
    """`wanted` bytes in place of `old`; those behind `had` are zeroed by the kernel, and cost nothing until then."""
    cdef void* more = calloc(1, wanted)
    if more == NULL:
        raise MemoryError
    if had:
        memcpy(more, old, had)
    free(old)
    return more
