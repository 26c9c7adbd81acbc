"""Tokens: what a notice or a page carries back to us, sealed with AES-256-GCM (OpenSSL).

Wire: kid (1 byte) | bid id (12) | ciphertext (64) | tag (16), base64url without padding: 124 characters.
Tokens of before caps were confirmed have 56 bytes of ciphertext, 114 characters; they still open.
The nonce is the bid id with its first byte replaced by the token's class, so a token
of one class never opens as another; kid and bid id are authenticated as they stand.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    CLASS_NOTICE = 0xE1        # seen by the exchange only: win, bill, loss
    CLASS_PAGE = 0xE2          # seen by the page: impression, click
    CLASS_CLICK = 0xE3         # seen by the advertiser: the id of a click, sealed by the tracker
    BID_ID_BYTES = 12          # minute u32 BE | worker epoch 5 bytes | counter u24 BE
    TOKEN_CHARS = 124
    FLAG_TEST = 1
    BLOCK = 16                 # bytes of an AES block
    BLOCKS = 6                 # of one token: the hash key, the tag's, four for the fields
    HASHED = 6                 # blocks that its tag speaks of: the head, the fields, lengths

cdef struct TokenFields:       # 64 bytes, four AES blocks, little endian, in this order on the wire
    uint8_t exchange
    uint8_t flags
    uint8_t arm
    uint8_t format             # mtype
    uint8_t os
    uint8_t user_stamp         # second of the bid, and which keys made `user`; see caps.pxd
    uint16_t rate_version      # day of the rate, since 1970; 0: the bid was in USD
    uint16_t country
    uint16_t w
    uint16_t h
    uint16_t currency          # of the bid, packed as in requests; 0: USD
    uint32_t campaign
    uint32_t creative
    uint32_t deal
    uint32_t inventory
    int64_t lease
    # Prices of bids are below 2**32 nano-USD. Tokens of before there were currencies have zeros in the upper halves.
    uint32_t bid_price         # nano-USD for one impression
    uint32_t asked_low         # what the exchange was told, nano of the currency; 0: bid_price
    uint32_t taken             # nano-USD reserved in the purse
    uint32_t asked_high
    uint64_t user              # by whom the bid's caps count: a keyed hash, see identity.pxd; 0: it has no caps

cdef class Sealer:
    """Seals with the newest key of a key file."""
    cdef void* ctx             # EVP_CIPHER_CTX: AES-256, block by block
    cdef uint8_t counters[BLOCKS * BLOCK]
    cdef uint8_t blocks[BLOCKS * BLOCK]      # what AES makes of the counters
    cdef uint8_t powers[HASHED * BLOCK]      # of the hash key: the sixth first
    cdef uint8_t hashed[HASHED * BLOCK]
    cdef uint8_t kid
    cdef public bint plain     # without what not every processor has
    # Writes TOKEN_CHARS characters; 0, or -1 where OpenSSL failed.
    cdef int seal(self, int cls, const uint8_t* bid_id, const TokenFields* fields, char* out) noexcept nogil

cdef class BidIds:
    """Draws bid ids: unique in this process, and beyond it by the 40 random bits of the epoch."""
    cdef uint8_t epoch[5]
    cdef uint32_t counter      # of the next id; 2**24: the epoch is used up
    cdef object _draw
    cdef int new_epoch(self) except -1
    # Writes BID_ID_BYTES bytes; 0, or -1 where no new epoch could be drawn.
    cdef int draw(self, uint32_t minute, uint8_t* out) noexcept nogil

cdef class Opener:
    """Opens what any key of a key file has sealed."""
    cdef void* ctx[256]        # EVP_CIPHER_CTX by kid; NULL: no such key
    # 0 with *bid_id (12 bytes) and *fields filled, or -1: not genuine.
    cdef int open(self, int cls, const char* token, Py_ssize_t n, uint8_t* bid_id, TokenFields* fields) noexcept nogil
