"""The writer: the answer as bytes, in memory that it keeps between requests.

    reserve(bid_bytes(...)) -> put_bid: pieces of the book, ids, price and tokens between them

Room is reserved before money is, so a bid whose price was taken can always be written.
Prices: nano-USD for one impression in, CPM as a JSON number out, exact in six decimals.
"""

from bidder._fast.book cimport (
    PIECE_ASSETS, PIECE_BID_ID, PIECE_DEAL, PIECE_EVENTS_TEXT, PIECE_FOLLOW_TEXT, PIECE_IMP_ID, PIECE_NATIVE_VER,
    PIECE_NO_EVENTS_TEXT, PIECE_NOTICES, PIECE_PAGE_TOKEN, PIECE_PIXEL_PRICE, PIECE_PRICE, PIECE_TEXT, PIECE_VIEWABLE,
    PIECE_WRAPPED_TEXT, AssetRec,
)
from bidder._fast.formats cimport MTYPE_NATIVE, asset_for, media_rec
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
cdef const char* OBJECT_END = b'\\"}'             # likewise; of a text and its object
cdef const char* ASSET_KEY = b'{\\"id\\":'      # within the string that `adm` is

cdef enum:
    FIRST_BYTES = 16_384
    DEAL_KEY_CHARS = 11
    ESCAPED = 6                # most characters that a byte takes: \u00XX
    NANO_PER_CPM = 1_000_000
    ASSET_KEY_CHARS = 8
    ASSET_CHARS = ASSET_KEY_CHARS + PRICE_CHARS + 2     # with its number, a brace and a comma
    VER_CHARS = 3
    OBJECT_END_CHARS = 3


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


cdef void splice_native(Splices* splices, Reader reader, const Imp* imp, const CreativeRec* creative) noexcept nogil:
    splices.native = NULL
    if creative.format == MTYPE_NATIVE:
        splices.native = &reader.natives[imp.native]
        splices.asked = reader.asked
        splices.strs = reader.strs


cdef size_t bid_bytes(Book book, const CreativeRec* creative, const Splices* splices) noexcept nogil:
    cdef const Piece* piece = book.pieces + creative.piece_first
    cdef const Piece* end = piece + creative.piece_count
    cdef size_t n = 0
    while piece < end:
        if piece.kind == PIECE_TEXT:
            n += piece.n
        elif piece.kind == PIECE_PAGE_TOKEN:
            n += TOKEN_CHARS
        elif piece.kind == PIECE_NOTICES:
            n += splices.row.notice_bytes
        elif piece.kind == PIECE_PIXEL_PRICE:
            n += splices.row.pixel_price.n
        elif piece.kind == PIECE_IMP_ID:
            n += splices.imp_id_raw.n
        elif piece.kind == PIECE_BID_ID:
            n += BID_ID_CHARS
        elif piece.kind == PIECE_PRICE:
            n += PRICE_CHARS
        elif piece.kind == PIECE_DEAL:
            n += DEAL_KEY_CHARS + escaped_bytes(splices.deal) + 1 if splices.deal.p is not NULL else 0
        elif piece.kind >= PIECE_FOLLOW_TEXT:
            if splices.row.response_bytes == 0:
                n += piece.n if piece.kind == PIECE_FOLLOW_TEXT else TOKEN_CHARS
        else:
            n += native_bytes(book, creative, splices, piece)
        piece += 1
    return n


