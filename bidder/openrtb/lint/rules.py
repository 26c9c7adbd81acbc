"""Rules: what exchanges and validators check of an answer, each with a stable name, a severity and a sentence.

    yield broken("floor", "seatbid[0].bid[0].price", "0.5 where 1 is the floor")

Places: T transport, B response, D bid, X what one exchange asks beyond the standard. An ERROR costs the bid, or the
whole response, at somebody; a WARNING costs trust. A path names places of the answer only; a message may quote both
sides, so only paths and names of rules go into logs.
"""

from enum import StrEnum
from typing import Any, NamedTuple

QUOTED_CHARS = 80
LARGEST_BITS = 256  # of an integer that is still written out


class Severity(StrEnum):
    """What breaking a rule costs."""

    ERROR = "error"
    WARNING = "warning"


class Rule(NamedTuple):
    """One row of the table."""

    place: str
    severity: Severity
    what: str


class Violation(NamedTuple):
    """One objection. `path` is "" for the answer as a whole."""

    rule: str
    severity: Severity
    path: str
    message: str


E, W = Severity.ERROR, Severity.WARNING

RULES: dict[str, Rule] = {
    # transport
    "body_on_204": Rule("T1", E, "a 204 has no body"),
    "json": Rule("T2", E, "a 200 carries one JSON object: UTF-8, no NaN or Infinity, no key twice"),
    "refused": Rule("T3", E, "a well-formed request is not answered 400"),
    "body_on_400": Rule("T3", E, "a 400 has no body"),
    "answered_malformed": Rule("T3", E, "a request that is not one JSON object gets no bids"),
    "status": Rule("T4", E, "the status is 200, 204 or 400"),
    "content_type": Rule("T5", W, "a 200 says that it is application/json"),
    "openrtb_version": Rule("T5", W, "x-openrtb-version is major.minor"),
    "latency": Rule("T6", E, "the answer comes within tmax"),
    # response
    "response_id": Rule("B1", E, "the response has the request's id"),
    "seatbid_empty": Rule("B2", E, "a response without bids has no seatbid"),
    "no_reason": Rule("B2", W, "a response without bids says why: nbr"),
    "nbr_with_bids": Rule("B2", W, "a response with bids has no nbr"),
    "seat_without_bids": Rule("B3", E, "every seatbid has a bid"),
    "currency": Rule("B4", E, "cur (USD where absent) is of ISO 4217 and among the request's (USD where absent)"),
    "field_type": Rule("B5", E, "fields have the types of the standard"),
    "unknown_field": Rule("B5", W, "fields are those of the standard"),
    "null_field": Rule("B5", W, "no field is null"),
    "seat": Rule("B6", E, "the seat is in wseat, not in bseat, and one that the exchange knows"),
    "seat_group": Rule("B7", E, "group is 0 or 1"),
    # bid
    "bid_id": Rule("D1", E, "a bid has an id that no other of the response has"),
    "impid": Rule("D2", E, "impid is the id of one imp"),
    "price": Rule("D3", E, "the price is above 0, or 0 with a deal"),
    "price_absurd": Rule("D3", W, "the price is at most 1000 CPM"),
    "price_precision": Rule("D3", W, "the price has six decimals at most, or as many as the exchange takes"),
    "floor": Rule("D4", E, "the price reaches the floor: of the deal, else of the duration, else of the imp"),
    "floor_currency": Rule("D4", W, "price and floor can be compared: a rate is known"),
    "deal": Rule("D5", E, "dealid is one of the imp's deals"),
    "private_auction": Rule("D5", E, "a private auction gets bids on its deals only"),
    "deal_seat": Rule("D5", E, "the seat is in the deal's wseat"),
    "deal_advertiser": Rule("D5", E, "an adomain is in the deal's wadomain, or below one"),
    "deal_price": Rule("D5", W, "the price is the agreed one where the deal has at 3"),
    "adomain": Rule("D6", E, "adomain holds bare domains"),
    "badv": Rule("D6", E, "no adomain is in badv, or below an entry"),
    "adomain_absent": Rule("D6", W, "there is an adomain"),
    "adomain_absent_badv": Rule("D6", E, "there is an adomain where badv is set"),
    "bapp": Rule("D7", E, "the bundle is not in bapp"),
    "bcat": Rule("D8", E, "no cat is in bcat, or below an entry"),
    "acat": Rule("D8", E, "every cat is in acat, or below an entry"),
    "cattax": Rule("D8", W, "cattax is the request's"),
    "cat_absent": Rule("D8", W, "there is a cat where bcat or acat is set"),
    "battr": Rule("D9", E, "no attr is in battr of the medium"),
    "battr_companion": Rule("D9", W, "no attr is in battr of a companion banner"),
    "mtype": Rule("D10", E, "mtype is 1 to 4 and a medium that the imp offers"),
    "mtype_absent": Rule("D10", W, "there is an mtype"),
    "mtype_ambiguous": Rule("D10", E, "where mtype is absent, imp or markup tell the medium"),
    "size": Rule("D11", E, "a banner has a size that the imp offers"),
    "size_interstitial": Rule("D11", W, "an interstitial banner has a size that the imp offers"),
    "size_absent": Rule("D11", E, "a banner has w and h where the imp offers more than one size"),
    "vast": Rule("D12", E, "the markup of video and audio is well-formed VAST 2 to 4 with an ad that can be played"),
    "vast_fields": Rule("D12", W, "VAST has what its version requires besides"),
    "vast_version": Rule("D12", E, "the version of the VAST, inline or wrapper, is among protocols"),
    "vast_url": Rule("D12", E, "URLs in VAST are absolute http(s) URLs without blanks"),
    "vast_pod": Rule("D12", W, "VAST has one ad, or at most maxseq in a pod"),
    "protocol": Rule("D12", E, "bid.protocol is among protocols and that of the markup"),
    "duration": Rule("D12", E, "the duration is within minduration and maxduration, or in rqddurs, and within poddur"),
    "dur_differs": Rule("D12", W, "bid.dur is the Duration in the markup"),
    "media_mime": Rule("D12", E, "a media file is of an offered MIME type"),
    "media_bitrate": Rule("D12", W, "a media file of an offered MIME type is within minbitrate and maxbitrate"),
    "media_size": Rule("D12", W, "w and h of a video are those of a media file"),
    "delivery": Rule("D12", W, "a media file is delivered in an offered way"),
    "vpaid": Rule("D12", E, "VPAID and SIMID stand only where api has them, unless a plain media file is there too"),
    "linearity": Rule("D12", E, "the ad is linear or not as linearity wants it"),
    "skip": Rule("D12", E, "an ad can be skipped only where the imp does not forbid it"),
    "skip_attr": Rule("D12", W, "an ad that can be skipped has attr 16"),
    "companion": Rule("D12", W, "companions have a size that companionad offers"),
    "native": Rule("D14", E, "the markup of native is a JSON object of the Native standard"),
    "native_link": Rule("D14", E, "native has a link with a url"),
    "native_required": Rule("D14", E, "every required asset is there"),
    "native_asset": Rule("D14", E, "every asset answers one of the request, once, with its kind"),
    "native_length": Rule("D14", E, "titles and data are not longer than asked"),
    "native_image": Rule("D14", E, "images have a size and a MIME type that the request takes"),
    "native_url": Rule("D14", E, "URLs in native are absolute http(s) URLs without blanks"),
    "native_tracker": Rule("D14", E, "event trackers are of events and methods that the request offers"),
    "native_version": Rule("D14", W, "ver of native is the request's, or lower"),
    "banner_markup": Rule("D15", E, "the markup of a banner is not VAST or JSON"),
    "btype": Rule("D15", E, "no script or iframe where btype blocks them"),
    "secure_markup": Rule("D16", E, "the markup for a secure imp has no http URL, name spaces excepted"),
    "secure_https": Rule("D16", E, "the markup for a secure imp has an https URL"),
    "secure_notice": Rule("D16", W, "notice URLs for a secure imp are https"),
    "notice_url": Rule("D17", E, "nurl, burl, lurl and iurl are absolute http(s) URLs without blanks or controls"),
    "macro": Rule("D17", E, "macros are ones that the exchange fills"),
    "template_mark": Rule("D17", E, "no template marks are left"),
    "price_macro": Rule("D17", W, "nurl, burl or markup ask for the price"),
    "crid": Rule("D18", E, "there is a crid"),
    "no_markup": Rule("D19", E, "there is an adm or a nurl"),
    "api": Rule("D20", E, "api and apis are among those of the imp"),
    "mraid": Rule("D20", E, "mraid.js needs api 3, 5 or 6"),
    "exp": Rule("D21", E, "exp is above 0"),
    "exp_long": Rule("D21", W, "exp is not longer than the imp's"),
    "language": Rule("D22", E, "the language is in wlang, or wlangb"),
    "language_twice": Rule("D22", E, "language and langb are not both there"),
    "slotinpod": Rule("D23", W, "slotinpod stands only where the imp is in a pod, and fits the imp's"),
    "privacy_echo": Rule(
        "D24", W, "where the person must not be known, nothing of the person stands in markup or URLs"
    ),
    "dsa": Rule("D25", E, "ext.dsa is there where regs.ext.dsa requires it (2, 3)"),
    # one exchange
    "response_bytes": Rule("X1", E, "the response is not larger than the exchange takes"),
    "notice_chars": Rule("X2", E, "notice URLs are not longer than the exchange takes"),
    "adm_absent": Rule("X3", E, "the markup is in the bid where the exchange wants it there"),
}


def broken(rule: str, path: str, message: str) -> Violation:
    """A violation of a rule of the table."""
    return Violation(rule, RULES[rule].severity, path, message)


def said(value: Any) -> str:
    """A value as a message quotes it: printable ASCII, short."""
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        return "an integer beyond all bounds"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(said(item) for item in list(value)[:5])}{', ...' if len(value) > 5 else ''}]"
    if isinstance(value, dict):
        return "an object"
    text = ascii(value[:QUOTED_CHARS]) if isinstance(value, str) else str(value)
    return text[:QUOTED_CHARS]
