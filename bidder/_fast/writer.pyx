"""The writer: the answer as bytes, in memory that it keeps between requests.

    reserve(bid_bytes(...)) -> put_bid: pieces of the book, ids, price and tokens between them

Room is reserved before money is, so a bid whose price was taken can always be written.
Prices: nano-USD for one impression in, CPM as a JSON number out, exact in six decimals.
"""

from bidder._fast.book cimport (
    PIECE_BID_ID, PIECE_DEAL, PIECE_IMP_ID, PIECE_NOTICE_TOKEN, PIECE_PAGE_TOKEN, PIECE_PRICE, PIECE_TEXT, Piece,
)
from bidder._fast.tokens cimport BID_ID_BYTES, TOKEN_CHARS
from libc.stdlib cimport free, realloc

cdef const char* HEX = b"0123456789abcdef"
cdef const char* DEAL_KEY = b',"dealid":"'

cdef enum:
    FIRST_BYTES = 16_384
    DEAL_KEY_CHARS = 11
    ESCAPED = 6                # most characters that a byte takes: \u00XX
    NANO_PER_CPM = 1_000_000


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

    cdef void put_escaped(self, Str text) noexcept nogil:
        """As the inside of a JSON string; `text` is UTF-8."""
        cdef char* out = self.p + self.n
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
        self.n = out - self.p

    cdef void put_price(self, int64_t nano) noexcept nogil:
        cdef char digits[PRICE_CHARS]
        cdef int at = PRICE_CHARS, last
        cdef int64_t whole = nano // NANO_PER_CPM, rest = nano % NANO_PER_CPM
        cdef int i
        if rest:
            for i in range(6):
                at -= 1
                digits[at] = <char>(c'0' + rest % 10)
                rest //= 10
            at -= 1
            digits[at] = c'.'
        while True:
            at -= 1
            digits[at] = <char>(c'0' + whole % 10)
            whole //= 10
            if whole == 0:
                break
        last = PRICE_CHARS
        if nano % NANO_PER_CPM:
            while digits[last - 1] == c'0':
                last -= 1
        self.put(&digits[at], last - at)

    cdef size_t bid_bytes(self, Book book, const CreativeRec* creative, Str imp_id_raw, Str deal) noexcept nogil:
        cdef const Piece* piece = book.pieces + creative.piece_first
        cdef const Piece* end = piece + creative.piece_count
        cdef size_t n = 0
        while piece < end:
            if piece.kind == PIECE_TEXT:
                n += piece.n
            elif piece.kind == PIECE_IMP_ID:
                n += imp_id_raw.n
            elif piece.kind == PIECE_DEAL:
                n += DEAL_KEY_CHARS + ESCAPED * <size_t>deal.n + 1
            else:
                n += TOKEN_CHARS       # more than a bid id or a price takes
            piece += 1
        return n

    cdef void put_bid(self, Book book, const CreativeRec* creative, const Splices* splices) noexcept nogil:
        cdef const Piece* piece = book.pieces + creative.piece_first
        cdef const Piece* end = piece + creative.piece_count
        cdef int i
        while piece < end:
            if piece.kind == PIECE_TEXT:
                self.put(book.blob + piece.at, piece.n)
            elif piece.kind == PIECE_NOTICE_TOKEN:
                self.put(splices.notice, TOKEN_CHARS)
            elif piece.kind == PIECE_PAGE_TOKEN:
                self.put(splices.page, TOKEN_CHARS)
            elif piece.kind == PIECE_IMP_ID:
                self.put_str(splices.imp_id_raw)
            elif piece.kind == PIECE_PRICE:
                self.put_price(splices.price)
            elif piece.kind == PIECE_BID_ID:
                for i in range(BID_ID_BYTES):
                    self.p[self.n] = HEX[splices.bid_id[i] >> 4]
                    self.p[self.n + 1] = HEX[splices.bid_id[i] & 15]
                    self.n += 2
            elif piece.kind == PIECE_DEAL and splices.deal.p is not NULL:
                self.put(DEAL_KEY, DEAL_KEY_CHARS)
                self.put_escaped(splices.deal)
                self.put(b'"', 1)
            piece += 1
