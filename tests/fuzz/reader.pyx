"""Fuzzing `bidder._fast.request`: mutated bodies, each in memory of exactly its size, gone before its view is looked at.

mutate -> a reader's `read` -> every string and span of the request lies within that reader's memory.
The reader is a new one each time, at times with just the memory that it needs: one that has read a large body has so
much that nothing would be beyond it. A share is read by an old one too, which must come to the same code.
Each `oracle_every`th body goes to `oracle(body, code, reader)`, which reads it slowly and raises where they differ.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from bidder._fast.consent cimport MAY_IDENTIFY, MAY_PERSONALISE, MAY_PINPOINT
from bidder._fast.json_text cimport PAD
from bidder._fast.request cimport (
    READ_INVALID, READ_MALFORMED, READ_OK, Deal, Imp, Reader, Request, Span, Str,
)
from bidder.settings import Consent
from mutation cimport (
    INPUT_BYTES, KEPT_BYTES, Mutator, coverage_begin, coverage_edges, coverage_end, furnish, mutate, mutator_free,
    note, pool_add,
)

cdef int64_t FLOOR_TOP = 1_000_000_000_000_000_000
cdef enum:
    OLD_EVERY = 8
    TIGHT_EVERY = 2

US = Consent(vendor_id=30)         # who the readers are: else no TC string would be read

cdef uint64_t touched = 0          # so that no compiler drops the reading of strings


cdef double seconds_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef Reader new_reader(size_t n, bint tight):
    cdef Reader reader = Reader(US)
    if tight:
        reader.scratch_cap = 2 * (n + PAD)
        reader.scratch = <char*>malloc(reader.scratch_cap)
    return reader


cdef bint within(Reader r, Str s) noexcept nogil:
    """Absent, or bytes of the reader's memory; reads them all."""
    global touched
    cdef uint32_t i
    if s.p == NULL:
        return s.n == 0
    if s.n == 0 or s.p < r.scratch or s.p + s.n > r.scratch + r.scratch_cap:
        return False
    for i in range(s.n):
        touched += <unsigned char>s.p[i]
    return True


cdef bint all_within(Reader r, Span span) noexcept nogil:
    cdef uint32_t i
    if span.n and <uint64_t>span.at + span.n > r.strs_n:
        return False
    for i in range(span.n):
        if r.strs[span.at + i].p == NULL or not within(r, r.strs[span.at + i]):
            return False
    return True


cdef const char* wrong_imp(Reader r, Imp* imp) noexcept nogil:
    cdef uint32_t i
    cdef Deal* deal
    if not within(r, imp.id) or not within(r, imp.id_raw):
        return b"an imp's id"
    if imp.sizes.n and <uint64_t>imp.sizes.at + imp.sizes.n > r.sizes_n:
        return b"an imp's sizes"
    if imp.deals.n and <uint64_t>imp.deals.at + imp.deals.n > r.deals_n:
        return b"an imp's deals"
    if imp.floor < 0 or imp.floor > FLOOR_TOP:
        return b"an imp's floor"
    for i in range(imp.deals.n):
        deal = &r.deals[imp.deals.at + i]
        if not within(r, deal.id) or not all_within(r, deal.wseat) or not all_within(r, deal.wadomain):
            return b"a deal"
        if deal.floor < -1 or deal.floor > FLOOR_TOP:
            return b"a deal's floor"
    return NULL


cdef const char* wrong(Reader r, int code) noexcept nogil:
    """What of the request breaks a promise of its map; NULL: nothing."""
    cdef Request* q = &r.req
    cdef const char* what
    cdef uint32_t i
    if code != READ_OK and code != READ_MALFORMED and code != READ_INVALID:
        return b"the code"
    if code == READ_MALFORMED:
        return NULL
    if code == READ_OK and (q.id.p == NULL or q.imps.n == 0):
        return b"OK without id or imp"
    if not (within(r, q.id) and within(r, q.id_raw) and within(r, q.domain) and within(r, q.bundle)
            and within(r, q.publisher) and within(r, q.os) and within(r, q.osv) and within(r, q.make)
            and within(r, q.model) and within(r, q.carrier) and within(r, q.language) and within(r, q.region)
            and within(r, q.city) and within(r, q.metro) and within(r, q.zip) and within(r, q.ifa)
            and within(r, q.user)):
        return b"a string"
    if not (all_within(r, q.wseat) and all_within(r, q.bseat) and all_within(r, q.bcat) and all_within(r, q.badv)
            and all_within(r, q.bapp) and all_within(r, q.cat) and all_within(r, q.segments)):
        return b"a list"
    if <uint64_t>q.cur.at + q.cur.n > r.ints_n or q.imps.n > r.imps_n:
        return b"a span"
    if not q.may & MAY_IDENTIFY and (q.ifa.p != NULL or q.user.p != NULL or q.has_user_id):
        return b"an id, although that is not permitted"
    if not q.may & MAY_PERSONALISE and (q.segments.n or q.yob or q.gender):
        return b"a profile, although that is not permitted"
    if not q.may & MAY_PINPOINT and (q.has_point or q.zip.p != NULL):
        return b"a precise place, although that is not permitted"
    for i in range(q.imps.n):
        what = wrong_imp(r, &r.imps[i])
        if what != NULL:
            return what
    return NULL


def run(list seeds, list words, char[::1] last, *, uint64_t seed, uint64_t executions, double seconds,
        uint64_t oracle_every, oracle, progress):
    cdef Mutator* m = furnish(seeds, words, seed)
    cdef Reader old = Reader(US), reader
    cdef char* text = <char*>malloc(INPUT_BYTES)
    cdef char* exact
    cdef const char* what
    cdef size_t n
    cdef uint64_t done = 0
    cdef double end = seconds_now() + seconds
    cdef int code
    try:
        while done < executions:
            if done % 1024 == 0:
                PyErr_CheckSignals()
                if done % 65_536 == 0:
                    progress(done, m.pool_n, coverage_edges())
                if seconds_now() >= end:
                    break
            done += 1
            n = mutate(m, text)
            note(&last[0], text, n)
            exact = <char*>malloc(n)
            memcpy(exact, text, n)
            reader = new_reader(n, done % TIGHT_EVERY == 0)
            coverage_begin()
            code = reader.read(exact, n)
            if coverage_end() and n <= KEPT_BYTES:
                pool_add(m, text, n)
            free(exact)
            what = wrong(reader, code)
            if what == NULL and done % OLD_EVERY == 0:
                if old.read(text, n) != code:
                    what = b"another code by an old reader"
                else:
                    what = wrong(old, code)
            if what != NULL:
                raise AssertionError(what.decode())
            if oracle_every and done % oracle_every == 0:
                old.read(text, n)
                oracle(text[:n], code, old)
        progress(done, m.pool_n, coverage_edges())
        return done
    finally:
        free(text)
        mutator_free(m)
