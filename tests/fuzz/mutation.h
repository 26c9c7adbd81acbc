/* Inputs: a pool of seeds and of finds, and what is done to one of them before an execution. Seeded, no clock. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

#define INPUT_BYTES 81920   /* more than one read of the listener */
#define POOL_MOST 16384
#define KEPT_BYTES 6144     /* longer finds are not kept: they would slow every execution after them */

void coverage_begin(void);
int coverage_end(void);
uint64_t coverage_edges(void);

typedef struct { char* at; size_t n; } Piece;
typedef struct {
    uint64_t state;
    Piece pool[POOL_MOST];
    Piece words[1024];
    size_t pool_n, words_n;
} Mutator;

static inline uint64_t dice(Mutator* m)
{
    m->state ^= m->state >> 12;
    m->state ^= m->state << 25;
    m->state ^= m->state >> 27;
    return m->state * 0x2545F4914F6CDD1Dull;
}

static inline size_t below(Mutator* m, size_t n)
{
    return n ? (size_t)((dice(m) >> 16) % n) : 0;
}

static inline int piece_add(Piece* list, size_t* n, size_t most, const char* text, size_t bytes)
{
    if (*n == most || bytes > INPUT_BYTES) return 0;
    char* copy = (char*)malloc(bytes + 1);
    if (copy == NULL) return 0;
    memcpy(copy, text, bytes);
    list[*n].at = copy;
    list[(*n)++].n = bytes;
    return 1;
}

static inline int pool_add(Mutator* m, const char* text, size_t n)
{
    return piece_add(m->pool, &m->pool_n, POOL_MOST, text, n);
}

static inline int word_add(Mutator* m, const char* text, size_t n)
{
    return piece_add(m->words, &m->words_n, 1024, text, n);
}

static inline void mutator_free(Mutator* m)
{
    for (size_t i = 0; i < m->pool_n; i++) free(m->pool[i].at);
    for (size_t i = 0; i < m->words_n; i++) free(m->words[i].at);
    free(m);
}

/* text[at:at + gone] becomes piece; nothing where it would grow too long. */
static inline size_t replace(char* text, size_t n, size_t at, size_t gone, const char* piece, size_t piece_n)
{
    if (n - gone + piece_n > INPUT_BYTES) return n;
    memmove(text + at + piece_n, text + at + gone, n - at - gone);
    memcpy(text + at, piece, piece_n);
    return n - gone + piece_n;
}

static inline size_t change(Mutator* m, char* text, size_t n)
{
    static const char odd[] = "\r\n\r\n \t:;,=/\\\"{}[]0123456789aAfFuxeE+-.%#@\0\x01\x7f\x80\xbf\xc0\xc3\xe0\xed\xf0\xf4\xff";
    char run[256];
    size_t at = below(m, n + 1), length = 1 + below(m, below(m, 8) ? 4 : 64);
    Piece* word = &m->words[below(m, m->words_n)];
    Piece* other = &m->pool[below(m, m->pool_n)];
    size_t from = below(m, other->n + 1), some = 1 + below(m, 64);
    if (length > n - at) length = n - at;
    if (some > other->n - from) some = other->n - from;
    switch (below(m, 14)) {
    case 0:
        if (at < n) text[at] ^= (char)(1u << below(m, 8));
        return n;
    case 1:
    case 2:
        if (at < n) text[at] = odd[below(m, sizeof odd - 1)];
        return n;
    case 3:
        if (at < n) text[at] = (char)dice(m);
        return n;
    case 4:
        return replace(text, n, at, length, "", 0);
    case 5:  /* double a range */
        memcpy(run, text + at, length);
        return replace(text, n, at, 0, run, length);
    case 6:
    case 7:
        return replace(text, n, at, 0, word->at, word->n);
    case 8:
        return replace(text, n, at, word->n < n - at ? word->n : n - at, word->at, word->n);
    case 9:  /* a range of another input */
        return replace(text, n, at, below(m, 2) ? length : 0, other->at + from, some);
    case 10:  /* the tail of another input */
        return below(m, 4) ? n : replace(text, n, at, n - at, other->at + from, other->n - from);
    case 11:  /* another number */
        for (size_t i = at; i < n && i < at + 64; i++)
            if (text[i] >= '0' && text[i] <= '9') {
                text[i] = (char)('0' + below(m, 10));
                return below(m, 4) ? n : replace(text, n, i, 0, "99999999999999999999", 1 + below(m, 20));
            }
        return n;
    case 12:  /* a long run of one byte: depth, digits, limits */
        length = 1 + below(m, below(m, 4) ? 80 : sizeof run - 1);
        memset(run, at < n && below(m, 2) ? text[at] : odd[below(m, sizeof odd - 1)], length);
        n = replace(text, n, at, 0, run, length);
        for (size_t k = below(m, 64) ? 0 : below(m, 160); k > 0; k--) n = replace(text, n, at, 0, run, length);
        return n;
    default:
        return below(m, 8) ? n : at;  /* the beginning alone */
    }
}

/* The next input into text[INPUT_BYTES]; its length. The newest finds come up more often. Without words: unchanged. */
static inline size_t mutate(Mutator* m, char* text)
{
    size_t newest = m->pool_n < 64 ? m->pool_n : 64;
    Piece* base = &m->pool[below(m, 4) ? below(m, m->pool_n) : m->pool_n - 1 - below(m, newest)];
    size_t n = base->n;
    memcpy(text, base->at, n);
    if (m->words_n == 0) return n;
    for (size_t k = 1 + below(m, below(m, 2) ? 3 : 12); k > 0; k--) n = change(m, text, n);
    return n;
}
