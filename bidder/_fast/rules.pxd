"""Rules: what one imp and its request forbid one creative."""

from libc.stdint cimport uint8_t
from bidder._fast.book cimport Book, CreativeRec
from bidder._fast.request cimport Imp, Reader, Span, Str

# The reason that stops this creative at this imp; REASON_NONE: none does. Cheap rules first.
cdef uint8_t creative_reason(Reader reader, Book book, const Imp* imp, const CreativeRec* creative,
                             uint8_t exchange) noexcept nogil
# Is one of the creative's domains equal to or below one of these? (badv, wadomain)
cdef bint domain_listed(Reader reader, Book book, Span listed, const CreativeRec* creative) noexcept nogil
# Exactly this string? (seats)
cdef bint string_listed(Reader reader, Span listed, Str text) noexcept nogil
