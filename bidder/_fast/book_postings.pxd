"""Postings: the campaigns that include or exclude one value, as a bitmap or as sorted slots, scanned block by block."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport qsort, realloc

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

    /* block |= the posting's bits of one block, `at` being the first. */
    static inline __attribute__((always_inline)) void block_set(Block *block, const Posting *posting, const uint32_t *at,
                                                                uint64_t first) {
        uint64_t words[8] = {0};
        for (; at < posting->end && *at < first + 512; at++)
            words[(*at - first) >> 6] |= (uint64_t)1 << (*at & 63);
        *block |= *(const Block *)words;
    }

    static inline __attribute__((always_inline)) int block_any(const Block *block) {
        const Block words = *block;
        return (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) != 0;
    }

    /* accept &= what all plans accept, as long as something is left; 0 where nothing is. The same for each width of vectors. */
    #define BLOCK_NARROW(NAME, TARGET, ANY, SET)                                                                  \
        TARGET static int NAME(uint64_t *accept, const Plan *plan, const Plan *end, Posting *incs, Posting *excs, \
                               uint64_t block, uint32_t *near) {                                                  \
            Block now = *(const Block *)accept, before, some;                                                     \
            const uint32_t *at;                                                                                   \
            Posting *posting, *last;                                                                              \
            int left = ANY(&now);                                                                                 \
            for (; left && plan < end; plan++) {                                                                  \
                before = now;                                                                                     \
                if (plan->base) {                                                                                 \
                    some = *(const Block *)(plan->base + block * 8);                                              \
                    for (posting = incs + plan->inc_first, last = incs + plan->inc_end; posting < last; posting++) \
                        if (posting->dense)                                                                       \
                            some |= *(const Block *)(posting->dense + block * 8);                                 \
                        else if ((at = posting_in(posting, block)))                                               \
                            SET(&some, posting, at, block * 512);                                                 \
                    now &= some;                                                                                  \
                }                                                                                                 \
                for (posting = excs + plan->exc_first, last = excs + plan->exc_end; posting < last; posting++)    \
                    if (posting->dense)                                                                           \
                        now &= ~*(const Block *)(posting->dense + block * 8);                                     \
                    else if ((at = posting_in(posting, block))) {                                                 \
                        some = (Block){0};                                                                        \
                        SET(&some, posting, at, block * 512);                                                     \
                        now &= ~some;                                                                             \
                    }                                                                                             \
                left = ANY(&now);                                                                                 \
                if (plan->near) {                                                                                 \
                    before &= ~now;                                                                               \
                    if (ANY(&before))                                                                             \
                        *near |= plan->near;                                                                      \
                }                                                                                                 \
            }                                                                                                     \
            *(Block *)accept = now;                                                                               \
            return left;                                                                                          \
        }
    BLOCK_NARROW(block_narrow_plain, , block_any, block_set)
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <immintrin.h>
    __attribute__((target("avx2"), always_inline)) static inline int block_any_256(const Block *block) {
        const __m256i *half = (const __m256i *)block;
        const __m256i words = _mm256_or_si256(_mm256_loadu_si256(half), _mm256_loadu_si256(half + 1));
        return !_mm256_testz_si256(words, words);
    }
    __attribute__((target("avx512f"), always_inline)) static inline int block_any_512(const Block *block) {
        return _mm512_test_epi64_mask((__m512i)*block, (__m512i)*block) != 0;
    }
    __attribute__((target("avx512f"), always_inline)) static inline void block_set_512(
            Block *block, const Posting *posting, const uint32_t *at, uint64_t first) {
        __m512i words = (__m512i)*block;
        for (; at < posting->end && *at < first + 512; at++)
            words = _mm512_mask_or_epi64(words, (__mmask8)(1u << ((*at - first) >> 6)), words,
                                         _mm512_set1_epi64((long long)((uint64_t)1 << (*at & 63))));
        *block = (Block)words;
    }
    BLOCK_NARROW(block_narrow_256, __attribute__((target("avx2"))), block_any_256, block_set)
    BLOCK_NARROW(block_narrow_512, __attribute__((target("avx512f"))), block_any_512, block_set_512)
    #define block_narrow (__builtin_cpu_supports("avx512f") ? block_narrow_512 : \\
                          __builtin_cpu_supports("avx2") ? block_narrow_256 : block_narrow_plain)
    #else
    #define block_narrow block_narrow_plain
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
    # It is cheapest where blocks come in ascending order.
    bint block_narrow(uint64_t* accept, const Plan* plan, const Plan* end, Posting* incs, Posting* excs, uint64_t block,
                      uint32_t* near) noexcept nogil
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

# A value that is named many times counts once: leaves one of each posting from `first` on.
cdef inline void postings_unite(Postings* list, uint32_t first) noexcept nogil:
    cdef uint32_t i, kept = first
    if list.count == first:
        return
    qsort(&list.items[first], list.count - first, sizeof(Posting), _by_place)
    for i in range(first + 1, list.count):
        if _by_place(&list.items[i], &list.items[kept]) != 0:
            kept += 1
            list.items[kept] = list.items[i]
    list.count = kept + 1

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
