"""A desk: reader, matcher and auction of one request at a time, and what is known of the request.

What a request needs of a large book is nowhere near the processor. With a desk each, the requests of one batch
are read and matched first, and decided on when what they need has come.
"""

from bidder._fast.auction cimport AGREED_PRICE
from bidder._fast.consent cimport MAY_BID, MAY_PERSONALISE
from bidder._fast.currency cimport scaled_nano
from bidder._fast.features cimport (
    ALL_OF_IMPS, FEATURE_AUDIO, FEATURE_DEALS, FEATURE_NATIVE, FEATURE_PODS, FEATURE_SEGMENTS, FEATURE_VIDEO,
)
from bidder._fast.outcome cimport (
    REASON_CONSENT, REASON_CURRENCY, REASON_DSA, REASON_FEATURE, REASON_FORMAT, REASON_INVALID_REQUEST, REASON_NO_BOOK, REASON_NONE,
    REASON_QUANTITY, REASON_SEAT,
)
from bidder._fast.pods cimport in_pod
from bidder._fast.request cimport MEDIA_AUDIO, MEDIA_NATIVE, MEDIA_VIDEO, Deal, Imp, Request, pack3
from bidder._fast.rules cimport string_listed
from bidder._fast.segments cimport add_names

cdef enum:
    DSA_REQUIRED = 2           # of regs.dsa.dsarequired: 0 not, 1 it may be told, 2 and 3 it must
    ONE_IMPRESSION = 1_000_000 # Imp.quantity

cdef uint32_t USD = pack3(b"USD", 3)


cdef class Desk:
    def __init__(self, FrequencyTable frequency not None, consent, SegmentTable segments):
        self.segments = segments
        self.reader = Reader(consent)
        self.caps = Caps(frequency)

    cdef set_book(self, Book book, Purses purses):
        self.auction = Auction(self.reader, book, purses, self.caps)
        self.body = NULL

    cdef void name_user(self) noexcept nogil:
        self.user_named = True
        self.caps.open_request(&self.reader.req, self.row.key, self.now_s)
        self.in_segments = self.segments is not None and self.segments.named and self.reader.req.user.p is not NULL \
            and self.reader.req.may & MAY_PERSONALISE and not self.features_off & FEATURE_SEGMENTS \
            and self.caps.identify()

    cdef void expect_user(self) noexcept nogil:
        if self.in_segments:
            self.caps.expect()
            self.segments.expect(self.caps.digest)

    cdef void open_user(self) noexcept nogil:
        cdef uint32_t n
        if not self.user_named:
            self.name_user()
        if self.in_segments and self.caps.known():
            n = self.segments.of(self.caps.digest, self.now_s, self.own_segments)
            if n:
                add_names(self.reader, self.own_segments, n)

    cdef void do_without(self, uint32_t off) noexcept nogil:
        cdef uint8_t media = (MEDIA_VIDEO if off & FEATURE_VIDEO else 0) | (MEDIA_AUDIO if off & FEATURE_AUDIO else 0) \
            | (MEDIA_NATIVE if off & FEATURE_NATIVE else 0)
        cdef uint8_t gone
        cdef Imp* imp
        cdef uint32_t i
        self.features_off |= off
        if off & FEATURE_SEGMENTS:
            self.reader.req.segments.n = 0
        if not off & ALL_OF_IMPS:
            return
        for i in range(self.reader.req.imps.at, self.reader.req.imps.at + self.reader.req.imps.n):
            imp = &self.reader.imps[i]
            gone = media
            if off & FEATURE_PODS:
                if imp.media & MEDIA_VIDEO and in_pod(&self.reader.medias[imp.video]):
                    gone |= MEDIA_VIDEO
                if imp.media & MEDIA_AUDIO and in_pod(&self.reader.medias[imp.audio]):
                    gone |= MEDIA_AUDIO
            if off & FEATURE_DEALS:
                imp.deals.n = 0
                if imp.private_auction:
                    gone = 0xFF
            imp.media_off = imp.media & gone
            imp.media &= <uint8_t>~gone

    cdef uint8_t gate(self) noexcept nogil:
        """What concerns the request as a whole."""
        cdef const Request* req = &self.reader.req
        cdef uint32_t i
        self.rate = NULL
        if self.auction is None:
            return REASON_NO_BOOK
        if not req.may & MAY_BID:
            return REASON_CONSENT
        if self.reader.signals.regs.dsa >= DSA_REQUIRED or self.reader.signals.regs_ext.dsa >= DSA_REQUIRED:
            return REASON_DSA
        if req.wseat.n and not string_listed(self.reader, req.wseat, self.row.seat):
            return REASON_SEAT
        if string_listed(self.reader, req.bseat, self.row.seat):
            return REASON_SEAT
        if not req.cur_named:
            return REASON_NONE     # the standard's default is USD
        for i in range(req.cur.at, req.cur.at + req.cur.n):
            if self.reader.ints[i] == USD:
                return REASON_NONE
        for i in range(req.cur.at, req.cur.at + req.cur.n):
            self.rate = self.auction.book.rate_of(<uint32_t>self.reader.ints[i], self.now_s)
            if self.rate is not NULL:
                return REASON_NONE
        return REASON_CURRENCY

    cdef uint8_t obstacle(self, uint32_t number) noexcept nogil:
        """Why there can be no auction of this imp."""
        cdef const Imp* imp = &self.reader.imps[self.reader.req.imps.at + number]
        if imp.id.p is NULL or imp.duplicate_id:
            return REASON_INVALID_REQUEST
        if imp.quantity > ONE_IMPRESSION:
            return REASON_QUANTITY     # prices and budgets are of one impression; it would cost a multiple of the bid
        if imp.media:
            return REASON_NONE
        return REASON_FEATURE if imp.media_off else REASON_FORMAT

    cdef int64_t asked_of(self, const Candidate* best) noexcept nogil:
        """The price in the currency of the answer, rounded down: no more than the campaign bids, and no less than the floor,
        as `Auction.usd` has it. An agreed price is said as it was agreed."""
        cdef const Deal* deal
        if self.rate is NULL:
            return best.price
        if best.deal >= 0:
            deal = &self.reader.deals[best.deal]
            if deal.at == AGREED_PRICE and deal.floor > 0 and deal.floor_currency == self.rate.currency:
                return deal.floor
        return scaled_nano(best.price, self.rate.over, self.rate.under, False)
