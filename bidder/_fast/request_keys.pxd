"""From member to member of an object, from item to item of an array; the keys of a bid request as machine words.

A key of up to eight bytes is its own bytes, lowest first; a longer one is a number of those that the reader knows, or 9,
and its length above that, which no short key can be (JSON has no raw control characters).
So an object's members are told apart by one switch, and a word tells the length of its key.
"""

from libc.stdint cimport uint64_t
from bidder._fast.json cimport blank, memcmp
from bidder._fast.json_text cimport short_length, word_at
from bidder._fast.request_odd cimport SELDOM_MOST, Key, odd_key, seldom_key

cdef extern from *:
    """
    #define WORD(a, b, c, d, e, f, g, h) ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 \\
        | (uint64_t)(d) << 24 | (uint64_t)(e) << 32 | (uint64_t)(f) << 40 | (uint64_t)(g) << 48 | (uint64_t)(h) << 56)
    /* A long key; numbers below 0x20. */
    #define LONG(number, n) ((uint64_t)(number) | (uint64_t)(n) << 8)
    #define KEY_ID WORD('i', 'd', 0, 0, 0, 0, 0, 0)
    #define KEY_IMP WORD('i', 'm', 'p', 0, 0, 0, 0, 0)
    #define KEY_AT WORD('a', 't', 0, 0, 0, 0, 0, 0)
    #define KEY_CUR WORD('c', 'u', 'r', 0, 0, 0, 0, 0)
    #define KEY_APP WORD('a', 'p', 'p', 0, 0, 0, 0, 0)
    #define KEY_BCAT WORD('b', 'c', 'a', 't', 0, 0, 0, 0)
    #define KEY_ACAT WORD('a', 'c', 'a', 't', 0, 0, 0, 0)
    #define KEY_WLANG WORD('w', 'l', 'a', 'n', 'g', 0, 0, 0)
    #define KEY_WLANGB WORD('w', 'l', 'a', 'n', 'g', 'b', 0, 0)
    #define KEY_BADV WORD('b', 'a', 'd', 'v', 0, 0, 0, 0)
    #define KEY_BAPP WORD('b', 'a', 'p', 'p', 0, 0, 0, 0)
    #define KEY_DOOH WORD('d', 'o', 'o', 'h', 0, 0, 0, 0)
    #define KEY_REGS WORD('r', 'e', 'g', 's', 0, 0, 0, 0)
    #define KEY_SITE WORD('s', 'i', 't', 'e', 0, 0, 0, 0)
    #define KEY_TEST WORD('t', 'e', 's', 't', 0, 0, 0, 0)
    #define KEY_TMAX WORD('t', 'm', 'a', 'x', 0, 0, 0, 0)
    #define KEY_USER WORD('u', 's', 'e', 'r', 0, 0, 0, 0)
    #define KEY_WSEAT WORD('w', 's', 'e', 'a', 't', 0, 0, 0)
    #define KEY_BSEAT WORD('b', 's', 'e', 'a', 't', 0, 0, 0)
    #define KEY_CATTAX WORD('c', 'a', 't', 't', 'a', 'x', 0, 0)
    #define KEY_DEVICE WORD('d', 'e', 'v', 'i', 'c', 'e', 0, 0)
    #define KEY_BANNER WORD('b', 'a', 'n', 'n', 'e', 'r', 0, 0)
    #define KEY_VIDEO WORD('v', 'i', 'd', 'e', 'o', 0, 0, 0)
    #define KEY_AUDIO WORD('a', 'u', 'd', 'i', 'o', 0, 0, 0)
    #define KEY_NATIVE WORD('n', 'a', 't', 'i', 'v', 'e', 0, 0)
    #define KEY_PMP WORD('p', 'm', 'p', 0, 0, 0, 0, 0)
    #define KEY_SECURE WORD('s', 'e', 'c', 'u', 'r', 'e', 0, 0)
    #define KEY_INSTL WORD('i', 'n', 's', 't', 'l', 0, 0, 0)
    #define KEY_BIDFLOOR WORD('b', 'i', 'd', 'f', 'l', 'o', 'o', 'r')
    #define KEY_W WORD('w', 0, 0, 0, 0, 0, 0, 0)
    #define KEY_H WORD('h', 0, 0, 0, 0, 0, 0, 0)
    #define KEY_WMIN WORD('w', 'm', 'i', 'n', 0, 0, 0, 0)
    #define KEY_WRATIO WORD('w', 'r', 'a', 't', 'i', 'o', 0, 0)
    #define KEY_HRATIO WORD('h', 'r', 'a', 't', 'i', 'o', 0, 0)
    #define KEY_WMAX WORD('w', 'm', 'a', 'x', 0, 0, 0, 0)
    #define KEY_HMIN WORD('h', 'm', 'i', 'n', 0, 0, 0, 0)
    #define KEY_HMAX WORD('h', 'm', 'a', 'x', 0, 0, 0, 0)
    #define KEY_API WORD('a', 'p', 'i', 0, 0, 0, 0, 0)
    #define KEY_BATTR WORD('b', 'a', 't', 't', 'r', 0, 0, 0)
    #define KEY_BTYPE WORD('b', 't', 'y', 'p', 'e', 0, 0, 0)
    #define KEY_FORMAT WORD('f', 'o', 'r', 'm', 'a', 't', 0, 0)
    #define KEY_DEALS WORD('d', 'e', 'a', 'l', 's', 0, 0, 0)
    #define KEY_QTY WORD('q', 't', 'y', 0, 0, 0, 0, 0)
    #define KEY_GUAR WORD('g', 'u', 'a', 'r', 0, 0, 0, 0)
    #define KEY_WADOMAIN WORD('w', 'a', 'd', 'o', 'm', 'a', 'i', 'n')
    #define KEY_DOMAIN WORD('d', 'o', 'm', 'a', 'i', 'n', 0, 0)
    #define KEY_PAGE WORD('p', 'a', 'g', 'e', 0, 0, 0, 0)
    #define KEY_BUNDLE WORD('b', 'u', 'n', 'd', 'l', 'e', 0, 0)
    #define KEY_CAT WORD('c', 'a', 't', 0, 0, 0, 0, 0)
    #define KEY_PAGECAT WORD('p', 'a', 'g', 'e', 'c', 'a', 't', 0)
    #define KEY_OS WORD('o', 's', 0, 0, 0, 0, 0, 0)
    #define KEY_OSV WORD('o', 's', 'v', 0, 0, 0, 0, 0)
    #define KEY_MAKE WORD('m', 'a', 'k', 'e', 0, 0, 0, 0)
    #define KEY_MODEL WORD('m', 'o', 'd', 'e', 'l', 0, 0, 0)
    #define KEY_CARRIER WORD('c', 'a', 'r', 'r', 'i', 'e', 'r', 0)
    #define KEY_LANGUAGE WORD('l', 'a', 'n', 'g', 'u', 'a', 'g', 'e')
    #define KEY_IFA WORD('i', 'f', 'a', 0, 0, 0, 0, 0)
    #define KEY_LMT WORD('l', 'm', 't', 0, 0, 0, 0, 0)
    #define KEY_DNT WORD('d', 'n', 't', 0, 0, 0, 0, 0)
    #define KEY_GEO WORD('g', 'e', 'o', 0, 0, 0, 0, 0)
    #define KEY_LAT WORD('l', 'a', 't', 0, 0, 0, 0, 0)
    #define KEY_LON WORD('l', 'o', 'n', 0, 0, 0, 0, 0)
    #define KEY_COUNTRY WORD('c', 'o', 'u', 'n', 't', 'r', 'y', 0)
    #define KEY_REGION WORD('r', 'e', 'g', 'i', 'o', 'n', 0, 0)
    #define KEY_CITY WORD('c', 'i', 't', 'y', 0, 0, 0, 0)
    #define KEY_METRO WORD('m', 'e', 't', 'r', 'o', 0, 0, 0)
    #define KEY_ZIP WORD('z', 'i', 'p', 0, 0, 0, 0, 0)
    #define KEY_BUYERUID WORD('b', 'u', 'y', 'e', 'r', 'u', 'i', 'd')
    #define KEY_GENDER WORD('g', 'e', 'n', 'd', 'e', 'r', 0, 0)
    #define KEY_YOB WORD('y', 'o', 'b', 0, 0, 0, 0, 0)
    #define KEY_DATA WORD('d', 'a', 't', 'a', 0, 0, 0, 0)
    #define KEY_SEGMENT WORD('s', 'e', 'g', 'm', 'e', 'n', 't', 0)
    #define KEY_CONSENT WORD('c', 'o', 'n', 's', 'e', 'n', 't', 0)
    #define KEY_EIDS WORD('e', 'i', 'd', 's', 0, 0, 0, 0)
    #define KEY_EXT WORD('e', 'x', 't', 0, 0, 0, 0, 0)
    #define KEY_COPPA WORD('c', 'o', 'p', 'p', 'a', 0, 0, 0)
    #define KEY_GDPR WORD('g', 'd', 'p', 'r', 0, 0, 0, 0)
    #define KEY_DSA WORD('d', 's', 'a', 0, 0, 0, 0, 0)
    #define KEY_GPC WORD('g', 'p', 'c', 0, 0, 0, 0, 0)
    #define KEY_GPP WORD('g', 'p', 'p', 0, 0, 0, 0, 0)
    #define KEY_GPP_SID WORD('g', 'p', 'p', '_', 's', 'i', 'd', 0)
    #define KEY_ATTS WORD('a', 't', 't', 's', 0, 0, 0, 0)
    #define KEY_MIMES WORD('m', 'i', 'm', 'e', 's', 0, 0, 0)
    #define KEY_RQDDURS WORD('r', 'q', 'd', 'd', 'u', 'r', 's', 0)
    #define KEY_PROTOCOL WORD('p', 'r', 'o', 't', 'o', 'c', 'o', 'l')
    #define KEY_SKIP WORD('s', 'k', 'i', 'p', 0, 0, 0, 0)
    #define KEY_SKIPMIN WORD('s', 'k', 'i', 'p', 'm', 'i', 'n', 0)
    #define KEY_DELIVERY WORD('d', 'e', 'l', 'i', 'v', 'e', 'r', 'y')
    #define KEY_PLCMT WORD('p', 'l', 'c', 'm', 't', 0, 0, 0)
    #define KEY_PODID WORD('p', 'o', 'd', 'i', 'd', 0, 0, 0)
    #define KEY_PODDUR WORD('p', 'o', 'd', 'd', 'u', 'r', 0, 0)
    #define KEY_MAXSEQ WORD('m', 'a', 'x', 's', 'e', 'q', 0, 0)
    #define KEY_MINDUR WORD('m', 'i', 'n', 'd', 'u', 'r', 0, 0)
    #define KEY_MAXDUR WORD('m', 'a', 'x', 'd', 'u', 'r', 0, 0)
    #define KEY_REQUEST WORD('r', 'e', 'q', 'u', 'e', 's', 't', 0)
    #define KEY_ASSETS WORD('a', 's', 's', 'e', 't', 's', 0, 0)
    #define KEY_TITLE WORD('t', 'i', 't', 'l', 'e', 0, 0, 0)
    #define KEY_IMG WORD('i', 'm', 'g', 0, 0, 0, 0, 0)
    #define KEY_TYPE WORD('t', 'y', 'p', 'e', 0, 0, 0, 0)
    #define KEY_LEN WORD('l', 'e', 'n', 0, 0, 0, 0, 0)
    #define KEY_REQUIRED WORD('r', 'e', 'q', 'u', 'i', 'r', 'e', 'd')
    #define KEY_VER WORD('v', 'e', 'r', 0, 0, 0, 0, 0)
    #define KEY_EVENT WORD('e', 'v', 'e', 'n', 't', 0, 0, 0)
    #define KEY_METHODS WORD('m', 'e', 't', 'h', 'o', 'd', 's', 0)
    #define KEY_EXPDIR WORD('e', 'x', 'p', 'd', 'i', 'r', 0, 0)
    #define KEY_BIDFLOORCUR LONG(1, 11)
    #define KEY_PUBLISHER LONG(2, 9)
    #define KEY_SECTIONCAT LONG(3, 10)
    #define KEY_DEVICETYPE LONG(4, 10)
    #define KEY_CONNECTIONTYPE LONG(5, 14)
    #define KEY_PRIVATE_AUCTION LONG(6, 15)
    #define KEY_US_PRIVACY LONG(7, 10)
    #define KEY_PROTOCOLS LONG(10, 9)
    #define KEY_LINEARITY LONG(11, 9)
    #define KEY_PLACEMENT LONG(12, 9)
    #define KEY_SKIPAFTER LONG(13, 9)
    #define KEY_DURFLOORS LONG(14, 9)
    #define KEY_PODDEDUPE LONG(15, 9)
    #define KEY_MINBITRATE LONG(16, 10)
    #define KEY_MAXBITRATE LONG(17, 10)
    #define KEY_MINDURATION LONG(18, 11)
    #define KEY_MAXDURATION LONG(19, 11)
    #define KEY_MAXEXTENDED LONG(20, 11)
    #define KEY_MINCPMPERSEC LONG(21, 12)
    #define KEY_BOXINGALLOWED LONG(22, 13)
    #define KEY_EVENTTRACKERS LONG(23, 13)
    #define KEY_VENUETYPE LONG(24, 9)
    #define KEY_MULTIPLIER LONG(25, 10)
    #define KEY_VENUETYPEID LONG(26, 11)
    #define KEY_DSAREQUIRED LONG(27, 11)
    #define KEY_NONE LONG(8, 0)

    /* Of the key that has this word; a constant for a constant. */
    static inline size_t key_length(uint64_t word)
    {
        return (word & 0xff) < 0x20 ? word >> 8 : 8 - ((unsigned)__builtin_clzll(word) >> 3);
    }
    """
    enum:
        KEY_ID, KEY_IMP, KEY_AT, KEY_CUR, KEY_APP, KEY_BCAT, KEY_BADV, KEY_BAPP, KEY_DOOH, KEY_REGS, KEY_SITE,
        KEY_TEST, KEY_TMAX, KEY_USER, KEY_WSEAT, KEY_BSEAT, KEY_CATTAX, KEY_DEVICE, KEY_BANNER, KEY_VIDEO,
        KEY_AUDIO, KEY_NATIVE, KEY_PMP, KEY_SECURE, KEY_INSTL, KEY_BIDFLOOR, KEY_W, KEY_H, KEY_WMIN, KEY_WMAX,
        KEY_HMIN, KEY_HMAX, KEY_API, KEY_BATTR, KEY_BTYPE, KEY_FORMAT, KEY_DEALS, KEY_WADOMAIN, KEY_DOMAIN,
        KEY_PAGE, KEY_BUNDLE, KEY_CAT, KEY_PAGECAT, KEY_OS, KEY_OSV, KEY_MAKE, KEY_MODEL, KEY_CARRIER,
        KEY_LANGUAGE, KEY_IFA, KEY_LMT, KEY_DNT, KEY_GEO, KEY_LAT, KEY_LON, KEY_COUNTRY, KEY_REGION, KEY_CITY,
        KEY_METRO, KEY_ZIP, KEY_BUYERUID, KEY_GENDER, KEY_YOB, KEY_DATA, KEY_SEGMENT, KEY_CONSENT, KEY_EIDS,
        KEY_EXT, KEY_COPPA, KEY_GDPR, KEY_BIDFLOORCUR, KEY_PUBLISHER, KEY_SECTIONCAT, KEY_DEVICETYPE,
        KEY_CONNECTIONTYPE, KEY_PRIVATE_AUCTION, KEY_US_PRIVACY,
        KEY_DSA, KEY_DSAREQUIRED, KEY_GPC, KEY_GPP, KEY_GPP_SID, KEY_ATTS,
        KEY_ACAT, KEY_WLANG, KEY_WLANGB, KEY_WRATIO, KEY_HRATIO, KEY_VER, KEY_EVENT, KEY_METHODS, KEY_EVENTTRACKERS,
        KEY_EXPDIR, KEY_GUAR, KEY_QTY, KEY_VENUETYPE, KEY_MULTIPLIER, KEY_VENUETYPEID,
        KEY_MIMES, KEY_RQDDURS, KEY_PROTOCOL, KEY_SKIP, KEY_SKIPMIN, KEY_DELIVERY, KEY_PLCMT, KEY_PODID,
        KEY_PODDUR, KEY_MAXSEQ, KEY_MINDUR, KEY_MAXDUR, KEY_REQUEST, KEY_ASSETS, KEY_TITLE, KEY_IMG,
        KEY_TYPE, KEY_LEN, KEY_REQUIRED, KEY_PROTOCOLS, KEY_LINEARITY, KEY_PLACEMENT, KEY_SKIPAFTER, KEY_DURFLOORS,
        KEY_PODDEDUPE, KEY_MINBITRATE, KEY_MAXBITRATE, KEY_MINDURATION, KEY_MAXDURATION, KEY_MAXEXTENDED, KEY_MINCPMPERSEC, KEY_BOXINGALLOWED,
        KEY_NONE               # no member was left: `begin` is behind the closing bracket
    size_t key_length(uint64_t word) noexcept nogil
    uint64_t LONG(int number, size_t n) noexcept nogil

