"""The check of a book when it is opened."""

# Raises BookError with the reason. `base` is aligned to 8 bytes at least. Not `whole`: the header only.
cdef void check_book(const char* base, size_t length, bint whole) except *