cdef size_t native_bytes(Book book, const CreativeRec* creative, const Splices* splices,
                         const Piece* piece) noexcept nogil:
    cdef const AssetRec* asset
    cdef uint32_t i
    cdef size_t n = 0
    if piece.kind == PIECE_VIEWABLE:
        return piece.n + TOKEN_CHARS + OBJECT_END_CHARS
    if piece.kind != PIECE_ASSETS or splices.native is NULL:
        return piece.n + VER_CHARS
    for i in range(splices.native.assets.at, splices.native.assets.at + splices.native.assets.n):
        asset = asset_for(book, media_rec(book, creative), &splices.asked[i], splices.strs)
        if asset is not NULL:
            n += ASSET_CHARS + asset.n
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
        free(self.own)

    cdef void begin(self, Outbox outbox, size_t head_n) noexcept:
        self.n = 0
        self.head_n = head_n
        if head_n:
            self.outbox = outbox
            self.cap = 0               # what of it is room, `reserve` finds out
        else:
            self.p = self.own
            self.cap = self.own_cap

    cdef bint reserve(self, size_t more) noexcept nogil:
        cdef size_t cap = self.cap if self.cap else <size_t>FIRST_BYTES
        cdef void* moved
        if self.cap - self.n >= more and self.cap:
            return True
        if self.head_n:
            if not self.outbox.grow(<Py_ssize_t>(self.head_n + self.n + more)):
                return False
            self.p = self.outbox.text + self.outbox.n + self.head_n
            self.cap = self.outbox.capacity - self.outbox.n - self.head_n
            return True
        while cap - self.n < more:
            cap *= 2
        moved = realloc(self.own, cap)
        if moved is NULL:
            return False
        self.p = self.own = <char*>moved
        self.cap = self.own_cap = cap
        return True

    cdef void put(self, const char* text, size_t n) noexcept nogil:
        memcpy(self.p + self.n, text, n)
        self.n += n

    cdef void put_str(self, Str text) noexcept nogil:
        self.put(text.p, text.n)

    cdef char* write_native(self, Book book, const CreativeRec* creative, const Splices* splices, const Piece* piece,
                            char* out) noexcept nogil:
        """What natives differ in by request."""
        cdef const Native* native = splices.native
        cdef const AssetRec* asset
        cdef uint32_t i
        cdef bint more = False
        if native is NULL:
            return out
        if piece.kind == PIECE_NATIVE_VER:
            out[0] = c'1'
            out[1] = c'.'
            out[2] = <char>(c'0' + native.ver % 10)
            return out + VER_CHARS
        if piece.kind == PIECE_VIEWABLE:
            if native.image_events and native.view_events:
                memcpy(out, book.blob + piece.at, piece.n)
                out += piece.n
                memcpy(out, splices.page, TOKEN_CHARS)
                memcpy(out + TOKEN_CHARS, OBJECT_END, OBJECT_END_CHARS)
                out += TOKEN_CHARS + OBJECT_END_CHARS
            return out
        if piece.kind != PIECE_ASSETS:
            if (piece.kind == PIECE_WRAPPED_TEXT and native.wrapped) \
                    or (piece.kind == PIECE_EVENTS_TEXT and native.image_events) \
                    or (piece.kind == PIECE_NO_EVENTS_TEXT and not native.image_events):
                memcpy(out, book.blob + piece.at, piece.n)
                out += piece.n
            return out
        for i in range(native.assets.at, native.assets.at + native.assets.n):
            asset = asset_for(book, media_rec(book, creative), &splices.asked[i], splices.strs)
            if asset is NULL:
                continue
            if more:
                out[0] = c','
                out += 1
            more = True
            memcpy(out, ASSET_KEY, ASSET_KEY_CHARS)
            out = write_whole(out + ASSET_KEY_CHARS, <uint64_t>splices.asked[i].id)
            memcpy(out, book.blob + asset.at, asset.n)
            out += asset.n
            out[0] = c'}'
            out += 1
        return out

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
            elif piece.kind == PIECE_DEAL:
                if splices.deal.p is not NULL:
                    memcpy(out, DEAL_KEY, DEAL_KEY_CHARS)
                    out = write_escaped(out + DEAL_KEY_CHARS, splices.deal)
                    out[0] = c'"'
                    out += 1
            elif piece.kind >= PIECE_FOLLOW_TEXT:
                if splices.row.response_bytes == 0:
                    if piece.kind == PIECE_FOLLOW_TEXT:
                        memcpy(out, book.blob + piece.at, piece.n)
                        out += piece.n
                    else:
                        memcpy(out, splices.page, TOKEN_CHARS)
                        out += TOKEN_CHARS
            elif piece.kind >= PIECE_ASSETS:
                out = self.write_native(book, creative, splices, piece, out)
            piece += 1
        self.n = out - self.p
