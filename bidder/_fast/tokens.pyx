"""Tokens: sealed by the bidder, carried by exchange or page, opened by the tracker.

    fields + bid id -> Sealer.seal -> 124 characters -> notice URL -> Opener.open -> fields | not genuine

AES-256-GCM from OpenSSL. Opening asks EVP for it. Sealing, which every bid does twice, takes the parts that EVP makes
it of: AES blocks from EVP, and GCM from `openssl/modes.h`; of EVP's 3,900 instructions a token, most were spent on finding
out again how long a nonce and a tag are. Contexts stay keyed for life and get only a new nonce per token.
A nonce is used once: a bid id is unique, and each class seals at most one token of a bid.
Opening never raises and says nothing about why a token is not genuine.
"""

import os

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize

from bidder._fast.evp cimport (
    EVP_CIPHER_CTX, EVP_CIPHER_CTX_ctrl, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_set_padding, EVP_CTRL_AEAD_SET_TAG,
    EVP_DecryptFinal_ex, EVP_DecryptInit_ex, EVP_DecryptUpdate, EVP_EncryptInit_ex, EVP_EncryptUpdate, EVP_aes_256_ecb,
    EVP_aes_256_gcm,
)

cdef extern from "openssl/modes.h" nogil:
    ctypedef struct GCM128_CONTEXT:
        pass
    ctypedef void (*block128_f)(const unsigned char*, unsigned char*, const void*) noexcept nogil
    ctypedef void (*ctr128_f)(const unsigned char*, unsigned char*, size_t, const void*, const unsigned char*) noexcept nogil
    GCM128_CONTEXT* CRYPTO_gcm128_new(void* key, block128_f block)
    void CRYPTO_gcm128_setiv(GCM128_CONTEXT*, const unsigned char*, size_t)
    int CRYPTO_gcm128_aad(GCM128_CONTEXT*, const unsigned char*, size_t)
    int CRYPTO_gcm128_encrypt_ctr32(GCM128_CONTEXT*, const unsigned char*, unsigned char*, size_t, ctr128_f)
    void CRYPTO_gcm128_tag(GCM128_CONTEXT*, unsigned char*, size_t)
    void CRYPTO_gcm128_release(GCM128_CONTEXT*)

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "tokens are little endian on the wire and are copied as they lie in memory"
    #endif
    typedef uint32_t token_words __attribute__((vector_size(16)));
    typedef int8_t token_bytes __attribute__((vector_size(16)));

    static inline uint32_t four_bytes(const uint8_t* p)
    {
        uint32_t word;
        memcpy(&word, p, 4);
        return word;
    }

    /* Twelve bytes as sixteen characters of base64url; reads a byte behind them. */
    static inline void sixteen_chars(const uint8_t* raw, char* out)
    {
        const token_words three = {four_bytes(raw), four_bytes(raw + 3), four_bytes(raw + 6), four_bytes(raw + 9)};
        const token_bytes six = (token_bytes)((three >> 2 & 0x3f) | (three << 12 & 0x3000) | (three >> 4 & 0x0f00)
            | (three << 10 & 0x3c0000) | (three >> 6 & 0x030000) | (three << 8 & 0x3f000000));
        /* Steps between A-Z, a-z, 0-9, - and _, each as the distance from the one before. */
        const token_bytes text = six + 65 + ((six > 25) & 6) + ((six > 51) & -75) + ((six > 61) & -13) + ((six > 62) & 49);
        memcpy(out, &text, 16);
    }

    /* out = text ^ key, n bytes, a multiple of eight; none of them overlap. */
    static inline void eights_xored(const uint8_t* restrict text, const uint8_t* restrict key, uint8_t* restrict out, size_t n)
    {
        for (; n >= 8; n -= 8, text += 8, key += 8, out += 8) {
            uint64_t a, b;
            memcpy(&a, text, 8);
            memcpy(&b, key, 8);
            a ^= b;
            memcpy(out, &a, 8);
        }
    }
    """
    void sixteen_chars(const uint8_t* raw, char* out) noexcept nogil
    void eights_xored(const uint8_t* text, const uint8_t* key, uint8_t* out, size_t n) noexcept nogil

SECRET_BYTES = 32

cdef enum:
    HEAD = 13                  # kid and bid id: in the clear, authenticated
    SEALED = 64                # sizeof(TokenFields)
    TAG = 16
    RAW = 93                   # 31 groups of three bytes
    LAST = 81                  # where the last twelve bytes begin; three of them are of the twelve before, too
    OLD_SEALED = 56            # of tokens without `user`
    OLD_CHARS = 114
    EPOCH_IDS = 1 << 24

cdef const char* DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
cdef uint8_t VALUES[256]       # of a base64url character; 255: none
memset(VALUES, 255, sizeof(VALUES))
cdef int _i
for _i in range(64):
    VALUES[<uint8_t>DIGITS[_i]] = <uint8_t>_i
if sizeof(TokenFields) != SEALED:
    raise ImportError(f"TokenFields has {sizeof(TokenFields)} bytes, the wire {SEALED}: the compiler padded it")


cdef inline void text_of(const uint8_t* raw, char* out) noexcept nogil:
    cdef int i
    for i in range(RAW // 12):
        sixteen_chars(raw + 12 * i, out + 16 * i)
    sixteen_chars(raw + LAST, out + TOKEN_CHARS - 16)


cdef bint raw_of(const char* text, Py_ssize_t n, uint8_t* out) noexcept nogil:
    """False where a character is none of the alphabet, or bits behind the last byte are not zero.

    `n` is TOKEN_CHARS or OLD_CHARS, whose last byte stands in two characters of its own.
    """
    cdef Py_ssize_t i, whole = n - n % 4
    cdef int at = 0
    cdef uint32_t a, b, c, d, bad = 0
    for i in range(0, whole, 4):
        a = VALUES[<uint8_t>text[i]]
        b = VALUES[<uint8_t>text[i + 1]]
        c = VALUES[<uint8_t>text[i + 2]]
        d = VALUES[<uint8_t>text[i + 3]]
        bad |= (a | b | c | d) & 0x80
        out[at] = <uint8_t>((a << 2) | (b >> 4))
        out[at + 1] = <uint8_t>((b << 4) | (c >> 2))
        out[at + 2] = <uint8_t>((c << 6) | d)
        at += 3
    if n == OLD_CHARS:
        a = VALUES[<uint8_t>text[whole]]
        b = VALUES[<uint8_t>text[whole + 1]]
        out[at] = <uint8_t>((a << 2) | (b >> 4))
        bad |= (a | b) & 0x80 | (b & 15)
    return not bad


cdef inline void nonce_of(int cls, const uint8_t* bid_id, uint8_t* nonce) noexcept nogil:
    memcpy(nonce, bid_id, BID_ID_BYTES)
    nonce[0] = <uint8_t>cls


cdef tuple checked(keys):
    """`keys` as a tuple of (kid, secret) pairs that can be used."""
    pairs = tuple((int(kid), bytes(secret)) for kid, secret in keys)
    if not pairs:
        raise ValueError("a key is wanted: there is none to seal or open with")
    for kid, secret in pairs:
        if not 0 <= kid <= 255:
            raise ValueError(f"kid {kid}: 0 to 255 is wanted")
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"kid {kid}: a secret of {SECRET_BYTES} bytes is wanted, not {len(secret)}")
    return pairs


cdef void block_of(const unsigned char* counter, unsigned char* out, const void* blocks) noexcept nogil:
    """What GCM calls to encrypt one block: `Sealer.seal` has done it, and a counter is below BLOCKS."""
    memcpy(out, <const uint8_t*>blocks + counter[15] * BLOCK, BLOCK)


cdef void stream_of(const unsigned char* text, unsigned char* out, size_t n, const void* blocks,
                    const unsigned char* counter) noexcept nogil:
    """The same for n blocks from a counter on, put over the text: the fields at once, and GCM hashes them at once."""
    eights_xored(text, <const uint8_t*>blocks + counter[15] * BLOCK, out, n * BLOCK)


cdef class Sealer:
    def __cinit__(self, keys):
        kid, secret = checked(keys)[0]
        cdef bytes held = secret
        cdef int counter, n = 0
        self.kid = kid
        self.ctx = EVP_CIPHER_CTX_new()
        if self.ctx is NULL:
            raise MemoryError("OpenSSL has no memory for a cipher context")
        if EVP_EncryptInit_ex(<EVP_CIPHER_CTX*>self.ctx, EVP_aes_256_ecb(), NULL,
                              <const uint8_t*>PyBytes_AS_STRING(held), NULL) != 1:
            raise RuntimeError("OpenSSL refuses AES-256: is its default provider there?")
        EVP_CIPHER_CTX_set_padding(<EVP_CIPHER_CTX*>self.ctx, 0)
        # Block 0, of zeros all over, is GCM's hash key and stays; the others get a new nonce per token.
        memset(self.counters, 0, sizeof(self.counters))
        if EVP_EncryptUpdate(<EVP_CIPHER_CTX*>self.ctx, self.blocks, &n, self.counters, BLOCK) != 1:
            raise RuntimeError("OpenSSL could not encrypt")
        for counter in range(1, BLOCKS):
            self.counters[counter * BLOCK + BLOCK - 1] = <uint8_t>counter
        self.gcm = CRYPTO_gcm128_new(self.blocks, block_of)
        if self.gcm is NULL:
            raise MemoryError("OpenSSL has no memory for a GCM context")

    def __dealloc__(self):
        EVP_CIPHER_CTX_free(<EVP_CIPHER_CTX*>self.ctx)
        CRYPTO_gcm128_release(<GCM128_CONTEXT*>self.gcm)

    cdef int seal(self, int cls, const uint8_t* bid_id, const TokenFields* fields, char* out) noexcept nogil:
        cdef GCM128_CONTEXT* gcm = <GCM128_CONTEXT*>self.gcm
        cdef uint8_t raw[RAW + 1]      # `sixteen_chars` reads one more
        cdef uint8_t nonce[BID_ID_BYTES]
        cdef int counter, n = 0
        nonce_of(cls, bid_id, nonce)
        raw[0] = self.kid
        memcpy(&raw[1], bid_id, BID_ID_BYTES)
        for counter in range(1, BLOCKS):
            memcpy(&self.counters[counter * BLOCK], nonce, BID_ID_BYTES)
        if EVP_EncryptUpdate(<EVP_CIPHER_CTX*>self.ctx, &self.blocks[BLOCK], &n, &self.counters[BLOCK],
                             (BLOCKS - 1) * BLOCK) != 1:
            return -1
        CRYPTO_gcm128_setiv(gcm, nonce, BID_ID_BYTES)
        if (CRYPTO_gcm128_aad(gcm, raw, HEAD) != 0
                or CRYPTO_gcm128_encrypt_ctr32(gcm, <const uint8_t*>fields, &raw[HEAD], SEALED, stream_of) != 0):
            return -1
        CRYPTO_gcm128_tag(gcm, &raw[HEAD + SEALED], TAG)
        text_of(raw, out)
        return 0

    def token(self, int token_class, bytes bid_id not None, fields):
        cdef TokenFields f
        cdef uint64_t asked
        cdef char out[TOKEN_CHARS]
        if len(bid_id) != BID_ID_BYTES:
            raise ValueError(f"a bid id has {BID_ID_BYTES} bytes, not {len(bid_id)}")
        memset(&f, 0, sizeof(f))
        (f.exchange, f.flags, f.arm, f.format, f.os, f.currency, f.rate_version, f.country, f.w, f.h,
         f.campaign, f.creative, f.deal, f.inventory, f.lease, f.bid_price, f.taken, asked,
         f.user, f.user_stamp) = fields
        f.asked_low, f.asked_high = <uint32_t>asked, <uint32_t>(asked >> 32)
        if self.seal(token_class, <const uint8_t*>PyBytes_AS_STRING(bid_id), &f, out) != 0:
            raise RuntimeError("OpenSSL could not seal")
        return PyBytes_FromStringAndSize(out, TOKEN_CHARS)


cdef class Opener:
    def __cinit__(self, keys):
        cdef bytes held
        cdef EVP_CIPHER_CTX* ctx
        memset(self.ctx, 0, sizeof(self.ctx))
        for kid, secret in checked(keys):
            if self.ctx[<uint8_t>kid] is not NULL:
                raise ValueError(f"kid {kid} is there twice")
            ctx = EVP_CIPHER_CTX_new()
            if ctx is NULL:
                raise MemoryError("OpenSSL has no memory for a cipher context")
            self.ctx[<uint8_t>kid] = ctx
            held = secret
            if EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, <const uint8_t*>PyBytes_AS_STRING(held), NULL) != 1:
                raise RuntimeError("OpenSSL refuses AES-256-GCM: is its default provider there?")

    def __dealloc__(self):
        cdef int kid
        for kid in range(256):
            EVP_CIPHER_CTX_free(<EVP_CIPHER_CTX*>self.ctx[kid])

    cdef int open(self, int cls, const char* token, Py_ssize_t n, uint8_t* bid_id, TokenFields* fields) noexcept nogil:
        cdef uint8_t raw[RAW]
        cdef uint8_t nonce[BID_ID_BYTES]
        cdef uint8_t rest[16]      # GCM leaves none, but OpenSSL may write a block
        cdef EVP_CIPHER_CTX* ctx
        cdef int done = 0, sealed = SEALED
        if n == OLD_CHARS:
            sealed = OLD_SEALED
            fields.user = 0
        elif n != TOKEN_CHARS:
            return -1
        if not raw_of(token, n, raw):
            return -1
        ctx = <EVP_CIPHER_CTX*>self.ctx[raw[0]]
        if ctx is NULL:
            return -1
        nonce_of(cls, &raw[1], nonce)
        if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1
                or EVP_DecryptUpdate(ctx, NULL, &done, raw, HEAD) != 1
                or EVP_DecryptUpdate(ctx, <uint8_t*>fields, &done, &raw[HEAD], sealed) != 1
                or EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, &raw[HEAD + sealed]) != 1
                or EVP_DecryptFinal_ex(ctx, rest, &done) != 1):
            memset(fields, 0, sizeof(TokenFields))
            return -1
        memcpy(bid_id, &raw[1], BID_ID_BYTES)
        return 0

    def fields(self, token, int token_class):
        cdef TokenFields f
        cdef uint8_t bid_id[BID_ID_BYTES]
        cdef const char* text
        cdef Py_ssize_t n = 0
        if isinstance(token, bytes):
            text = PyBytes_AS_STRING(token)
            n = PyBytes_GET_SIZE(token)
        elif isinstance(token, str) and token.isascii():
            text = PyUnicode_AsUTF8AndSize(token, &n)
        else:
            return None
        if self.open(token_class, text, n, bid_id, &f) != 0:
            return None
        return (PyBytes_FromStringAndSize(<char*>bid_id, BID_ID_BYTES), f.exchange, f.flags, f.arm, f.format, f.os,
                f.currency, f.rate_version, f.country, f.w, f.h, f.campaign, f.creative, f.deal, f.inventory,
                f.lease, f.bid_price, f.taken, f.asked_low | <uint64_t>f.asked_high << 32, f.user, f.user_stamp)


cdef class BidIds:
    def __init__(self, draw=os.urandom, uint32_t first=0):
        self._draw = draw
        self.new_epoch()
        self.counter = first

    cdef int new_epoch(self) except -1:
        cdef bytes epoch = self._draw(5)
        if len(epoch) != 5:
            raise ValueError(f"an epoch has 5 random bytes, not {len(epoch)}")
        memcpy(self.epoch, PyBytes_AS_STRING(epoch), 5)
        self.counter = 0
        return 0

    cdef int draw(self, uint32_t minute, uint8_t* out) noexcept nogil:
        # The counter runs on across minutes, so that a clock set back repeats no id.
        if self.counter >= EPOCH_IDS:
            with gil:
                try:
                    self.new_epoch()
                except Exception:
                    return -1
        out[0] = <uint8_t>(minute >> 24)
        out[1] = <uint8_t>(minute >> 16)
        out[2] = <uint8_t>(minute >> 8)
        out[3] = <uint8_t>minute
        memcpy(&out[4], self.epoch, 5)
        out[9] = <uint8_t>(self.counter >> 16)
        out[10] = <uint8_t>(self.counter >> 8)
        out[11] = <uint8_t>self.counter
        self.counter += 1
        return 0

    def take(self, uint32_t minute):
        cdef uint8_t out[BID_ID_BYTES]
        if self.draw(minute, out) != 0:
            raise RuntimeError("no new epoch for bid ids could be drawn")
        return PyBytes_FromStringAndSize(<char*>out, BID_ID_BYTES)
