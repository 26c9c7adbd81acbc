"""The auction of one imp among our own campaigns.

    matcher, deals first, then dearest first -> flight, switch -> value, shaded, x pacing -> deal, floor -> creative, of any format
        -> frequency -> throttle -> purse looked at -> ranked; the caller reserves the best, or asks for the next

A bid through a deal goes before every open one of ours, a guaranteed deal's before both: what buyer and publisher have
agreed on is not lost to a price. So where a campaign has one of the imp's deals, those that have are scanned first, and
the others only if none of them may bid.
Scanning stops at the first campaign whose highest price is below the best candidate's.
A request draws one random number; throttle and ties derive from it and the campaign's key,
so a campaign throttled at one imp is throttled at all of them, and equal campaigns share.
Nothing is taken while ranking: purses and caps are only looked at. Money: int64 nano-USD for one impression.
"""

from libc.stdint cimport INT64_MAX
from libc.string cimport memset
from bidder._fast.book cimport Piece, RateRec, StrRef
from bidder._fast.currency cimport scaled_nano, scaled_part
from bidder._fast.features cimport FEATURE_MULTIPLIERS, FEATURE_SHADING
from bidder._fast.formats cimport duration_floor, floored_by_duration, media_rec, player_of
from bidder._fast.caps cimport LEVEL_CAMPAIGN, LEVEL_CREATIVE
from bidder._fast.outcome cimport (
    REASON_CAMPAIGN_OFF, REASON_DEAL, REASON_FLIGHT, REASON_FLOOR, REASON_FLOOR_CURRENCY, REASON_FORMAT, REASON_NONE,
    REASON_PACED, REASON_PURSE_EMPTY, REASON_RESPONSE_SIZE, REASON_SECURE, REASON_SIZE, REASON_TARGETING, RANK, closer,
)
from bidder._fast.book_layout cimport D_DEAL, D_FORMAT, D_SECURE, D_SIZE, DIMENSIONS, F_MULTIPLIERS, F_SHADED
from bidder._fast.book_questions cimport near_bit
from bidder._fast.memory cimport fetch
from bidder._fast.pods cimport pods_clear, pods_imp, pods_place, pods_reason
from bidder._fast.purses cimport Half, reserved
from bidder._fast.request cimport MEDIA_AUDIO, MEDIA_VIDEO, Media, pack3
from bidder._fast.rules cimport creative_reason, domain_listed, string_listed
from bidder._fast.shading cimport class_of, shaded
from bidder._fast.writer cimport Splices, bid_bytes, splice_native

cdef enum:
    NOT_ASKED = -2             # Auction.ahead: the matcher has more to say; it said -1 itself: no more in this scan
    NO_RATE = -1               # Auction.usd

cdef uint32_t USD = pack3(b"USD", 3)


cdef inline uint64_t mixed(uint64_t x) noexcept nogil:
    """splitmix64's finaliser: every bit of the result depends on every bit of `x`."""
    x += <uint64_t>0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef uint8_t lost_reason(uint32_t dimension) noexcept nogil:
    if dimension == D_DEAL:
        return REASON_DEAL
    if dimension == D_FORMAT:
        return REASON_FORMAT
    if dimension == D_SIZE:
        return REASON_SIZE
    return REASON_SECURE if dimension == D_SECURE else REASON_TARGETING


cdef uint64_t draw_of(uint64_t seed, const CampaignRec* campaign) noexcept nogil:
    """A campaign's random number for this request, the same at each of its imps."""
    return mixed(seed ^ (<uint64_t>campaign.key << 32))


cdef const Purse* purse_of(Purses purses, const CampaignRec* campaign) noexcept nogil:
    """NULL where the host has no purse for this campaign (yet)."""
    if campaign.purse >= purses.capacity or purses.slots[campaign.purse].campaign != campaign.key:
        return NULL
    return &purses.slots[campaign.purse]


cdef inline bint holds(const Purse* purse, int64_t price) noexcept nogil:
    cdef const Half* half = &purse.half[purse.active & 1]
    return half.lease > 0 and half.left >= reserved(purse, price)


cdef inline int64_t deal_floor(const Deal* deal, const Imp* imp, uint32_t* currency) noexcept nogil:
    """A deal without a floor of its own, or with 0 (the standard's default for absent), falls to the imp's."""
    if deal.floor > 0:
        currency[0] = deal.floor_currency
        return deal.floor
    currency[0] = imp.floor_currency
    return imp.floor


