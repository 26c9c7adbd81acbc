"""A string of a request: a slice of somebody else's memory."""

from libc.stdint cimport uint32_t

cdef struct Str:
    const char* p              # NULL: absent, null or of a type that cannot be read
    uint32_t n                 # bytes; UTF-8, escapes undone
