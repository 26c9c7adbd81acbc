"""Reads `imp.native`. Out of line: most imps have none."""

from bidder._fast.request cimport Imp, Reader

# Native is offered where there is an object. Like all readers: the place behind, or NULL.
cdef const char* read_native(Reader r, const char* p, Imp* imp) noexcept nogil
