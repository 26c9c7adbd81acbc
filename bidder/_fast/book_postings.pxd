"""Postings: the campaigns that include or exclude one value, as a bitmap or as sorted slots, scanned block by block."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport realloc

cdef extern from *:
    """
    typedef struct {
        const uint64_t *dense;
        const uint32_t *first, *at, *end;
    } Posting;
    typedef uint64_t Block __attribute__((vector_size(64), aligned(8), may_alias));

    /* The first of these ascending slots that is not below `slot`; soon found where it is near. */
    static inline const uint32_t *slots_from(const uint32_t *at, const uint32_t *end, uint64_t slot) {
        size_t step = 1;
        while (at + step < end && at[step] < slot) {
            at += step;
            step *= 2;
        }
        if (end - at > (ptrdiff_t)step)
            end = at + step;
        while (at < end) {
            const uint32_t *middle = at + (end - at) / 2;
            if (*middle < slot) at = middle + 1; else end = middle;
        }
        return at;
    }

    /* words |= the posting's bits of one block. */
    static inline void posting_set(Posting *posting, uint64_t *words, uint64_t block) {
        const uint32_t *at = posting->at, *end = posting->end;
        const uint64_t first = block * 512;
        if (posting->dense) {
            *(Block *)words |= *(const Block *)(posting->dense + block * 8);
            return;
        }
        if (at > posting->first && at[-1] >= first)
            at = posting->first;       /* an imp before this one has looked further on, but not here */
        if (at < end && *at < first)
            at = slots_from(at, end, first);
        for (; at < end && *at < first + 512; at++)
            words[(*at - first) >> 6] |= (uint64_t)1 << (*at & 63);
        posting->at = at;
    }

    /* Bit n: a sparse posting has a slot in the n-th block from this slot on, of 64. */
    static inline uint64_t posting_blocks(const Posting *posting, uint64_t from) {
        const uint32_t *at = slots_from(posting->first, posting->end, from);
        uint64_t found = 0;
        for (; at < posting->end && *at < from + 64 * 512; at++)
            found |= (uint64_t)1 << ((*at - from) >> 9);
        return found;
    }

    static inline int block_any(const uint64_t *words) {
        return (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) != 0;
    }

    /* accept &= (base | includes) & ~excludes; 0 where nothing is left. No base: all campaigns. */
    static inline int block_narrow(uint64_t *accept, const uint64_t *base, Posting *inc, Posting *inc_end,
                                   Posting *exc, Posting *exc_end, uint64_t block) {
        Block wanted;
        if (base) {
            wanted = *(const Block *)(base + block * 8);
            for (; inc < inc_end; inc++) {
                if (inc->dense)
                    wanted |= *(const Block *)(inc->dense + block * 8);
                else
                    posting_set(inc, (uint64_t *)&wanted, block);
            }
            *(Block *)accept &= wanted;
        }
        if (exc < exc_end) {
            wanted = (Block){0};
            for (; exc < exc_end; exc++)
                posting_set(exc, (uint64_t *)&wanted, block);
            *(Block *)accept &= ~wanted;
        }
        return block_any(accept);
    }
    """
    ctypedef struct Posting:       # where a scan stands
        const uint64_t* dense      # NULL: sparse
        const uint32_t* first
        const uint32_t* at
        const uint32_t* end
    # It is cheapest where blocks come in ascending order.
    bint block_narrow(uint64_t* accept, const uint64_t* base, Posting* inc, Posting* inc_end,
                      Posting* exc, Posting* exc_end, uint64_t block) noexcept nogil
    bint block_any(const uint64_t* words) noexcept nogil
    uint64_t posting_blocks(const Posting* posting, uint64_t first) noexcept nogil

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