cdef inline uint64_t other_key(size_t n) noexcept nogil:
    """A word of no key that is known."""
    return LONG(9, n)

cdef inline uint64_t long_key(const char* p, size_t n) noexcept nogil:
    """The word of a key of more than eight bytes."""
    if n == 9 and memcmp(p, b"publisher", 9) == 0:
        return KEY_PUBLISHER
    if n == 10:
        if memcmp(p, b"devicetype", 10) == 0:
            return KEY_DEVICETYPE
        if memcmp(p, b"us_privacy", 10) == 0:
            return KEY_US_PRIVACY
        if memcmp(p, b"sectioncat", 10) == 0:
            return KEY_SECTIONCAT
    if n == 11 and memcmp(p, b"bidfloorcur", 11) == 0:
        return KEY_BIDFLOORCUR
    if n == 14 and memcmp(p, b"connectiontype", 14) == 0:
        return KEY_CONNECTIONTYPE
    if n == 15 and memcmp(p, b"private_auction", 15) == 0:
        return KEY_PRIVATE_AUCTION
    return seldom_key(p, n) if n <= SELDOM_MOST else other_key(n)

cdef inline uint64_t key_word(const char* p, size_t n) noexcept nogil:
    return word_at(p, n) if n <= 8 else long_key(p, n)

