"""Whom this host knows: a user is asked for behind the first request that needs it, and again when that is a while ago.

    acquainted() -> not known, or not fresh -> want(), onto the ring -> Acquaintances.take(), by the supervisor -> the store -> met()
The mark of a user lies in the table of caps under the digest itself: `state` says until when what we know is good and
whether it came, `until` when to ask again. Whoever sets it asks, so a user is asked for once on a host, not once a
worker. The ring drops the oldest: those are asked for again with a later request.
"""

from libc.stdint cimport uint32_t

from bidder._fast.atomics cimport atomic_add, atomic_cas, atomic_load64, atomic_store64, atomic_swap
from bidder._fast.frequency cimport MARK, STATE_BITS, WANTED, Place, Wanted, runs

cdef enum:
    ASK_AGAIN_S = 2            # after a question that nobody answered
    ANSWERED = 1               # beside MARK


cdef void want(FrequencyTable table, uint64_t digest, uint64_t before) noexcept nogil:
    cdef Wanted* entry = &table.wanted_ring[<uint64_t> (atomic_add(<int64_t*> &table.head.asked, 1) - 1) % WANTED]
    entry.before = before
    entry.check = digest ^ ~before
    atomic_store64(&entry.digest, digest)


cdef int acquainted(FrequencyTable table, uint64_t digest, int64_t now_s) noexcept nogil:
    cdef Place place
    cdef uint64_t state = 0, again, asking = <uint64_t> (now_s + ASK_AGAIN_S) << STATE_BITS | MARK
    cdef int claimed = table.slot_for(digest, now_s, &place, &state)
    if claimed < 0:
        return 0
    if not claimed and runs(state, now_s):
        if not state & ANSWERED:
            return 0
        again = atomic_load64(&place.bucket.until[place.i])
        if <int64_t> again <= now_s and atomic_cas(
                <int64_t*> &place.bucket.until[place.i], <int64_t*> &again, now_s + ASK_AGAIN_S):
            return ACQUAINTED | TO_BE_ASKED
        return ACQUAINTED
    return TO_BE_ASKED if atomic_cas(<int64_t*> &place.bucket.state[place.i], <int64_t*> &state, <int64_t> asking) else 0


cdef class Acquaintances:
    cdef FrequencyTable table

    def __init__(self, FrequencyTable table not None):
        self.table = table

    def take(self, Py_ssize_t most=WANTED):
        cdef FrequencyTable table = self.table
        cdef uint64_t asked = atomic_load64(&table.head.asked), digest
        cdef Wanted* entry
        found = []
        if asked - table.head.answered > WANTED:
            table.head.dropped += asked - WANTED - table.head.answered
            table.head.answered = asked - WANTED
        while table.head.answered < asked and len(found) < most:
            entry = &table.wanted_ring[table.head.answered % WANTED]
            digest = <uint64_t> atomic_swap(<int64_t*> &entry.digest, 0)
            if digest and entry.check == digest ^ ~entry.before:
                found.append((digest, entry.before))
            table.head.answered += 1
        return found

    def ask(self, uint64_t digest, uint64_t before=0):
        want(self.table, digest, before)

    def meet(self, uint64_t digest, uint64_t before, int64_t now_s):
        cdef int found = acquainted(self.table, digest, now_s)
        if found & TO_BE_ASKED:
            want(self.table, digest, before)
        return bool(found & ACQUAINTED)

    def met(self, uint64_t digest, int64_t now_s, uint32_t fresh_s, uint32_t good_s):
        cdef Place place
        cdef uint64_t state = 0
        if self.table.slot_for(digest, now_s, &place, &state) < 0:
            return
        atomic_store64(&place.bucket.until[place.i], now_s + fresh_s)
        atomic_store64(&place.bucket.state[place.i], <uint64_t> (now_s + good_s) << STATE_BITS | MARK | ANSWERED)

    def knows(self, uint64_t digest, int64_t now_s):
        cdef Place place
        cdef uint64_t state
        if not self.table.find(digest, &place):
            return False
        state = atomic_load64(&place.bucket.state[place.i])
        return bool(runs(state, now_s) and state & ANSWERED)
