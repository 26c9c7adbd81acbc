"""Postings: the campaigns that include or exclude one value, as a bitmap or as sorted slots, scanned block by block."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport qsort, realloc

cdef extern from *:
    """
    typedef struct {
        const uint64_t *dense;
        const uint32_t *first, *at, *end;
    } Posting;

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

    /* Where a sparse posting stands in this block; 0: it has nothing there. */
    static inline const uint32_t *posting_in(Posting *posting, uint64_t block) {
        const uint32_t *at = posting->at, *end = posting->end;
        const uint64_t first = block * 512;
        if (at > posting->first && at[-1] >= first)
            at = posting->first;       /* an imp before this one has looked further on, but not here */
        if (at < end && *at < first)
            at = slots_from(at, end, first);
        posting->at = at;
        return at < end && *at < first + 512 ? at : 0;
    }

    /* Bit n: a sparse posting has a slot in the n-th block from this slot on, of 64. */
    static inline uint64_t posting_blocks(const Posting *posting, uint64_t from) {
        const uint32_t *at = slots_from(posting->first, posting->end, from);
        uint64_t found = 0;
        for (; at < posting->end && *at < from + 64 * 512; at++)
            found |= (uint64_t)1 << ((*at - from) >> 9);
        return found;
    }

    /* A dimension of the current request: accepted is (base | includes) & ~excludes. No base: all campaigns. */
    typedef struct {
        const uint64_t *base;
        uint32_t dimension, near;      /* `near`: told where it took a campaign of a block; 0: nobody asks */
        uint32_t inc_first, inc_end, exc_first, exc_end;
    } Plan;

    /* A dimension of which the request has one value at most, all of it told by bitmaps: accepted is base | more. */
    typedef struct {
        const uint64_t *base, *more;
    } Pair;

    /* A block of 512 bits as vectors of a width that the processor has: gcc takes wider ones apart, through memory. */
    #define BLOCK_VECTORS(VECTOR, BYTES) \
        typedef uint64_t VECTOR __attribute__((vector_size(BYTES), aligned(8), may_alias))
    BLOCK_VECTORS(Block128, 16);
    BLOCK_VECTORS(Block256, 32);
    static const uint64_t block_words[8] = {0, 1, 2, 3, 4, 5, 6, 7};

    #define BLOCK_OF(VECTOR, bitmap) ((const VECTOR *)((bitmap) + block * 8))
    #define BLOCK_EACH(does) for (k = 0; k < N; k++) does
    /* A slot of this block, in the k-th vector, as a bit; found by comparing: what is put together in memory stalls. */
    #define BLOCK_BIT(VECTOR, slot) ((VECTOR)(words[k] == ((slot) - first) >> 6) & (uint64_t)1 << ((slot) & 63))
    /* For each posting of a plan what its bitmap, or each slot that it has in this block, does. */
    #define BLOCK_POSTINGS(all, from, to, of_bitmap, of_slot) \
        for (posting = all + from, last = all + to; posting < last; posting++) \
            if (posting->dense) BLOCK_EACH(of_bitmap); \
            else if ((at = posting_in(posting, block))) \
                for (; at < posting->end && *at < first + 512; at++) BLOCK_EACH(of_slot)

    /* accept &= what all pairs, then all plans accept, as long as something is left; 0 where nothing is. Pairs ask
       nothing in between: most dimensions are such, and cost two loads each. The same for each width of vectors. */
    #define BLOCK_NARROW(NAME, TARGET, VECTOR, ANY) \
        TARGET static int NAME(uint64_t *accept, const Pair *pair, const Pair *pairs_end, const Plan *plan, \
                               const Plan *end, Posting *incs, Posting *excs, uint64_t block, uint32_t *near) { \
            enum { N = 64 / sizeof(VECTOR) }; \
            VECTOR now[N], before[N], some[N]; \
            const VECTOR *words = (const VECTOR *)block_words; \
            const uint64_t first = block * 512; \
            const uint32_t *at; \
            Posting *posting, *last; \
            int left, k; \
            BLOCK_EACH(now[k] = ((const VECTOR *)accept)[k]); \
            for (; pair < pairs_end; pair++) \
                BLOCK_EACH(now[k] &= BLOCK_OF(VECTOR, pair->base)[k] | BLOCK_OF(VECTOR, pair->more)[k]); \
            left = ANY(now); \
            for (; left && plan < end; plan++) { \
                BLOCK_EACH(before[k] = now[k]); \
                if (plan->base) { \
                    BLOCK_EACH(some[k] = BLOCK_OF(VECTOR, plan->base)[k]); \
                    BLOCK_POSTINGS(incs, plan->inc_first, plan->inc_end, \
                                   some[k] |= BLOCK_OF(VECTOR, posting->dense)[k], \
                                   some[k] |= BLOCK_BIT(VECTOR, *at)); \
                    BLOCK_EACH(now[k] &= some[k]); \
                } \
                BLOCK_POSTINGS(excs, plan->exc_first, plan->exc_end, \
                               now[k] &= ~BLOCK_OF(VECTOR, posting->dense)[k], now[k] &= ~BLOCK_BIT(VECTOR, *at)); \
                left = ANY(now); \
                if (plan->near) { \
                    BLOCK_EACH(before[k] &= ~now[k]); \
                    if (ANY(before)) *near |= plan->near; \
                } \
            } \
            BLOCK_EACH(((VECTOR *)accept)[k] = now[k]); \
            return left; \
        }
    static inline int block_any_128(const Block128 *block) {
        const Block128 words = block[0] | block[1] | block[2] | block[3];
        return (words[0] | words[1]) != 0;
    }
    BLOCK_NARROW(block_narrow_128, , Block128, block_any_128)
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <immintrin.h>
    __attribute__((target("avx2"), always_inline)) static inline int block_any_256(const Block256 *block) {
        const __m256i words = (__m256i)(block[0] | block[1]);
        return !_mm256_testz_si256(words, words);
    }
    BLOCK_NARROW(block_narrow_256, __attribute__((target("avx2"))), Block256, block_any_256)
    #define block_narrow (__builtin_cpu_supports("avx2") ? block_narrow_256 : block_narrow_128)
    #else
    #define block_narrow block_narrow_128
    #endif
    """
    ctypedef struct Posting:       # where a scan stands
        const uint64_t* dense      # NULL: sparse
        const uint32_t* first
        const uint32_t* at
        const uint32_t* end
    ctypedef struct Plan:
        const uint64_t* base
        uint32_t dimension, near
        uint32_t inc_first, inc_end
        uint32_t exc_first, exc_end
    ctypedef struct Pair:
        const uint64_t* base
        const uint64_t* more
    # It is cheapest where blocks come in ascending order.
    bint block_narrow(uint64_t* accept, const Pair* pair, const Pair* pairs_end, const Plan* plan, const Plan* end,
                      Posting* incs, Posting* excs, uint64_t block, uint32_t* near) noexcept nogil
    uint64_t posting_blocks(const Posting* posting, uint64_t first) noexcept nogil

cdef struct Postings:          # a list that only ever grows
    Posting* items
    uint32_t count
    uint32_t room

# Room for `n` more, uninitialised; False where there is no memory.
cdef inline bint postings_room(Postings* list, uint32_t n) noexcept nogil:
    cdef uint32_t room = list.room or 64
    cdef Posting* items
    if list.room >= list.count + n:
        return True
    while room < list.count + n:
        room *= 2
    items = <Posting*>realloc(list.items, room * sizeof(Posting))
    if items == NULL:
        return False
    list.items = items
    list.room = room
    return True

cdef inline int _by_place(const void* a, const void* b) noexcept nogil:
    """Postings of one value have one place."""
    cdef const Posting* x = <const Posting*>a
    cdef const Posting* y = <const Posting*>b
    if x.dense != y.dense:
        return 1 if x.dense > y.dense else -1
    return 0 if x.dense != NULL else (x.first > y.first) - (x.first < y.first)

# A value that is named many times counts once: leaves one of each posting from `first` on; the new end.
cdef inline Posting* postings_unite(Posting* first, Posting* end) noexcept nogil:
    cdef Posting* at = first + 1
    cdef Posting* kept = first
    if end == first:
        return end
    qsort(first, end - first, sizeof(Posting), _by_place)
    while at < end:
        if _by_place(at, kept) != 0:
            kept += 1
            kept[0] = at[0]
        at += 1
    return kept + 1

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
