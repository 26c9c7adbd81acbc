"""Segments of our own: looked up once a request by the hash of its user, and only where the book names some.

    the store -> the supervisor: put() -> of(), in the workers
A row is written with an odd version and read again where that has changed: a reader never waits, and where the row is
being written it finds nothing this once. What does not fit takes the place of whoever's segments end first.
"""

from pathlib import Path

from libc.string cimport memcpy, memset

from bidder._fast.atomics cimport atomic_load32, atomic_load64, atomic_store32, atomic_store64
from bidder._fast.mapped cimport base_of
from bidder._fast.book_questions cimport Known
from bidder._fast.book_layout cimport D_SEGMENT, S_BLOB, S_VALUES, Value
from bidder._fast.memory cimport fetch_line
from bidder._fast.request cimport Reader, Span, Str
from bidder._fast.request_values cimport add_str

from bidder._fast.mapping import PAGE, MappingError, attach, create

cdef extern from "string.h" nogil:
    size_t strnlen(const char*, size_t)

MAGIC = b"obsegms1"            # the last digit is the layout's


cdef inline bint asks_for_segments(const Known* known) noexcept nogil:
    cdef uint32_t i
    for i in range(known.of_request):
        if known.molds[i].dimension == D_SEGMENT:
            return True
    return False


cdef class SegmentTable:
    def __init__(self, path, Py_ssize_t capacity=0):
        if capacity and (capacity & (capacity - 1) or not WAYS <= capacity <= 1 << 24):
            raise ValueError(f"capacity={capacity}: 0 (attach), or a power of two from {WAYS} to {1 << 24}")
        path = Path(path)
        if capacity and not self._there(path, capacity):
            create(path, MAGIC + (<uint64_t> capacity).to_bytes(8, "little"),
                   PAGE + capacity * <Py_ssize_t> sizeof(Member))
        self._open(path)

    def _there(self, path, Py_ssize_t capacity):
        """Users are found again where the file outlived its supervisor."""
        if not path.exists():
            return False
        with path.open("rb") as file:
            return file.read(16) == MAGIC + (<uint64_t> capacity).to_bytes(8, "little")

    cdef _open(self, path):
        self._map = attach(path, MAGIC, PAGE)
        self.capacity = int.from_bytes(self._map[8:16], "little")
        if len(self._map) < PAGE + self.capacity * <Py_ssize_t> sizeof(Member):
            raise MappingError(f"{path}: shorter than its {self.capacity} rows; stop outbid on this host, remove it")
        self.members = <Member*> (base_of(self._map) + <Py_ssize_t> PAGE)

    cdef void look_at(self, Book book) noexcept nogil:
        cdef const Value* values = <const Value*> book.section(S_VALUES)
        cdef const char* blob = <const char*> book.section(S_BLOB)
        cdef uint64_t i
        self.named = False
        if not asks_for_segments(book.known):
            return                 # a large book's values are not read for nothing
        for i in range(book.count(S_VALUES)):
            if values[i].dimension == D_SEGMENT and values[i].n > 2 and blob[values[i].at] == c's' \
                    and blob[values[i].at + 1] == c'-':
                self.named = True
                break

    cdef void expect(self, uint64_t digest) noexcept nogil:
        cdef Member* set = self.set_of(digest)
        cdef int way
        for way in range(WAYS):
            fetch_line(&set[way])

    cdef Member* set_of(self, uint64_t digest) noexcept nogil:
        return &self.members[digest & <uint64_t> (self.capacity - WAYS)]

    cdef uint32_t of(self, uint64_t digest, int64_t now_s, char[16]* names) noexcept nogil:
        cdef Member* set = self.set_of(digest)
        cdef Member* member
        cdef uint32_t version, i, n, found = 0
        cdef int way
        for way in range(WAYS):
            member = &set[way]
            if atomic_load64(&member.digest) != digest:
                continue
            version = atomic_load32(&member.version)
            n = min(member.count, <uint32_t> MOST_OF_ONE)
            for i in range(n):
                if <int64_t> member.ends_s[i] > now_s:
                    memcpy(names[found], member.names[i], NAME_BYTES)
                    found += 1
            if version & 1 or atomic_load32(&member.version) != version or atomic_load64(&member.digest) != digest:
                return 0
            break
        return found

    def put(self, uint64_t digest, segments, int64_t now_s):
        cdef Member* set = self.set_of(digest)
        cdef Member* member = NULL
        cdef uint32_t ends, least = 0, i = 0, version
        cdef bytes raw
        cdef int way
        rows = sorted(((<uint32_t> e, n) for n, e in segments.items() if e > now_s), reverse=True)[:MOST_OF_ONE]
        for way in range(WAYS):
            if set[way].digest == digest:
                member = &set[way]
                break
            ends = set[way].ends_s[0] if set[way].digest and set[way].count else 0
            if member is NULL or ends < least:
                member, least = &set[way], ends
        if not rows and member.digest != digest:
            return
        version = member.version | 1           # it is odd already where somebody was killed here
        atomic_store32(&member.version, version)
        atomic_store64(&member.digest, digest)
        memset(member.names, 0, sizeof(member.names))
        for ends_s, name in rows:
            raw = name.encode()
            memcpy(member.names[i], <const char*> raw, min(len(raw), <Py_ssize_t> NAME_BYTES))
            member.ends_s[i] = ends_s
            i += 1
        member.count = i
        atomic_store32(&member.version, version + 1)

    def names(self, uint64_t digest, int64_t now_s):
        cdef char[16][16] found
        cdef uint32_t n = self.of(digest, now_s, found), i
        return [found[i][:strnlen(found[i], NAME_BYTES)].decode() for i in range(n)]


cdef bint add_names(Reader reader, char[16]* names, uint32_t n) noexcept nogil:
    cdef Span there = reader.req.segments, moved
    cdef Str text
    cdef uint32_t i
    moved.at, moved.n = reader.strs_n, 0       # other lists were read behind it
    for i in range(there.n):
        text = reader.strs[there.at + i]
        if not add_str(reader, &moved, text):
            return False
    for i in range(n):
        text.p = names[i]
        text.n = <uint32_t> strnlen(names[i], NAME_BYTES)
        if not add_str(reader, &moved, text):
            return False
    reader.req.segments = moved
    return True