cdef inline uint8_t floor_reason(int64_t price, int64_t floor) noexcept nogil:
    if floor == NO_RATE:
        return REASON_FLOOR_CURRENCY
    return REASON_NONE if price >= floor else REASON_FLOOR


cdef class Auction:
    def __init__(self, Reader reader not None, Book book not None, Purses purses not None, Caps caps not None):
        self.reader = reader
        self.book = book
        self.matcher = Matcher(book)
        self.purses = purses
        self.caps = caps

    cdef void open_request(self, const Terms* terms) noexcept nogil:
        self.terms = terms[0]
        self.shaded = 0 if terms.features_off & FEATURE_SHADING else F_SHADED
        self.matcher.multiplied = 0 if terms.features_off & FEATURE_MULTIPLIERS else F_MULTIPLIERS
        pods_clear(&self.pods)
        self.matcher.begin_request(self.reader, terms.row.key, terms.now_s)

    cdef void open_imp(self, const Imp* imp, uint32_t number) noexcept nogil:
        cdef uint32_t i, currency
        cdef int64_t floor
        self.imp = imp
        self.imp_seed = mixed(self.terms.seed + number)
        self.count = 0
        self.ahead = NOT_ASKED
        self.reason = REASON_NONE
        pods_imp(&self.pods)
        self.by_duration = imp.media & (MEDIA_VIDEO | MEDIA_AUDIO) and floored_by_duration(self.reader, imp)
        self.imp_floor = self.usd(imp.floor, imp.floor_currency)
        self.floor_least = INT64_MAX if imp.private_auction or self.imp_floor == NO_RATE else self.imp_floor
        for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
            floor = deal_floor(&self.reader.deals[i], imp, &currency)
            floor = self.usd(floor, currency)
            if floor != NO_RATE and floor < self.floor_least:
                self.floor_least = floor
            if self.floored_later(&self.reader.deals[i]):
                self.floor_least = 0
        self.deals_done = False
        self.standing_most = STANDS_OPEN
        if self.by_duration:
            self.floor_least = 0
        self.matcher.begin_imp(imp)
        if self.matcher.scan_deals():
            self.standing_most = STANDS_DEAL
            for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
                if self.reader.deals[i].guaranteed:
                    self.standing_most = STANDS_GUARANTEED

    cdef int64_t usd(self, int64_t floor, uint32_t currency) noexcept nogil:
        """The least price in nano-USD whose bid, in the currency of the answer, is not below this floor; or NO_RATE."""
        cdef const RateRec* ours = self.terms.rate
        cdef const RateRec* theirs
        if floor <= 0:
            return 0
        if currency != 0 and currency != USD:
            theirs = self.book.rate_of(currency, self.terms.now_s)
            if theirs is NULL:
                return NO_RATE
            floor = scaled_nano(floor, theirs.under, theirs.over, True)
            if ours is not NULL and ours.currency == currency:
                return floor
        if ours is not NULL:
            floor = scaled_nano(scaled_nano(floor, ours.over, ours.under, True), ours.under, ours.over, True)
        return floor

    cdef void fetch_campaigns(self) noexcept nogil:
        cdef int i
        self.next_n = self.matcher.peek(self.next, NEXT)
        for i in range(self.next_n):
            fetch(&self.book.campaigns[self.next[i]], sizeof(CampaignRec))

    cdef void fetch_purses(self) noexcept nogil:
        cdef const CampaignRec* campaign
        cdef int i
        for i in range(self.next_n):
            campaign = &self.book.campaigns[self.next[i]]
            if campaign.purse < self.purses.capacity:
                fetch(&self.purses.slots[campaign.purse], sizeof(Purse) // 2)
            fetch(&self.book.creatives[campaign.creative_first], sizeof(CreativeRec))
            self.matcher.fetch_filter(campaign)

    cdef void fetch_pieces(self) noexcept nogil:
        cdef const CreativeRec* creative
        cdef int i
        for i in range(self.next_n):
            creative = &self.book.creatives[self.book.campaigns[self.next[i]].creative_first]
            fetch(&self.book.pieces[creative.piece_first], creative.piece_count * sizeof(Piece))
            fetch(&self.book.strings[creative.adomain_first], sizeof(StrRef))

    cdef bint next_best(self, Candidate* best) noexcept nogil:
        cdef int i
        while self.scan():
            best[0] = self.top[0]
            self.count -= 1
            for i in range(self.count):
                self.top[i] = self.top[i + 1]
            # It was ranked before others of this imp were placed, if it is a pod; another creative of it may do.
            if self.pods.count == self.pods.first or pods_reason(
                    &self.pods, self.reader, self.book, self.imp, &self.book.creatives[best.creative]) == REASON_NONE:
                return True
            self.refuse(self.examine(best.slot))
        self.refuse_near()
        return False

    cdef bint scan(self) noexcept nogil:
        """Until nobody can beat the first of the ranked; False: there is none."""
        while True:
            if self.ahead == NOT_ASKED:
                self.ahead = self.matcher.next_slot()
            if self.ahead >= 0 and self.worth_a_look(self.book.campaigns[self.ahead].price_max):
                if not (self.deals_done and self.matcher.includes_deals(<uint32_t>self.ahead)):
                    self.refuse(self.examine(<uint32_t>self.ahead))
                self.ahead = NOT_ASKED
            elif self.count == 0 and self.matcher.scan_others():
                self.deals_done = True
                self.standing_most = STANDS_OPEN
                self.ahead = NOT_ASKED
            else:
                break
        return self.count > 0

    cdef bint place(self, const Candidate* best) noexcept nogil:
        return pods_place(&self.pods, self.reader, self.book, self.imp, &self.book.creatives[best.creative])

    cdef bint worth_a_look(self, int64_t price_max) noexcept nogil:
        """Can a campaign that bids so much at most still change what this scan has found?"""
        if self.count and self.top[0].standing == self.standing_most and price_max < self.top[0].price:
            return False
        # Below the lowest floor all that is left fails there, or before it.
        return price_max >= self.floor_least or RANK[self.reason] < RANK[REASON_FLOOR]

    cdef void refuse(self, uint8_t why) noexcept nogil:
        if closer(why, self.reason):
            self.reason = why

    cdef void refuse_near(self) noexcept nogil:
        """Campaigns that the matcher lost to this imp count like those that fell here."""
        cdef uint32_t dimension
        for dimension in range(<uint32_t>D_DEAL, <uint32_t>DIMENSIONS):
            if self.matcher.near & near_bit(dimension):
                self.refuse(lost_reason(dimension))
        if self.reason == REASON_NONE:
            self.reason = REASON_TARGETING     # no campaign came so far as to say why

    cdef uint8_t capped(self, const CampaignRec* campaign, uint32_t level, uint32_t subject) noexcept nogil:
        if campaign.frequency_count == 0:
            return REASON_NONE
        return self.caps.reason(&self.book.frequencies[campaign.frequency_first], campaign.frequency_count, level,
                                subject)

    cdef uint8_t count_caps(self, const Candidate* best) noexcept nogil:
        cdef const CampaignRec* campaign = &self.book.campaigns[best.slot]
        if campaign.frequency_count == 0:
            return REASON_NONE
        return self.caps.count(&self.book.frequencies[campaign.frequency_first], campaign.frequency_count, campaign.key,
                               self.book.creatives[best.creative].key, self.book.creatives[best.creative].format)

    cdef uint8_t examine(self, uint32_t slot) noexcept nogil:
        """REASON_NONE: it is ranked, or too cheap to be."""
        cdef const CampaignRec* campaign = &self.book.campaigns[slot]
        cdef const Purse* purse = purse_of(self.purses, campaign)
        cdef uint64_t draw = draw_of(self.terms.seed, campaign)
        cdef int64_t full = self.matcher.price_of(slot)
        cdef int64_t price
        cdef Candidate candidate
        cdef uint8_t why
        if not campaign.flight_start_s <= self.terms.now_s < campaign.flight_end_s:
            return REASON_FLIGHT
        if purse is not NULL and purse.off:
            return REASON_CAMPAIGN_OFF
        if full == 0:
            return REASON_TARGETING        # a multiplier of 0 applies: of such requests it wants none
        price = scaled_part(full, 65536 if purse is NULL else purse.multiplier)
        if self.count == TOP and self.top[TOP - 1].standing == self.standing_most and self.top[TOP - 1].price > (
                full if self.standing_most == STANDS_GUARANTEED else price):
            return REASON_NONE
        why = self.choose(slot, full, price, draw, &candidate)
        if why != REASON_NONE:
            return why
        if campaign.extra & self.shaded:
            self.shade(campaign, full, 65536 if purse is NULL else purse.multiplier, &candidate)
        why = self.capped(campaign, LEVEL_CAMPAIGN, campaign.key)
        if why != REASON_NONE:
            return why
        if purse is not NULL and <uint32_t>(draw >> 32) > purse.throttle and candidate.standing != STANDS_GUARANTEED:
            return REASON_PACED
        if purse is NULL or not holds(purse, candidate.price):
            return REASON_PURSE_EMPTY
        candidate.slot = slot
        candidate.tie = <uint32_t>mixed(draw ^ self.imp_seed)
        self.rank(&candidate)
        return REASON_NONE

    cdef void shade(self, const CampaignRec* campaign, int64_t full, uint32_t multiplier, Candidate* found) noexcept nogil:
        """Where the winner pays what it bids, and the price is not agreed on: less, but never below the floor."""
        cdef const CreativeRec* creative = &self.book.creatives[found.creative]
        cdef const Deal* deal
        cdef uint8_t at = self.reader.req.at
        cdef int64_t price
        if self.purses.shading is None or found.floor == ANY_LENGTH or found.standing == STANDS_GUARANTEED:
            return
        if found.deal != OPEN:
            deal = &self.reader.deals[found.deal]
            at = deal.at if deal.at != 0 else at
        if at != FIRST_PRICE:
            return
        price = shaded(
            self.purses.shading.rows, class_of(self.terms.row.key, creative.format, creative.w, creative.h), full,
        )
        found.price = min(found.price, max(found.floor, scaled_part(price, multiplier)))

    cdef uint8_t choose(self, uint32_t slot, int64_t full, int64_t price, uint64_t draw,
                        Candidate* found) noexcept nogil:
        """The best way for this campaign to bid: open, or through a deal that it lists; among equals the first.

        `price` is `full` as pacing has it; a guaranteed deal is not paced: its pace is agreed on.
        """
        cdef const Imp* imp = self.imp
        cdef const Deal* deal
        cdef uint8_t why, best_why = REASON_NONE
        cdef uint32_t i, currency = 0
        cdef int64_t floor, worth, offer
        cdef int32_t creative
        cdef uint8_t standing
        cdef int listed = 0
        found.price = 0
        found.standing = STANDS_OPEN
        for i in range(imp.deals.at, imp.deals.at + imp.deals.n):
            deal = &self.reader.deals[i]
            listed = self.matcher.deal_listed(slot, deal.id)
            if listed == 0:
                break          # it lists none at all
            if listed == 2:
                continue
            floor = deal_floor(deal, imp, &currency)
            floor = self.usd(floor, currency)
            standing = STANDS_GUARANTEED if deal.guaranteed else STANDS_DEAL
            worth = full if deal.guaranteed else price
            offer = worth
            if deal.at == AGREED_PRICE and deal.floor > 0 and 0 <= floor <= worth:
                offer = floor
            if standing < found.standing or (standing == found.standing and offer <= found.price):
                continue
            why = REASON_NONE
            if deal.wseat.n and not string_listed(self.reader, deal.wseat, self.terms.row.seat):
                why = REASON_DEAL
            if why == REASON_NONE:
                why = floor_reason(worth, 0 if self.floored_later(deal) else floor)
            if why == REASON_NONE:
                why = self.choose_creative(slot, deal, offer, draw, &creative)
            if why == REASON_NONE:
                found.standing = standing
                found.price = offer
                found.creative = creative
                found.deal = <int32_t>i
                found.floor = ANY_LENGTH if self.floored_later(deal) else floor
            elif closer(why, best_why):
                best_why = why
        if listed != 0:
            return REASON_NONE if found.price else best_why
        if imp.private_auction:
            return REASON_DEAL
        found.price = price
        found.deal = OPEN
        found.floor = ANY_LENGTH if self.by_duration else self.imp_floor
        why = floor_reason(price, 0 if self.by_duration else self.imp_floor)
        return why if why != REASON_NONE else self.choose_creative(slot, NULL, price, draw, &found.creative)

    cdef bint floored_later(self, const Deal* deal) noexcept nogil:
        """Does the floor depend on the length of the ad? A deal's own goes before that of the imp."""
        if deal is NULL or deal.floor <= 0 and not (deal.durfloors.n or deal.mincpmpersec):
            return self.by_duration
        return deal.durfloors.n or deal.mincpmpersec

    cdef uint8_t creative_floor(self, const CreativeRec* creative, const Deal* deal, int64_t price) noexcept nogil:
        """Where it does."""
        cdef const Media* player = player_of(self.reader, self.imp, creative.format)
        cdef uint32_t seconds = media_rec(self.book, creative).duration_s if player is not NULL else 0
        cdef int64_t floor = 0
        if deal is not NULL:
            if player is not NULL:
                floor = duration_floor(self.reader, deal.durfloors, deal.mincpmpersec, seconds)
            if floor <= 0:
                floor = deal.floor
            if floor > 0:
                return floor_reason(price, self.usd(floor, deal.floor_currency))
        floor = 0
        if player is not NULL:
            floor = duration_floor(self.reader, player.durfloors, player.mincpmpersec, seconds)
        return floor_reason(price, self.usd(floor, self.imp.floor_currency) if floor > 0 else self.imp_floor)

    cdef uint8_t choose_creative(self, uint32_t slot, const Deal* deal, int64_t price, uint64_t draw,
                                 int32_t* creative) noexcept nogil:
        """A random one of those that may serve, each with the same chance; of its variants the first that may."""
        cdef const CampaignRec* campaign = &self.book.campaigns[slot]
        cdef const CreativeRec* c
        cdef uint32_t i, allowed = 0, served = 0
        cdef bint later = self.floored_later(deal)
        cdef uint8_t why, best_why = REASON_NONE
        creative[0] = NO_CREATIVE
        for i in range(campaign.creative_first, campaign.creative_first + campaign.creative_count):
            c = &self.book.creatives[i]
            if c.key == served:
                continue
            why = creative_reason(self.reader, self.book, self.imp, c, self.terms.row.key)
            if why == REASON_NONE and deal is not NULL and deal.wadomain.n \
                    and not domain_listed(self.reader, self.book, deal.wadomain, c):
                why = REASON_DEAL
            if why == REASON_NONE and self.room and self.too_long(c, deal):
                why = REASON_RESPONSE_SIZE
            if why == REASON_NONE and later:
                why = self.creative_floor(c, deal, price)
            if why == REASON_NONE and self.imp.media & (MEDIA_VIDEO | MEDIA_AUDIO):
                why = pods_reason(&self.pods, self.reader, self.book, self.imp, c)
            if why == REASON_NONE:
                why = self.capped(campaign, LEVEL_CREATIVE, c.key)
            if why == REASON_NONE:
                served = c.key
                allowed += 1
                if allowed == 1 or mixed(draw + self.imp_seed + allowed) % allowed == 0:
                    creative[0] = <int32_t>i
            elif closer(why, best_why):
                best_why = why
        return REASON_NONE if allowed else best_why

    cdef bint too_long(self, const CreativeRec* creative, const Deal* deal) noexcept nogil:
        """Is there no room left in the answer for this bid?"""
        cdef Splices splices
        splices.imp_id_raw = self.imp.id_raw
        splices.row = self.terms.row
        memset(&splices.deal, 0, sizeof(splices.deal))
        if deal is not NULL:
            splices.deal = deal.id
        splice_native(&splices, self.reader, self.imp, creative)
        return bid_bytes(self.book, creative, &splices) > self.room

    cdef void rank(self, const Candidate* candidate) noexcept nogil:
        cdef int at = self.count
        if at == TOP:
            at -= 1
            if not before(candidate, &self.top[at]):
                return
        else:
            self.count += 1
        while at > 0 and before(candidate, &self.top[at - 1]):
            self.top[at] = self.top[at - 1]
            at -= 1
        self.top[at] = candidate[0]


cdef inline bint before(const Candidate* a, const Candidate* b) noexcept nogil:
    if a.standing != b.standing:
        return a.standing > b.standing
    return a.price > b.price or (a.price == b.price and a.tie > b.tie)
