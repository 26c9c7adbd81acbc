"""Caps: may this user see one more, and the count of what it may.

user of the request -> Caps.reason() while candidates are ranked -> Caps.count() for the winner, once its purse gave
    -> its tokens -> the tracker: Settler.confirm() | release()
A request without a user that we may know gets no capped bid.
A user is device.ifa, else user.buyeruid, else user.id with its exchange; ids are compared byte for byte.
Windows that began under the keys of before are kept under those as long as they run. A token knows its user by the keys
of its time alone, so what is bid in such a window counts for good at once.
"""

from libc.string cimport memcpy, memset

from bidder._fast.acquaintances cimport ACQUAINTED, TO_BE_ASKED, acquainted, want
from bidder._fast.atomics cimport atomic_add, atomic_load64
from bidder._fast.book cimport Book
from bidder._fast.frequency cimport FORMATS, GENERATIONS, MOST, TOUCH_NOT_ASKED, TOUCH_NO_BID, TableHead
from bidder._fast.identity cimport USER_KEY
from bidder._fast.outcome cimport REASON_BROKEN, REASON_FREQUENCY, REASON_NONE, REASON_USER
from bidder._fast.request cimport USER_ID

from bidder._fast.frequency import PERIOD_S

cdef enum:
    LEVEL_BIT = 31             # of a rule as it is hashed, above any per_s
    UNDER_WAY_S = 1            # a request may have read its clock, or the keys, just before a rotation
    TOUCH_KNOWN = 1
    TOUCH_UNKNOWN = 2

cdef int64_t PERIOD = PERIOD_S
cdef uint64_t NO_PERIOD = <uint64_t> -1

REFUSED = "OpenSSL refuses AES-256: is its default provider there?"


cdef inline uint32_t hashed_rule(const FrequencyRec* rule) noexcept nogil:
    """What makes it another rule: level and per_s, not the number that an edit may raise."""
    return rule.level << LEVEL_BIT | rule.per_s


cdef inline bint tightest(const FrequencyRec* rules, uint32_t n, uint32_t i) noexcept nogil:
    """Rules of the same level and length share one window, which is counted once, for the strictest."""
    cdef uint32_t k
    for k in range(n):
        if (rules[k].level == rules[i].level and rules[k].per_s == rules[i].per_s
                and (rules[k].impressions < rules[i].impressions
                     or (rules[k].impressions == rules[i].impressions and k < i))):
            return False
    return True


cdef bint take_keys(FrequencyTable table, Identity now, Identity before, uint64_t* period) noexcept nogil:
    """To the keys that the file has now."""
    cdef TableHead* head = table.head
    cdef uint8_t keys[2][64]
    cdef bint done
    while True:                # a rotation takes less than a microsecond, once a month
        period[0] = atomic_load64(&head.period)
        memcpy(keys[0], head.keys[period[0] % GENERATIONS], USER_KEY)
        memcpy(keys[1], head.keys[(period[0] + GENERATIONS - 1) % GENERATIONS], USER_KEY)
        if atomic_load64(&head.period) == period[0]:
            break
    done = now.use(keys[0]) and before.use(keys[1])
    memset(keys, 0, sizeof(keys))
    if not done:
        period[0] = NO_PERIOD          # asked for again with the next user
    return done


cdef class Caps:
    def __cinit__(self, FrequencyTable table not None):
        self.table = table
        self.now = Identity()
        self.before = Identity()
        if not self.rekey():
            raise RuntimeError(REFUSED)

    cdef bint rekey(self) noexcept nogil:
        cdef bint done = take_keys(self.table, self.now, self.before, &self.period)
        if done:
            self.began_s = <int64_t> self.period * PERIOD
        return done

    cdef void open_request(self, const Request* req, uint8_t exchange, int64_t now_s) noexcept nogil:
        self.user = req.user
        self.origin = req.user_from
        self.exchange = exchange if req.user_from == USER_ID else 0
        self.now_s = now_s
        self.digest = self.digest_before = 0
        self.touch = 0

    cdef uint8_t reason(self, const FrequencyRec* rules, uint32_t n, uint32_t level, uint32_t subject) noexcept nogil:
        cdef uint64_t key
        cdef uint32_t i
        cdef bint past
        for i in range(n):
            if rules[i].level != level:
                continue
            if self.user.p is NULL:
                return REASON_FREQUENCY
            if not self.known() and self.table.first_touch == TOUCH_NO_BID:
                return REASON_USER
            key = self.key_of(&rules[i], subject, &past)
            if key == 0:
                return REASON_BROKEN
            if self.table.seen(key, self.now_s) >= min(rules[i].impressions, <uint32_t> MOST):
                return REASON_FREQUENCY
        return REASON_NONE

    cdef uint8_t count(self, const FrequencyRec* rules, uint32_t n, uint32_t campaign, uint32_t creative,
                       uint8_t format) noexcept nogil:
        cdef uint32_t hold_s = self.table.hold_s[format if format < FORMATS else 0]
        cdef uint64_t key
        cdef uint32_t i
        cdef bint past
        for i in range(n):
            if not tightest(rules, n, i):
                continue
            key = self.key_of(&rules[i], creative if rules[i].level == LEVEL_CREATIVE else campaign, &past)
            if key == 0:
                return REASON_BROKEN
            if not self.table.add(key, self.now_s, rules[i].per_s, rules[i].impressions, 0 if past else hold_s):
                return REASON_FREQUENCY
        return REASON_NONE

    cdef void sign(self, uint64_t* user, uint8_t* user_stamp) noexcept nogil:
        user[0] = self.digest
        user_stamp[0] = <uint8_t> (<uint64_t> (self.now_s % 60) << STAMP_SHIFT | (self.period & STAMP_PERIOD))

    cdef void expect(self) noexcept nogil:
        if self.table.first_touch != TOUCH_NOT_ASKED:
            self.table.expect(self.digest)

    cdef bint known(self) noexcept nogil:
        cdef int found
        if self.table.first_touch == TOUCH_NOT_ASKED:
            return True
        if self.touch == 0:
            found = acquainted(self.table, self.digest, self.now_s) if self.identify() else 0
            self.touch = TOUCH_KNOWN if found & ACQUAINTED else TOUCH_UNKNOWN
            if found & TO_BE_ASKED and self.identify_before():
                want(self.table, self.digest, self.digest_before)
        return self.touch == TOUCH_KNOWN

    cdef uint64_t key_of(self, const FrequencyRec* rule, uint32_t subject, bint* past) noexcept nogil:
        """Under which this user is counted now; 0: OpenSSL refused. `past`: by the keys of before."""
        cdef uint64_t key
        past[0] = False
        if not self.identify():
            return 0
        if self.now_s <= self.began_s + rule.per_s + UNDER_WAY_S and self.identify_before():
            key = self.before.key_of(self.digest_before, subject, hashed_rule(rule))
            if key and self.table.seen(key, self.now_s):
                past[0] = True
                return key
        return self.now.key_of(self.digest, subject, hashed_rule(rule))

    cdef bint identify(self) noexcept nogil:
        if self.digest:
            return True
        if atomic_load64(&self.table.head.period) != self.period and not self.rekey():
            return False
        self.digest = self.now.digest_of(self.origin, self.exchange, self.user.p, self.user.n)
        return self.digest != 0

    cdef bint identify_before(self) noexcept nogil:
        if not self.digest_before:
            self.digest_before = self.before.digest_of(self.origin, self.exchange, self.user.p, self.user.n)
        return self.digest_before != 0


