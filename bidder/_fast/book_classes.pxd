"""Classes of requests: what the dimensions accept whose values many requests have alike, worked out once for all of them.

Requests of one class have one exchange, country, device type, kind of inventory, and a user id or none. The first of
them asks the index and narrows blocks as any request would; what came of it stays in the book's memory, and the next
ones begin with that. A book begins with none, so nothing here outlives a generation; a class that is looked for in
vain takes the place of one that no matcher stands on.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from bidder._fast.book_layout cimport D_COUNTRY, D_DEVICE_TYPE, D_EXCHANGE, D_INVENTORY, D_USER_ID
from bidder._fast.book_postings cimport Plan, Posting
from bidder._fast.request cimport Request

cdef enum:
    CLASS_DIMENSIONS = 1 << D_EXCHANGE | 1 << D_COUNTRY | 1 << D_DEVICE_TYPE | 1 << D_INVENTORY | 1 << D_USER_ID
    CLASSES = 1_024            # of a book, a power of two
    CLASS_BLOCKS = 8           # the dearest: auctions seldom look further
    CLASS_WINDOWS = 32         # of 64 blocks: a million campaigns

cdef struct Class:
    uint64_t key               # 0: free
    uint32_t matchers          # that stand on it
    uint32_t turn              # of a pair: which goes when both may
    uint32_t known             # bit n: accepted[n] is worked out,
    uint32_t open_known        # and open[n]
    uint8_t held_n, plan_n, inc_n, exc_n
    uint32_t held[5]           # ids of the values that these requests have
    uint64_t line_end[2]
    uint64_t accepted[8][8]    # of the first blocks: what all of `plans` accept
    uint64_t open[32]          # of 64 blocks each: where they may accept something
    Plan plans[5]              # of these dimensions, into:
    Posting incs[5]
    Posting excs[5]
    uint64_t class_end[4]

# 0: a number is so large that requests with it are of no class.
cdef inline uint64_t class_key(const Request* req, uint8_t exchange) noexcept nogil:
    if <uint32_t>req.device_type > 255:
        return 0
    return (<uint64_t>1 << 63 | <uint64_t>exchange | <uint64_t>req.country << 8 | <uint64_t>req.device_type << 40
            | <uint64_t>req.inventory << 48 | <uint64_t>(req.has_user_id != 0) << 56)

# The class of this key, or one to be made it (its key is 0); NULL: matchers stand on all that might be.
cdef inline Class* class_of(Class* classes, uint64_t key) noexcept nogil:
    cdef Class* pair = &classes[(key * <uint64_t>0x9E3779B97F4A7C15) >> 55 << 1]
    if pair[0].key == key:
        return &pair[0]
    if pair[1].key == key:
        return &pair[1]
    pair.turn ^= 1
    if pair[pair.turn].matchers:
        pair.turn ^= 1
    if pair[pair.turn].matchers:
        return NULL
    pair[pair.turn].key = 0
    return &pair[pair.turn]
