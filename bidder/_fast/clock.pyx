"""Clocks: the system's, and one that is set by hand.

Passed in where time is needed, so that a replay or a test decides what time it is.
Nanoseconds throughout; reading one costs some 20 ns and no system call.
"""

cdef extern from "<time.h>" nogil:
    ctypedef int clockid_t
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(clockid_t, timespec*)
    clockid_t CLOCK_REALTIME
    clockid_t CLOCK_MONOTONIC


cdef inline int64_t read_ns(clockid_t which) noexcept nogil:
    cdef timespec now
    clock_gettime(which, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class Clock:
    cdef int64_t wall_ns(self) noexcept nogil:
        return read_ns(CLOCK_REALTIME)

    cdef int64_t monotonic_ns(self) noexcept nogil:
        return read_ns(CLOCK_MONOTONIC)


cdef class HandClock(Clock):
    def __init__(self, int64_t wall, int64_t monotonic=0):
        self.wall = wall
        self.monotonic = monotonic

    cdef int64_t wall_ns(self) noexcept nogil:
        return self.wall

    cdef int64_t monotonic_ns(self) noexcept nogil:
        return self.monotonic
