"""Bodies that come or go compressed."""

cdef enum:
    PACK_LEAST = 1_200         # bytes: what is shorter leaves in one segment as it is

# The body, or the status of what is wrong with it: an int. `most`: bytes that it may have.
cdef object unpack(const char* text, Py_ssize_t n, Py_ssize_t most)
cdef bytes pack(const char* text, Py_ssize_t n)
