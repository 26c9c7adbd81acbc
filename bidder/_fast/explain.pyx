"""An explanation of one request: the decision itself, on private copies of purses and caps, taken apart.

    begin -> per imp: barred, walk -> a reason for every campaign; facts, aims, filters of some; then bid -> answered

It is a Decider: what reads, gates, matches, examines and bids is what a worker runs. Only the scan is another one: `walk`
asks every campaign, dimension by dimension in the order of the matcher, where an auction stops as soon as it can.
Purses and caps must be private (see Purses, FrequencyTable): what a bid takes and counts stays in this process,
and is there for the imps after it.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from bidder._fast.auction cimport Auction, Candidate, draw_of, lost_reason, purse_of
from bidder._fast.book_layout cimport *
from bidder._fast.book_postings cimport Posting, block_narrow, posting_has
from bidder._fast.decision cimport DESKS
from bidder._fast.caps cimport LEVEL_CREATIVE
from bidder._fast.currency cimport scaled_part
from bidder._fast.frequency cimport FrequencyTable
from bidder._fast.matcher cimport Matcher
from bidder._fast.outcome cimport REASON_MALFORMED, REASON_NONE, REASON_TARGETING
from bidder._fast.purses cimport Half, Purse, Purses, reserved
from bidder._fast.rules cimport creative_reason

cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil


cdef class Explainer(Decider):
    def __init__(self, *, Purses purses not None, FrequencyTable frequency not None, **parts):
        if not (purses.private and frequency.private):
            raise ValueError("an explanation takes and counts nothing: private purses and a private table are wanted")
        super().__init__(purses=purses, frequency=frequency, **parts)
        self.desk = <Desk>self.desks[DESKS]
        self.walked = -1

    def begin(self, bytes exchange not None, bytes body not None):
        self.desk.row = self.rows.find(PyBytes_AS_STRING(exchange), PyBytes_GET_SIZE(exchange))
        if self.desk.row is NULL:
            raise KeyError(exchange.decode())
        self.written = 0
        self.walked = -1
        self.writer.n = 0
        self.admission.polls()
        self.admission.since = self.admission.clear
        self.look(self.desk, self.desk.row, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
        if self.desk.reason == REASON_NONE:
            self.desk.auction.matcher.plain = True
            self.open(self.desk)
        self.desk.body = NULL
        return self.desk.reason

    @property
    def seat(self):
        return self.desk.row.seat.p[:self.desk.row.seat.n].decode()

    @property
    def features_off(self):
        return self.desk.features_off

    @property
    def now_s(self):
        return self.desk.now_s

    def request(self):
        return None if self.desk.reason == REASON_MALFORMED else self.desk.reader.view()

    def barred(self, uint32_t number):
        self.imp_at(number)
        return self.desk.obstacle(number)

    def walk(self, uint32_t number):
        cdef const Imp* imp = self.imp_at(number)
        cdef Matcher matcher = self.desk.auction.matcher
        cdef uint64_t accept[8]
        cdef uint64_t before[8]
        cdef uint64_t bits
        cdef int64_t block, left
        cdef uint32_t n, slot, near = 0
        cdef int i
        cdef uint8_t why
        cdef list candidates = []
        reasons, steps = bytearray(self.book.slot_count), bytearray(self.book.slot_count)
        cdef uint8_t* reason = <uint8_t*>PyByteArray_AS_STRING(reasons)
        cdef uint8_t* step = <uint8_t*>PyByteArray_AS_STRING(steps)
        self.desk.auction.open_imp(imp, number)
        matcher.scan_others()
        self.desk.opened = -1
        self.walked = <int>number
        for block in range(matcher.blocks):
            left = self.book.slot_count - block * BLOCK
            for i in range(BLOCK_WORDS):
                accept[i] = 0 if left <= 0 else <uint64_t>-1 if left >= 64 else (<uint64_t>1 << left) - 1
                left -= 64
            for n in range(matcher.plan_count):
                memcpy(before, accept, sizeof(accept))
                block_narrow(accept, NULL, NULL, &matcher.plans[n], &matcher.plans[n] + 1,
                             matcher.incs.items, matcher.excs.items, block, &near)
                why = lost_reason(matcher.plans[n].dimension)
                for i in range(BLOCK_WORDS):
                    bits = before[i] & ~accept[i]
                    while bits:
                        slot = <uint32_t>(block * BLOCK + i * 64 + __builtin_ctzll(bits))
                        bits &= bits - 1
                        reason[slot] = why
                        step[slot] = <uint8_t>matcher.plans[n].dimension
            for i in range(BLOCK_WORDS):
                bits = accept[i]
                while bits:
                    slot = <uint32_t>(block * BLOCK + i * 64 + __builtin_ctzll(bits))
                    bits &= bits - 1
                    self.examine(slot, &reason[slot], &step[slot], candidates)
        for slot in range(self.book.slot_count):
            if self.book.campaigns[slot].extra & F_RAISED:
                reason[slot] = SAME_CAMPAIGN       # its plain slot has what it targets, and examines at the same price
        return reasons, steps, candidates

    cdef void examine(self, uint32_t slot, uint8_t* why, uint8_t* step, list candidates):
        cdef Auction auction = self.desk.auction
        cdef const CampaignRec* campaign = &self.book.campaigns[slot]
        cdef const Candidate* found = &auction.top[0]
        cdef uint32_t refused = 0
        if campaign.extra & F_RAISED:
            return
        if campaign.extra & F_FILTERS:
            refused = auction.matcher.refuses(campaign)
        if refused:
            why[0] = REASON_TARGETING
            step[0] = <uint8_t>(FIRST_FILTER + __builtin_ctzll(refused))
            return
        auction.count = 0
        step[0] = EXAMINED
        why[0] = auction.examine(slot)
        if why[0] == REASON_NONE:
            candidates.append((slot, found.standing, found.price, found.tie, found.deal, self.unshaded(slot)))
        auction.count = 0

    cdef int64_t unshaded(self, uint32_t slot):
        """What it would bid if it did not shade its bids."""
        cdef Auction auction = self.desk.auction
        cdef const CampaignRec* campaign = &self.book.campaigns[slot]
        cdef const Purse* purse = purse_of(self.purses, campaign)
        cdef int64_t full = auction.matcher.price_of(slot)
        cdef Candidate found
        auction.choose(slot, full, scaled_part(full, 65536 if purse is NULL else purse.multiplier),
                       draw_of(auction.terms.seed, campaign), &found)
        return found.price

    def bid(self, uint32_t number):
        cdef uint8_t why
        cdef int before = self.written
        self.imp_at(number)
        with self.counters:
            why = self.bid_imp(self.desk, number, &self.written)
        return why, self.written > before

    def answered(self):
        if self.written == 0:
            return b""
        return PyBytes_FromStringAndSize(self.writer.p, <Py_ssize_t>self.writer.n) + b"]}]}"

    def campaign_id(self, uint32_t slot):
        return self.book.campaign_id(self.campaign_at(slot).key)

    def is_further(self, uint32_t slot):
        return bool(self.campaign_at(slot).extra & F_RAISED)

    def facts(self, uint32_t slot):
        cdef const CampaignRec* campaign = self.campaign_at(slot)
        cdef const Purse* purse = purse_of(self.purses, campaign)
        cdef const Half* half
        cdef int64_t full = self.desk.auction.matcher.price_of(slot)
        cdef int64_t price = scaled_part(full, 65536 if purse is NULL else purse.multiplier)
        held = None
        if purse is not NULL:
            half = &purse.half[purse.active & 1]
            held = {"off": purse.off != 0, "throttle": purse.throttle, "multiplier": purse.multiplier,
                    "lease": half.lease > 0, "left": half.left, "wanted": reserved(purse, price)}
        return {
            "price": campaign.price, "full": full, "paced": price, "purse": held,
            "draw": <uint32_t>(draw_of(self.desk.auction.terms.seed, campaign) >> 32),
            "flight": (campaign.flight_start_s, campaign.flight_end_s),
            "frequency": [
                (self.book.frequencies[i].impressions, self.book.frequencies[i].per_s,
                 self.book.frequencies[i].level == LEVEL_CREATIVE)
                for i in range(campaign.frequency_first, campaign.frequency_first + campaign.frequency_count)
            ],
            "ways": self.ways(slot, full, price),
            "creatives": [
                self.creative(campaign, &self.book.creatives[i])
                for i in range(campaign.creative_first, campaign.creative_first + campaign.creative_count)
            ],
        }

    cdef list ways(self, uint32_t slot, int64_t full, int64_t price):
        """(deal or None, reason): through each deal that the campaign lists, alone; or open."""
        cdef Auction auction = self.desk.auction
        cdef const Imp* imp = self.imp_at(<uint32_t>self.walked)
        cdef Imp one = imp[0]
        cdef Candidate found
        cdef uint64_t draw = draw_of(auction.terms.seed, &self.book.campaigns[slot])
        cdef uint32_t i
        cdef int listed
        ways = []
        auction.imp = &one
        one.deals.n = 1
        for i in range(imp.deals.n):
            one.deals.at = imp.deals.at + i
            listed = auction.matcher.deal_listed(slot, self.desk.reader.deals[one.deals.at].id)
            if listed == 1:
                ways.append((i, auction.choose(slot, full, price, draw, &found)))
        if not ways:
            ways.append((None, auction.choose(slot, full, price, draw, &found)))
        auction.imp = imp
        return ways

    cdef dict creative(self, const CampaignRec* campaign, const CreativeRec* creative):
        cdef Auction auction = self.desk.auction
        cdef const Imp* imp = self.imp_at(<uint32_t>self.walked)
        cdef uint8_t why = creative_reason(self.desk.reader, self.book, imp, creative, auction.terms.row.key)
        if why == REASON_NONE:
            why = auction.capped(campaign, LEVEL_CREATIVE, creative.key)
        return {
            "key": creative.key, "reason": why, "format": creative.format, "w": creative.w, "h": creative.h,
            "attr": [n for n in range(64) if creative.attr >> <uint64_t>n & 1],
            "api": [n for n in range(64) if creative.api >> <uint64_t>n & 1],
            "flags": creative.flags, "language": creative.language,
            "adomain": self.texts(creative.adomain_first, creative.adomain_count),
            "cat": self.texts(creative.cat_first, creative.cat_count),
            "bundle": self.texts(creative.bundle - 1, 1)[0] if creative.bundle else None,
        }

    cdef list texts(self, uint32_t first, uint32_t count):
        cdef uint32_t i
        return [self.book.blob[self.book.strings[i].at:self.book.strings[i].at + self.book.strings[i].n].decode()
                for i in range(first, first + count)]

    def aims(self, uint32_t dimension, slots, int most):
        cdef Matcher matcher = self.desk.auction.matcher
        cdef const Value* value
        cdef Posting posting
        cdef const uint32_t* at
        cdef uint32_t v, slot, count
        cdef int way
        cdef dict found = {slot: ([], [], [0, 0], []) for slot in slots}
        for v in range(<uint32_t>self.book.count(S_VALUES)):
            value = &matcher.values[v]
            if value.dimension != dimension:
                continue
            for way in range(2):
                count = value.exc_count if way else value.inc_count
                if count == 0:
                    continue
                matcher.aim(&posting, value.dense & (DENSE_EXC if way else DENSE_INC),
                            value.exc_at if way else value.inc_at, count)
                if posting.dense != NULL or count > 8 * len(found):
                    having = [slot for slot in found if posting_has(&posting, slot)]
                else:
                    having = []
                    at = posting.first
                    while at < posting.end:
                        if at[0] in found:
                            having.append(at[0])
                        at += 1
                if not having:
                    continue
                raw = matcher.text[value.at:value.at + value.n]
                for slot in having:
                    lists = found[slot]
                    lists[2][way] += 1
                    if len(lists[way]) < most:
                        lists[way].append(raw)
                    if way and matcher.holds(v):
                        lists[3].append(raw)
        return found

    def filters(self, uint32_t slot):
        cdef const CampaignRec* campaign = self.campaign_at(slot)
        cdef Matcher matcher = self.desk.auction.matcher
        cdef const Filter* filter = &matcher.filters[campaign.extra_at]
        cdef const Value* value
        cdef uint32_t i
        found = {}
        if campaign.extra & F_HOURS:
            found["hour_of_week"] = {
                "hours": [hour for hour in range(168) if filter.hours[<int>hour >> 6] >> <uint64_t>(<int>hour & 63) & 1],
                "zone": self.book.zones[filter.zone], "now": self.book.zone_hour[filter.zone],
            }
        if campaign.extra & F_AGE:
            found["age"] = {"min": filter.age_min, "max": filter.age_max, "year": self.book.year}
        if campaign.extra & F_OSV:
            found["osv"] = {"min": [filter.osv_min[i] for i in range(<uint32_t>VERSION_PARTS)],
                            "max": [filter.osv_max[i] for i in range(<uint32_t>VERSION_PARTS)]}
        if campaign.extra & F_RADIUS:
            found["radius"] = [
                (matcher.points[i].lat, matcher.points[i].lon, matcher.points[i].km)
                for i in range(filter.point_first, filter.point_first + filter.point_count)
            ]
        if campaign.extra & F_ALL:
            missing = []
            for i in range(filter.all_first, filter.all_first + filter.all_count):
                if not matcher.holds(matcher.value_ids[i]):
                    value = &matcher.values[matcher.value_ids[i]]
                    missing.append(matcher.text[value.at:value.at + value.n].decode())
            found["segment"] = {"missing": missing}
        return found

    cdef const Imp* imp_at(self, uint32_t number) except NULL:
        if self.desk.reason != REASON_NONE or number >= self.desk.reader.req.imps.n:
            raise ValueError(f"imp {number}: there is none that could be bid on")
        return &self.desk.reader.imps[self.desk.reader.req.imps.at + number]

    cdef const CampaignRec* campaign_at(self, uint32_t slot) except NULL:
        if self.book is None or slot >= self.book.slot_count:
            raise IndexError(f"slot {slot} of the book")
        return &self.book.campaigns[slot]
