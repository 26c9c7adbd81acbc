"""Segments of our own that the users known to a host are in: one table a host, in a file that all its workers map."""

from cython cimport final
from libc.stdint cimport int64_t, uint32_t, uint64_t
from bidder._fast.book cimport Book
from bidder._fast.request cimport Reader

cdef enum:
    NAME_BYTES = 16            # a name with zeros behind it
    MOST_OF_ONE = 16           # segments of a user
    WAYS = 4                   # slots in which one user may stand

cdef struct Member:            # six cache lines
    uint64_t digest            # of the user; 0: never used
    uint32_t version           # odd: it is being written
    uint32_t count
    uint32_t ends_s[16]
    char names[16][16]
    char room[48]

@final
cdef class SegmentTable:
    cdef Member* members       # mapped, written by the supervisor alone
    cdef readonly Py_ssize_t capacity
    cdef readonly bint named   # a campaign of the book names a segment of ours
    cdef object _map
    cdef _open(self, path)
    cdef void look_at(self, Book book) noexcept nogil
    cdef Member* set_of(self, uint64_t digest) noexcept nogil
    # This user will be asked for soon.
    cdef void expect(self, uint64_t digest) noexcept nogil
    # Names that hold at `now_s`, into `names`; how many.
    cdef uint32_t of(self, uint64_t digest, int64_t now_s, char[16]* names) noexcept nogil

# Onto the end of the segments of the request; the names must stay where they are as long as it is worked on.
cdef bint add_names(Reader reader, char[16]* names, uint32_t n) noexcept nogil
