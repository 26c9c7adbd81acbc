"""Postings: the campaigns that include or exclude one value, as a bitmap or as sorted slots, scanned block by block."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport realloc
from bidder._fast.book_layout cimport BLOCK, BLOCK_WORDS

cdef struct Posting:           # where a scan stands
    const uint64_t* dense      # NULL: sparse
    const uint32_t* first
    const uint32_t* at
    const uint32_t* end

cdef struct Postings:          # a list that only ever grows
    Posting* items
    uint32_t count
    uint32_t room

# Room for one more, uninitialised; NULL where there is no memory.
cdef inline Posting* postings_add(Postings* list) noexcept nogil:
    cdef uint32_t room
    cdef Posting* items
    if list.count == list.room:
        room = 2 * list.room if list.room else 64
        items = <Posting*>realloc(list.items, room * sizeof(Posting))
        if items == NULL:
            return NULL
        list.items = items
        list.room = room
    list.count += 1
    return &list.items[list.count - 1]

# Sets the bits of one block. It is cheapest where blocks come in ascending order.
cdef inline void posting_set(Posting* posting, uint64_t* words, uint64_t block) noexcept nogil:
    cdef uint64_t first = block * BLOCK
    cdef int i
    cdef uint64_t slot
    if posting.dense != NULL:
        for i in range(BLOCK_WORDS):
            words[i] |= posting.dense[block * BLOCK_WORDS + i]
        return
    if posting.at > posting.first and (posting.at - 1)[0] >= first:
        posting.at = posting.first     # an imp before this one has looked further on, but not here
    while posting.at < posting.end and posting.at[0] < first + BLOCK:
        if posting.at[0] >= first:
            slot = posting.at[0] - first
            words[slot >> 6] |= <uint64_t>1 << (slot & 63)
        posting.at += 1

# Is the slot in it? For a fresh posting only.
cdef inline bint posting_has(const Posting* posting, uint32_t slot) noexcept nogil:
    cdef const uint32_t* low = posting.at
    cdef const uint32_t* high = posting.end
    cdef const uint32_t* middle
    if posting.dense != NULL:
        return posting.dense[slot >> 6] >> (slot & 63) & 1
    while low < high:
        middle = low + (high - low) // 2
        if middle[0] < slot:
            low = middle + 1
        else:
            high = middle
    return low < posting.end and low[0] == slot
