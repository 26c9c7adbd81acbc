"""Rows: the exchanges that we serve, as the hot path sees them, and who may speak for them.

    path -> find -> refusal: secret, address, rate -> the request is read, or gets its no-bid unread

Plain numbers and prebuilt bytes, made from the settings once (`bidder/openrtb/rows.py`); nothing is interpreted here.
An exchange without guards costs one look at a flag. Addresses are compared when a connection is made, not when it
asks. The rate is one number for all workers of a host: when the next request is due, if all come evenly.
"""

import ipaddress

from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcmp, memset
from bidder._fast.atomics cimport atomic_cas, atomic_read
from bidder._fast.fields cimport field_of
from bidder._fast.outcome cimport REASON_NONE, REASON_PEER, REASON_RATE, REASON_SECRET
from bidder._fast.tokens cimport TOKEN_CHARS

cdef enum:
    NS_PER_S = 1_000_000_000
    BURST_NS = 100_000_000     # what came late may come at once, as far as it was due within this time
    ABSURD_NS = 10_000_000_000 # due so far ahead: the number is of another boot


cdef inline bint same_secret(Str ours, Str theirs) noexcept nogil:
    """In a time that says nothing of where they differ."""
    cdef uint32_t i
    cdef uint8_t different = 0
    if ours.n != theirs.n:
        return False
    for i in range(ours.n):
        different |= <uint8_t>(ours.p[i] ^ theirs.p[i])
    return different == 0


cdef inline bint due(int64_t* next, int64_t now, int64_t interval_ns) noexcept nogil:
    """Takes the next place, unless that is too far ahead."""
    cdef int64_t seen = atomic_read(next)
    cdef int64_t base
    while True:
        base = seen if now < seen < now + <int64_t>ABSURD_NS else now
        if base - now > BURST_NS:
            return False
        if atomic_cas(next, &seen, base + interval_ns):
            return True


cdef class Rows:
    def __cinit__(self):
        self.held = []
        self.networks = []

    cdef Str hold(self, bytes text):
        cdef Str out
        self.held.append(text)
        out.p = PyBytes_AS_STRING(text)
        out.n = <uint32_t>len(text)
        return out

    cdef int add(self, one) except -1:
        cdef Row* row = &self.rows[self.count]
        cdef int n
        if not 1 <= one.key <= ROWS or self.count == ROWS:
            raise ValueError(f"exchange {one.name!r}: a key of its own, 1 to {ROWS}, is wanted, not {one.key}")
        if not 1 <= len(one.notices) <= NOTICES + 1:
            raise ValueError(f"exchange {one.name!r}: {len(one.notices)} texts around {NOTICES} notices at most")
        memset(row, 0, sizeof(Row))
        row.name = self.hold(one.name)
        row.seat = self.hold(one.seat)
        row.opening = self.hold(one.opening)
        row.notice_count = <uint32_t>len(one.notices) - 1
        for n in range(<int>row.notice_count + 1):
            row.notices[n] = self.hold(one.notices[n])
            row.notice_bytes += row.notices[n].n
        row.notice_bytes += row.notice_count * TOKEN_CHARS
        row.pixel_price = self.hold(one.pixel_price)
        row.response_bytes = one.response_bytes
        row.key = one.key
        row.gives_nbr = one.gives_nbr
        row.gzip = one.gzip
        if one.secret:
            row.secret = self.hold(one.secret)
            if one.secret_field:
                row.secret_field = self.hold(one.secret_field)
        if one.networks:
            row.listed = True
            self.networks.append((1 << one.key, [ipaddress.ip_network(text) for text in one.networks]))
        if one.rate_per_s:
            row.interval_ns = -(-NS_PER_S // one.rate_per_s)
        row.guarded = row.secret.p is not NULL or row.listed or row.interval_ns != 0
        self.count += 1
        return 0

    cdef const Row* find(self, const char* path, Py_ssize_t n) noexcept nogil:
        cdef const Row* row
        cdef int i
        cdef Py_ssize_t name_n
        for i in range(self.count):
            row = &self.rows[i]
            name_n = row.name.n
            if name_n > n or memcmp(row.name.p, path, name_n) != 0:
                continue
            if name_n == n:
                self.behind.n = 0
                return row
            if path[name_n] == c'/' and row.secret.p is not NULL and row.secret_field.p is NULL:
                self.behind.p = path + name_n + 1
                self.behind.n = <uint32_t>(n - name_n - 1)
                return row
        return NULL

    cdef uint8_t refusal(self, const Row* row, Admission admission, Board board) noexcept nogil:
        cdef Str given = self.behind
        if row.secret_field.p is not NULL:
            given.n = 0
            if admission.head is not NULL:
                field_of(admission.head, admission.head_n, row.secret_field.p, row.secret_field.n, &given)
        if row.secret.p is not NULL and not same_secret(row.secret, given):
            return REASON_SECRET
        if row.listed and not (admission.doors >> row.key) & 1:
            return REASON_PEER
        if row.interval_ns and not due(&board.page.next_due[row.key], admission.now, row.interval_ns):
            return REASON_RATE
        return REASON_NONE

    cdef uint64_t doors(self, host) except? 0:
        cdef uint64_t found = <uint64_t>-1
        for bit, networks in self.networks:
            try:
                address = ipaddress.ip_address(host)
                if address.version == 6 and address.ipv4_mapped is not None:
                    address = address.ipv4_mapped
                known = any(address in network for network in networks)
            except ValueError:
                known = False          # no address that anybody could list
            if not known:
                found &= ~<uint64_t>bit
        return found
