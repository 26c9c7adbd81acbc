"""Outcomes of a request, and the reasons why one got no bid.

A no-bid is a value with a reason. The number of a reason is what the counters
carry and never changes; a later reason outranks an earlier one when a request
fails at several places, so the one that is counted came closest to a bid.
"""

from enum import IntEnum


class Reason(IntEnum):
    """Why a request (or an imp of it) got no bid. Order: from far away to nearly a bid."""

    NONE = 0
    MALFORMED = 1  # not JSON: HTTP 400
    INVALID_REQUEST = 2  # no id, no imp, or no imp with an id of its own
    NO_BOOK = 3  # the worker has no campaigns yet
    OFF = 4  # a switch is off: all, or this exchange
    OVERLOAD = 5
    SEAT = 6  # wseat without our seat, or bseat with it
    CURRENCY = 7  # cur without USD
    FORMAT = 8  # no imp offers a format that we serve
    TARGETING = 9  # no campaign accepts this request
    FLIGHT = 10  # those that accept it have not begun, or have ended
    CAMPAIGN_OFF = 11  # switched off
    SIZE = 12
    DEAL = 13  # private auction without a deal of ours, wseat or wadomain of the deal
    BAPP = 14
    BADV = 15
    BCAT = 16  # bcat, or acat without a category of the creative
    BATTR = 17
    BTYPE = 18
    API = 19
    SECURE = 20
    APPROVAL = 21  # the exchange has not approved the creative
    LANGUAGE = 22  # wlang or wlangb without the language of the creative
    FLOOR_CURRENCY = 23  # a floor in a currency without a rate
    FLOOR = 24
    FREQUENCY = 25
    PACED = 26  # the throttle said no
    PURSE_EMPTY = 27
    BROKEN = 28  # a fault of ours: no memory, or OpenSSL refused
    SECRET = 45  # not the secret that the settings ask of this exchange: not read
    PEER = 46  # from an address that the settings do not list: not read
    RATE = 47  # more requests a second than the settings want of this exchange: not read
    RESPONSE_SIZE = 48  # the answer would be longer than the exchange takes
