"""When requests are due: Poisson at one rate, then at another, the same for a seed. Times: ns since the beginning."""

from libc.math cimport log
from libc.stdint cimport uint64_t

cdef struct Schedule:
    uint64_t dice                  # splitmix64
    double gap_before, gap         # mean, before and after the mark
    double mark, end

cdef inline double next_due(Schedule* s, double due) noexcept nogil:
    """After `due`; from `end` on there is none."""
    cdef uint64_t z
    cdef bint before = due < s.mark
    s.dice += <uint64_t>0x9E3779B97F4A7C15
    z = s.dice
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    z ^= z >> 31
    due -= (s.gap_before if before else s.gap) * log(1.0 - <double>(z >> 11) / <double>(<uint64_t>1 << 53))
    if before and due >= s.mark:       # the other rate begins at its own time; exponential gaps have no memory
        return next_due(s, s.mark)
    return due
