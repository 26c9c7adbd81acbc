"""Outcomes of a request, and the reasons why one got no bid.

A no-bid is a value with a reason. The number of a reason is what the counters carry and never changes. When a request
fails at several places, the reason that is counted is the one that came closest to a bid: the last of them in NEARNESS.
"""

from enum import IntEnum


class Reason(IntEnum):
    """Why a request (or an imp of it) got no bid."""

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
    LINEARITY = 29  # video: linear where only an overlay may be, or the other way round
    PLACEMENT = 30  # video: an overlay where nothing plays below it
    MIME = 31  # video, audio: no media file of a type that the player plays
    PROTOCOL = 32  # video, audio: no VAST version that the player reads
    DELIVERY = 33  # video, audio: media files are downloaded, the player wants them streamed
    BITRATE = 34
    DURATION = 35  # minduration, maxduration, rqddurs, poddur
    SKIP = 36  # can be skipped where that may not be, or earlier
    ASSETS = 37  # native: a required asset is missing, too long or of another size; or the native request is unreadable
    POD = 38  # another ad of the same pod has its domain, category or creative
    EXPDIR = 39  # banner: expands in a direction that is not allowed
    CONSENT = 40  # the law or the publisher lets us not bid at all; decided for the request, before any campaign
    DSA = 41  # the Digital Services Act wants to know who pays for the ad, which campaigns do not say
    SECRET = 45  # not the secret that the settings ask of this exchange: not read
    PEER = 46  # from an address that the settings do not list: not read
    RATE = 47  # more requests a second than the settings want of this exchange: not read
    RESPONSE_SIZE = 48  # the answer would be longer than the exchange takes
    QUANTITY = 50  # imp.qty: one bid would pay for more than one impression
    USER = 53  # caps: nothing is known of the user here yet, and the settings say not to bid then
    FEATURE = 54  # the imp would need a feature that is off: its media, its deals or its pod

    @property
    def rank(self) -> int:
        """Higher: closer to a bid."""
        return _RANK[self]


_R = Reason
NEARNESS = (
    _R.NONE, _R.MALFORMED, _R.INVALID_REQUEST, _R.NO_BOOK, _R.OFF, _R.SECRET, _R.PEER, _R.RATE, _R.OVERLOAD,
    _R.CONSENT, _R.DSA, _R.SEAT, _R.CURRENCY,
    _R.FORMAT, _R.FEATURE, _R.QUANTITY, _R.TARGETING, _R.FLIGHT, _R.CAMPAIGN_OFF,
    _R.LINEARITY, _R.PLACEMENT, _R.MIME, _R.PROTOCOL, _R.DELIVERY, _R.SIZE, _R.BITRATE, _R.DURATION, _R.SKIP, _R.ASSETS,
    _R.DEAL, _R.BAPP, _R.BADV, _R.BCAT, _R.BATTR, _R.BTYPE, _R.EXPDIR, _R.API, _R.SECURE, _R.APPROVAL, _R.LANGUAGE,
    _R.RESPONSE_SIZE, _R.FLOOR_CURRENCY, _R.FLOOR, _R.POD, _R.USER, _R.FREQUENCY, _R.PACED, _R.PURSE_EMPTY,
    _R.BROKEN,
)  # fmt: skip
"""Every reason, from far away to nearly a bid."""
_RANK = {reason: rank for rank, reason in enumerate(NEARNESS)}
