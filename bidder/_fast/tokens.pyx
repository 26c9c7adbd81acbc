"""Tokens: sealed by the bidder, carried by exchange or page, opened by the tracker.

    fields + bid id -> Sealer.seal -> 124 characters -> notice URL -> Opener.open -> fields | not genuine

AES-256-GCM from OpenSSL. Opening asks EVP for it. Sealing, which every bid does twice, asks for AES blocks only and
puts the rest of GCM around them (NIST SP 800-38D), as every token has six blocks to hash and the same lengths: of EVP's
3,900 instructions a token, most were spent on finding these out again. Contexts stay keyed for life.
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

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "tokens are little endian on the wire and are copied as they lie in memory"
    #endif
    #if defined(__x86_64__)
    #include <immintrin.h>
    #endif

    /* n bytes, a multiple of three, as base64url. */
    static void text_plain(const uint8_t* raw, char* out, size_t n)
    {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for (; n; n -= 3, raw += 3, out += 4) {
            out[0] = digits[raw[0] >> 2];
            out[1] = digits[(raw[0] << 4 | raw[1] >> 4) & 63];
            out[2] = digits[(raw[1] << 2 | raw[2] >> 6) & 63];
            out[3] = digits[raw[2] & 63];
        }
    }
    #if defined(__x86_64__)
    /* The same by twelve of 12 bytes or more, the last of them some for a second time; reads four bytes behind them. */
    __attribute__((target("ssse3"))) static void text_ssse3(const uint8_t* raw, char* out, size_t n)
    {
        /* What is to be added to 26-51, each of 52-61, 62, 63 and 0-25. */
        const __m128i steps =
            _mm_setr_epi8('a' - 26, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, '-' - 62, '_' - 63, 'A', 0, 0);
        const __m128i order = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
        __m128i three, six, step;
        size_t i, at;
        for (i = 0; i < n; i += 12) {
            at = i + 12 > n ? n - 12 : i;
            /* Three bytes as two words in which the sixes are where a multiplication moves each into a byte. */
            three = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)(raw + at)), order);
            six = _mm_mulhi_epu16(three & _mm_set1_epi32(0x0fc0fc00), _mm_set1_epi32(0x04000040))
                | _mm_mullo_epi16(three & _mm_set1_epi32(0x003f03f0), _mm_set1_epi32(0x01000010));
            step = _mm_subs_epu8(six, _mm_set1_epi8(51)) | (_mm_cmpgt_epi8(_mm_set1_epi8(26), six) & _mm_set1_epi8(13));
            six = _mm_add_epi8(six, _mm_shuffle_epi8(steps, step));
            _mm_storeu_si128((__m128i*)(out + at / 3 * 4), six);
        }
    }
    #define token_text (__builtin_cpu_supports("ssse3") ? text_ssse3 : text_plain)
    #else
    #define token_text text_plain
    #endif

    typedef uint64_t sixteen __attribute__((vector_size(16), aligned(1), may_alias));

    /* A first byte, eleven or twelve more, zeros and a last byte, in one store: who reads it as one need not wait then. */
    static inline void block_put(uint8_t* out, uint8_t first, const uint8_t* more, int n, uint8_t last)
    {
        uint64_t low, high;
        memcpy(&low, more, 8);
        memcpy(&high, more + n - 8, 8);
        high >>= 8 * (15 - n);
        *(sixteen*)out = (sixteen){low << 8 | first, high | (uint64_t)last << 56};
    }

    /* out = text ^ key, n bytes, a multiple of sixteen. */
    static inline void sixteens_xored(const uint8_t* text, const uint8_t* key, uint8_t* out, size_t n)
    {
        for (; n >= 16; n -= 16, text += 16, key += 16, out += 16)
            *(sixteen*)out = *(const sixteen*)text ^ *(const sixteen*)key;
    }

    /* x *= h in the field of GCM: 16 bytes as a polynomial, the first bit the lowest power. As long for all of them. */
    static void field_times(uint8_t* x, const uint8_t* h)
    {
        uint64_t z[2] = {0, 0}, v[2];
        int i;
        memcpy(v, h, 16);
        v[0] = __builtin_bswap64(v[0]);
        v[1] = __builtin_bswap64(v[1]);
        for (i = 0; i < 128; i++) {
            const uint64_t has = -(uint64_t)(x[i >> 3] >> (7 - (i & 7)) & 1), over = -(v[1] & 1);
            z[0] ^= v[0] & has;
            z[1] ^= v[1] & has;
            v[1] = v[1] >> 1 | v[0] << 63;
            v[0] = v[0] >> 1 ^ (over & 0xe1ull << 56);
        }
        z[0] = __builtin_bswap64(z[0]);
        z[1] = __builtin_bswap64(z[1]);
        memcpy(x, z, 16);
    }

    /* GHASH of six blocks: each times a power of h, added up. powers: h to the sixth first, h itself last. */
    static void ghash_plain(const uint8_t* powers, const uint8_t* blocks, uint8_t* out)
    {
        uint8_t product[16];
        int i, k;
        memset(out, 0, 16);
        for (i = 0; i < 96; i += 16) {
            memcpy(product, blocks + i, 16);
            field_times(product, powers + i);
            for (k = 0; k < 16; k++) out[k] ^= product[k];
        }
    }
    #if defined(__x86_64__)
    /* The same with carry-less multiplication; what is over 128 bits is taken back once, at the end. */
    __attribute__((target("pclmul,ssse3")))
    static void ghash_clmul(const uint8_t* powers, const uint8_t* blocks, uint8_t* out)
    {
        const __m128i turned = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        __m128i low = _mm_setzero_si128(), middle = low, high = low, a, b, c;
        int i;
        for (i = 0; i < 96; i += 16) {
            a = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)(blocks + i)), turned);
            b = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i*)(powers + i)), turned);
            low ^= _mm_clmulepi64_si128(a, b, 0x00);
            middle ^= _mm_clmulepi64_si128(a, b, 0x01) ^ _mm_clmulepi64_si128(a, b, 0x10);
            high ^= _mm_clmulepi64_si128(a, b, 0x11);
        }
        low ^= _mm_slli_si128(middle, 8);
        high ^= _mm_srli_si128(middle, 8);
        /* Bits stand backwards, so the product is one bit short: all 256 up by one. */
        a = _mm_srli_epi32(low, 31);
        b = _mm_srli_epi32(high, 31);
        low = _mm_slli_epi32(low, 1) | _mm_slli_si128(a, 4);
        high = _mm_slli_epi32(high, 1) | _mm_slli_si128(b, 4) | _mm_srli_si128(a, 12);
        /* Modulo x^128 + x^7 + x^2 + x + 1. */
        a = _mm_slli_epi32(low, 31) ^ _mm_slli_epi32(low, 30) ^ _mm_slli_epi32(low, 25);
        low ^= _mm_slli_si128(a, 12);
        c = _mm_srli_epi32(low, 1) ^ _mm_srli_epi32(low, 2) ^ _mm_srli_epi32(low, 7) ^ _mm_srli_si128(a, 4);
        _mm_storeu_si128((__m128i*)out, _mm_shuffle_epi8(high ^ low ^ c, turned));
    }
    #define ghash (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("ssse3") ? ghash_clmul : ghash_plain)
    #else
    #define ghash ghash_plain
    #endif
    """
    void text_plain(const uint8_t* raw, char* out, size_t n) noexcept nogil
    void token_text(const uint8_t* raw, char* out, size_t n) noexcept nogil
    void block_put(uint8_t* out, uint8_t first, const uint8_t* more, int n, uint8_t last) noexcept nogil
    void sixteens_xored(const uint8_t* text, const uint8_t* key, uint8_t* out, size_t n) noexcept nogil
    void field_times(uint8_t* x, const uint8_t* h) noexcept nogil
    void ghash_plain(const uint8_t* powers, const uint8_t* blocks, uint8_t* out) noexcept nogil
    void ghash(const uint8_t* powers, const uint8_t* blocks, uint8_t* out) noexcept nogil