cdef inline Key first_key(const char* p, char* spare) noexcept nogil:
    """From an object's opening bracket to its first member.

    Most members have neither white space about them nor escapes in their key. `spare`: where these are undone.
    """
    cdef Key key
    cdef size_t n
    if p[1] == c'"':
        n = short_length(p + 2)
        if memcmp(p + 2 + n, b'":', 2) == 0 and p[4 + n] > c' ':
            key.begin = p + 2
            key.word = key_word(p + 2, n)
            return key
    return odd_key(p + 1, spare, True)

cdef inline Key next_key(const char* p, char* spare) noexcept nogil:
    """From behind one member to the next, or behind the closing bracket; NULL is no member and nothing behind it."""
    cdef Key key
    cdef size_t n
    if p != NULL and memcmp(p, b',"', 2) == 0:
        n = short_length(p + 2)
        if memcmp(p + 2 + n, b'":', 2) == 0 and p[4 + n] > c' ':
            key.begin = p + 2
            key.word = key_word(p + 2, n)
            return key
    elif p == NULL or p[0] == c'}':
        key.begin = p + 1 if p != NULL else NULL
        key.word = KEY_NONE
        return key
    return odd_key(p, spare, False)

cdef inline const char* at(Key key, uint64_t word) noexcept nogil:
    """The value of this member; `word`: its key's, as a constant where it is known.

    Then the processor reads on there while it still looks for the end of the key, which it has foretold by the word.
    """
    return key.begin + key_length(word) + 2

cdef inline const char* first_item(const char* p) noexcept nogil:
    """From an array's opening bracket to its first item, or behind its closing one."""
    p = blank(p + 1)
    return p + 1 if p[0] == c']' else p

cdef inline const char* next_item(const char* p) noexcept nogil:
    """From behind one item to the next, or behind the closing bracket; NULL in, NULL out."""
    if p == NULL:
        return NULL
    if p[0] != c',':
        p = blank(p)
        if p[0] != c',':
            return p + 1 if p[0] == c']' else NULL
    return blank(p + 1)

cdef inline bint is_item(const char* p) noexcept nogil:
    """Is this an item? Behind an array that is read, the byte before is its bracket."""
    return p != NULL and (p - 1)[0] != c']'
