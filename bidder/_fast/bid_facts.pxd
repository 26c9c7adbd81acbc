"""What is told of a bid: the key that it is counted under, and what its tokens say."""

from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memset
from bidder._fast.book cimport CampaignRec, CreativeRec, RateRec
from bidder._fast.counters cimport COUNT_BID, CounterKey
from bidder._fast.purses cimport Take
from bidder._fast.tokens cimport FLAG_TEST, TokenFields


# `key` has what the request is counted under.
cdef inline void count_as_bid(CounterKey* key, const CampaignRec* campaign, const CreativeRec* creative,
                              uint32_t deal) noexcept nogil:
    key.kind = COUNT_BID
    key.format = creative.format
    key.w = <uint16_t>creative.w
    key.h = <uint16_t>creative.h
    key.campaign = campaign.key
    key.creative = creative.key
    key.deal = deal


# The token says of the bid what its counter says, and where its money was taken. `asked`: in the currency of `rate`.
cdef inline void fill_token(TokenFields* fields, const CounterKey* key, const Take* take, int64_t price, int64_t asked,
                            const RateRec* rate, bint test) noexcept nogil:
    memset(fields, 0, sizeof(TokenFields))
    fields.exchange = key.exchange
    fields.flags = FLAG_TEST if test else 0
    fields.arm = key.arm
    fields.format = key.format
    fields.os = key.os
    fields.country = key.country
    fields.w = key.w
    fields.h = key.h
    fields.campaign = key.campaign
    fields.creative = key.creative
    fields.deal = key.deal
    fields.inventory = key.inventory
    fields.lease = take.lease
    fields.bid_price = <uint32_t>price       # PRICE_CAP of a book is below 2**32
    fields.taken = <uint32_t>take.amount
    if rate is not NULL:
        fields.currency = <uint16_t>rate.currency
        fields.rate_version = <uint16_t>rate.day
        fields.asked_low = <uint32_t>asked
        fields.asked_high = <uint32_t>(asked >> 32)
