"""Reads `imp.video` and `imp.audio`. Out of line: most imps have neither."""

from libc.stdint cimport uint8_t
from bidder._fast.request cimport Imp, Reader

# The medium is offered where there is an object, as far as it can be read. Like all readers: the place behind, or NULL.
cdef const char* read_media(Reader r, const char* p, Imp* imp, uint8_t medium) noexcept nogil
