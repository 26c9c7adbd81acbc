"""Offers: what an answer that somebody else made says: whose bids, at which prices.

The whole text is checked against JSON's grammar, so that what goes on to an exchange can be read there.
"""

from libc.string cimport memcmp
from bidder._fast.errand cimport (
    SHADOW_BID, SHADOW_CAMPAIGN, SHADOW_NO_BID, SHADOW_PRICE, SHADOW_SAME,
)
from bidder._fast.json cimport blank, skip_key, skip_scalar
from bidder._fast.json_number cimport Decimal, scan_decimal, to_int
from bidder._fast.json_text cimport utf8_ok
from bidder._fast.request cimport UNREADABLE_CURRENCY, pack3, str_equal
from bidder._fast.request_values cimport skip_value

cdef enum:
    CPM_TO_NANO = 6            # powers of ten: CPM in units -> nano for one impression
    MOST = 1_000_000_000_000_000_000


cdef inline bint is_key(const char* p, const char* name, size_t n) noexcept nogil:
    """Does the key that begins at the quote `p` read so? `name` has its quotes."""
    return memcmp(p, name, n) == 0


cdef inline const char* behind(const char* p, char closing) noexcept nogil:
    """From behind a member or item to the next one, or to the closing bracket; NULL: neither."""
    if p == NULL:
        return NULL
    p = blank(p)
    if p[0] == c',':
        p = blank(p + 1)
        if p[0] != closing:
            return p
    elif p[0] == closing:
        return p
    return NULL


cdef inline const char* read_text(const char* p, Str* out) noexcept nogil:
    """A string, as it stands between its quotes; anything else is none."""
    cdef const char* end
    if p[0] != c'"':
        return skip_value(p, 5)
    end = skip_scalar(p)
    if end != NULL:
        out.p = p + 1
        out.n = <uint32_t>(end - p - 2)
    return end


# What stands behind a key, or is an item; returns the place behind it, or NULL.
ctypedef const char* (*ReadMember)(const char* key, const char* p, Offers* out) noexcept nogil
ctypedef const char* (*ReadItem)(const char* p, Offers* out) noexcept nogil


cdef const char* read_object(const char* p, Offers* out, ReadMember read) noexcept nogil:
    cdef const char* key
    if p[0] != c'{':
        return NULL
    p = blank(p + 1)
    while p[0] != c'}':
        key = p
        p = skip_key(p)
        if p == NULL:
            return NULL
        p = behind(read(key, p, out), c'}')
        if p == NULL:
            return NULL
    return p + 1


cdef const char* read_list(const char* p, Offers* out, ReadItem read) noexcept nogil:
    if p[0] != c'[':
        return NULL
    p = blank(p + 1)
    while p[0] != c']':
        p = behind(read(p, out), c']')
        if p == NULL:
            return NULL
    return p + 1


cdef const char* offer_member(const char* key, const char* p, Offers* out) noexcept nogil:
    cdef Offer* offer = &out.offers[out.n]
    cdef Decimal price
    if is_key(key, b'"impid"', 7):
        return read_text(p, &offer.imp)
    if is_key(key, b'"cid"', 5):
        return read_text(p, &offer.campaign)
    if is_key(key, b'"price"', 7):
        p = scan_decimal(p, &price)
        if p == NULL or price.negative:
            return NULL
        offer.price = max(to_int(&price, CPM_TO_NANO, True, MOST), offer.price)
        return p
    return skip_value(p, 4)


cdef const char* read_offer(const char* p, Offers* out) noexcept nogil:
    cdef Offer* offer
    if out.n == OFFERS:
        return NULL
    offer = &out.offers[out.n]
    offer.imp.p = offer.campaign.p = NULL
    offer.imp.n = offer.campaign.n = 0
    offer.price = 0
    p = read_object(p, out, offer_member)
    if p == NULL or offer.imp.p == NULL or offer.price <= 0:
        return NULL
    out.n += 1
    return p


cdef const char* seat_member(const char* key, const char* p, Offers* out) noexcept nogil:
    return read_list(p, out, read_offer) if is_key(key, b'"bid"', 5) else skip_value(p, 2)


cdef const char* read_seat(const char* p, Offers* out) noexcept nogil:
    return read_object(p, out, seat_member)


cdef const char* answer_member(const char* key, const char* p, Offers* out) noexcept nogil:
    cdef Str currency
    if is_key(key, b'"id"', 4):
        return read_text(p, &out.id)
    if is_key(key, b'"cur"', 5):
        currency.p = NULL
        currency.n = 0
        p = read_text(p, &currency)
        out.currency = pack3(currency.p, currency.n)
        if out.currency == 0:
            out.currency = UNREADABLE_CURRENCY
        return p
    return read_list(p, out, read_seat) if is_key(key, b'"seatbid"', 9) else skip_value(p, 1)


cdef bint read_offers(const char* text, Py_ssize_t n, Offers* out) noexcept nogil:
    cdef const char* p
    out.id.p = NULL
    out.id.n = out.n = out.currency = 0
    if not utf8_ok(text, <size_t>n):
        return False
    p = read_object(blank(text), out, answer_member)
    return p != NULL and blank(p) == text + n


cdef int compared(const Offers* ours, const Offers* theirs) noexcept nogil:
    cdef const Offer* mine
    cdef const Offer* other
    cdef uint32_t i, j
    cdef int found = SHADOW_SAME
    if ours.n == 0 or theirs.n == 0:
        return SHADOW_SAME if ours.n == theirs.n else SHADOW_BID if ours.n == 0 else SHADOW_NO_BID
    if ours.n != theirs.n:
        return SHADOW_CAMPAIGN
    for i in range(ours.n):
        mine = &ours.offers[i]
        for j in range(theirs.n):
            other = &theirs.offers[j]
            if str_equal(mine.imp, other.imp) and str_equal(mine.campaign, other.campaign):
                break
        else:
            return SHADOW_CAMPAIGN
        if mine.price != other.price:
            found = SHADOW_PRICE
    return found


cdef bytes padded(bytes text):
    return text + bytes(64)


def offers(bytes text not None):
    cdef Offers found
    cdef bytes room = padded(text)
    cdef uint32_t i
    if not read_offers(<const char*>room, len(text), &found):
        return None
    return [(found.offers[i].imp.p[:found.offers[i].imp.n], found.offers[i].campaign.p[:found.offers[i].campaign.n]
             if found.offers[i].campaign.p != NULL else b"", found.offers[i].price) for i in range(found.n)]


def compare(bytes ours not None, bytes theirs not None):
    cdef Offers mine, others
    cdef bytes my_room = padded(ours), other_room = padded(theirs)
    if not (read_offers(<const char*>my_room, len(ours), &mine)
            and read_offers(<const char*>other_room, len(theirs), &others)):
        raise ValueError("one of the answers cannot be read")
    return compared(&mine, &others)
