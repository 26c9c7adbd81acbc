"""The writer: the answer as bytes, in memory that it keeps between requests.

    reserve(bid_bytes(...)) -> put_bid: pieces of the book, ids, price and tokens between them

Room is reserved before money is, so a bid whose price was taken can always be written.
Prices: nano-USD for one impression in, CPM as a JSON number out, exact in six decimals.
"""

from bidder._fast.book cimport (
    PIECE_BID_ID, PIECE_DEAL, PIECE_IMP_ID, PIECE_NOTICE_TOKEN, PIECE_NOTICES, PIECE_PAGE_TOKEN, PIECE_PIXEL_PRICE,
    PIECE_PRICE, PIECE_TEXT, Piece,
)
from bidder._fast.tokens cimport TOKEN_CHARS
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* Four bytes as eight digits of hexadecimal, in one word. */
    static inline void eight_digits(const uint8_t* four, char* out)
    {
        const uint64_t ones = 0x0101010101010101ull;
        uint64_t d = (uint64_t)four[0] | (uint64_t)four[1] << 16 | (uint64_t)four[2] << 32 | (uint64_t)four[3] << 48;
        d = (d >> 4 | d << 8) & 0x0f * ones;
        d += '0' * ones + ((d + 6 * ones) >> 4 & ones) * ('a' - '9' - 1);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        d = __builtin_bswap64(d);
    #endif
        memcpy(out, &d, 8);
    }
    """
    void eight_digits(const uint8_t* four, char* out) noexcept nogil

cdef const char* HEX = b"0123456789abcdef"
cdef const char* DEAL_KEY = b',"dealid":"'

cdef enum:
    FIRST_BYTES = 16_384
    DEAL_KEY_CHARS = 11
    ESCAPED = 6                # most characters that a byte takes: \u00XX
    NANO_PER_CPM = 1_000_000


cdef char* write_escaped(char* out, Str text) noexcept nogil:
    """As the inside of a JSON string; `text` is UTF-8."""
    cdef uint32_t i
    cdef uint8_t byte
    for i in range(text.n):
        byte = <uint8_t>text.p[i]
        if byte < 0x20:
            memcpy(out, b"\\u00", 4)
            out[4] = HEX[byte >> 4]
            out[5] = HEX[byte & 15]
            out += 6
            continue
        if byte == c'"' or byte == c'\\':
            out[0] = c'\\'
            out += 1
        out[0] = <char>byte
        out += 1
    return out


cdef char* write_whole(char* out, uint64_t number) noexcept nogil:
    cdef char digits[PRICE_CHARS]
    cdef int at = PRICE_CHARS
    if number < 10:
        out[0] = <char>(c'0' + number)
        return out + 1
    while number:
        at -= 1
        digits[at] = <char>(c'0' + number % 10)
        number //= 10
    memcpy(out, &digits[at], PRICE_CHARS - at)
    return out + (PRICE_CHARS - at)


cdef char* write_price(char* out, int64_t nano) noexcept nogil:
    cdef uint32_t rest = <uint32_t>(nano % NANO_PER_CPM)
    cdef int n = 6, i
    out = write_whole(out, <uint64_t>(nano // NANO_PER_CPM))
    if rest == 0:
        return out
    out[0] = c'.'
    while rest % 10 == 0:
        rest //= 10
        n -= 1
    for i in range(n, 0, -1):
        out[i] = <char>(c'0' + rest % 10)
        rest //= 10
    return out + 1 + n


cdef size_t escaped_bytes(Str text) noexcept nogil:
    """What write_escaped writes."""
    cdef size_t n = text.n
    cdef uint32_t i
    for i in range(text.n):
        if <uint8_t>text.p[i] < 0x20:
            n += ESCAPED - 1
        elif text.p[i] == c'"' or text.p[i] == c'\\':
            n += 1
    return n


cdef size_t bid_bytes(Book book, const CreativeRec* creative, Str imp_id_raw, Str deal, const Row* row) noexcept nogil:
    cdef const Piece* piece = book.pieces + creative.piece_first
    cdef const Piece* end = piece + creative.piece_count
    cdef size_t n = 0
    while piece < end:
        if piece.kind == PIECE_TEXT:
            n += piece.n
        elif piece.kind == PIECE_PAGE_TOKEN or piece.kind == PIECE_NOTICE_TOKEN:
            n += TOKEN_CHARS
        elif piece.kind == PIECE_NOTICES:
            n += row.notice_bytes
        elif piece.kind == PIECE_PIXEL_PRICE:
            n += row.pixel_price.n
        elif piece.kind == PIECE_IMP_ID:
            n += imp_id_raw.n
        elif piece.kind == PIECE_BID_ID:
            n += BID_ID_CHARS
        elif piece.kind == PIECE_PRICE:
            n += PRICE_CHARS
        elif piece.kind == PIECE_DEAL and deal.p is not NULL:
            n += DEAL_KEY_CHARS + escaped_bytes(deal) + 1
        piece += 1
    return n


cdef char* write_notices(char* out, const Row* row, const char* token) noexcept nogil:
    cdef uint32_t i
    for i in range(row.notice_count):
        memcpy(out, row.notices[i].p, row.notices[i].n)
        out += row.notices[i].n
        memcpy(out, token, TOKEN_CHARS)
        out += TOKEN_CHARS
    memcpy(out, row.notices[row.notice_count].p, row.notices[row.notice_count].n)
    return out + row.notices[row.notice_count].n


cdef class Writer:
    def __cinit__(self):
        if not self.reserve(FIRST_BYTES):
            raise MemoryError("no memory for answers")

    def __dealloc__(self):
        free(self.p)

    cdef bint reserve(self, size_t more) noexcept nogil:
        cdef size_t cap = self.cap if self.cap else <size_t>FIRST_BYTES
        cdef void* moved
        while cap - self.n < more:
            cap *= 2
        if cap == self.cap:
            return True
        moved = realloc(self.p, cap)
        if moved is NULL:
            return False
        self.p = <char*>moved
        self.cap = cap
        return True

    cdef void put(self, const char* text, size_t n) noexcept nogil:
        memcpy(self.p + self.n, text, n)
        self.n += n

    cdef void put_str(self, Str text) noexcept nogil:
        self.put(text.p, text.n)

    cdef void put_bid(self, Book book, const CreativeRec* creative, const Splices* splices) noexcept nogil:
        cdef const Piece* piece = book.pieces + creative.piece_first
        cdef const Piece* end = piece + creative.piece_count
        cdef char* out = self.p + self.n
        while piece < end:
            if piece.kind == PIECE_TEXT:
                memcpy(out, book.blob + piece.at, piece.n)
                out += piece.n
            elif piece.kind == PIECE_NOTICES:
                out = write_notices(out, splices.row, splices.notice)
            elif piece.kind == PIECE_PAGE_TOKEN:
                memcpy(out, splices.page, TOKEN_CHARS)
                out += TOKEN_CHARS
            elif piece.kind == PIECE_PIXEL_PRICE:
                memcpy(out, splices.row.pixel_price.p, splices.row.pixel_price.n)
                out += splices.row.pixel_price.n
            elif piece.kind == PIECE_NOTICE_TOKEN:
                memcpy(out, splices.notice, TOKEN_CHARS)
                out += TOKEN_CHARS
            elif piece.kind == PIECE_IMP_ID:
                memcpy(out, splices.imp_id_raw.p, splices.imp_id_raw.n)
                out += splices.imp_id_raw.n
            elif piece.kind == PIECE_PRICE:
                out = write_price(out, splices.price)
            elif piece.kind == PIECE_BID_ID:
                eight_digits(splices.bid_id, out)
                eight_digits(splices.bid_id + 4, out + 8)
                eight_digits(splices.bid_id + 8, out + 16)
                out += BID_ID_CHARS
            elif piece.kind == PIECE_DEAL and splices.deal.p is not NULL:
                memcpy(out, DEAL_KEY, DEAL_KEY_CHARS)
                out = write_escaped(out + DEAL_KEY_CHARS, splices.deal)
                out[0] = c'"'
                out += 1
            piece += 1
        self.n = out - self.p