SECRET_BYTES = 32

cdef enum:
    HEAD = 13                  # kid and bid id: in the clear, authenticated
    SEALED = 64                # sizeof(TokenFields)
    TAG = 16
    RAW = 93                   # of a token
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
        # Block 0, of zeros all over, makes GCM's hash key, which stays; the others get a new nonce per token.
        memset(self.counters, 0, sizeof(self.counters))
        if EVP_EncryptUpdate(<EVP_CIPHER_CTX*>self.ctx, self.blocks, &n, self.counters, BLOCK) != 1:
            raise RuntimeError("OpenSSL could not encrypt")
        memcpy(&self.powers[(HASHED - 1) * BLOCK], self.blocks, BLOCK)
        for counter in range(HASHED - 2, -1, -1):
            memcpy(&self.powers[counter * BLOCK], &self.powers[(counter + 1) * BLOCK], BLOCK)
            field_times(&self.powers[counter * BLOCK], self.blocks)
        memset(self.hashed, 0, sizeof(self.hashed))
        self.hashed[(HASHED - 1) * BLOCK + 7] = 8 * HEAD
        self.hashed[(HASHED - 1) * BLOCK + 14] = 8 * SEALED >> 8

    def __dealloc__(self):
        EVP_CIPHER_CTX_free(<EVP_CIPHER_CTX*>self.ctx)

    cdef int seal(self, int cls, const uint8_t* bid_id, const TokenFields* fields, char* out) noexcept nogil:
        cdef uint8_t raw[RAW + 4]      # `token_text` reads four more
        cdef uint8_t hash[BLOCK]
        cdef int counter, n = 0
        for counter in range(1, BLOCKS):
            block_put(&self.counters[counter * BLOCK], <uint8_t>cls, bid_id + 1, BID_ID_BYTES - 1, <uint8_t>counter)
        if EVP_EncryptUpdate(<EVP_CIPHER_CTX*>self.ctx, &self.blocks[BLOCK], &n, &self.counters[BLOCK],
                             (BLOCKS - 1) * BLOCK) != 1:
            return -1
        # Hashed are the head, to a whole block, the sealed fields, and how many bits each of both has.
        block_put(self.hashed, self.kid, bid_id, BID_ID_BYTES, 0)
        sixteens_xored(<const uint8_t*>fields, &self.blocks[2 * BLOCK], &self.hashed[BLOCK], SEALED)
        if self.plain:
            ghash_plain(self.powers, self.hashed, hash)
        else:
            ghash(self.powers, self.hashed, hash)
        memcpy(raw, self.hashed, HEAD)
        memcpy(&raw[HEAD], &self.hashed[BLOCK], SEALED)
        sixteens_xored(hash, &self.blocks[BLOCK], &raw[HEAD + SEALED], TAG)
        if self.plain:
            text_plain(raw, out, RAW)
        else:
            token_text(raw, out, RAW)
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
