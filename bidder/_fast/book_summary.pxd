"""The summary of a bitmap: which blocks have a bit at all or, of those who exclude a value, which have all."""

from libc.stdint cimport uint64_t
from bidder._fast.book_layout cimport BLOCK, BLOCK_WORDS

cdef inline void summarise(const uint64_t* bitmap, uint64_t blocks, uint64_t campaigns, bint every,
                           uint64_t* summary) noexcept nogil:
    """`summary`: zeros before. Behind the last campaign a block counts as full."""
    cdef uint64_t block, i, left, some, missing
    for block in range(blocks):
        some = missing = 0
        for i in range(<uint64_t>BLOCK_WORDS):
            left = campaigns - min(campaigns, block * BLOCK + i * 64)
            some |= bitmap[block * BLOCK_WORDS + i]
            missing |= ~bitmap[block * BLOCK_WORDS + i] & (~<uint64_t>0 if left >= 64 else (<uint64_t>1 << left) - 1)
        if missing == 0 if every else some != 0:
            summary[block >> 6] |= <uint64_t>1 << (block & 63)