cdef class Settler:
    cdef FrequencyTable table
    cdef Identity now, before
    cdef uint64_t period
    cdef Book book
    cdef dict slots            # of campaigns with caps, by key

    def __init__(self, FrequencyTable table not None):
        self.table = table
        self.now = Identity()
        self.before = Identity()
        self.slots = {}
        if not take_keys(table, self.now, self.before, &self.period):
            raise RuntimeError(REFUSED)

    def set_book(self, Book book not None):
        cdef uint32_t slot
        cdef dict slots = {}
        for slot in range(book.slot_count):
            if book.campaigns[slot].frequency_count:
                slots[book.campaigns[slot].key] = slot
        self.book, self.slots = book, slots

    def knows(self, uint32_t campaign):
        return campaign in self.slots

    def learn(self, uint64_t key, int64_t ends_s, uint32_t impressions, int64_t now_s):
        self.table.learn(key, ends_s, impressions, now_s)

    def confirm(self, uint64_t user, int stamp, int64_t minute, int format, uint32_t campaign, uint32_t creative,
                int64_t now_s):
        return self.settle(user, stamp, minute, format, campaign, creative, now_s, True)

    def release(self, uint64_t user, int stamp, int64_t minute, int format, uint32_t campaign, uint32_t creative,
                int64_t now_s):
        return self.settle(user, stamp, minute, format, campaign, creative, now_s, False)

    cdef list settle(self, uint64_t user, int stamp, int64_t minute, int format, uint32_t campaign, uint32_t creative,
                     int64_t now_s, bint shown):
        cdef int64_t bid_s = minute * 60 + (stamp >> STAMP_SHIFT)
        cdef uint32_t hold_s = self.table.hold_s[format if 0 <= format < FORMATS else 0], i, n, counted, most, subject
        cdef const FrequencyRec* rules
        cdef Identity identity
        cdef uint64_t key
        cdef list found = []
        slot = self.slots.get(campaign)
        if not user or slot is None:
            return found
        if atomic_load64(&self.table.head.period) != self.period \
                and not take_keys(self.table, self.now, self.before, &self.period):
            raise RuntimeError(REFUSED)
        if stamp & STAMP_PERIOD == <int> (self.period & STAMP_PERIOD):
            identity = self.now
        elif stamp & STAMP_PERIOD == <int> (self.period - 1 & STAMP_PERIOD):
            identity = self.before
        else:
            return found       # its windows are out of reach
        rules = &self.book.frequencies[self.book.campaigns[<uint32_t> slot].frequency_first]
        n = self.book.campaigns[<uint32_t> slot].frequency_count
        for i in range(n):
            if not tightest(rules, n, i):
                continue
            subject = creative if rules[i].level == LEVEL_CREATIVE else campaign
            key = identity.key_of(user, subject, hashed_rule(&rules[i]))
            if key == 0:
                raise RuntimeError("OpenSSL could not encrypt")
            most = min(rules[i].impressions, <uint32_t> MOST)
            if shown:
                counted = self.table.confirm(key, bid_s, now_s, rules[i].per_s, hold_s)
                if counted > most:
                    atomic_add(&self.table.head.beyond, 1)
                found.append((key, rules[i].per_s, counted > most))
            elif self.table.release(key, bid_s, now_s, rules[i].per_s, hold_s):
                found.append((key, rules[i].per_s, False))
        return found
