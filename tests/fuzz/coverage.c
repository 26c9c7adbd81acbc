/* Which edges of the instrumented code an execution took, and how often: the feedback that keeps an input.

   Code compiled with -fsanitize-coverage=trace-pc calls __sanitizer_cov_trace_pc at every block. A library of its
   own, because extensions are loaded with local symbols: each is linked to this one, and all count in one map. */

#include <stdint.h>
#include <string.h>

#define EDGES 32768

static uint8_t counts[EDGES] __attribute__((aligned(64)));
static uint8_t seen[EDGES] __attribute__((aligned(64)));
static uint64_t edges;
static uint32_t before;

void __sanitizer_cov_trace_pc(void)
{
    /* Multiplied: neighbouring blocks differ in their low bits only. */
    uint32_t here = (uint32_t)((uint64_t)(uintptr_t)__builtin_return_address(0) * 0x9E3779B97F4A7C15ull >> 49);
    counts[(here ^ before) % EDGES]++;
    before = here >> 1;
}

void coverage_begin(void)
{
    memset(counts, 0, EDGES);
    before = 0;
}

/* 1 where an edge is new, or was taken more often than ever by a power of two. */
int coverage_end(void)
{
    int news = 0;
    for (unsigned i = 0; i < EDGES; i += 8) {
        uint64_t word;
        memcpy(&word, counts + i, 8);
        if (word == 0) continue;
        for (unsigned k = i; k < i + 8; k++) {
            if (counts[k] == 0) continue;
            uint8_t size = (uint8_t)(32 - __builtin_clz(counts[k]));
            if (size > seen[k]) {
                edges += seen[k] == 0;
                seen[k] = size;
                news = 1;
            }
        }
    }
    return news;
}

uint64_t coverage_edges(void)
{
    return edges;
}
