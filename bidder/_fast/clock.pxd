"""Clocks of compiled code: wall time stamps records, monotonic time measures."""

from libc.stdint cimport int64_t

cdef class Clock:
    cdef int64_t wall_ns(self) noexcept nogil
    cdef int64_t monotonic_ns(self) noexcept nogil

cdef class HandClock(Clock):
    cdef public int64_t wall, monotonic
