"""Macros: places in an advertiser's markup and URLs that a campaign or a bid fills.

text -> fill_html() | fill_url() -> parts: text as it will be read, and pieces that the writer fills per bid

    {click_url}, {imp_url}          our click and impression URL; percent-encoded where they stand inside another URL
    {view_url}                      likewise, to be loaded when the ad is in view
    {click_url:url}, {imp_url:url}, {view_url:url}  always percent-encoded, for a URL inside a page's markup
    {view_id}                       by which whoever saw the ad may be told to have converted
    {pixel}                         an image of the impression URL, in a page's markup only
    {tag}                           a script in its place, which also says when the ad was in view; likewise
    {cachebuster}                   a text that no other bid has: its id
    {campaign_id}, {creative_id}, {advertiser}  percent-encoded, so that they are safe in HTML, URL, XML and script

Everything else in braces is left as it is, `${AUCTION_...}` for the exchange among it (OpenRTB 2.6 §4.4). What a format
(XML, JSON) wants escaped beyond that is up to who writes that format: parts are text, not yet markup.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from bidder.openrtb.variant import Piece, When

Part = str | Piece | When

# What an exchange fills; a suffix, as in ${AUCTION_PRICE:B64}, names the encoding.
EXCHANGE = (
    "AUCTION_ID", "AUCTION_BID_ID", "AUCTION_IMP_ID", "AUCTION_SEAT_ID", "AUCTION_AD_ID", "AUCTION_PRICE",
    "AUCTION_CURRENCY", "AUCTION_MBR", "AUCTION_LOSS", "AUCTION_MIN_TO_WIN", "AUCTION_MULTIPLIER", "AUCTION_IMP_TS",
    "AUCTION_DISCOUNT_PCT", "AUCTION_DISCOUNT_CPM",
)  # fmt: skip
# The brace comes first, so that the search goes from brace to brace.
_OURS = re.compile(
    r"(\{(?<!\$\{)(?:(?:click_url|imp_url|view_url)(?::url)?|view_id|pixel|tag|cachebuster|campaign_id|creative_id|advertiser)\})"
)
_OTHERS = {
    *("{click_url:url}", "{imp_url:url}", "{view_url:url}", "{view_id}", "{cachebuster}"),
    *("{campaign_id}", "{creative_id}", "{advertiser}"),
}
_TELLING = {"{pixel}", "{tag}", "{imp_url}", "{imp_url:url}"}
_LIKE_EXCHANGES = re.compile(r"\$\{(\w*)(?::\w+)?\}")


class Values(NamedTuple):
    """What the macros of one creative become; `url` is that of the tracker, without a slash at its end."""

    url: str
    campaign_id: str
    creative_id: str
    advertiser: str

    @classmethod
    def of(cls, campaign: Mapping[str, Any], creative: Mapping[str, Any], url: str) -> "Values":
        return cls(url, campaign["id"], creative["id"], campaign.get("advertiser") or "")

    def click_url(self) -> list[Part]:
        return [f"{self.url}/click/", Piece.PAGE_TOKEN]

    def imp_url(self) -> list[Part]:
        return [f"{self.url}/imp/", Piece.PAGE_TOKEN, Piece.PIXEL_PRICE]

    def event_url(self, path: str) -> list[Part]:
        """Of what the page or a player tells, by the tracker's name for it."""
        return [f"{self.url}/{path}/", Piece.PAGE_TOKEN]

    def page_url(self, macro: str) -> list[Part] | None:
        """The URL that a macro stands for; None: it stands for something else."""
        match macro:
            case "{click_url}":
                return self.click_url()
            case "{imp_url}":
                return self.imp_url()
            case "{view_url}":
                return self.event_url("view")
        return None

    def tag(self) -> list[Part]:
        return ['<script src="', *self.event_url("tag"), Piece.PIXEL_PRICE, '" async></script>']

    def pixel(self) -> list[Part]:
        return ['<img src="', *self.imp_url(), '" width="1" height="1" alt="" style="display:none">']


def fill_html(text: str, values: Values) -> list[Part]:
    """Markup of a page. One that tells of its impression nowhere gets the pixel at its end."""
    split = _OURS.split(text)
    found: list[Part] = []
    for part in split:
        if part == "{pixel}":
            found += values.pixel()
        elif part == "{tag}":
            found += values.tag()
        elif (url := values.page_url(part)) is not None:
            found += url
        elif part in _OTHERS:
            found += _other(part, values)
        else:
            found.append(part)
    if _TELLING.isdisjoint(split):
        found += values.pixel()
    return joined(found)


def fill_url(text: str, values: Values) -> list[Part]:
    """An absolute URL of the advertiser: of a file, or of a tracker of theirs."""
    found: list[Part] = []
    for part in _OURS.split(text):
        if part in _OTHERS:
            found += _other(part, values)
        elif (url := values.page_url(part)) is not None:
            found += _encoded(url)
        else:
            found.append(part)
    return joined(found)


def unknown(text: str) -> list[str]:
    """Macros that look like an exchange's, and that no exchange fills."""
    return [name for name in _LIKE_EXCHANGES.findall(text) if name not in EXCHANGE]


def joined(parts: Iterable[Part]) -> list[Part]:
    """The same, with no two texts in a row and none that is empty: what is escaped in whole is escaped right."""
    found: list[Part] = []
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
        else:
            if text:
                found.append(text)
                text = ""
            found.append(part)
    if text:
        found.append(text)
    return found


def _other(macro: str, values: Values) -> list[Part]:
    url = values.page_url(macro.replace(":url}", "}"))
    if url is not None:
        return _encoded(url)
    match macro:
        case "{view_id}":
            return [Piece.PAGE_TOKEN]
        case "{cachebuster}":
            return [Piece.BID_ID]
        case "{campaign_id}":
            return [quote(values.campaign_id, safe="")]
        case "{creative_id}":
            return [quote(values.creative_id, safe="")]
        case _:
            return [quote(values.advertiser, safe="")]


def _encoded(parts: list[Part]) -> list[Part]:
    """Percent-encoded; ids and tokens have nothing to encode. Inside another URL no exchange fills a price in."""
    return [quote(part, safe="") if isinstance(part, str) else part for part in parts if part is not Piece.PIXEL_PRICE]
